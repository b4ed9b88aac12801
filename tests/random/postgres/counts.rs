//! The classes of objects that are counted.

use crate::counts::Class;
use crate::support::postgres::Cluster;

/// Of ten databases there are at least so many, each class with what counts it.
pub(crate) const CLASSES: &[Class] = &[
    (
        "schemas",
        10,
        "pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')",
    ),
    ("tables", 40, "pg_class WHERE relkind = 'r' AND NOT relispartition"),
    (
        "rows",
        150,
        "(SELECT 1 FROM pg_class c, LATERAL generate_series(1, pg_relation_size(c.oid) / 8192) WHERE relkind = 'r') x",
    ),
    (
        "columns",
        150,
        "pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attnum > 0 AND relkind IN ('r', 'p') AND NOT attisdropped",
    ),
    (
        "types of columns",
        60,
        "(SELECT DISTINCT atttypid FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attnum > 0 AND relkind = 'r') x",
    ),
    (
        "columns of arrays",
        15,
        "pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attndims > 0 AND attnum > 0 AND relkind = 'r'",
    ),
    ("dropped columns", 6, "pg_attribute WHERE attisdropped"),
    (
        "generated columns",
        4,
        "pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE attgenerated <> '' AND relkind = 'r'",
    ),
    ("identities", 5, "pg_attribute WHERE attidentity <> ''"),
    ("defaults", 30, "pg_attrdef"),
    (
        "columns with a collation of their own",
        5,
        "pg_attribute a JOIN pg_type t ON t.oid = atttypid WHERE attcollation <> typcollation AND NOT attisdropped",
    ),
    ("enums", 3, "pg_type WHERE typtype = 'e'"),
    ("domains", 3, "pg_type WHERE typtype = 'd'"),
    ("composites", 3, "pg_class WHERE relkind = 'c'"),
    ("ranges", 2, "pg_range"),
    ("unlogged tables", 2, "pg_class WHERE relpersistence = 'u'"),
    (
        "inheritance",
        3,
        "pg_inherits i JOIN pg_class c ON c.oid = inhrelid WHERE relkind = 'r' AND NOT relispartition",
    ),
    ("partitioned tables", 4, "pg_class WHERE relkind = 'p'"),
    ("partitions", 10, "pg_class WHERE relispartition AND relkind = 'r'"),
    ("nested partitions", 1, "pg_class WHERE relispartition AND relkind = 'p'"),
    ("default partitions", 2, "pg_partitioned_table WHERE partdefid <> 0"),
    ("checks", 10, "pg_constraint WHERE contype = 'c' AND conrelid <> 0"),
    ("checks of domains", 2, "pg_constraint WHERE contypid <> 0"),
    ("keys", 10, "pg_constraint WHERE contype IN ('p', 'u')"),
    ("keys with nulls that are not distinct", 1, "pg_index WHERE indnullsnotdistinct"),
    ("foreign keys", 6, "pg_constraint WHERE contype = 'f'"),
    ("exclusions", 2, "pg_constraint WHERE contype = 'x'"),
    ("deferrable constraints", 4, "pg_constraint WHERE condeferrable"),
    ("indexes", 30, "pg_class WHERE relkind = 'i'"),
    (
        "indexes of other access methods",
        5,
        "pg_class JOIN pg_am a ON a.oid = relam WHERE relkind = 'i' AND amname <> 'btree'",
    ),
    ("indexes of expressions", 4, "pg_index WHERE indexprs IS NOT NULL"),
    ("partial indexes", 3, "pg_index WHERE indpred IS NOT NULL"),
    ("covering indexes", 3, "pg_index WHERE indnatts > indnkeyatts"),
    ("statistics", 2, "pg_statistic_ext"),
    ("views", 10, "pg_class WHERE relkind = 'v'"),
    ("materialized views", 3, "pg_class WHERE relkind = 'm'"),
    ("rules", 2, "pg_rewrite WHERE rulename <> '_RETURN'"),
    ("triggers", 8, "pg_trigger WHERE NOT tgisinternal"),
    ("triggers in another state", 2, "pg_trigger WHERE tgenabled <> 'O'"),
    ("event triggers", 1, "pg_event_trigger"),
    ("policies", 4, "pg_policy"),
    ("functions", 30, "pg_proc WHERE prokind = 'f'"),
    ("functions with a parsed body", 4, "pg_proc WHERE prosqlbody IS NOT NULL"),
    ("functions with settings", 3, "pg_proc WHERE proconfig IS NOT NULL"),
    ("procedures", 3, "pg_proc WHERE prokind = 'p'"),
    ("aggregates", 2, "pg_aggregate"),
    ("operators", 3, "pg_operator"),
    ("operator classes", 1, "pg_opclass"),
    ("casts", 1, "pg_cast"),
    ("collations", 3, "pg_collation"),
    ("sequences", 15, "pg_sequence"),
    ("text search configurations", 1, "pg_ts_config"),
    ("foreign tables", 2, "pg_foreign_table"),
    ("user mappings", 2, "pg_user_mapping"),
    ("publications", 4, "pg_publication"),
    ("large objects", 3, "pg_largeobject_metadata"),
    ("extensions", 4, "pg_extension"),
    ("comments", 80, "pg_description"),
    ("default privileges", 3, "pg_default_acl"),
    ("relations with grants", 20, "pg_class WHERE relacl IS NOT NULL"),
    ("columns with grants", 6, "pg_attribute WHERE attacl IS NOT NULL"),
    (
        "grants with grant option",
        8,
        "pg_class, aclexplode(relacl) x WHERE x.is_grantable AND x.grantee <> relowner",
    ),
    ("functions with grants", 5, "pg_proc WHERE proacl IS NOT NULL"),
    ("other owners", 10, "pg_class c JOIN pg_roles r ON r.oid = relowner WHERE rolname <> 'postgres'"),
];

/// What a database has of each class beyond a new one.
pub(crate) fn numbers(cluster: &Cluster, database: &str) -> Vec<u64> {
    let queries: Vec<String> =
        CLASSES.iter().map(|(.., from)| format!("(SELECT count(*) FROM {from})")).collect();
    let query = format!("SELECT {}", queries.join(", "));
    let (there, new) = (cluster.psql(database, &query), cluster.psql("template1", &query));
    let more =
        |(there, new): (&str, &str)| there.parse::<u64>().unwrap().saturating_sub(new.parse().unwrap());
    there.split('|').zip(new.split('|')).map(more).collect()
}
