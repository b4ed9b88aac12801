SELECT t.tableoid, t.oid, n.nspname, t.typname, pg_get_userbyid(t.typowner), @identity(t),
  format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod))
  || CASE WHEN t.typcollation <> b.typcollation THEN ' COLLATE ' || t.typcollation::regcollation ELSE '' END
  || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END --@<17
  || coalesce((SELECT string_agg(format(' CONSTRAINT %I NOT NULL', k.conname), '') FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n'), '') --@>=17
  || ';'
FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND @user(n) AND @own(t)
