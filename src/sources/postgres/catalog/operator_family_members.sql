SELECT o.tableoid, o.oid, '', format('%I %s', f.opfname, o.amopopr::regoperator), NULL, NULL,
  format('ALTER OPERATOR FAMILY %I.%I USING %I ADD ', n.nspname, f.opfname, m.amname) || @amop(o) || ';'
FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
WHERE o.oid >= 16384 AND f.oid < 16384 AND NOT @member(o) AND @own(o)
UNION ALL SELECT p.tableoid, p.oid, '', format('%I %s', f.opfname, p.amproc::regprocedure), NULL, NULL,
  format('ALTER OPERATOR FAMILY %I.%I USING %I ADD ', n.nspname, f.opfname, m.amname) || @amproc(p) || ';'
FROM pg_amproc p JOIN pg_opfamily f ON f.oid = p.amprocfamily JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
WHERE p.oid >= 16384 AND f.oid < 16384 AND NOT @member(p) AND @own(p)
