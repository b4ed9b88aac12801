SELECT 'pg_type'::regclass::oid, t.oid, 'pg_class'::regclass::oid, c.oid FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid WHERE c.relkind <> 'c' AND t.oid >= 16384
UNION ALL SELECT 'pg_class'::regclass, c.oid, 'pg_type'::regclass, c.reltype FROM pg_class c WHERE c.relkind = 'c' AND c.oid >= 16384
UNION ALL SELECT 'pg_type'::regclass, t.typarray, 'pg_type'::regclass, t.oid FROM pg_type t WHERE t.typarray <> 0 AND t.oid >= 16384
UNION ALL SELECT 'pg_type'::regclass, r.rngmultitypid, 'pg_type'::regclass, r.rngtypid FROM pg_range r WHERE r.rngtypid >= 16384 --@>=14
UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 'pg_class'::regclass, k.conindid FROM pg_constraint k WHERE k.contype IN ('p', 'u', 'x')
UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 'pg_class'::regclass, k.conrelid FROM pg_constraint k WHERE k.contype IN ('n', 'c') AND k.conrelid <> 0
UNION ALL SELECT 'pg_constraint'::regclass, k.oid, 'pg_type'::regclass, k.contypid FROM pg_constraint k WHERE k.contype IN ('n', 'c') AND k.contypid <> 0
UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, 'pg_class'::regclass, r.ev_class FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.rulename = '_RETURN' AND c.relkind IN ('v', 'm') AND c.oid >= 16384
UNION ALL SELECT 'pg_attrdef'::regclass, d.oid, 'pg_class'::regclass, d.adrelid FROM pg_attrdef d
UNION ALL SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d WHERE d.classid IN ('pg_amop'::regclass, 'pg_amproc'::regclass)
  AND d.refclassid IN ('pg_opclass'::regclass, 'pg_opfamily'::regclass) AND d.deptype IN ('a', 'i') AND d.objid >= 16384
  AND (d.refclassid = 'pg_opclass'::regclass OR NOT EXISTS (SELECT FROM pg_depend o WHERE o.classid = d.classid AND o.objid = d.objid AND o.refclassid = 'pg_opclass'::regclass))
UNION ALL SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d WHERE d.deptype = 'e'
UNION ALL SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'i'
UNION ALL SELECT 'pg_cast'::regclass, c.oid, 'pg_type'::regclass, r.rngtypid FROM pg_cast c JOIN pg_range r ON r.rngtypid = c.castsource AND r.rngmultitypid = c.casttarget --@>=14
