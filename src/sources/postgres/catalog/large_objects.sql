SELECT 'pg_largeobject'::regclass::oid, l.oid, '', l.oid::text, pg_get_userbyid(l.lomowner), format('LARGE OBJECT %s', l.oid),
  format('SELECT pg_catalog.lo_create(%L);', l.oid::text)
FROM pg_largeobject_metadata l ORDER BY l.oid
