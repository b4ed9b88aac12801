SELECT pg_get_userbyid(l.lomowner), count(*), string_agg(l.oid::text, ',' ORDER BY l.oid)
FROM (SELECT oid, lomowner, row_number() OVER (PARTITION BY lomowner ORDER BY oid) / 200 AS batch FROM pg_largeobject_metadata) l
GROUP BY l.lomowner, l.batch ORDER BY min(l.oid)
