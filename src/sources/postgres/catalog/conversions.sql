SELECT c.tableoid, c.oid, n.nspname, c.conname, pg_get_userbyid(c.conowner), @identity(c),
  format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s;', CASE WHEN c.condefault THEN 'DEFAULT ' ELSE '' END,
    n.nspname, c.conname, pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), @function(c.conproc::oid))
FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE @user(n) AND @own(c)
