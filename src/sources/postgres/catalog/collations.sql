SELECT c.tableoid, c.oid, n.nspname, c.collname, pg_get_userbyid(c.collowner), @identity(c),
  format('CREATE COLLATION %I.%I (provider = %s', n.nspname, c.collname,
    CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin' WHEN 'd' THEN 'default' END)
  || CASE WHEN c.collisdeterministic THEN '' ELSE ', deterministic = false' END
  || CASE WHEN c.collprovider <> 'c' THEN ', locale = ' || quote_literal(@locale(c))
          WHEN c.collcollate = c.collctype THEN ', locale = ' || quote_literal(c.collcollate)
          ELSE format(', lc_collate = %L, lc_ctype = %L', c.collcollate, c.collctype) END
  || coalesce(', rules = ' || quote_literal(c.collicurules), '') --@>=16
  || ');'
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE @user(n) AND @own(c)
