SELECT t.tableoid, t.oid, n.nspname, t.typname, pg_get_userbyid(t.typowner), @identity(t),
  format('CREATE TYPE %I.%I AS RANGE (', n.nspname, t.typname)
  || E'\n    subtype = ' || format_type(r.rngsubtype, NULL)
  || coalesce((SELECT E',\n    multirange_type_name = ' || format_type(r.rngmultitypid, NULL)), '') --@>=14
  || CASE WHEN o.opcdefault THEN '' ELSE format(E',\n    subtype_opclass = %I.%I', m.nspname, o.opcname) END
  || CASE WHEN r.rngcollation <> s.typcollation AND r.rngcollation <> 0 THEN E',\n    collation = ' || r.rngcollation::regcollation ELSE '' END
  || CASE WHEN r.rngcanonical = 0 THEN '' ELSE E',\n    canonical = ' || @function(r.rngcanonical::oid) END
  || CASE WHEN r.rngsubdiff = 0 THEN '' ELSE E',\n    subtype_diff = ' || @function(r.rngsubdiff::oid) END
  || E'\n);'
FROM pg_type t JOIN pg_range r ON r.rngtypid = t.oid JOIN pg_type s ON s.oid = r.rngsubtype
JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace m ON m.oid = o.opcnamespace
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'r' AND @user(n) AND @own(t)
