SELECT d.classid, d.objid, 0, format('ALTER %s DEPENDS ON EXTENSION %I;', @keyword(i), e.extname)
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid CROSS JOIN LATERAL (SELECT found.*, d.objid AS oid FROM pg_identify_object(d.classid, d.objid, 0) found) i
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'x'
