WITH RECURSIVE roots(oid, enabled) AS (
  SELECT oid, tgenabled FROM pg_trigger WHERE tgparentid = 0
  UNION ALL SELECT t.oid, r.enabled FROM roots r JOIN pg_trigger t ON t.tgparentid = r.oid
)
SELECT t.tableoid, t.oid, n.nspname, c.relname || '.' || t.tgname, NULL, NULL,
  format('ALTER TABLE ONLY %I.%I %s TRIGGER %I;', n.nspname, c.relname, @enabled(t.tgenabled), t.tgname), 'post', c.oid
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN roots u ON u.oid = t.oid
WHERE t.tgparentid <> 0 AND t.tgenabled <> u.enabled AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
AND @user(n) AND @own(c) AND @own(t)
