SELECT n.tableoid, n.oid, n.nspname, n.nspname,
  CASE WHEN n.nspname = 'public'
       AND n.nspowner = 10 --@<15
       AND pg_get_userbyid(n.nspowner) = 'pg_database_owner' --@>=15
       THEN NULL ELSE pg_get_userbyid(n.nspowner) END, @identity(n),
  CASE WHEN n.nspname = 'public' THEN '' ELSE format('CREATE SCHEMA %I;', n.nspname) END
FROM pg_namespace n WHERE @user(n) AND @own(n)
