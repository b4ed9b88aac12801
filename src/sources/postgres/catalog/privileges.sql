WITH objects AS (
  SELECT tableoid AS class, oid, 0 AS sub, nspacl AS acl, acldefault('n', nspowner) AS base, nspowner AS owner, 'SCHEMA ' || quote_ident(nspname) AS target, NULL AS col
    FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT c.tableoid, c.oid, 0, c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner), c.relowner,
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || format('%I.%I', n.nspname, c.relname), NULL
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','f','S') AND n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT c.tableoid, c.oid, a.attnum, a.attacl, '{}'::aclitem[], c.relowner, format('TABLE %I.%I', n.nspname, c.relname), quote_ident(a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT kp.tableoid, kp.oid, 0, proacl, acldefault('f', proowner), proowner, CASE prokind WHEN 'p' THEN 'PROCEDURE ' || (SELECT @signature(kp) FROM pg_namespace kn WHERE kn.oid = kp.pronamespace) ELSE 'FUNCTION ' || kp.oid::regprocedure END, NULL FROM pg_proc kp
    WHERE NOT @temporary(kp.pronamespace)
  UNION ALL SELECT t.tableoid, t.oid, 0, typacl, acldefault('T', typowner), typowner, format('TYPE %I.%I', n.nspname, typname), NULL
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typacl IS NOT NULL AND n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT tableoid, oid, 0, lanacl, acldefault('l', lanowner), lanowner, 'LANGUAGE ' || quote_ident(lanname), NULL FROM pg_language WHERE lanpltrusted
  UNION ALL SELECT tableoid, oid, 0, fdwacl, acldefault('F', fdwowner), fdwowner, 'FOREIGN DATA WRAPPER ' || quote_ident(fdwname), NULL FROM pg_foreign_data_wrapper
  UNION ALL SELECT tableoid, oid, 0, srvacl, acldefault('S', srvowner), srvowner, 'FOREIGN SERVER ' || quote_ident(srvname), NULL FROM pg_foreign_server
  UNION ALL SELECT 'pg_largeobject'::regclass::oid, min(l.oid), 0, l.acl::aclitem[], acldefault('L', l.lomowner), l.lomowner, 'LARGE OBJECT ' || string_agg(l.oid::text, ', ' ORDER BY l.oid), NULL
    FROM (SELECT oid, lomowner, lomacl::text AS acl, row_number() OVER (PARTITION BY lomowner, lomacl::text ORDER BY oid) / 200 AS batch FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL) l
    GROUP BY l.lomowner, l.acl, l.batch
), changed AS (
  SELECT o.class, o.oid, o.sub, coalesce(o.acl, acl_default.acl) AS acl, o.owner, o.target, o.col,
    coalesce(CASE WHEN o.target = 'SCHEMA public' THEN ARRAY[quote_ident(pg_get_userbyid(o.owner)) || '=UC/' || quote_ident(pg_get_userbyid(o.owner)),
        '=C/' --@<15
        '=U/' --@>=15
        || quote_ident(pg_get_userbyid(o.owner))]::aclitem[] ELSE p.initprivs END, o.base) AS base
  FROM objects o LEFT JOIN pg_init_privs p ON p.classoid = o.class AND p.objoid = o.oid AND p.objsubid = o.sub
  CROSS JOIN LATERAL (SELECT CASE WHEN o.sub > 0 THEN '{}'::aclitem[] ELSE o.base END AS acl) acl_default
  WHERE o.acl IS NOT NULL OR p.objoid IS NOT NULL OR o.target = 'SCHEMA public'
)
SELECT class, oid, sub, target, statements FROM (
  SELECT c.class, c.oid, c.sub, c.target,
    concat(
      (SELECT string_agg(format(E'REVOKE ALL%s ON %s FROM %s;\n', ' (' || c.col || ')', c.target, @grantee(e)), '')
       FROM (SELECT DISTINCT x.grantee FROM unnest(c.base) item CROSS JOIN aclexplode(ARRAY[item]) x WHERE NOT item = ANY (c.acl)
         AND (x.grantee = 0 OR EXISTS (SELECT FROM pg_roles r WHERE r.oid = x.grantee))) e),
      (SELECT string_agg(CASE WHEN e.grantor = c.owner THEN '' ELSE format(E'SET SESSION AUTHORIZATION %I;\n', pg_get_userbyid(e.grantor)) END
         || format(E'GRANT %s ON %s TO %s%s;\n', e.privileges, c.target, @grantee(e), CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
         || CASE WHEN e.grantor = c.owner THEN '' ELSE E'RESET SESSION AUTHORIZATION;\n' END, '' ORDER BY e.ord, e.is_grantable)
       FROM (SELECT u.ord, x.grantee, x.grantor, x.is_grantable, string_agg(x.privilege_type || coalesce(' (' || c.col || ')', ''), ', ') AS privileges
         FROM unnest(c.acl) WITH ORDINALITY u(item, ord) CROSS JOIN aclexplode(ARRAY[u.item]) x WHERE NOT u.item = ANY (c.base) GROUP BY 1, 2, 3, 4) e)) AS statements
  FROM changed c) d
WHERE statements <> '' ORDER BY class <> 'pg_namespace'::regclass, class, sub, target
