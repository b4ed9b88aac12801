SELECT t.tableoid, t.oid, n.nspname, t.typname, pg_get_userbyid(t.typowner), @identity(t),
  format('CREATE TYPE %I.%I AS ENUM (', n.nspname, t.typname)
  || coalesce((SELECT string_agg(E'\n    ' || quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid), '')
  || E'\n);'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'e' AND @user(n) AND @own(t)
