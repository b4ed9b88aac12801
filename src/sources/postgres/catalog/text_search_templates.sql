SELECT t.tableoid, t.oid, n.nspname, t.tmplname, NULL, NULL,
  format('CREATE TEXT SEARCH TEMPLATE %I.%I (', n.nspname, t.tmplname)
  || CASE WHEN t.tmplinit = 0 THEN '' ELSE 'INIT = ' || @function(t.tmplinit::oid) || ', ' END
  || 'LEXIZE = ' || @function(t.tmpllexize::oid) || ');'
FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE @user(n) AND @own(t)
