SELECT d.objoid, format('COMMENT ON LARGE OBJECT %s IS %L;', d.objoid, d.description) FROM pg_description d WHERE d.classoid = 'pg_largeobject'::regclass
UNION ALL SELECT l.objoid, format('SECURITY LABEL FOR %I ON LARGE OBJECT %s IS %L;', l.provider, l.objoid, l.label) FROM pg_seclabel l
WHERE l.classoid = 'pg_largeobject'::regclass ORDER BY 1, 2
