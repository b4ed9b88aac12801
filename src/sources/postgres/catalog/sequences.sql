SELECT c.tableoid, c.oid, n.nspname, c.relname, CASE WHEN d.objid IS NULL THEN pg_get_userbyid(c.relowner) END, @identity(c),
  CASE WHEN d.objid IS NULL THEN format('CREATE %sSEQUENCE %I.%I', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END, n.nspname, c.relname)
    || CASE WHEN s.seqtypid <> 'bigint'::regtype THEN ' AS ' || format_type(s.seqtypid, NULL) ELSE '' END
  ELSE format(E'ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY (\n    SEQUENCE NAME %I.%I', d.refobjid::regclass, a.attname,
    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, n.nspname, c.relname)
    || CASE WHEN c.relpersistence = t.relpersistence THEN '' WHEN c.relpersistence = 'u' THEN ' UNLOGGED' ELSE ' LOGGED' END --@>=15
  END
  || CASE WHEN d.objid IS NOT NULL AND s.seqtypid <> a.atttypid THEN format(E'\n);\nALTER SEQUENCE %I.%I AS %s', n.nspname, c.relname, format_type(s.seqtypid, NULL)) ELSE '' END
  || format(E'\n    START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s', s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache)
  || CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END || CASE WHEN d.objid IS NULL OR s.seqtypid <> a.atttypid THEN ';' ELSE E'\n);' END,
  CASE WHEN d.objid IS NULL THEN '' ELSE 'identity' END, d.refobjid
FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.classid = c.tableoid AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = c.tableoid AND d.refobjsubid > 0 AND d.deptype = 'i'
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
LEFT JOIN pg_class t ON t.oid = d.refobjid
WHERE c.relkind = 'S' AND @user(n) AND @own(c)
