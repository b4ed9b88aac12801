SELECT p.tableoid, p.oid, n.nspname, p.prsname, NULL, NULL,
  format('CREATE TEXT SEARCH PARSER %I.%I (START = %s, GETTOKEN = %s, END = %s, LEXTYPES = %s', n.nspname, p.prsname,
    @function(p.prsstart::oid), @function(p.prstoken::oid), @function(p.prsend::oid), @function(p.prslextype::oid))
  || CASE WHEN p.prsheadline = 0 THEN '' ELSE ', HEADLINE = ' || @function(p.prsheadline::oid) END || ');'
FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE @user(n) AND @own(p)
