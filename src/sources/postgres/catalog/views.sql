SELECT c.tableoid, c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), @identity(c),
  format('CREATE VIEW %I.%I', n.nspname, c.relname) || @with(c) || E' AS\n' || rtrim(pg_get_viewdef(c.oid), ';') || ';',
  format(E'CREATE VIEW %I.%I AS SELECT', n.nspname, c.relname) || coalesce((SELECT string_agg(format(E'\n    NULL::%s%s AS %I',
      format_type(a.atttypid, a.atttypmod), @collate(a), a.attname), ',' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') || ';'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND @user(n) AND @own(c)
