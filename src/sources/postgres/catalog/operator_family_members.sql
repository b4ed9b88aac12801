SELECT o.tableoid, o.oid, '', format('%I %s', f.opfname, o.amopopr::regoperator), NULL, NULL,
  format('ALTER OPERATOR FAMILY %I.%I USING %I ADD ', n.nspname, f.opfname, m.amname) || @amop(o) || ';'
FROM pg_amop o JOIN pg_opfamily f ON f.oid = o.amopfamily JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
WHERE o.oid >= 16384 AND NOT @member(o) AND @own(o)
  AND (f.oid < 16384 OR NOT @own(f) AND EXISTS (SELECT FROM pg_operator u WHERE u.oid = o.amopopr AND u.oid >= 16384 AND @own(u)))
UNION ALL SELECT p.tableoid, p.oid, '', format('%I %s', f.opfname, p.amproc::regprocedure), NULL, NULL,
  format('ALTER OPERATOR FAMILY %I.%I USING %I ADD ', n.nspname, f.opfname, m.amname) || @amproc(p) || ';'
FROM pg_amproc p JOIN pg_opfamily f ON f.oid = p.amprocfamily JOIN pg_am m ON m.oid = f.opfmethod JOIN pg_namespace n ON n.oid = f.opfnamespace
WHERE p.oid >= 16384 AND NOT @member(p) AND @own(p)
  AND (f.oid < 16384 OR NOT @own(f) AND EXISTS (SELECT FROM pg_proc u WHERE u.oid = p.amproc AND u.oid >= 16384 AND @own(u)))
