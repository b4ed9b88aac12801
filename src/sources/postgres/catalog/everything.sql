SELECT o.class, o.oid, coalesce(pg_describe_object(o.class, o.oid, 0), o.class::regclass || ' ' || o.oid) FROM (
  SELECT c.tableoid AS class, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_(toast|temp)' AND NOT (c.relkind IN ('i', 'I') AND (n.nspname = 'pg_catalog' OR NOT EXISTS (SELECT FROM pg_index x WHERE x.indexrelid = c.oid AND x.indisvalid AND x.indisready)))
  UNION ALL SELECT t.tableoid, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT tableoid, oid FROM pg_proc WHERE pronamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_temp')
  UNION ALL SELECT tableoid, oid FROM pg_operator WHERE oprcode <> 0
  UNION ALL SELECT tableoid, oid FROM pg_opclass
  UNION ALL SELECT tableoid, oid FROM pg_opfamily
  UNION ALL SELECT tableoid, oid FROM pg_amop
  UNION ALL SELECT tableoid, oid FROM pg_amproc
  UNION ALL SELECT tableoid, oid FROM pg_am
  UNION ALL SELECT tableoid, oid FROM pg_cast
  UNION ALL SELECT tableoid, oid FROM pg_collation
  UNION ALL SELECT tableoid, oid FROM pg_conversion
  UNION ALL SELECT tableoid, oid FROM pg_language
  UNION ALL SELECT tableoid, oid FROM pg_transform
  UNION ALL SELECT tableoid, oid FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
  UNION ALL SELECT tableoid, oid FROM pg_ts_parser
  UNION ALL SELECT tableoid, oid FROM pg_ts_template
  UNION ALL SELECT tableoid, oid FROM pg_ts_dict
  UNION ALL SELECT tableoid, oid FROM pg_ts_config
  UNION ALL SELECT tableoid, oid FROM pg_foreign_data_wrapper
  UNION ALL SELECT tableoid, oid FROM pg_foreign_server
  UNION ALL SELECT 'pg_user_mapping'::regclass, umid FROM pg_user_mappings
  UNION ALL SELECT tableoid, oid FROM pg_extension
  UNION ALL SELECT tableoid, oid FROM pg_event_trigger
  UNION ALL SELECT tableoid, oid FROM pg_policy
  UNION ALL SELECT tableoid, oid FROM pg_publication
  UNION ALL SELECT tableoid, oid FROM pg_publication_rel
  UNION ALL SELECT tableoid, oid FROM pg_publication_namespace --@>=15
  UNION ALL SELECT tableoid, oid FROM pg_statistic_ext
  UNION ALL SELECT tableoid, oid FROM pg_default_acl
  UNION ALL SELECT tableoid, oid FROM pg_rewrite
  UNION ALL SELECT tableoid, oid FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0
  UNION ALL SELECT tableoid, oid FROM pg_attrdef
  UNION ALL SELECT tableoid, oid FROM pg_constraint WHERE contype NOT IN ('t') AND NOT (contype = 'f' AND conparentid <> 0)
  UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
) o(class, oid) WHERE o.oid >= 16384
