SELECT t.tableoid, t.oid, n.nspname, t.typname, NULL, NULL,
  format('ALTER DOMAIN %I.%I SET DEFAULT ', n.nspname, t.typname) || coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) || ';'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND coalesce(t.typdefaultbin::text, t.typdefault) IS NOT NULL AND @user(n) AND @own(t)
