SELECT c.tableoid, c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), @identity(c),
  format('CREATE MATERIALIZED VIEW %I.%I', n.nspname, c.relname)
  || coalesce((SELECT format(' USING %I', m.amname) FROM pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'), '') || @with(c)
  || coalesce((SELECT format(' TABLESPACE %I', s.spcname) FROM pg_tablespace s WHERE s.oid = c.reltablespace), '')
  || E' AS\n' || rtrim(pg_get_viewdef(c.oid), ';') || E'\nWITH NO DATA;'
  || CASE c.relreplident WHEN 'f' THEN format(E'\nALTER TABLE ONLY %I.%I REPLICA IDENTITY FULL;', n.nspname, c.relname)
     WHEN 'n' THEN format(E'\nALTER TABLE ONLY %I.%I REPLICA IDENTITY NOTHING;', n.nspname, c.relname) ELSE '' END
  || coalesce((SELECT string_agg(concat(
    CASE WHEN a.attstattarget >= 0 THEN @column(SET STATISTICS) || ' ' || a.attstattarget || ';' END,
    CASE WHEN a.attstorage <> t.typstorage THEN @column(SET STORAGE) || CASE a.attstorage WHEN 'p' THEN ' PLAIN;' WHEN 'e' THEN ' EXTERNAL;'
       WHEN 'x' THEN ' EXTENDED;' ELSE ' MAIN;' END END,
    CASE a.attcompression WHEN 'p' THEN @column(SET COMPRESSION) || ' pglz;' WHEN 'l' THEN @column(SET COMPRESSION) || ' lz4;' END, --@>=14
    @column(SET) || ' (' || @settings(a) || ');'), '' ORDER BY a.attnum)
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm' AND @user(n) AND @own(c)
