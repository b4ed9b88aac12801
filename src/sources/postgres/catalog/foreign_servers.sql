SELECT s.tableoid, s.oid, '', s.srvname, pg_get_userbyid(s.srvowner), @identity(s),
  format('CREATE SERVER %I', s.srvname) || coalesce(' TYPE ' || quote_literal(s.srvtype), '')
  || coalesce(' VERSION ' || quote_literal(s.srvversion), '') || format(' FOREIGN DATA WRAPPER %I', f.fdwname)
  || @options(s.srvoptions) || ';'
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw WHERE s.oid >= 16384 AND @own(s)
