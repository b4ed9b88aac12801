SELECT 'pg_class'::regclass::oid, c.oid, n.nspname, c.relname, NULL, NULL,
  format('REFRESH MATERIALIZED VIEW %I.%I;', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND c.relispopulated AND @user(n) AND @own(c)
