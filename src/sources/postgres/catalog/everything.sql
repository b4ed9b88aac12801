SELECT o.class, o.oid, coalesce(pg_describe_object(o.class, o.oid, 0), o.class::regclass || ' ' || o.oid) FROM (
  SELECT c.tableoid AS class, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_(toast|temp)' AND NOT (c.relkind IN ('i', 'I') AND (n.nspname = 'pg_catalog' OR NOT EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = c.oid AND x.indisvalid AND x.indisready)))
  UNION ALL SELECT t.tableoid, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT tableoid, oid FROM pg_proc WHERE NOT @temporary(pronamespace)
  UNION ALL SELECT tableoid, oid FROM pg_operator WHERE oprcode <> 0 AND NOT @temporary(oprnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_opclass WHERE NOT @temporary(opcnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_opfamily WHERE NOT @temporary(opfnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_amop
  UNION ALL SELECT tableoid, oid FROM pg_amproc
  UNION ALL SELECT tableoid, oid FROM pg_am
  UNION ALL SELECT tableoid, oid FROM pg_cast
  UNION ALL SELECT tableoid, oid FROM pg_collation WHERE NOT @temporary(collnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_conversion WHERE NOT @temporary(connamespace)
  UNION ALL SELECT tableoid, oid FROM pg_language
  UNION ALL SELECT tableoid, oid FROM pg_transform
  UNION ALL SELECT tableoid, oid FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT tableoid, oid FROM pg_ts_parser WHERE NOT @temporary(prsnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_ts_template WHERE NOT @temporary(tmplnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_ts_dict WHERE NOT @temporary(dictnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_ts_config WHERE NOT @temporary(cfgnamespace)
  UNION ALL SELECT tableoid, oid FROM pg_foreign_data_wrapper
  UNION ALL SELECT tableoid, oid FROM pg_foreign_server
  UNION ALL SELECT 'pg_user_mapping'::regclass, umid FROM pg_user_mappings
  UNION ALL SELECT tableoid, oid FROM pg_extension
  UNION ALL SELECT tableoid, oid FROM pg_event_trigger
  UNION ALL SELECT tableoid, oid FROM pg_policy WHERE NOT @fleeting(polrelid)
  UNION ALL SELECT tableoid, oid FROM pg_publication
  UNION ALL SELECT tableoid, oid FROM pg_publication_rel
  UNION ALL SELECT tableoid, oid FROM pg_publication_namespace --@>=15
  UNION ALL SELECT tableoid, oid FROM pg_statistic_ext WHERE NOT @temporary(stxnamespace) AND NOT @fleeting(stxrelid)
  UNION ALL SELECT tableoid, oid FROM pg_default_acl
  UNION ALL SELECT tableoid, oid FROM pg_rewrite WHERE NOT @fleeting(ev_class)
  UNION ALL SELECT tableoid, oid FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0 AND NOT @fleeting(tgrelid)
  UNION ALL SELECT tableoid, oid FROM pg_attrdef
  UNION ALL SELECT tableoid, oid FROM pg_constraint WHERE contype NOT IN ('t') AND NOT (contype = 'f' AND (conparentid <> 0 OR @fleeting(conrelid)))
) o(class, oid) WHERE o.oid >= 16384
