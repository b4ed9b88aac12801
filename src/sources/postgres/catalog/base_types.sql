SELECT t.tableoid, t.oid, n.nspname, t.typname, pg_get_userbyid(t.typowner), @identity(t),
  format('CREATE TYPE %I.%I (', n.nspname, t.typname)
  || E'\n    INPUT = ' || @function(t.typinput::oid) || E',\n    OUTPUT = ' || @function(t.typoutput::oid)
  || CASE WHEN t.typreceive = 0 THEN '' ELSE E',\n    RECEIVE = ' || @function(t.typreceive::oid) END
  || CASE WHEN t.typsend = 0 THEN '' ELSE E',\n    SEND = ' || @function(t.typsend::oid) END
  || CASE WHEN t.typmodin = 0 THEN '' ELSE E',\n    TYPMOD_IN = ' || @function(t.typmodin::oid) END
  || CASE WHEN t.typmodout = 0 THEN '' ELSE E',\n    TYPMOD_OUT = ' || @function(t.typmodout::oid) END
  || CASE WHEN t.typanalyze = 0 THEN '' ELSE E',\n    ANALYZE = ' || @function(t.typanalyze::oid) END
  || CASE WHEN t.typsubscript = 0 THEN '' ELSE E',\n    SUBSCRIPT = ' || @function(t.typsubscript::oid) END --@>=14
  || E',\n    INTERNALLENGTH = ' || CASE WHEN t.typlen < 0 THEN 'VARIABLE' ELSE t.typlen::text END
  || CASE WHEN t.typbyval THEN E',\n    PASSEDBYVALUE' ELSE '' END
  || E',\n    ALIGNMENT = ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END
  || E',\n    STORAGE = ' || CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' ELSE 'main' END
  || format(E',\n    CATEGORY = %L', t.typcategory) || CASE WHEN t.typispreferred THEN E',\n    PREFERRED = true' ELSE '' END
  || coalesce(E',\n    DEFAULT = ' || coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)), '')
  || CASE WHEN t.typelem <> 0 THEN E',\n    ELEMENT = ' || format_type(t.typelem, NULL) ELSE '' END
  || CASE WHEN t.typdelim <> ',' THEN format(E',\n    DELIMITER = %L', t.typdelim) ELSE '' END
  || CASE WHEN t.typcollation <> 0 THEN E',\n    COLLATABLE = true' ELSE '' END
  || E'\n);'
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid) AND @user(n) AND @own(t)
