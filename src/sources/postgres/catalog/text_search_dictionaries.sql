SELECT d.tableoid, d.oid, n.nspname, d.dictname, pg_get_userbyid(d.dictowner), @identity(d),
  format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I', n.nspname, d.dictname, tn.nspname, t.tmplname)
  || coalesce(', ' || d.dictinitoption, '') || ');'
FROM pg_ts_dict d JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE @user(n) AND @own(d)
