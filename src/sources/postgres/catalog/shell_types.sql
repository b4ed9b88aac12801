SELECT t.tableoid, t.oid, n.nspname, t.typname, CASE WHEN t.typtype = 'p' THEN pg_get_userbyid(t.typowner) END,
  CASE WHEN t.typtype = 'p' THEN @identity(t) END, format('CREATE TYPE %I.%I;', n.nspname, t.typname),
  CASE WHEN t.typtype = 'p' THEN '' ELSE 'shell' END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typtype = 'r' OR (t.typtype = 'p' AND NOT t.typisdefined)
  OR (t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid))) AND @user(n) AND @own(t)
