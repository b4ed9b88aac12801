SELECT 'pg_inherits'::regclass::oid, c.oid, n.nspname, c.relname, NULL, NULL,
  format('ALTER TABLE ONLY %s ATTACH PARTITION %I.%I %s;', i.inhparent::regclass, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid)),
  '', i.inhparent
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relispartition AND c.relkind IN ('r', 'p', 'f') AND @user(n) AND @own(c)
AND NOT i.inhdetachpending --@>=14
