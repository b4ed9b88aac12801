SELECT f.tableoid, f.oid, n.nspname, f.opfname, pg_get_userbyid(f.opfowner), @identity(f),
  format('CREATE OPERATOR FAMILY %I.%I USING %I;', n.nspname, f.opfname, m.amname)
  || coalesce((SELECT format(E'\nALTER OPERATOR FAMILY %I.%I USING %I ADD\n    ', n.nspname, f.opfname, m.amname) || string_agg(entry, E',\n    ' ORDER BY kind, a, b, num) || ';' FROM (
      SELECT 0 AS kind, amoplefttype::regtype::text AS a, amoprighttype::regtype::text AS b, amopstrategy AS num, @amop(o) AS entry
      FROM pg_amop o WHERE o.amopfamily = f.oid AND NOT @member(o)
      UNION ALL SELECT 1, amproclefttype::regtype::text, amprocrighttype::regtype::text, amprocnum, @amproc(p)
      FROM pg_amproc p WHERE p.amprocfamily = f.oid AND NOT @member(p)) loose), '')
FROM pg_opfamily f JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
WHERE @user(n) AND @own(f)
