SELECT c.tableoid, c.oid, n.nspname, c.relname, pg_get_userbyid(c.relowner), @identity(c),
  'CREATE ' || CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED ' ELSE '' END || CASE c.relkind WHEN 'f' THEN 'FOREIGN ' ELSE '' END
  || format('TABLE %I.%I', n.nspname, c.relname)
  || CASE WHEN c.reloftype <> 0 THEN ' OF ' || format_type(c.reloftype, NULL) ELSE '' END
  || coalesce(' (' || columns.list || E'\n)', CASE WHEN c.reloftype <> 0 THEN '' ELSE ' ()' END)
  || CASE WHEN c.relispartition THEN '' ELSE coalesce((SELECT E'\nINHERITS (' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) || ')'
       FROM pg_inherits i WHERE i.inhrelid = c.oid), '') END
  || CASE c.relkind WHEN 'p' THEN E'\nPARTITION BY ' || pg_get_partkeydef(c.oid) ELSE '' END
  || coalesce((SELECT format(E'\nSERVER %I', s.srvname) || @options(f.ftoptions) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
       WHERE f.ftrelid = c.oid), '')
  || coalesce((SELECT format(E'\nUSING %I', m.amname) FROM pg_am m WHERE m.oid = c.relam AND (m.amname <> 'heap' OR c.relkind = 'p')), '')
  || @with(c)
  || coalesce((SELECT format(E'\nTABLESPACE %I', s.spcname) FROM pg_tablespace s WHERE s.oid = c.reltablespace), '')
  || ';' || coalesce(columns.after, '')
  || CASE WHEN c.relkind = 'f' THEN '' WHEN c.relreplident = 'f' THEN format(E'\nALTER TABLE ONLY %I.%I REPLICA IDENTITY FULL;', n.nspname, c.relname)
       WHEN c.relreplident = 'n' THEN format(E'\nALTER TABLE ONLY %I.%I REPLICA IDENTITY NOTHING;', n.nspname, c.relname) ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (SELECT
  string_agg(E'\n    ' || CASE WHEN NOT written.here THEN '' ELSE quote_ident(a.attname)
    || CASE WHEN c.reloftype <> 0 THEN ' WITH OPTIONS' ELSE ' ' || format_type(a.atttypid, a.atttypmod) || @collate(a) END
    || CASE WHEN parents.said IS TRUE THEN '' ELSE CASE a.attgenerated WHEN 's' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ') STORED'
         WHEN 'v' THEN ' GENERATED ALWAYS AS (' || pg_get_expr(d.adbin, d.adrelid) || ')' ELSE '' END END END
    || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END --@<18
    || CASE WHEN nn.conname IS NULL THEN '' ELSE format(' CONSTRAINT %I NOT NULL', nn.conname) || CASE WHEN written.here THEN '' ELSE ' ' || quote_ident(a.attname) END --@>=18
         || CASE WHEN nn.connoinherit THEN ' NO INHERIT' ELSE '' END END --@>=18
    , ',' ORDER BY a.attnum) FILTER (WHERE written.here AND (c.reloftype = 0 OR
       (a.attnotnull) --@<18
       nn.conname IS NOT NULL --@>=18
       OR a.attgenerated <> '')
       OR NOT written.here AND nn.conname IS NOT NULL --@>=18
       ) AS list,
  string_agg(concat(
    CASE WHEN a.attnotnull AND NOT written.here THEN @column(SET NOT NULL) || ';' END, --@<18
    CASE WHEN NOT written.here AND parents.own IS TRUE THEN @column(SET EXPRESSION AS) || ' (' || pg_get_expr(d.adbin, d.adrelid) || ');' END, --@>=17
    CASE WHEN NOT a.attislocal AND NOT c.relispartition AND d.oid IS NULL AND EXISTS (SELECT FROM pg_inherits i
       JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attname = a.attname AND pa.atthasdef AND pa.attgenerated = ''
       WHERE i.inhrelid = c.oid) THEN @column(DROP DEFAULT) || ';' END,
    CASE WHEN a.attstattarget >= 0 THEN @column(SET STATISTICS) || ' ' || a.attstattarget || ';' END,
    CASE WHEN a.attstorage <> t.typstorage OR NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i
       JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attname = a.attname AND pa.attstorage <> a.attstorage WHERE i.inhrelid = c.oid) THEN @column(SET STORAGE) || CASE a.attstorage WHEN 'p' THEN ' PLAIN;' WHEN 'e' THEN ' EXTERNAL;'
       WHEN 'x' THEN ' EXTENDED;' ELSE ' MAIN;' END END,
    CASE CASE WHEN c.relkind <> 'f' THEN a.attcompression END WHEN 'p' THEN @column(SET COMPRESSION) || ' pglz;' WHEN 'l' THEN @column(SET COMPRESSION) || ' lz4;' --@>=14
      WHEN '' THEN CASE WHEN NOT c.relispartition AND EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute pa ON pa.attrelid = i.inhparent --@>=14
        AND pa.attname = a.attname AND pa.attcompression <> '' WHERE i.inhrelid = c.oid) THEN @column(SET COMPRESSION) || ' default;' END END, --@>=14
    @column(SET) || ' (' || @settings(a) || ');',
    CASE WHEN a.attfdwoptions IS NOT NULL THEN format(E'\nALTER FOREIGN TABLE ONLY %I.%I ALTER COLUMN %I%s;', n.nspname, c.relname, a.attname, @options(a.attfdwoptions)) END
    ), '' ORDER BY a.attnum) AS after
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  LEFT JOIN LATERAL (SELECT
      count(*) > 0 AS said, false AS listed --@<16
      bool_and(p.same) AS said, --@>=16
      NOT bool_and(p.same) AS listed --@>=16 --@<17
      count(DISTINCT p.expression) > 1 AS listed, NOT bool_and(p.same) AS own --@>=17
    FROM (SELECT pg_get_expr(pd.adbin, pd.adrelid) AS expression, pg_get_expr(pd.adbin, pd.adrelid) = pg_get_expr(d.adbin, d.adrelid) AS same
      FROM pg_inherits i JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attname = a.attname AND pa.attgenerated <> ''
      JOIN pg_attrdef pd ON pd.adrelid = pa.attrelid AND pd.adnum = pa.attnum WHERE i.inhrelid = c.oid) p
    ) parents ON a.attgenerated <> '' AND NOT c.relispartition
  LEFT JOIN LATERAL (SELECT k.conname, k.connoinherit FROM pg_constraint k --@>=18
    WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND k.convalidated AND (k.conislocal OR c.relispartition --@>=18
      OR EXISTS (SELECT FROM pg_inherits i JOIN pg_attribute pa ON pa.attrelid = i.inhparent AND pa.attname = a.attname JOIN pg_constraint pk --@>=18
        ON pk.conrelid = pa.attrelid AND pk.contype = 'n' AND pk.conkey = ARRAY[pa.attnum] AND NOT pk.convalidated WHERE i.inhrelid = c.oid))) nn ON true --@>=18
  CROSS JOIN LATERAL (SELECT a.attislocal OR c.relispartition OR parents.listed IS TRUE AS here) written
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) columns ON true
WHERE c.relkind IN ('r', 'p', 'f') AND @user(n) AND @own(c)
