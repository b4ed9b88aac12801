SELECT s.tableoid, s.oid, n.nspname, s.stxname, pg_get_userbyid(s.stxowner), @identity(s),
  pg_get_statisticsobjdef(s.oid) || ';'
  || CASE WHEN s.stxstattarget >= 0 THEN format(E'\nALTER STATISTICS %I.%I SET STATISTICS %s;', n.nspname, s.stxname, s.stxstattarget) ELSE '' END,
  'post', s.stxrelid
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace JOIN pg_class c ON c.oid = s.stxrelid WHERE @user(n) AND @own(s) AND @own(c) AND NOT @fleeting(s.stxrelid)
