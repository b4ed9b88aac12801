//! What is unusual and allowed: no schema `public`, objects in circles, grants of grants, functions that name others
//! without a schema, checks that depend on the time zone.

use chupacabra::sources::{Request, postgres};
use serde_json::{Value, json};

use crate::compare::{content, same};
use crate::support::postgres::{Cluster, Dumped, chain, dump, restore, shared};
use crate::support::{scratch, shell};

fn config(cluster: &Cluster, database: &str) -> Value {
    cluster.config(json!({ "database": database, "globals": false }))
}

/// Dumps a database and restores it under another name, which it returns.
async fn copy(cluster: &Cluster, database: &str) -> String {
    let dumped = dump(config(cluster, database)).await.unwrap();
    let name = format!("{database}_copy");
    restore(&dumped, &cluster.url(&name), Request::default()).await.unwrap();
    name
}

const PUBLIC: &str = "SELECT string_agg(concat_ws(' ', x.grantee::regrole, x.privilege_type, x.is_grantable), ', ' ORDER BY x.grantee, x.privilege_type)
FROM pg_namespace n CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x WHERE n.nspname = 'public'";

async fn schema_public(cluster: &Cluster) {
    cluster.database("public_fresh", "");
    let fresh = cluster.psql("public_fresh", PUBLIC);
    cluster.database(
        "public_gone",
        "DROP SCHEMA public; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS a",
    );
    assert_eq!(content(cluster, &copy(cluster, "public_gone").await), content(cluster, "public_gone"));
    let states = [
        ("public_again", "DROP SCHEMA public; CREATE SCHEMA public"),
        ("public_closed", "REVOKE ALL ON SCHEMA public FROM PUBLIC"),
        ("public_narrow", "REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        ("public_open", "GRANT ALL ON SCHEMA public TO PUBLIC"),
        ("public_granted", "GRANT USAGE ON SCHEMA public TO pg_monitor WITH GRANT OPTION"),
    ];
    let mut differ = 0;
    for (name, sql) in states {
        cluster.database(name, sql);
        let expected = cluster.psql(name, PUBLIC);
        differ += u32::from(expected != fresh);
        assert_eq!(cluster.psql(&copy(cluster, name).await, PUBLIC), expected, "{name}");
    }
    assert!(differ >= 4, "{fresh}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_public_in_15() {
    schema_public(shared()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_public_in_18() {
    schema_public(&Cluster::start(18, &[])).await;
}

/// Whoever passes a grant on needs the schema's before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_of_those_who_were_granted() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE giver; CREATE ROLE taker");
    cluster.database(
        "granted",
        "CREATE SCHEMA z; CREATE TABLE z.t (a int); CREATE FUNCTION z.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
        GRANT USAGE ON SCHEMA z TO giver; GRANT SELECT ON z.t TO giver WITH GRANT OPTION; GRANT EXECUTE ON FUNCTION z.f() TO giver WITH GRANT OPTION;
        SET SESSION AUTHORIZATION giver; GRANT SELECT ON z.t TO taker; GRANT EXECUTE ON FUNCTION z.f() TO taker",
    );
    let privileges =
        "SELECT relacl, (SELECT proacl FROM pg_proc WHERE proname = 'f') FROM pg_class WHERE relname = 't'";
    let expected = cluster.psql("granted", privileges);
    assert!(expected.contains("taker=r/giver") && expected.contains("taker=X/giver"), "{expected}");
    assert_eq!(cluster.psql(&copy(cluster, "granted").await, privileges), expected);
}

/// What somebody ties to an extension's parts needs the extension, and the extension nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circles_through_extensions() {
    let cluster = shared();
    cluster.database(
        "tied",
        "CREATE EXTENSION citext; CREATE EXTENSION earthdistance CASCADE;
        CREATE FUNCTION compare(citext, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
        CREATE FUNCTION less(citext, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE OPERATOR < (FUNCTION = less, LEFTARG = citext, RIGHTARG = int);
        ALTER OPERATOR FAMILY citext_ops USING btree ADD OPERATOR 1 < (citext, int), FUNCTION 1 (citext, int) compare(citext, int);
        CREATE FUNCTION sound(earth) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
        ALTER DOMAIN earth ADD CONSTRAINT mine CHECK (sound(VALUE)); CREATE TABLE places (at earth, name citext)",
    );
    let copy = copy(cluster, "tied").await;
    same(&cluster.text("pg_dump", &["-d", &copy]), &cluster.text("pg_dump", &["-d", "tied"]));
    // `pg_dump` loses these.
    let members = "SELECT amopopr::regoperator, (SELECT amproc FROM pg_amproc WHERE amproclefttype = 'citext'::regtype AND amprocrighttype = 'int'::regtype)
        FROM pg_amop WHERE amoplefttype = 'citext'::regtype AND amoprighttype = 'int'::regtype";
    assert_eq!(cluster.psql(&copy, members), "<(citext,integer)|compare");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_whose_bodies_need_each_other() {
    let cluster = shared();
    cluster.database(
        "recursive",
        "CREATE FUNCTION even(n int, twice int DEFAULT 2) RETURNS bool LANGUAGE sql IMMUTABLE RETURN true;
        CREATE FUNCTION odd(n int) RETURNS bool LANGUAGE sql BEGIN ATOMIC SELECT n <> 0 AND even(n - 1); END;
        CREATE OR REPLACE FUNCTION even(n int, twice int DEFAULT 2) RETURNS bool LANGUAGE sql IMMUTABLE RETURN n = 0 OR odd(n - 1);
        CREATE VIEW shown AS SELECT 1 AS a; CREATE FUNCTION part_of(n int) RETURNS SETOF shown LANGUAGE sql RETURN NULL::shown;
        CREATE FUNCTION all_of(n int) RETURNS SETOF shown LANGUAGE sql BEGIN ATOMIC SELECT * FROM part_of(n - 1); END;
        CREATE OR REPLACE FUNCTION part_of(n int) RETURNS SETOF shown LANGUAGE sql BEGIN ATOMIC SELECT * FROM all_of(n) WHERE n > 0; END;
        CREATE TABLE counted (n int, is_odd bool DEFAULT odd(3)); CREATE VIEW judged AS SELECT n, odd(n) FROM counted; COMMENT ON FUNCTION even IS 'or not'",
    );
    let copy = copy(cluster, "recursive").await;
    assert_eq!(
        cluster.psql(&copy, "SELECT odd(7), even(7), obj_description('even(int, int)'::regprocedure)"),
        "t|f|or not"
    );
    let bodies = "SELECT string_agg(pg_get_functiondef(oid), ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert_eq!(cluster.psql(&copy, bodies), cluster.psql("recursive", bodies));
}

/// A view that groups by a primary key comes after the rows, and a table with a column of the view's type before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_holds_rows_of_a_late_view() {
    let cluster = shared();
    cluster.database(
        "holds",
        "CREATE TABLE keyed (id int PRIMARY KEY, name text); CREATE VIEW late AS SELECT id, name, count(*) AS n FROM keyed GROUP BY id;
        CREATE TYPE held AS (one late, more late[]); CREATE TABLE holds (one late, deep held); INSERT INTO holds VALUES ((1, 'a', 2), ((3, 'b', 4), NULL));
        CREATE FUNCTION lates() RETURNS SETOF late LANGUAGE sql AS 'SELECT * FROM late'; CREATE VIEW later AS SELECT * FROM late",
    );
    let copy = copy(cluster, "holds").await;
    assert_eq!(content(cluster, &copy), content(cluster, "holds"));
    let views = "SELECT pg_get_viewdef('late'::regclass), pg_get_viewdef('later'::regclass)";
    assert_eq!(cluster.psql(&copy, views), cluster.psql("holds", views));
}

/// A domain's default may return the domain, and a check that a table has from its parent may count the table's rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_of_domains_and_checks_of_parents_in_circles() {
    let cluster = shared();
    cluster.database(
        "counted",
        "CREATE DOMAIN few AS int; CREATE FUNCTION five() RETURNS few LANGUAGE sql AS 'SELECT 5'; ALTER DOMAIN few SET DEFAULT five()::int;
        CREATE SEQUENCE numbers; CREATE DOMAIN numbered AS bigint DEFAULT nextval('numbers') CHECK (VALUE > 0); CREATE DOMAIN named AS text DEFAULT 'it''s';
        CREATE TABLE parent (a few, b numbered, c named); CREATE TABLE child (d int) INHERITS (parent);
        CREATE FUNCTION children() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM child);
        ALTER TABLE parent ADD CONSTRAINT not_many CHECK (children() < 100); INSERT INTO child (d) VALUES (1), (2)",
    );
    let copy = copy(cluster, "counted").await;
    same(&cluster.text("pg_dump", &["-d", &copy]), &cluster.text("pg_dump", &["-d", "counted"]));
    assert_eq!(cluster.psql(&copy, "INSERT INTO child DEFAULT VALUES RETURNING a, b, c"), "5|3|it's");
}

/// A hash of numbers that the server chooses takes rows elsewhere on another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_by_a_hash_of_what_the_server_numbers() {
    let cluster = shared();
    let table = |name: &str, kind: &str| {
        format!(
            "CREATE TABLE {name} (k {kind}, n int) PARTITION BY HASH (k); CREATE TABLE {name}_0 PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE {name}_1 PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER 1); INSERT INTO {name}"
        )
    };
    let colours = "SELECT k, n FROM unnest(enum_range(NULL::colour)) k, generate_series(1, 5) n";
    let sql = [
        "CREATE TYPE colour AS ENUM ('red', 'green', 'blue'); CREATE TYPE spot AS (c colour, n int);"
            .to_owned(),
        format!("{} SELECT ARRAY[k, k], n FROM ({colours}) s;", table("lists", "colour[]")),
        format!("{} SELECT ROW(k, n)::spot, n FROM ({colours}) s;", table("spots", "spot")),
        format!(
            "{} SELECT oid, 1 FROM pg_class WHERE relname ~ '^(lists|spots)';",
            table("objects", "regclass")
        ),
        format!("{} SELECT ARRAY[n], n FROM generate_series(1, 50) n;", table("numbers", "int[]")),
    ];
    cluster.database("hashed", &sql.concat());
    let dumped = dump(config(cluster, "hashed")).await.unwrap();
    restore(&dumped, &cluster.url("hashed_copy"), Request::default()).await.unwrap();
    let rows = "SELECT (SELECT array_agg(l ORDER BY k, n) FROM lists l), (SELECT array_agg(s ORDER BY k, n) FROM spots s),
        (SELECT array_agg(o ORDER BY k::text) FROM objects o), (SELECT array_agg(m ORDER BY k) FROM numbers m)";
    assert_eq!(cluster.psql("hashed_copy", rows), cluster.psql("hashed", rows));
    // What hashes the same everywhere is still read from each partition: two of them, and three others as a whole.
    assert_eq!(dumped.summary.counts["tables_with_rows"], 5);
}

const UNQUALIFIED: &str = "CREATE EXTENSION unaccent;
CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT unaccent($1)';
CREATE TABLE words (code int PRIMARY KEY, word text); INSERT INTO words VALUES (1, 'née');
CREATE FUNCTION word(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT w.word FROM words w WHERE code = $1); END';
CREATE TABLE people (name text CHECK (plain(name) <> ''), flat text GENERATED ALWAYS AS (plain(name)) STORED, code int);
INSERT INTO people SELECT 'é' || i, DEFAULT, 1 FROM generate_series(1, 100000) i;
CREATE INDEX by_name ON people (plain(name)); CREATE MATERIALIZED VIEW seen AS SELECT name, word(code) FROM people;";

/// Functions of applications seldom say in which schema what they call is, and a restore finds nothing without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_name_others_without_a_schema() {
    let cluster = shared();
    let inserted = "INSERT INTO people SELECT 'é' || i, 1 FROM";
    cluster.database(
        "unqualified",
        &UNQUALIFIED.replace(
            "INSERT INTO people SELECT 'é' || i, DEFAULT, 1 FROM",
            &inserted.replace("people", "people (name, code)"),
        ),
    );
    let dumped = dump(config(cluster, "unqualified")).await.unwrap();
    let restored = restore(&dumped, &cluster.url("unqualified_copy"), Request::default()).await.unwrap();
    assert_eq!(content(cluster, "unqualified_copy"), content(cluster, "unqualified"));
    let text = |database: &str| cluster.text("pg_dump", &["-s", "-d", database]);
    same(&text("unqualified_copy"), &text("unqualified"));
    for label in ["index public.people.by_name", "refresh public.seen"] {
        assert!(restored.notes.iter().any(|note| note.starts_with(label)), "{:?}", restored.notes);
    }
    // What is nowhere at all is still an error.
    cluster.psql("unqualified", "DROP TABLE words");
    let dumped = dump(config(cluster, "unqualified")).await.unwrap();
    let error = restore(&dumped, &cluster.url("unqualified_error"), Request::default()).await.unwrap_err();
    assert!(chain(&error).contains("relation \"words\" does not exist"), "{}", chain(&error));
}

/// A check and a materialized view that depend on the time zone see the database's own.
async fn time_zone(cluster: &Cluster, database: &str) {
    let dumped = dump(config(cluster, database)).await.unwrap();
    restore(&dumped, &cluster.url("zone_copy"), Request { replace: true, ..Request::default() })
        .await
        .unwrap();
    assert_eq!(content(cluster, "zone_copy"), content(cluster, database));
}

const ZONES: &str = "CREATE TABLE events (at timestamptz, day date, CHECK (day = at::date));
INSERT INTO events SELECT t, t::date FROM generate_series('2026-01-01'::timestamptz, '2026-01-20', '7 hours') t;
CREATE MATERIALIZED VIEW daily AS SELECT at::date AS day, count(*) FROM events GROUP BY 1; CREATE TABLE written (day text);
INSERT INTO written VALUES ('02.01.2026'), ('31.12.2026'); CREATE MATERIALIZED VIEW read AS SELECT day::date FROM written";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_depends_on_the_time_zone() {
    let cluster = Cluster::start(18, &[]);
    cluster.psql("postgres", "CREATE DATABASE zone_own");
    cluster.psql("postgres", "ALTER DATABASE zone_own SET timezone = 'America/New_York'; ALTER DATABASE zone_own SET datestyle = 'german, dmy'");
    cluster.psql(
        "zone_own",
        &format!("SET timezone = 'America/New_York'; SET datestyle = 'german, dmy'; {ZONES}"),
    );
    time_zone(&cluster, "zone_own").await;
    // And so does psql, whose session begins before the database has settings.
    let before = content(&cluster, "zone_own");
    let dir = scratch();
    let script = dump(config(&cluster, "zone_own")).await.unwrap().stock(dir.path());
    cluster.psql("postgres", "DROP DATABASE zone_own");
    let psql = format!(
        "{} -qAtX -h 127.0.0.1 -p {} -U postgres -d postgres",
        cluster.bin.join("psql").display(),
        cluster.port
    );
    shell(&format!("{script} | {psql}"));
    assert_eq!(content(&cluster, "zone_own"), before);
    cluster.psql("postgres", "ALTER SYSTEM SET timezone = 'Asia/Tokyo'");
    cluster.psql("postgres", "ALTER SYSTEM SET datestyle = 'iso, dmy'");
    cluster.psql("postgres", "SELECT pg_reload_conf()");
    cluster.database(
        "zone_server",
        &format!("SET timezone = 'Asia/Tokyo'; SET datestyle = 'iso, dmy'; {ZONES}"),
    );
    time_zone(&cluster, "zone_server").await;
}

/// What a server with another currency reads as another amount, or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_of_another_country() {
    let (german, other) = (Cluster::speaking(15, "de_DE"), shared());
    german.database(
        "money",
        "CREATE TABLE prices AS SELECT v::money AS price FROM unnest(ARRAY[1234.56, -0.99, 12345678.9]) v",
    );
    assert!(german.psql("money", "SELECT price FROM prices").starts_with("1.234,56"));
    let dumped = dump(config(&german, "money")).await.unwrap();
    for cluster in [&german, other] {
        restore(&dumped, &cluster.url("money_copy"), Request::default()).await.unwrap();
        assert_eq!(
            cluster.psql("money_copy", "SELECT string_agg(price::numeric::text, ' ') FROM prices"),
            "1234.56 -0.99 12345678.90"
        );
    }
    let dir = scratch();
    let script = dumped.stock(dir.path()).replace("tar xzO", "tar xzO --wildcards '*prices*'");
    other.psql("money_copy", "TRUNCATE prices");
    german.psql("money_copy", "TRUNCATE prices");
    let psql = format!(
        "{} -qAtX -h 127.0.0.1 -p {} -U postgres -d money_copy",
        german.bin.join("psql").display(),
        german.port
    );
    shell(&format!("{script} | {psql}"));
    assert_eq!(german.psql("money_copy", "SELECT sum(price)::numeric FROM prices"), "12346912.47");
}

/// A database whose sessions are another role is still a superuser's to read and to fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_gives_its_sessions_a_role() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE confined");
    cluster.database(
        "confined",
        "CREATE TABLE t AS SELECT 1 AS a; ALTER DATABASE confined SET role = 'confined'",
    );
    assert!(!cluster.try_psql("confined", "SELECT a FROM t").status.success());
    let copy = copy(cluster, "confined").await;
    cluster.psql("postgres", &format!("ALTER DATABASE {copy} RESET role"));
    assert_eq!(cluster.psql(&copy, "SELECT a FROM t"), "1");
}

/// The server that is restored into has a password of its own, which must serve to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_server_where_the_restoring_role_has_another_password() {
    let (source, target) = (Cluster::start(15, &[]), Cluster::start(15, &[]));
    source.psql(
        "postgres",
        "CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'of the source' VALID UNTIL '2100-01-01'",
    );
    source.psql("postgres", "CREATE TABLE t AS SELECT 1 AS a");
    source.psql("postgres", "CREATE DATABASE second OWNER admin");
    let dumped = dump(source.config(json!({}))).await.unwrap();
    target.psql("postgres", "CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'of-the-target'");
    let rules = target.dir.join("data/pg_hba.conf");
    let others = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("host all admin 127.0.0.1/32 scram-sha-256\n{others}")).unwrap();
    target.stop();
    target.resume(&[]);
    let url = |password: &str| format!("postgres://admin:{password}@127.0.0.1:{}/", target.port);
    assert!(restore(&dumped, &url("wrong"), Request::default()).await.is_err());
    let restored = restore(&dumped, &url("of-the-target"), Request::default()).await.unwrap();
    assert_eq!(restored.counts["databases"], 2);
    assert!(restored.notes[0].starts_with("the role admin, which restored"), "{:?}", restored.notes);
    let role = "SELECT rolpassword, rolvaliduntil FROM pg_authid WHERE rolname = 'admin'";
    assert_eq!(target.psql("postgres", role), source.psql("postgres", role));
}

/// What a server notes about columns for itself is no setting, and other servers refuse it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_of_15_in_18() {
    let (older, newer) = (shared(), Cluster::start(18, &[]));
    older.database(
        "older",
        "CREATE TABLE t (a int, b text); ALTER TABLE t ALTER b SET (n_distinct = 5); INSERT INTO t VALUES (1, 'x');
        CREATE MATERIALIZED VIEW m AS SELECT * FROM t; CREATE VIEW v AS SELECT * FROM t; CREATE INDEX ON t (b)",
    );
    let dumped = dump(config(older, "older")).await.unwrap();
    restore(&dumped, &newer.url("older"), Request::default()).await.unwrap();
    assert_eq!(content(&newer, "older"), content(older, "older"));
    let options = "SELECT attrelid::regclass, attname, attoptions FROM pg_attribute WHERE attoptions IS NOT NULL AND attrelid > 16384";
    assert_eq!(newer.psql("older", options), "t|b|{n_distinct=5}");
}

async fn failing(cluster: &Cluster, name: &str, sql: &str) -> Dumped {
    cluster.database(name, &format!("CREATE TABLE t AS SELECT 1 AS a; CREATE MATERIALIZED VIEW m AS SELECT 1 / a FROM t; UPDATE t SET a = 0; {sql}"));
    dump(config(cluster, name)).await.unwrap()
}

/// With a subscription a database cannot be dropped, and one that is half restored must be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_database_with_a_subscription_is_dropped() {
    let cluster = shared();
    let subscription = "CREATE SUBSCRIPTION \"half sub\" CONNECTION 'host=nowhere' PUBLICATION a WITH (connect = false, slot_name = 'kept')";
    let dumped = failing(cluster, "half", subscription).await;
    let error = restore(&dumped, &cluster.url("half_copy"), Request::default()).await.unwrap_err();
    assert!(chain(&error).contains("division by zero"), "{}", chain(&error));
    assert_eq!(cluster.psql("postgres", "SELECT datname FROM pg_database WHERE datname ~ '^half'"), "half");
    assert_eq!(cluster.psql("half", "SELECT subslotname FROM pg_subscription WHERE subname = 'half sub' AND subdbid = (SELECT oid FROM pg_database WHERE datname = 'half')"), "kept");
    cluster.psql("half", "ALTER SUBSCRIPTION \"half sub\" SET (slot_name = NONE)");
    cluster.psql("half", "DROP SUBSCRIPTION \"half sub\"");
}

/// Whoever comes second throws nothing away that is not his.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_restores_into_the_same_database_at_once() {
    let cluster = shared();
    cluster.database("twice", "CREATE TABLE t AS SELECT i AS a FROM generate_series(1, 200000) i");
    let dumped = dump(config(cluster, "twice")).await.unwrap();
    let url = cluster.url("twice_copy");
    let (one, two) =
        tokio::join!(restore(&dumped, &url, Request::default()), restore(&dumped, &url, Request::default()));
    let errors: Vec<String> =
        [one, two].iter().filter_map(|done| Some(chain(done.as_ref().err()?))).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(content(cluster, "twice_copy"), content(cluster, "twice"));
}

/// A migration that drops a view while the catalog is read is over when all is begun again.
#[test]
fn what_is_dropped_meanwhile_may_pass() {
    let dropped = postgres::Error::Vanished("view public.v".into());
    assert!(dropped.may_pass());
    assert!(!postgres::Error::Unsettled.may_pass());
}

/// The index of a partitioned table's key takes settings only while it is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_with_settings() {
    let cluster = shared();
    cluster.database(
        "filled_keys",
        "CREATE TABLE parts (a int, b int, PRIMARY KEY (a) WITH (fillfactor = 70), UNIQUE (a, b) WITH (fillfactor = 60) DEFERRABLE INITIALLY DEFERRED)
          PARTITION BY RANGE (a); CREATE TABLE part PARTITION OF parts DEFAULT; INSERT INTO parts VALUES (1, 2);
        CREATE TABLE single (a int UNIQUE NULLS NOT DISTINCT WITH (fillfactor = 50) DEFERRABLE, \" DEFERRABLE\" int, during tstzrange,
          EXCLUDE USING gist (during WITH &&) WITH (fillfactor = 40, buffering = 'off') WHERE (a > 0 AND (\" DEFERRABLE\" IS NULL OR a < 9)) DEFERRABLE)",
    );
    let copy = copy(cluster, "filled_keys").await;
    let text = |database: &str| cluster.text("pg_dump", &["-d", database]);
    same(&text(&copy), &text("filled_keys"));
    cluster.psql(&copy, "ALTER INDEX part_pkey SET (fillfactor = 71)");
    assert!(text(&copy) != text("filled_keys"));
}

/// A compression that a foreign partition has from its parent cannot be said of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_partition_of_a_compressed_table() {
    let cluster = shared();
    cluster.database(
        "compressed",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE TABLE parts (a int, b text COMPRESSION pglz) PARTITION BY LIST (a);
        CREATE FOREIGN TABLE far PARTITION OF parts DEFAULT SERVER s",
    );
    let copy = copy(cluster, "compressed").await;
    let facts = "SELECT (SELECT inhrelid::regclass FROM pg_inherits), (SELECT attcompression FROM pg_attribute WHERE attrelid = 'parts'::regclass AND attname = 'b')";
    assert_eq!(cluster.psql(&copy, facts), "far|p");
}

/// psql reads what stands in quotes, and then so does its driver.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_databases_that_are_quoted_twice() {
    let cluster = shared();
    for name in ["say \"so\"", "it's", "back\\slash", "two\nlines", "\\'\\n'"] {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        cluster.psql("postgres", &format!("CREATE DATABASE {quoted} TEMPLATE template0"));
        cluster.psql(name, "CREATE TABLE t AS SELECT 1 AS a");
        let dir = scratch();
        let script = dump(config(cluster, name)).await.unwrap().stock(dir.path());
        cluster.psql("postgres", &format!("DROP DATABASE {quoted}"));
        let psql = cluster.bin.join("psql").display().to_string();
        shell(&format!("{script} | {psql} -qAtX -h 127.0.0.1 -p {} -U postgres -d postgres", cluster.port));
        assert_eq!(cluster.psql(name, "SELECT a FROM t"), "1");
    }
}
