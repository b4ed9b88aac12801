SELECT p.tableoid, p.oid, n.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
  pg_get_userbyid(p.proowner), @identity(p),
  format('CREATE AGGREGATE %I.%I(%s) (', n.nspname, p.proname,
    CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END)
  || E'\n    SFUNC = ' || @function(a.aggtransfn::oid) || E',\n    STYPE = ' || format_type(a.aggtranstype, NULL)
  || CASE WHEN a.aggtransspace = 0 THEN '' ELSE E',\n    SSPACE = ' || a.aggtransspace END
  || coalesce(E',\n    INITCOND = ' || quote_literal(a.agginitval), '')
  || CASE WHEN a.aggfinalfn = 0 THEN '' ELSE E',\n    FINALFUNC = ' || @function(a.aggfinalfn::oid) END
  || CASE WHEN a.aggfinalextra THEN E',\n    FINALFUNC_EXTRA' ELSE '' END
  || CASE WHEN a.aggfinalfn = 0 THEN '' ELSE E',\n    FINALFUNC_MODIFY = ' || @modify(a.aggfinalmodify) END
  || CASE WHEN a.aggcombinefn = 0 THEN '' ELSE E',\n    COMBINEFUNC = ' || @function(a.aggcombinefn::oid) END
  || CASE WHEN a.aggserialfn = 0 THEN '' ELSE E',\n    SERIALFUNC = ' || @function(a.aggserialfn::oid) END
  || CASE WHEN a.aggdeserialfn = 0 THEN '' ELSE E',\n    DESERIALFUNC = ' || @function(a.aggdeserialfn::oid) END
  || CASE WHEN a.aggmtransfn = 0 THEN '' ELSE E',\n    MSFUNC = ' || @function(a.aggmtransfn::oid)
       || E',\n    MINVFUNC = ' || @function(a.aggminvtransfn::oid) || E',\n    MSTYPE = ' || format_type(a.aggmtranstype, NULL)
       || CASE WHEN a.aggmtransspace = 0 THEN '' ELSE E',\n    MSSPACE = ' || a.aggmtransspace END
       || coalesce(E',\n    MINITCOND = ' || quote_literal(a.aggminitval), '')
       || CASE WHEN a.aggmfinalfn = 0 THEN '' ELSE E',\n    MFINALFUNC = ' || @function(a.aggmfinalfn::oid)
            || E',\n    MFINALFUNC_MODIFY = ' || @modify(a.aggmfinalmodify) END
       || CASE WHEN a.aggmfinalextra THEN E',\n    MFINALFUNC_EXTRA' ELSE '' END END
  || CASE WHEN a.aggsortop = 0 THEN '' ELSE E',\n    SORTOP = ' || @operator(a.aggsortop) END
  || CASE WHEN a.aggkind = 'h' THEN E',\n    HYPOTHETICAL' ELSE '' END
  || CASE p.proparallel WHEN 's' THEN E',\n    PARALLEL = safe' WHEN 'r' THEN E',\n    PARALLEL = restricted' ELSE '' END
  || E'\n);'
FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind = 'a' AND @user(n) AND @own(p)
