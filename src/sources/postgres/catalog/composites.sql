SELECT t.tableoid, t.oid, n.nspname, t.typname, pg_get_userbyid(t.typowner), @identity(t),
  format('CREATE TYPE %I.%I AS (', n.nspname, t.typname)
  || coalesce((SELECT string_agg(E'\n    ' || quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || @collate(a), ',' ORDER BY a.attnum)
       FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '')
  || E'\n);'
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'c' AND c.relkind = 'c' AND @user(n) AND @own(t)
