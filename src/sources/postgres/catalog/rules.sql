SELECT r.tableoid, r.oid, n.nspname, c.relname || '.' || r.rulename, NULL, NULL,
  pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'O' THEN '' ELSE format(E'\nALTER TABLE %I.%I %s RULE %I;', n.nspname, c.relname, @enabled(r.ev_enabled), r.rulename) END,
  'post', c.oid
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT (r.rulename = '_RETURN' AND c.relkind IN ('v', 'm')) AND @user(n) AND @own(c) AND @own(r)
