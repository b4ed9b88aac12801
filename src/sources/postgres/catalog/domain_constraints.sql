SELECT k.tableoid, k.oid, n.nspname, t.typname || '.' || k.conname, NULL, NULL,
  format('ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s;', n.nspname, t.typname, k.conname, pg_get_constraintdef(k.oid)),
  CASE WHEN k.convalidated THEN '' ELSE 'post' END
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE k.contype = 'c' AND @user(n) AND @own(t)
