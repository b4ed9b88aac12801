//! Restores over the wire: what is refused, what is replaced, what is taken alone, and what is compared at the end.

use std::path::Path;

use chupacabra::package::member::Header;
use chupacabra::sources::{Request, Verdict};
use serde_json::json;

use crate::compare::{content, same};
use crate::support::package::{Keep, Step, member, sealed};
use crate::support::postgres::{Dumped, chain, dump, restore, shared};

const SHOP: &str = "CREATE SCHEMA shop; CREATE TABLE shop.customers (id serial PRIMARY KEY, name text);
CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES shop.customers, total numeric);
CREATE INDEX ON shop.orders (customer); CREATE VIEW shop.totals AS SELECT customer, sum(total) FROM shop.orders GROUP BY 1;
INSERT INTO shop.customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
INSERT INTO shop.orders (customer, total) SELECT i % 100 + 1, i FROM generate_series(1, 5000) i;
GRANT SELECT ON shop.orders TO pg_monitor; ALTER TABLE shop.customers OWNER TO pg_monitor;";

async fn shop(name: &str) -> Dumped {
    let cluster = shared();
    cluster.database(name, SHOP);
    dump(cluster.config(json!({ "database": name, "globals": false }))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_has_something_is_refused_unless_it_may_be_replaced() {
    let cluster = shared();
    let dumped = shop("refused").await;
    cluster.database("refused_into", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    let url = cluster.url("refused_into");
    let error = restore(&dumped, &url, Request::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "database refused_into (function public.mine() is there) is not empty");
    assert_eq!(cluster.psql("refused_into", "SELECT mine()"), "1");
    let replace = Request { replace: true, ..Request::default() };
    restore(&dumped, &url, replace).await.unwrap();
    assert_eq!(content(cluster, "refused_into"), content(cluster, "refused"));
    assert!(!cluster.try_psql("refused_into", "SELECT mine()").status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_is_filled_and_a_missing_one_created() {
    let cluster = shared();
    let dumped = shop("filled").await;
    cluster.database("filled_empty", "");
    for name in ["filled_empty", "filled_missing"] {
        let restored = restore(&dumped, &cluster.url(name), Request::default()).await.unwrap();
        assert_eq!((restored.counts["tables"], restored.counts["rows"]), (2, 5100));
        same(&cluster.text("pg_dump", &["-d", name]), &cluster.text("pg_dump", &["-d", "filled"]));
    }
}

/// A materialized view is filled with its owner's rights, who may have lost them since. All else is restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_materialized_view_that_its_owner_may_not_fill_is_named() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE viewer");
    cluster.database(
        "unfilled",
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW forbidden AS SELECT * FROM t; CREATE MATERIALIZED VIEW upon AS SELECT * FROM forbidden;
        ALTER MATERIALIZED VIEW forbidden OWNER TO viewer; CREATE INDEX by_a ON forbidden (a); CREATE MATERIALIZED VIEW good AS SELECT a FROM t",
    );
    let dumped = dump(cluster.config(json!({ "database": "unfilled", "globals": false }))).await.unwrap();
    let error = restore(&dumped, &cluster.url("unfilled_copy"), Request::default()).await.unwrap_err();
    let begin = "everything is restored and compared, but materialized views are empty, as the server refuses to fill them: ";
    let told = chain(&error);
    for why in ["public.forbidden: ", "permission denied for table t", "public.upon: "] {
        assert!(told.starts_with(begin) && told.contains(why), "{told}");
    }
    assert!(!told.contains("public.good"), "{told}");
    assert_eq!(error.verdict(), Verdict::Failed);
    let state = "SELECT string_agg(relname || ' ' || relispopulated, ', ' ORDER BY relname) FROM pg_class WHERE relkind = 'm'";
    assert_eq!(cluster.psql("unfilled_copy", state), "forbidden false, good true, upon false");
    let text = |database: &str| cluster.text("pg_dump", &["-s", "-d", database]);
    same(&text("unfilled_copy"), &text("unfilled"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_and_privileges_can_be_left_out() {
    let cluster = shared();
    let dumped = shop("switches").await;
    let switches = vec!["no-owner".to_owned(), "no-acl".to_owned()];
    restore(&dumped, &cluster.url("switches_into"), Request { switches, ..Request::default() })
        .await
        .unwrap();
    let text = cluster.text("pg_dump", &["-d", "switches_into"]);
    assert!(
        !text.contains("pg_monitor") && cluster.text("pg_dump", &["-d", "switches"]).contains("pg_monitor")
    );
    let switches = vec!["no-such".to_owned()];
    let error =
        restore(&dumped, &cluster.url("x"), Request { switches, ..Request::default() }).await.unwrap_err();
    assert_eq!(error.to_string(), "unknown switch `no-such`; there are `no-owner`, `no-acl`, `swap`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_table_is_restored_alone() {
    let cluster = shared();
    let dumped = shop("alone").await;
    cluster.database("alone_into", "CREATE TABLE keep (a int)");
    let only = Request { only: vec!["shop.orders".to_owned()], ..Request::default() };
    let restored = restore(&dumped, &cluster.url("alone_into"), only.clone()).await.unwrap();
    assert_eq!(
        restored.notes,
        ["left out, because what it refers to is not here: foreign key shop.orders.orders_customer_fkey"]
    );
    let facts = "SELECT count(*), sum(total), max(id) FROM shop.orders";
    assert_eq!(cluster.psql("alone_into", facts), cluster.psql("alone", facts));
    assert_eq!(cluster.psql("alone_into", "SELECT count(*) FROM pg_indexes WHERE schemaname = 'shop'"), "2");
    assert_eq!(
        cluster.psql("alone_into", "SELECT count(*) FROM keep, pg_class WHERE relname = 'customers'"),
        "0"
    );
    let error = restore(&dumped, &cluster.url("alone_into"), only.clone()).await.unwrap_err();
    assert_eq!(chain(&error), "restoring database alone: the place of table shop.orders is not empty");
    cluster.psql("alone_into", "DELETE FROM shop.orders WHERE id < 100");
    restore(&dumped, &cluster.url("alone_into"), Request { replace: true, ..only }).await.unwrap();
    assert_eq!(cluster.psql("alone_into", facts), cluster.psql("alone", facts));
    let none = Request { only: vec!["shop.nothing".to_owned()], ..Request::default() };
    let error = restore(&dumped, &cluster.url("alone_into"), none).await.unwrap_err();
    assert_eq!(chain(&error), "restoring database alone: `--only` matches no table of the package");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_need_is_not_replaced_behind_their_back() {
    let cluster = shared();
    let dumped = shop("needed").await;
    cluster.psql("needed", "UPDATE shop.customers SET name = 'changed'");
    let replace = |only: &[&str]| Request {
        only: only.iter().map(|&only| only.to_owned()).collect(),
        replace: true,
        ..Request::default()
    };
    let url = cluster.url("needed");
    let error = restore(&dumped, &url, replace(&["shop.customers"])).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "restoring database needed: \"shop\".\"customers\" cannot be replaced, because other objects need it: constraint orders_customer_fkey on table shop.orders depends on table shop.customers"
    );
    assert_eq!(error.verdict(), chupacabra::sources::Verdict::Refused);
    let facts = "SELECT count(*), count(DISTINCT name) FROM shop.customers";
    assert_eq!(cluster.psql("needed", facts), "100|1");
    // Both together are, once the view is gone that would be lost with them.
    let both = replace(&["shop.customers", "shop.orders"]);
    let error = chain(&restore(&dumped, &url, both.clone()).await.unwrap_err());
    assert!(error.ends_with("view shop.totals depends on table shop.orders"), "{error}");
    cluster.psql("needed", "DROP VIEW shop.totals");
    restore(&dumped, &url, both).await.unwrap();
    assert_eq!(cluster.psql("needed", facts), "100|100");
    assert_eq!(cluster.psql("needed", "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), "1");
}

fn only(tables: &[&str], replace: bool) -> Request {
    Request { only: tables.iter().map(|&table| table.to_owned()).collect(), replace, ..Request::default() }
}

const PARTED: &str = "CREATE TABLE parted (a int PRIMARY KEY, b text) PARTITION BY LIST (a);
CREATE TABLE one PARTITION OF parted FOR VALUES IN (1); CREATE TABLE rest PARTITION OF parted DEFAULT; INSERT INTO parted VALUES (1, 'x'), (2, 'y')";

/// The rows that the table has through its partitions, and whether its indexes serve.
const PARTS: &str = "SELECT (SELECT array_agg(p ORDER BY a) FROM parted p), (SELECT count(*) FROM pg_inherits),
(SELECT array_agg((indexrelid::regclass, indisvalid)::text ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid::regclass::text IN ('parted', 'one', 'rest'))";

/// A partition that is replaced is one afterwards, and none is dropped that is not restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_keep_their_place() {
    let cluster = shared();
    cluster.database("parts", PARTED);
    let dumped = dump(cluster.config(json!({ "database": "parts", "globals": false }))).await.unwrap();
    let url = cluster.url("parts");
    let before = cluster.psql("parts", PARTS);
    cluster.psql("parts", "UPDATE one SET b = 'changed'");
    assert_ne!(cluster.psql("parts", PARTS), before);
    restore(&dumped, &url, only(&["public.one"], true)).await.unwrap();
    assert_eq!(cluster.psql("parts", PARTS), before);
    let error = restore(&dumped, &url, only(&["public.parted", "public.one"], true)).await.unwrap_err();
    assert_eq!(
        chain(&error),
        "restoring database parts: \"public\".\"one\", \"public\".\"parted\" cannot be replaced, because other objects need it: partition public.rest"
    );
    assert_eq!(error.verdict(), chupacabra::sources::Verdict::Refused);
    assert_eq!(cluster.psql("parts", PARTS), before);
    let all = ["public.parted", "public.one", "public.rest"];
    restore(&dumped, &url, only(&all, true)).await.unwrap();
    assert_eq!(cluster.psql("parts", PARTS), before);
    // Older packages named the index of the table.
    let (path, now) = ("db/parts/3-post-data.sql", "public.parted index attachment public.one_pkey");
    let older = now.replacen("parted", "parted%2Eparted_pkey", 1);
    for (name, dumped) in [("parts_new", &dumped), ("parts_old", &tampered(&dumped, path, now, &older).await)]
    {
        restore(dumped, &cluster.url(name), only(&all, false)).await.unwrap();
        let found = cluster.psql(name, PARTS);
        let one = |text: &str| text.contains("(one_pkey,t)") && text.contains("(rest_pkey,t)");
        assert!(found == before && one(&found), "{name}: {found}");
    }
}

/// A table is complete without its place in a publication, and a database without what roles see that are not here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_here_is_not_referred_to() {
    let cluster = shared();
    cluster.psql("postgres", "CREATE ROLE stranger");
    cluster.database(
        "referring",
        "CREATE TABLE t AS SELECT 1 AS a; CREATE PUBLICATION p FOR TABLE t; ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY mine ON t TO stranger USING (true); COMMENT ON POLICY mine ON t IS 'of stranger'; CREATE FOREIGN DATA WRAPPER w;
        CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR stranger SERVER s OPTIONS (password 'x')",
    );
    let dumped = dump(cluster.config(json!({ "database": "referring", "globals": false }))).await.unwrap();
    cluster.psql("postgres", "DROP DATABASE referring");
    cluster.psql("postgres", "DROP ROLE stranger");
    let url = cluster.url("referring_into");
    let error = restore(&dumped, &url, Request::default()).await.unwrap_err();
    assert!(chain(&error).contains("user mapping s stranger") && chain(&error).contains("role \"stranger\""));
    let left_out = |what: &str| format!("left out, because what it refers to is not here: {what}");
    let switches = vec!["no-owner".to_owned()];
    let restored = restore(&dumped, &url, Request { switches, ..Request::default() }).await.unwrap();
    let policy = left_out("policy public.t.mine");
    assert_eq!(restored.notes, [left_out("user mapping s stranger"), policy.clone()]);
    assert_eq!(
        cluster.psql("referring_into", "SELECT relrowsecurity FROM pg_class WHERE relname = 't'"),
        "t"
    );
    let url = cluster.url("referring_alone");
    let restored = restore(&dumped, &url, only(&["public.t"], false)).await.unwrap();
    let publication = left_out("publication table public.p t");
    assert_eq!(restored.notes, [policy, publication]);
    assert_eq!(cluster.psql("referring_alone", "SELECT a FROM t"), "1");
    // What would let somebody see more is not left out.
    cluster.psql("postgres", "CREATE ROLE stranger");
    cluster.database(
        "restricted",
        "CREATE TABLE t (a int); CREATE POLICY p ON t AS RESTRICTIVE TO stranger, pg_monitor USING (a > 1)",
    );
    let dumped = dump(cluster.config(json!({ "database": "restricted", "globals": false }))).await.unwrap();
    cluster.psql("postgres", "DROP DATABASE restricted");
    cluster.psql("postgres", "DROP ROLE stranger");
    let switches = vec!["no-owner".to_owned()];
    let request = Request { switches, ..only(&["public.t"], false) };
    let error = restore(&dumped, &cluster.url("restricted_into"), request).await.unwrap_err();
    assert!(chain(&error).contains("policy public.t.p"), "{}", chain(&error));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_puts_the_new_database_in_place_at_the_end() {
    let cluster = shared();
    let dumped = shop("swapped").await;
    cluster.psql("swapped", "DELETE FROM shop.orders");
    let swap = Request { switches: vec!["swap".to_owned()], ..Request::default() };
    let restored = restore(&dumped, &cluster.url("swapped"), swap.clone()).await.unwrap();
    assert_eq!(cluster.psql("swapped", "SELECT count(*) FROM shop.orders"), "5000");
    let [note] = restored.notes.as_slice() else { panic!("{restored:?}") };
    let old = note.rsplit(' ').next().unwrap();
    assert_eq!(cluster.psql(old, "SELECT count(*) FROM shop.orders"), "0");
    restore(&dumped, &cluster.url("swapped"), Request { replace: true, ..swap }).await.unwrap();
    assert_eq!(cluster.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname ~ '^swapped'"), "2");
}

/// The package with one member changed and everything else, the fingerprints above all, as it was.
pub(crate) async fn tampered(dumped: &Dumped, path: &str, from: &str, to: &str) -> Dumped {
    let members =
        dumped.package().read(chupacabra::package::Selection::All, Keep::default()).await.unwrap().take();
    let objects = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = objects.clone();
    let keep = move |line| {
        if let chupacabra::package::index::Line::Object(object) = line {
            kept.lock().unwrap().push(object);
        }
        Ok(())
    };
    dumped.package().index(keep).await.unwrap();
    let mut changed = false;
    let mut steps: Vec<Step> = members
        .into_iter()
        .map(|(_, header, bytes)| {
            if header.path != path.as_bytes() {
                return member(header, bytes);
            }
            let text = String::from_utf8(bytes).unwrap();
            changed = text.contains(from);
            let text = text.replacen(from, to, 1);
            let size = text.len() as u64;
            member(Header { size, ..header }, text)
        })
        .collect();
    assert!(changed, "{path} has no {from:?}");
    steps.extend(std::mem::take(&mut *objects.lock().unwrap()).into_iter().map(Step::Object));
    let (store, record) = sealed(&dumped.keys, "db", steps).await;
    let keys = crate::support::package::Keys {
        text: dumped.keys.text.clone(),
        identities: dumped.keys.identities.clone(),
        recipient: dumped.keys.recipient.clone(),
    };
    Dumped { store, record, keys, summary: dumped.summary.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_changed_value_fails_the_restore_and_leaves_nothing() {
    let cluster = shared();
    let dumped = shop("tampered").await;
    let cases = [
        (
            "db/tampered/2-data/shop.customers.0001.sql",
            "\tc42\n",
            "\tC42\n",
            "table tampered/shop.customers: dumped 100 rows",
        ),
        (
            "db/tampered/2-data/sequences.sql",
            "100, 't'",
            "101, 't'",
            "sequence tampered/shop.customers_id_seq: dumped 1 rows",
        ),
    ];
    for (path, from, to, expected) in cases {
        let dumped = tampered(&dumped, path, from, to).await;
        let error = restore(&dumped, &cluster.url("tampered_into"), Request::default()).await.unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains("restored content differs from what was dumped: ") && text.contains(expected),
            "{text}"
        );
        assert_eq!(
            cluster.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'tampered_into'"),
            "0"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_and_does_nothing() {
    let cluster = shared();
    let dumped = shop("dry").await;
    let request = Request { dry_run: true, ..Request::default() };
    let restored = restore(&dumped, &cluster.url("dry_into"), request).await.unwrap();
    assert_eq!(
        restored.notes,
        [format!(
            "would restore database dry into dry_into on 127.0.0.1:{} (database dry_into, user postgres)",
            cluster.port
        )]
    );
    assert_eq!(cluster.psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'dry_into'"), "0");
}

/// Things that `pg_dump`'s own dump loses or changes, compared with the source by the catalog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_peer_loses_is_kept() {
    let cluster = shared();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/beyond.sql");
    cluster.database("beyond", "");
    cluster.file("beyond", &file);
    let dumped = dump(cluster.config(json!({ "database": "beyond", "globals": false }))).await.unwrap();
    restore(&dumped, &cluster.url("beyond_into"), Request::default()).await.unwrap();
    let facts = "SELECT 'member', amopfamily::text, amopstrategy::text, amopopr::regoperator::text FROM pg_amop WHERE oid >= 16384
        UNION ALL SELECT 'language', lanname, lanplcallfoid::regproc::text, laninline::regproc::text FROM pg_language WHERE oid >= 16384
        UNION ALL SELECT 'column', attrelid::regclass::text, attname, pg_get_expr(adbin, adrelid) FROM pg_attribute
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid::regclass::text IN ('p', 'c', 'g') AND attnum > 0
        UNION ALL SELECT 'view', oid::regclass::text, '', pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND oid >= 16384 ORDER BY 1, 2, 3";
    let expected = cluster.psql("beyond", facts);
    assert!(expected.lines().count() > 8, "{expected}");
    same(&cluster.psql("beyond_into", facts), &expected);
}
