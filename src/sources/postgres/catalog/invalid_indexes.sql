SELECT n.nspname, c.relname, i.relname
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT ((x.indisvalid OR c.relkind = 'p') AND x.indisready) AND c.relkind IN ('r', 'p', 'm') AND @user(n) AND @own(c)
ORDER BY 1, 2, 3
