//! What patterns choose, and what goes with it.

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::same;
use crate::support::postgres::{dump, restore, shared};

const SHOP: &str = "CREATE SCHEMA sales; CREATE SCHEMA other;
CREATE TABLE sales.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, part serial, at date, kind text);
CREATE STATISTICS sales.together ON at, kind FROM sales.orders;
CREATE TABLE sales.\"orders.old\" (a int DEFAULT 7 CHECK (a > 0)); CREATE TABLE sales.\"orders\"\".x\" (b serial);
CREATE SEQUENCE sales.free START 5; CREATE TABLE other.thing (a int PRIMARY KEY); CREATE VIEW sales.seen AS SELECT a FROM other.thing;
CREATE TABLE sales.days (day date, n int) PARTITION BY RANGE (day); CREATE TABLE sales.days_1 PARTITION OF sales.days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE INDEX days_n ON sales.days (n); CREATE PUBLICATION all_of_it FOR TABLES IN SCHEMA sales; CREATE PUBLICATION one FOR TABLE sales.orders;
CREATE EXTENSION hstore WITH SCHEMA other; REVOKE EXECUTE ON FUNCTION other.hstore_to_json(other.hstore) FROM PUBLIC;
INSERT INTO sales.orders (at, kind) SELECT '2026-01-01', 'k' || i FROM generate_series(1, 30) i; INSERT INTO sales.\"orders.old\" VALUES (3);
INSERT INTO sales.days VALUES ('2026-01-05', 1); SELECT setval('sales.free', 99);";

/// Dumps with patterns, restores, and compares with what `pg_dump` takes out of the restored and of the source.
async fn chosen(name: &str, config: serde_json::Value, peer: &[&str]) {
    let cluster = shared();
    cluster.database(name, SHOP);
    let mut all = json!({ "database": name, "globals": false });
    all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let dumped = dump(cluster.config(all)).await.unwrap();
    let copy = format!("{name}_copy");
    restore(&dumped, &cluster.url(&copy), Request::default()).await.unwrap();
    let expected = cluster.text("pg_dump", &[&["-d", name], peer].concat());
    assert!(expected.contains("CREATE TABLE"), "{expected}");
    same(&cluster.text("pg_dump", &[&["-d", &copy], peer].concat()), &expected);
    // And there is nothing else.
    same(
        &cluster.text("pg_dump", &["-d", &copy]),
        &cluster.text("pg_dump", &[&["-d", &copy], peer].concat()),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_comes_with_its_sequences_identity_and_statistics() {
    // pg_dump takes the schema itself only with `-n`.
    let cluster = shared();
    cluster.database("chosen_table", SHOP);
    let config = json!({ "database": "chosen_table", "globals": false, "include": ["sales.orders"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    restore(&dumped, &cluster.url("chosen_table_copy"), Request::default()).await.unwrap();
    let text = |database: &str| cluster.text("pg_dump", &["-d", database, "-t", "sales.orders"]);
    let expected = text("chosen_table");
    for part in ["ADD GENERATED ALWAYS AS IDENTITY", "orders_part_seq", "setval"] {
        assert!(expected.contains(part), "{part}: {expected}");
    }
    same(&text("chosen_table_copy"), &expected);
    // pg_dump leaves these out.
    let statistics = "SELECT string_agg(pg_get_statisticsobjdef(oid), ' ') FROM pg_statistic_ext";
    assert_eq!(
        cluster.psql("chosen_table_copy", statistics),
        "CREATE STATISTICS sales.together ON at, kind FROM sales.orders"
    );
    let relations = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'sales'::regnamespace";
    assert_eq!(
        cluster.psql("chosen_table_copy", relations),
        "orders orders_id_seq orders_part_seq orders_pkey"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_with_a_dot_is_one_name() {
    let cluster = shared();
    cluster.database("dots", SHOP);
    // `orders` is left out; `orders.old` is another table.
    let config = json!({ "database": "dots", "globals": false, "exclude": ["sales.orders", "sales.seen"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    restore(&dumped, &cluster.url("dots_copy"), Request::default()).await.unwrap();
    let facts = "SELECT (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relname ~ '^orders'),
        (SELECT a FROM sales.\"orders.old\"), (SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = 'sales.\"orders.old\"'::regclass)";
    assert_eq!(cluster.psql("dots_copy", facts), "orders\".x orders.old|3|1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_comes_alone() {
    let peer = ["-n", "sales", "-T", "sales.seen"];
    chosen("chosen_schema", json!({ "include": ["sales"], "exclude": ["sales.seen"] }), &peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_alone_go_into_a_table_that_is_there() {
    let cluster = shared();
    cluster.database("rows_alone", SHOP);
    let config = json!({ "database": "rows_alone", "globals": false, "include": ["sales.orders*"], "data_only": ["sales.orders*"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    let dir = crate::support::scratch();
    let script = dumped.stock(dir.path()).replace(" | tar xzO", "");
    cluster.database("rows_alone_copy", SHOP);
    cluster.psql("rows_alone_copy", "TRUNCATE sales.orders, sales.\"orders.old\" RESTART IDENTITY");
    crate::support::shell(&format!(
        "{script} | tar xzO --wildcards 'db/rows_alone/2-data/*' | {} -qAtX -h 127.0.0.1 -p {} -U postgres -d rows_alone_copy",
        cluster.bin.join("psql").display(),
        cluster.port
    ));
    same(
        &cluster.text("pg_dump", &["-d", "rows_alone_copy"]),
        &cluster.text("pg_dump", &["-d", "rows_alone"]),
    );
    let listing = crate::support::shell(&format!("{script} | tar xzO db/rows_alone/1-pre-data.sql"));
    assert!(!String::from_utf8(listing).unwrap().contains("CREATE TABLE"));
}

/// A partitioned table has no rows of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_no_pattern_names_are_told() {
    let cluster = shared();
    cluster.database("chosen_root", SHOP);
    let notes = async |more: serde_json::Value| {
        let mut config = json!({ "database": "chosen_root", "globals": false });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        dump(cluster.config(config)).await.unwrap().summary.notes
    };
    let note = "no pattern of `include` names 1 of the partitions of sales.days of chosen_root, whose rows are left out";
    assert_eq!(notes(json!({ "include": ["sales.days"] })).await, [note, &beyond("chosen_root", "")]);
    assert_eq!(notes(json!({})).await, Vec::<String>::new());
    for chosen in [
        json!({ "include": ["sales"] }),
        json!({ "include": ["sales.days*"] }),
        json!({ "include": ["sales.days_1"] }),
        json!({ "include": ["sales"], "exclude": ["sales.days_*"] }),
    ] {
        assert_eq!(notes(chosen.clone()).await, [beyond("chosen_root", "")], "{chosen}");
    }
}

/// The note about what has no schema in the shop.
fn beyond(database: &str, more: &str) -> String {
    format!(
        "no pattern of `include` takes what belongs to no schema of {database}, which is left out: extension (1), publication (2){more}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_schema_is_told_or_taken() {
    let cluster = shared();
    cluster.database("beyond_schemas", SHOP);
    cluster.psql("beyond_schemas", "SELECT lo_from_bytea(0, 'x'); SELECT lo_from_bytea(0, 'y')");
    let config = |include: &str| {
        cluster.config(json!({ "database": "beyond_schemas", "globals": false, "include": [include] }))
    };
    let dumped = dump(config("sales")).await.unwrap();
    assert_eq!(dumped.summary.notes, [beyond("beyond_schemas", ", large object (2)")]);
    let dumped = dump(config("*")).await.unwrap();
    assert_eq!(dumped.summary.notes, Vec::<String>::new());
    restore(&dumped, &cluster.url("beyond_schemas_copy"), Request::default()).await.unwrap();
    let text = |database: &str| cluster.text("pg_dump", &["-d", database]);
    same(&text("beyond_schemas_copy"), &text("beyond_schemas"));
}

/// Nothing makes the table of an extension that is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_extensions_go_with_them() {
    let cluster = shared();
    cluster.database(
        "configured",
        "CREATE TABLE mine AS SELECT 1 AS a; CREATE EXTENSION hstore; CREATE TABLE conf (a serial); INSERT INTO conf VALUES (7);
        ALTER EXTENSION hstore ADD TABLE conf; ALTER EXTENSION hstore ADD SEQUENCE conf_a_seq;
        UPDATE pg_extension SET extconfig = ARRAY['conf'::regclass::oid, 'conf_a_seq'::regclass::oid], extcondition = '{\"\",\"\"}' WHERE extname = 'hstore'",
    );
    let config = json!({ "database": "configured", "globals": false, "include": ["public"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    assert_eq!(
        dumped.summary.notes,
        [
            "no pattern of `include` takes what belongs to no schema of configured, which is left out: extension (1)",
            "`include` leaves the extensions of configured out, and so the rows of their tables: public.conf"
        ]
    );
    restore(&dumped, &cluster.url("configured_copy"), Request::default()).await.unwrap();
    assert_eq!(cluster.psql("configured_copy", "SELECT a FROM mine"), "1");
}

/// What cannot be read, and is not wanted, is not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_that_are_left_out_are_not_read() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE partly LOGIN");
    cluster.database(
        "partly",
        "CREATE SCHEMA private; CREATE SEQUENCE private.s; CREATE TABLE private.t (a serial); CREATE TABLE seen (a serial);
        CREATE SEQUENCE hidden; GRANT SELECT ON ALL TABLES IN SCHEMA public TO partly; GRANT SELECT ON seen_a_seq TO partly",
    );
    let config = json!({ "database": "partly", "globals": false, "user": "partly", "exclude": ["private"], "schema_only": ["public.hidden"] });
    let dumped = dump(cluster.config(config)).await.unwrap();
    restore(&dumped, &cluster.url("partly_copy"), Request::default()).await.unwrap();
    let names = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'S'";
    assert_eq!(cluster.psql("partly_copy", names), "hidden seen_a_seq");
}
