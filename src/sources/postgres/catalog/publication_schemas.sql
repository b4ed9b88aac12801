SELECT s.tableoid, s.oid, n.nspname, p.pubname || ' ' || n.nspname, NULL, NULL,
  format('ALTER PUBLICATION %I ADD TABLES IN SCHEMA %I;', p.pubname, n.nspname), 'post'
FROM pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid JOIN pg_namespace n ON n.oid = s.pnnspid WHERE @own(p)
