SELECT coalesce(CASE WHEN k.contype IN ('p', 'u', 'x') THEN 'pg_class'::regclass WHEN k.contype = 'n' AND k.conrelid <> 0 AND k.convalidated THEN 'pg_class'::regclass
    WHEN k.contype = 'n' AND k.contypid <> 0 THEN 'pg_type'::regclass WHEN c.relkind = 'c' THEN 'pg_type'::regclass END::oid, d.classoid),
  coalesce(CASE WHEN k.contype IN ('p', 'u', 'x') THEN k.conindid WHEN k.contype = 'n' AND k.conrelid <> 0 AND k.convalidated THEN k.conrelid
    WHEN k.contype = 'n' AND k.contypid <> 0 THEN k.contypid WHEN c.relkind = 'c' THEN c.reltype END, d.objoid),
  d.objsubid, 'COMMENT ON ' || @keyword(i) || ' IS ' || quote_literal(d.description) || ';'
FROM pg_description d CROSS JOIN LATERAL (SELECT found.*, d.objoid AS oid FROM pg_identify_object(d.classoid, d.objoid, d.objsubid) found) i
LEFT JOIN pg_constraint k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid
LEFT JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
WHERE d.classoid <> 'pg_largeobject'::regclass AND (d.objoid >= 16384 OR d.objoid = to_regnamespace('public') AND d.classoid = 'pg_namespace'::regclass AND d.description <> 'standard public schema')
UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, 'COMMENT ON SCHEMA public IS NULL;' FROM pg_namespace n
WHERE n.nspname = 'public' AND obj_description(n.oid, 'pg_namespace') IS NULL
