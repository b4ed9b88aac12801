SELECT d.classoid, d.objoid, d.objsubid, 'SECURITY LABEL FOR ' || quote_ident(d.provider) || ' ON ' || @keyword(i) || ' IS ' || quote_literal(d.label) || ';'
FROM pg_seclabel d CROSS JOIN LATERAL (SELECT found.*, d.objoid AS oid FROM pg_identify_object(d.classoid, d.objoid, d.objsubid) found) i
WHERE d.classoid <> 'pg_largeobject'::regclass
UNION ALL SELECT d.classoid, d.objoid, 0, format('SECURITY LABEL FOR %I ON SUBSCRIPTION %I IS %L;', d.provider, s.subname, d.label)
FROM pg_shseclabel d JOIN pg_subscription s ON d.classoid = 'pg_subscription'::regclass AND s.oid = d.objoid
