SELECT o.tableoid, o.oid, n.nspname, o.oid::regoperator::text, pg_get_userbyid(o.oprowner), @identity(o),
  format('CREATE OPERATOR %I.%s (', n.nspname, o.oprname)
  || E'\n    FUNCTION = ' || @function(o.oprcode::oid)
  || CASE WHEN o.oprleft = 0 THEN '' ELSE E',\n    LEFTARG = ' || format_type(o.oprleft, NULL) END
  || CASE WHEN o.oprright = 0 THEN '' ELSE E',\n    RIGHTARG = ' || format_type(o.oprright, NULL) END
  || CASE WHEN o.oprcom = 0 THEN '' ELSE E',\n    COMMUTATOR = ' || @operator(o.oprcom) END
  || CASE WHEN o.oprnegate = 0 THEN '' ELSE E',\n    NEGATOR = ' || @operator(o.oprnegate) END
  || CASE WHEN o.oprrest = 0 THEN '' ELSE E',\n    RESTRICT = ' || @function(o.oprrest::oid) END
  || CASE WHEN o.oprjoin = 0 THEN '' ELSE E',\n    JOIN = ' || @function(o.oprjoin::oid) END
  || CASE WHEN o.oprcanhash THEN E',\n    HASHES' ELSE '' END || CASE WHEN o.oprcanmerge THEN E',\n    MERGES' ELSE '' END
  || E'\n);'
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oprcode <> 0 AND @user(n) AND @own(o)
