SELECT t.tableoid, t.oid, n.nspname, c.relname || '.' || t.tgname, NULL, NULL,
  pg_get_triggerdef(t.oid) || ';' || CASE t.tgenabled WHEN 'O' THEN '' ELSE format(E'\nALTER TABLE %I.%I %s TRIGGER %I;',
       n.nspname, c.relname, @enabled(t.tgenabled), t.tgname) END,
  'post', c.oid
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND @user(n) AND @own(c) AND @own(t)
