SELECT t.tableoid, t.oid, n.nspname, c.relname || '.' || t.tgname, NULL, NULL,
  format('ALTER TABLE %I.%I %s TRIGGER %I;', n.nspname, c.relname, @enabled(t.tgenabled), t.tgname), 'post', c.oid
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_trigger u ON u.oid = t.tgparentid
WHERE t.tgenabled <> u.tgenabled AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint AND k.contype <> 't')
AND @user(n) AND @own(c) AND @own(t)
