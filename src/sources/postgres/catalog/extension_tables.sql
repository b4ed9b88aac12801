SELECT p.class, p.oid, pg_describe_object(p.class, p.oid, 0), x.extname,
  p.transaction = x.xmin OR EXISTS (SELECT FROM pg_depend member WHERE member.deptype = 'e' AND member.xmin = p.transaction)
FROM (
  SELECT 'pg_class'::regclass::oid, indexrelid, indrelid, xmin FROM pg_index
  UNION ALL SELECT 'pg_constraint'::regclass, oid, conrelid, xmin FROM pg_constraint WHERE contype = 'f' AND conparentid = 0
  UNION ALL SELECT 'pg_trigger'::regclass, oid, tgrelid, xmin FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0
  UNION ALL SELECT 'pg_rewrite'::regclass, oid, ev_class, xmin FROM pg_rewrite WHERE rulename <> '_RETURN'
  UNION ALL SELECT 'pg_policy'::regclass, oid, polrelid, xmin FROM pg_policy
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxrelid, xmin FROM pg_statistic_ext
) p(class, oid, relation, transaction)
JOIN pg_depend m ON m.classid = 'pg_class'::regclass AND m.objid = p.relation AND m.objsubid = 0 AND m.deptype = 'e' JOIN pg_extension x ON x.oid = m.refobjid
ORDER BY 3
