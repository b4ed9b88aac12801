//! What the gate cannot hold because `pg_dump` loses it, or writes what cannot be restored.

use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::{content, same};
use crate::session::Session;
use crate::support::postgres::{Cluster, Dumped, dump, restore, shared};
use crate::support::server::wait_until;
use crate::support::{scratch, shell};

/// An extension whose tables have one of everything, with rows that refer to each other.
const EXTENSION: &str = "
CREATE TABLE layer (id int PRIMARY KEY, within int, above int REFERENCES layer, note text);
CREATE TABLE topology (id int PRIMARY KEY, name text UNIQUE);
ALTER TABLE layer ADD FOREIGN KEY (within) REFERENCES topology;
CREATE INDEX layer_note ON layer (note);
CREATE STATISTICS layer_both ON id, note FROM layer;
CREATE FUNCTION layer_trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER layer_before BEFORE UPDATE ON layer FOR EACH ROW EXECUTE FUNCTION layer_trigger();
CREATE RULE layer_kept AS ON DELETE TO layer DO INSTEAD NOTHING;
CREATE POLICY layer_open ON layer USING (true);
CREATE MATERIALIZED VIEW layer_names AS SELECT note FROM layer;
CREATE INDEX layer_names_note ON layer_names (note);
CREATE FOREIGN DATA WRAPPER far_wrapper;
CREATE SERVER far FOREIGN DATA WRAPPER far_wrapper;
SELECT pg_extension_config_dump('layer', '');
SELECT pg_extension_config_dump('topology', '');
";

/// The script of a package as `psql` would get it.
fn script(dumped: &Dumped) -> String {
    let dir = scratch();
    String::from_utf8(shell(&dumped.stock(dir.path()))).unwrap()
}

/// A server of version 18 that finds the extension in a directory of the test.
fn with_extension() -> Cluster {
    let cluster = Cluster::start(18, &[]);
    let dir = cluster.dir.join("own/extension");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("layers.control"), "default_version = '1.0'\nrelocatable = true\n").unwrap();
    std::fs::write(dir.join("layers--1.0.sql"), EXTENSION).unwrap();
    let path = format!("{}:$system", cluster.dir.join("own").display());
    cluster.psql("postgres", &format!("ALTER SYSTEM SET extension_control_path = '{path}'"));
    cluster.psql("postgres", "SELECT pg_reload_conf()");
    wait_until(
        Duration::from_secs(10),
        || cluster.psql("postgres", "SHOW extension_control_path") == path,
        String::new,
    );
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extensions_tables_come_with_the_extension() {
    let cluster = with_extension();
    cluster.database("layers", "CREATE EXTENSION layers; INSERT INTO topology SELECT i, 'topology ' || i FROM generate_series(1, 3) i;
        INSERT INTO layer SELECT i, i % 3 + 1, CASE WHEN i < 40000 THEN i + 1 END, repeat('layer', 30) FROM generate_series(1, 40000) i;
        CREATE TABLE mine (id int PRIMARY KEY, layer int REFERENCES layer); INSERT INTO mine VALUES (1, 5);
        CREATE USER MAPPING FOR postgres SERVER far OPTIONS (secret 'x')");
    let config = cluster.config(json!({ "database": "layers", "globals": false }));
    let dumped = dump(config.clone()).await.unwrap();
    assert_eq!(dumped.summary.notes, Vec::<String>::new());
    assert_eq!(dumped.summary.counts["tables_with_rows"], 3);

    let (text, rows) = (cluster.text("pg_dump", &["-s", "-d", "layers"]), content(&cluster, "layers"));
    assert!(rows.len() > 3, "{rows:?}");
    let mappings = "SELECT srvname, usename, umoptions FROM pg_user_mappings";
    restore(&dumped, &cluster.url("layers_into"), Request::default()).await.unwrap();
    cluster.psql("postgres", "ALTER DATABASE layers RENAME TO layers_before");
    let dir = scratch();
    let psql = cluster.bin.join("psql");
    let script = dumped.stock(dir.path());
    shell(&format!(
        "{script} | {} -qAtX -h 127.0.0.1 -p {} -U postgres -d postgres",
        psql.display(),
        cluster.port
    ));
    for database in ["layers_into", "layers"] {
        same(&cluster.text("pg_dump", &["-s", "-d", database]), &text);
        assert_eq!(content(&cluster, database), rows);
        assert_eq!(cluster.psql(database, mappings), "far|postgres|{secret=x}");
    }

    // What somebody added to such a table is lost with it, as with `pg_dump`, and so it is named.
    cluster.psql("layers", "CREATE INDEX mine_too ON layer (above)");
    let dumped = dump(config).await.unwrap();
    assert_eq!(
        dumped.summary.notes,
        [
            "index public.mine_too of layers is not dumped: the table comes with the extension layers, and so must this"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_sessions_temporary_tables_are_none_of_the_dumps() {
    let cluster = shared();
    cluster.database("fleeting", "CREATE TABLE kept (a int)");
    let mut session = Session::open(cluster, "fleeting");
    session.tell(
        "CREATE TEMPORARY TABLE one (a int PRIMARY KEY, b int DEFAULT 1 CHECK (b > 0));
            CREATE TEMPORARY TABLE two (a int REFERENCES one);
            CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
            CREATE TRIGGER t BEFORE INSERT ON one FOR EACH ROW EXECUTE FUNCTION pg_temp.f();
            CREATE RULE r AS ON DELETE TO one DO INSTEAD NOTHING;
            CREATE POLICY p ON one USING (true);
            CREATE STATISTICS public.s ON a, b FROM one;
            CREATE TYPE pg_temp.mood AS ENUM ('a');
            CREATE TEXT SEARCH CONFIGURATION pg_temp.c (COPY = pg_catalog.english);
            CREATE COLLATION pg_temp.c FROM \"C\";
            CREATE TEMPORARY TABLE last (a int)",
    );
    wait_until(
        Duration::from_secs(20),
        || cluster.psql("fleeting", "SELECT count(*) FROM pg_class WHERE relname = 'last'") == "1",
        String::new,
    );
    let dumped = dump(cluster.config(json!({ "database": "fleeting", "globals": false }))).await.unwrap();
    assert_eq!(dumped.summary.counts["table"], 1);
    restore(&dumped, &cluster.url("fleeting_into"), Request::default()).await.unwrap();
    session.ends_well();
}

/// The right was given by the extension's script to a role that is gone since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_privileges_of_roles_that_are_gone_are_no_privileges() {
    let cluster = shared();
    cluster.database("ghosts", "CREATE EXTENSION hstore; CREATE ROLE ghost;
        INSERT INTO pg_init_privs VALUES ('hstore_to_json(hstore)'::regprocedure, 'pg_proc'::regclass, 0, 'e',
          ARRAY[makeaclitem('ghost'::regrole, 10, 'EXECUTE', false), makeaclitem(0, 10, 'EXECUTE', false), makeaclitem(10, 10, 'EXECUTE', false)]);
        REVOKE EXECUTE ON FUNCTION hstore_to_json(hstore) FROM PUBLIC; DROP ROLE ghost");
    let dumped = dump(cluster.config(json!({ "database": "ghosts", "globals": false }))).await.unwrap();
    restore(&dumped, &cluster.url("ghosts_into"), Request::default()).await.unwrap();
    let acl = "SELECT proacl FROM pg_proc WHERE proname = 'hstore_to_json'";
    assert_eq!(cluster.psql("ghosts_into", acl), "{postgres=X/postgres}");
    assert_eq!(cluster.psql("ghosts", acl), "{postgres=X/postgres}");
}

/// No provider is at hand, so what is stored is written by hand and what is dumped is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_of_shared_objects_are_dumped() {
    let cluster = Cluster::start(15, &[]);
    cluster.database("labelled", "CREATE ROLE \"la\"\"bel\"; CREATE SUBSCRIPTION news CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)");
    let place = cluster.dir.join("space");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(65534), Some(65534)).unwrap();
    cluster.psql("postgres", &format!("CREATE TABLESPACE space LOCATION '{}'", place.display()));
    let before = script(&dump(cluster.config(json!({}))).await.unwrap());
    assert!(!before.contains("SECURITY LABEL"));
    for (catalog, name, column) in [
        ("pg_authid", "la\"bel", "rolname"),
        ("pg_database", "labelled", "datname"),
        ("pg_tablespace", "space", "spcname"),
        ("pg_subscription", "news", "subname"),
    ] {
        cluster.psql("postgres", &format!("INSERT INTO pg_shseclabel SELECT oid, '{catalog}'::regclass, 'my\"guard', 'it''s ' || {column} FROM {catalog} WHERE {column} = '{name}'"));
    }
    let script = script(&dump(cluster.config(json!({}))).await.unwrap());
    let labels: Vec<&str> = script.lines().filter(|line| line.starts_with("SECURITY LABEL")).collect();
    assert_eq!(
        labels,
        [
            r#"SECURITY LABEL FOR "my""guard" ON ROLE "la""bel" IS 'it''s la"bel';"#,
            r#"SECURITY LABEL FOR "my""guard" ON TABLESPACE space IS 'it''s space';"#,
            r#"SECURITY LABEL FOR "my""guard" ON DATABASE "labelled" IS 'it''s labelled';"#,
            r#"SECURITY LABEL FOR "my""guard" ON SUBSCRIPTION news IS 'it''s news';"#,
        ]
    );
}

/// The triggers behind a key have names that are made of oids, and nobody can name them on another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_of_keys_are_not_named() {
    let cluster = shared();
    cluster.database("keys", "CREATE TABLE ref (id int PRIMARY KEY); CREATE TABLE part (id int, r int REFERENCES ref) PARTITION BY RANGE (id);
        CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
        CREATE TRIGGER t AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION f();
        ALTER TABLE part1 DISABLE TRIGGER ALL");
    let dumped = dump(cluster.config(json!({ "database": "keys", "globals": false }))).await.unwrap();
    assert_eq!(
        dumped.summary.notes,
        [
            "constraint part_r_fkey on table public.part1 of keys is not enforced, because its triggers are disabled; a restored one is"
        ]
    );
    restore(&dumped, &cluster.url("keys_into"), Request::default()).await.unwrap();
    let state = "SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgname = 't' ORDER BY 1";
    assert_eq!(cluster.psql("keys_into", state), "part|O\npart1|D");
}

/// Columns whose expression is not the parent's, in all the ways that a version allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_columns_of_children_keep_their_expressions() {
    let cluster = Cluster::start(18, &[]);
    cluster.database("generated", "CREATE TABLE p (a int, g int GENERATED ALWAYS AS (a * 2) STORED, v int GENERATED ALWAYS AS (a + 2));
        CREATE TABLE q (a int, g int GENERATED ALWAYS AS (a * 4) STORED);
        CREATE TABLE same () INHERITS (p);
        CREATE TABLE other () INHERITS (p);
        CREATE TABLE third () INHERITS (other);
        ALTER TABLE other ALTER g SET EXPRESSION AS (a * 3), ALTER v SET EXPRESSION AS (a + 3);
        ALTER TABLE third ALTER g SET EXPRESSION AS (a * 2);
        CREATE TABLE own (g int GENERATED ALWAYS AS (a * 5) STORED NOT NULL) INHERITS (p);
        CREATE TABLE of_both (g int GENERATED ALWAYS AS (a * 2) STORED) INHERITS (p, q);
        CREATE TABLE joined () INHERITS (p);
        ALTER TABLE joined INHERIT q;
        INSERT INTO other VALUES (1); INSERT INTO third VALUES (1); INSERT INTO own VALUES (1); INSERT INTO of_both VALUES (1); INSERT INTO joined VALUES (1)");
    let dumped = dump(cluster.config(json!({ "database": "generated", "globals": false }))).await.unwrap();
    restore(&dumped, &cluster.url("generated_into"), Request::default()).await.unwrap();
    let facts = "SELECT attrelid::regclass, attname, attgenerated, attnotnull, attislocal OR attrelid = 'joined'::regclass, pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid >= 16384 ORDER BY attrelid::regclass::text, attname";
    let expected = cluster.psql("generated", facts);
    assert_eq!(expected.lines().count(), 15, "{expected}");
    same(&cluster.psql("generated_into", facts), &expected);
    assert_eq!(content(&cluster, "generated_into"), content(&cluster, "generated"));
    // The comparison sees an expression that is the parent's.
    cluster.psql("generated_into", "ALTER TABLE third ALTER g SET EXPRESSION AS (a * 3)");
    assert_ne!(cluster.psql("generated_into", facts), expected);
}

/// There may be millions of them, so statements are for many at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_objects_are_created_in_batches() {
    let cluster = shared();
    let owner = r#""lo's ""owner""\ $$""#;
    cluster.database("many", &format!("CREATE ROLE {owner}; CREATE ROLE lo_reader;
        SELECT lo_from_bytea(70000 + i, decode(md5(i::text), 'hex')) FROM generate_series(1, 2500) i;
        DO $do$ BEGIN FOR i IN 70001..70450 LOOP EXECUTE format('ALTER LARGE OBJECT %s OWNER TO %s', i, $o${owner}$o$); END LOOP; END $do$;
        DO $do$ BEGIN FOR i IN 70301..70900 LOOP EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO lo_reader', i); END LOOP; END $do$;
        SELECT lo_from_bytea(4000000000, 'high'); COMMENT ON LARGE OBJECT 4000000000 IS 'it''s high'"));
    let dumped = dump(cluster.config(json!({ "database": "many", "globals": false }))).await.unwrap();
    assert_eq!(dumped.summary.counts["large_object"], 2501);
    let script = script(&dumped);
    // Blocks that create, give away, grant and comment; each object has one with its content besides.
    let blocks = |kind: &str| script.lines().filter(|line| line.starts_with(&format!("--: {kind} "))).count();
    assert_eq!(blocks("value"), 2501);
    let defining = script
        .lines()
        .filter(|line| line.starts_with("--: ") && line.to_ascii_lowercase().contains("large object"));
    let defining = defining.count();
    assert!((20..50).contains(&defining), "{defining}");
    restore(&dumped, &cluster.url("many_into"), Request::default()).await.unwrap();
    let facts = "SELECT oid, lomowner::regrole, lomacl, obj_description(oid, 'pg_largeobject') FROM pg_largeobject_metadata ORDER BY oid";
    let expected = cluster.psql("many", facts);
    assert_eq!(expected.lines().filter(|line| line.contains("lo_reader=r/")).count(), 600);
    assert_eq!(expected.lines().filter(|line| line.contains("owner")).count(), 450);
    same(&cluster.psql("many_into", facts), &expected);
    assert_eq!(content(cluster, "many_into").len(), 2501);
    assert_eq!(content(cluster, "many_into"), content(cluster, "many"));
}
