SELECT f.tableoid, f.oid, '', f.fdwname, pg_get_userbyid(f.fdwowner), @identity(f),
  format('CREATE FOREIGN DATA WRAPPER %I', f.fdwname)
  || CASE WHEN f.fdwhandler = 0 THEN '' ELSE ' HANDLER ' || @function(f.fdwhandler) END
  || CASE WHEN f.fdwvalidator = 0 THEN '' ELSE ' VALIDATOR ' || @function(f.fdwvalidator) END
  || @options(f.fdwoptions) || ';'
FROM pg_foreign_data_wrapper f WHERE f.oid >= 16384 AND @own(f)
