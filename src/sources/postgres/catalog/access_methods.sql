SELECT a.tableoid, a.oid, '', a.amname, NULL, NULL,
  format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s;', a.amname,
    CASE a.amtype WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, @function(a.amhandler::oid))
FROM pg_am a WHERE a.oid >= 16384 AND @own(a)
