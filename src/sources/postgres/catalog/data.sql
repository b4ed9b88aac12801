WITH RECURSIVE hashed(partrelid, type) AS (
  SELECT p.partrelid, a.atttypid FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs)
  WHERE p.partstrat = 'h'
  UNION SELECT h.partrelid, inner_type.oid FROM hashed h JOIN pg_type t ON t.oid = h.type CROSS JOIN LATERAL (
    SELECT t.typelem UNION ALL SELECT t.typbasetype UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngmultitypid = t.oid --@>=14
  ) inner_type(oid) WHERE inner_type.oid <> 0
), unsafe AS (
  SELECT h.partrelid FROM hashed h JOIN pg_type t ON t.oid = h.type
  WHERE t.typtype = 'e' OR t.typnamespace = 'pg_catalog'::regnamespace AND t.typname ~ '^reg'
  UNION SELECT p.partrelid FROM pg_partitioned_table p WHERE p.partstrat = 'h'
  AND EXISTS (SELECT FROM pg_opclass o WHERE o.oid = ANY (p.partclass) AND o.opcname = 'enum_ops')
), configured AS (
  SELECT u.oid AS relid, e.extcondition[u.ord] AS condition FROM pg_extension e CROSS JOIN unnest(e.extconfig) WITH ORDINALITY u(oid, ord)
), keys AS (
  SELECT DISTINCT k.conrelid, k.confrelid FROM pg_constraint k JOIN configured a ON a.relid = k.conrelid JOIN configured b ON b.relid = k.confrelid
  WHERE k.contype = 'f'
), steps AS (
  SELECT confrelid AS relid, 0 AS step FROM keys
  UNION SELECT k.conrelid, s.step + 1 FROM steps s JOIN keys k ON k.confrelid = s.relid WHERE k.conrelid <> k.confrelid AND s.step < 50
)
SELECT c.oid, n.nspname, c.relname, coalesce(columns.list, ''), pg_relation_size(c.oid) / current_setting('block_size')::int8,
  coalesce(m.amname, ''), coalesce(g.condition, ''), c.relkind, c.relpersistence,
  (SELECT max(s.step) FROM steps s WHERE s.relid = c.oid), NOT @own(c)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN configured g ON g.relid = c.oid
LEFT JOIN LATERAL (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS list FROM pg_attribute a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') columns ON true
WHERE (@user(n) AND @own(c) OR g.relid IS NOT NULL)
AND (c.relkind = 'r' AND NOT (c.relispartition AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN unsafe u ON u.partrelid = a.relid))
  OR c.relkind = 'p' AND EXISTS (SELECT FROM unsafe u WHERE u.partrelid = c.oid)
    AND NOT EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN unsafe u ON u.partrelid = a.relid WHERE a.relid <> c.oid))
