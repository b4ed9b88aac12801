SELECT c.tableoid, c.oid, n.nspname, c.cfgname, pg_get_userbyid(c.cfgowner), @identity(c),
  format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I);', n.nspname, c.cfgname, pn.nspname, p.prsname)
  || coalesce((SELECT string_agg(format(E'\nALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s;', n.nspname, c.cfgname, k.alias, k.dicts), '' ORDER BY k.maptokentype)
    FROM (SELECT m.maptokentype, min(tt.alias) AS alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS dicts
      FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) tt ON tt.tokid = m.maptokentype WHERE m.mapcfg = c.oid GROUP BY m.maptokentype) k), '')
FROM pg_ts_config c JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace
JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE @user(n) AND @own(c)
