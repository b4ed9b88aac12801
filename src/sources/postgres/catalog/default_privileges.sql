SELECT d.tableoid, d.oid, coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole) || ' ' || d.defaclobjtype::text, NULL, NULL,
  (SELECT coalesce(string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM %s;', pg_get_userbyid(d.defaclrole),
      coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''), kind.word, @grantee(e)), E'\n'), '')
   FROM (SELECT DISTINCT grantee FROM unnest(base.acl) item CROSS JOIN aclexplode(ARRAY[item]) WHERE NOT item = ANY (d.defaclacl)) e)
  || coalesce((SELECT E'\n' || string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s GRANT %s ON %s TO %s%s;', pg_get_userbyid(d.defaclrole),
      coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''), e.privileges, kind.word, @grantee(e), CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END), E'\n' ORDER BY e.ord, e.is_grantable)
   FROM (SELECT u.ord, x.grantee, x.is_grantable, string_agg(x.privilege_type, ', ') AS privileges FROM unnest(d.defaclacl) WITH ORDINALITY u(item, ord)
     CROSS JOIN aclexplode(ARRAY[u.item]) x WHERE NOT u.item = ANY (base.acl) GROUP BY 1, 2, 3) e), ''), 'post'
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL (SELECT CASE WHEN d.defaclnamespace = 0 THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END::"char", d.defaclrole) ELSE '{}' END AS acl) base
CROSS JOIN LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END AS word) kind
