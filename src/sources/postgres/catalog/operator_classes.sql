SELECT c.tableoid, c.oid, n.nspname, c.opcname, pg_get_userbyid(c.opcowner), @identity(c),
  format(E'CREATE OPERATOR CLASS %I.%I\n    %sFOR TYPE %s USING %I FAMILY %I.%I AS\n    ', n.nspname, c.opcname,
    CASE WHEN c.opcdefault THEN 'DEFAULT ' ELSE '' END, format_type(c.opcintype, NULL), m.amname, fn.nspname, f.opfname)
  || coalesce((SELECT string_agg(entry, E',\n    ' ORDER BY kind, num, a, b) FROM (
      SELECT 0 AS kind, 0 AS num, '' AS a, '' AS b, 'STORAGE ' || format_type(c.opckeytype, NULL) AS entry WHERE c.opckeytype <> 0
      UNION ALL SELECT 1, amopstrategy, amoplefttype::regtype::text, amoprighttype::regtype::text, @amop(o) FROM pg_amop o
      WHERE EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.tableoid AND d.objid = o.oid AND d.refclassid = c.tableoid AND d.refobjid = c.oid)
      UNION ALL SELECT 2, amprocnum, amproclefttype::regtype::text, amprocrighttype::regtype::text, @amproc(p) FROM pg_amproc p
      WHERE EXISTS (SELECT FROM pg_depend d WHERE d.classid = p.tableoid AND d.objid = p.oid AND d.refclassid = c.tableoid AND d.refobjid = c.oid)) members),
    'STORAGE ' || format_type(c.opcintype, NULL)) || ';'
FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod JOIN pg_opfamily f ON f.oid = c.opcfamily
JOIN pg_namespace fn ON fn.oid = f.opfnamespace JOIN pg_namespace n ON n.oid = c.opcnamespace
WHERE @user(n) AND @own(c)
