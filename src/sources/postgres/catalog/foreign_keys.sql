SELECT k.tableoid, k.oid, n.nspname, c.relname || '.' || k.conname, NULL, NULL,
  format('ALTER TABLE %s%I.%I ADD CONSTRAINT %I %s;', CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid)),
  'post', c.oid
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND @user(n) AND @own(c) AND (k.conparentid = 0
  OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND i.inhdetachpending) AND EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid <> k.conrelid) --@>=14
)
