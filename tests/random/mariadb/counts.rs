//! The classes of objects that are counted.

use crate::counts::Class;
use crate::support::mariadb::MariaDb;

/// Of ten databases there are at least so many, each class with what counts it. `?` is the database.
pub(crate) const CLASSES: &[Class] = &[
    (
        "tables",
        40,
        "information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE LIKE '%BASE%' OR TABLE_SCHEMA = ? AND TABLE_TYPE LIKE '%VERSIONED%'",
    ),
    (
        "rows",
        200,
        "(SELECT TABLE_ROWS FROM information_schema.TABLES t JOIN seq_1_to_100 s ON s.seq <= TABLE_ROWS WHERE TABLE_SCHEMA = ?) x",
    ),
    ("columns", 150, "information_schema.COLUMNS WHERE TABLE_SCHEMA = ?"),
    (
        "types of columns",
        80,
        "(SELECT DISTINCT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?) x",
    ),
    (
        "collations of columns",
        30,
        "(SELECT DISTINCT COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?) x",
    ),
    ("engines", 20, "(SELECT DISTINCT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?) x"),
    ("generated columns", 8, "information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND IS_GENERATED = 'ALWAYS'"),
    (
        "invisible columns",
        5,
        "information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND EXTRA LIKE '%INVISIBLE%'",
    ),
    (
        "defaults",
        30,
        "information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND COLUMN_DEFAULT IS NOT NULL AND COLUMN_DEFAULT <> 'NULL'",
    ),
    ("comments of columns", 10, "information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND COLUMN_COMMENT <> ''"),
    (
        "comments of tables",
        8,
        "information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_COMMENT NOT IN ('', 'VIEW')",
    ),
    ("checks", 6, "information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?"),
    (
        "keys",
        40,
        "(SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ?) x",
    ),
    (
        "keys with prefixes",
        4,
        "information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND SUB_PART IS NOT NULL",
    ),
    ("descending keys", 4, "information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND COLLATION = 'D'"),
    ("ignored keys", 2, "information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND IGNORED = 'YES'"),
    ("foreign keys", 5, "information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ?"),
    ("partitions", 10, "information_schema.PARTITIONS WHERE TABLE_SCHEMA = ? AND PARTITION_NAME IS NOT NULL"),
    (
        "versioned tables",
        3,
        "information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'SYSTEM VERSIONED'",
    ),
    ("sequences", 5, "information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_TYPE = 'SEQUENCE'"),
    ("views", 10, "information_schema.VIEWS WHERE TABLE_SCHEMA = ?"),
    ("routines", 10, "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?"),
    (
        "package bodies",
        1,
        "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ? AND ROUTINE_TYPE = 'PACKAGE BODY'",
    ),
    (
        "modes of routines",
        10,
        "(SELECT DISTINCT SQL_MODE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ?) x",
    ),
    ("triggers", 12, "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ?"),
    ("triggers in order", 3, "information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = ? AND ACTION_ORDER > 1"),
    ("events", 5, "information_schema.EVENTS WHERE EVENT_SCHEMA = ?"),
    ("grants of tables", 5, "mysql.tables_priv WHERE Db = ?"),
    ("grants of columns", 3, "mysql.columns_priv WHERE Db = ?"),
    // This table has names of databases in another charset.
    ("grants of routines", 2, "mysql.procs_priv WHERE ? IS NOT NULL"),
    (
        "users and roles",
        10,
        "mysql.global_priv WHERE User NOT IN ('root', 'mariadb.sys', 'PUBLIC') AND ? IS NOT NULL",
    ),
];

/// What a database has of each class.
pub(crate) fn numbers(server: &MariaDb, database: &str) -> Vec<u64> {
    let name = format!("'{}'", database.replace('\\', "\\\\").replace('\'', "''"));
    let queries: Vec<String> = CLASSES
        .iter()
        .map(|(.., from)| format!("(SELECT COUNT(*) FROM {})", from.replace('?', &name)))
        .collect();
    let numbers = server.sql(&format!("USE mysql; SELECT {}", queries.join(", ")));
    numbers.trim().split('\t').map(|number| number.parse().unwrap()).collect()
}
