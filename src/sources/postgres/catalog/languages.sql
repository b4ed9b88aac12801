SELECT l.tableoid, l.oid, '', l.lanname, pg_get_userbyid(l.lanowner), @identity(l),
  format('CREATE %sPROCEDURAL LANGUAGE %I', CASE WHEN l.lanpltrusted THEN 'TRUSTED ' ELSE '' END, l.lanname)
  || CASE WHEN l.lanplcallfoid = 0 THEN '' ELSE ' HANDLER ' || @function(l.lanplcallfoid) END
  || CASE WHEN l.laninline = 0 THEN '' ELSE ' INLINE ' || @function(l.laninline) END
  || CASE WHEN l.lanvalidator = 0 THEN '' ELSE ' VALIDATOR ' || @function(l.lanvalidator) END || ';'
FROM pg_language l WHERE l.lanispl AND l.oid >= 16384 AND @own(l)
