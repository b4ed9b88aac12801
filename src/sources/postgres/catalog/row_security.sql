SELECT 'pg_policy'::regclass::oid, c.oid, n.nspname, c.relname, NULL, NULL,
  CASE WHEN c.relrowsecurity THEN format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY;', n.nspname, c.relname) ELSE '' END
  || CASE WHEN c.relforcerowsecurity THEN format(E'\nALTER TABLE ONLY %I.%I FORCE ROW LEVEL SECURITY;', n.nspname, c.relname) ELSE '' END,
  'post', c.oid
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND (c.relrowsecurity OR c.relforcerowsecurity) AND @user(n) AND @own(c)
