SELECT d.classoid, d.objoid, d.objsubid, 'SECURITY LABEL FOR ' || quote_ident(d.provider) || ' ON ' || @keyword(i) || ' IS ' || quote_literal(d.label) || ';'
FROM pg_seclabel d CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) i
