SELECT 'pg_user_mapping'::regclass::oid, u.umid, '', u.srvname || ' ' || u.usename, NULL, NULL,
  format('CREATE USER MAPPING %sFOR %s SERVER %I',
    CASE WHEN EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_foreign_server'::regclass AND e.objid = u.srvid AND e.deptype = 'e') THEN 'IF NOT EXISTS ' ELSE '' END,
    CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname)
  || @options(u.umoptions) || ';'
FROM pg_user_mappings u
