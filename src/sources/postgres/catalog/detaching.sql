SELECT n.nspname, c.relname, format('%I.%I', p.nspname, r.relname)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class r ON r.oid = i.inhparent JOIN pg_namespace p ON p.oid = r.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND @user(n) AND @own(c)
AND i.inhdetachpending --@>=14
AND false --@<14
ORDER BY 1, 2
