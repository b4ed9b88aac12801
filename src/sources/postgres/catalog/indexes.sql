SELECT i.tableoid, i.oid, n.nspname, c.relname || '.' || i.relname, NULL, NULL,
  coalesce((SELECT format(E'SET default_tablespace = %I;\n', s.spcname) FROM pg_tablespace s WHERE s.oid = i.reltablespace), '')
  || CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.oid) || ';'
     ELSE format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I ', n.nspname, c.relname, k.conname)
       || left(pg_get_constraintdef(k.oid), length(pg_get_constraintdef(k.oid)) - length(tail.text))
       || CASE k.contype WHEN 'x' THEN '' ELSE coalesce(' WITH (' || @list(i.reloptions) || ')', '') END || tail.text || ';' END
  || CASE WHEN i.reltablespace = 0 THEN '' ELSE E'\nSET default_tablespace = '''';' END
  || CASE WHEN x.indisclustered THEN format(E'\nALTER TABLE %I.%I CLUSTER ON %I;', n.nspname, c.relname, i.relname) ELSE '' END
  || CASE WHEN x.indisreplident THEN format(E'\nALTER TABLE ONLY %I.%I REPLICA IDENTITY USING INDEX %I;', n.nspname, c.relname, i.relname) ELSE '' END
  || coalesce((SELECT string_agg(format(E'\nALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s;', n.nspname, i.relname, a.attnum, a.attstattarget), '' ORDER BY a.attnum)
       FROM pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0), ''),
  'post', c.oid
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
CROSS JOIN LATERAL (SELECT CASE WHEN k.contype = 'x' OR k.condeferrable IS NOT TRUE THEN '' WHEN k.condeferred THEN ' DEFERRABLE INITIALLY DEFERRED'
  ELSE ' DEFERRABLE' END AS text) tail
WHERE (x.indisvalid OR c.relkind = 'p') AND x.indisready AND c.relkind IN ('r', 'p', 'm') AND @user(n) AND @own(c) AND @own(i)
