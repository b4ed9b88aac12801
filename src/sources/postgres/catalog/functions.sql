SELECT p.tableoid, p.oid, n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  pg_get_userbyid(p.proowner), @identity(p), rtrim(pg_get_functiondef(p.oid), E'\n') || ';'
  , CASE WHEN p.prosqlbody IS NULL THEN '' --@>=14
     ELSE rtrim(left(rtrim(pg_get_functiondef(p.oid), E'\n'), -length(pg_get_function_sqlbody(p.oid))), E'\n ') || E'\nAS '''';' END --@>=14
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind <> 'a' AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = p.tableoid AND i.objid = p.oid AND i.deptype = 'i')
AND @user(n) AND @own(p)
