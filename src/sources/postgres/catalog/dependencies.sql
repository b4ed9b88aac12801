SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d
WHERE d.deptype IN ('n', 'a', 'x', 'i') AND d.objid >= 16384 AND d.refobjid >= 16384
UNION SELECT d.classid, d.objid, d.refclassid, d.refobjid FROM pg_depend d
WHERE d.deptype IN ('n', 'a') AND d.objid >= 16384 AND d.refclassid = 'pg_namespace'::regclass
