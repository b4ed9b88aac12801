//! The same promises with other versions and with modules, on request: `tests/run --ring redis_versions`, which names
//! the servers in `CHUPACABRA_REDIS_SERVERS`, from the oldest RDB version to the newest, one with modules in
//! `CHUPACABRA_REDIS_MODULES`, and one with a search module in `CHUPACABRA_REDIS_SEARCH`.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use redis::{Value, cmd};

use crate::site::Site;
use crate::support::redis::{Instance, Product, differences};
use crate::support::server::wait_until;

fn named(variable: &str) -> Vec<Product> {
    let named = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names servers"));
    named.split(':').map(|path| Product::At(Box::leak(path.to_owned().into_boxed_str()))).collect()
}

/// What every version shows alike: everything but the inner layout of streams and when a consumer was last active.
fn portable(instance: &Instance) -> BTreeMap<String, String> {
    let cut = |(name, value): (String, String)| {
        let end = value.find(" FULL ").unwrap_or(value.len());
        (name, value[..end].to_owned())
    };
    instance.state().into_iter().map(cut).collect()
}

fn same(copy: &Instance, original: &Instance, how: &str) {
    let (copy, original) = (portable(copy), portable(original));
    assert!(original.len() > 80, "the seed is there");
    let differences = differences(&copy, &original);
    assert!(differences.is_empty(), "{how}:\n{}", differences.join("\n"));
}

/// Both ways of reading and all three ways back.
#[test]
#[ignore = "needs servers of other versions: tests/run --ring redis_versions"]
fn every_version_by_every_way() {
    for product in named("CHUPACABRA_REDIS_SERVERS").into_iter().chain(named("CHUPACABRA_REDIS_MODULES")) {
        let source = Instance::start(product, &[]);
        source.seed();
        for mode in ["psync", "scan"] {
            let how = format!("{product:?} by {mode}");
            let site = Site::at(source.port, &format!(", mode: {mode}"));
            site.good(&["backup"]);
            same(&Instance::on(product, &site.rdb(), &[]), &source, &how);
            let target = Instance::start(product, &[]);
            let said = site.good(&["restore", "cache", "--into", &target.url()]);
            same(&target, &source, &how);
            let wrong = Instance::start(product, &[]);
            assert!(!differences(&portable(&wrong), &portable(&source)).is_empty(), "{said}");
        }
        let site = Site::at(source.port, "");
        site.good(&["backup"]);
        let target = Instance::start(product, &[]);
        site.good(&["restore", "cache", "--into", &target.url(), "--switch", "via=replication"]);
        same(&target, &source, &format!("{product:?} by replication"));
    }
}

/// Each version's backup goes into the next newer of its own line, and an older server refuses it by name.
#[test]
#[ignore = "needs servers of other versions: tests/run --ring redis_versions"]
fn newer_versions_take_it_and_older_ones_refuse() {
    let servers = named("CHUPACABRA_REDIS_SERVERS");
    for pair in servers.windows(2) {
        let (older, newer) = (Instance::start(pair[0], &[]), Instance::start(pair[1], &[]));
        older.seed();
        let site = Site::at(older.port, "");
        site.good(&["backup"]);
        site.good(&["restore", "cache", "--into", &newer.url()]);
        // The newer one knows more to say; what the older one had is there.
        let (had, has) = (portable(&older), portable(&newer));
        let lost: Vec<&String> = had.keys().filter(|key| !has.contains_key(*key)).collect();
        assert!(lost.is_empty(), "{pair:?}: {lost:?}");
        let site = Site::at(newer.port, "");
        site.good(&["backup"]);
        let empty = Instance::start(pair[0], &[]);
        let said = site.bad(&["restore", "cache", "--into", &empty.url()]);
        assert!(said.contains("does not read") && said.contains("restore into a server that"), "{said}");
        let keyspace = format!("{:?}", empty.run(0, "INFO keyspace"));
        assert!(!keyspace.contains("keys="), "{pair:?}: nothing was written: {keyspace}");
    }
}

/// Values of modules pass as they are; a server without the module refuses them by name.
#[test]
#[ignore = "needs a server with modules: tests/run --ring redis_versions"]
fn values_of_modules() {
    for product in named("CHUPACABRA_REDIS_MODULES") {
        let source = Instance::start(product, &[]);
        let mut connection = source.connect(0);
        let document = r#"{"name":"chair","prices":[1,2.5,null],"nested":{"deep":true}}"#;
        let _: Value = cmd("JSON.SET").arg(&["doc", "$", document]).query(&mut connection).unwrap();
        for i in 0..500 {
            let _: Value = cmd("BF.ADD").arg("bloom").arg(i).query(&mut connection).unwrap();
            let _: Value =
                cmd("TS.ADD").arg("series").arg(1_000 + i).arg(i * 3).query(&mut connection).unwrap();
        }
        let _: Value = cmd("SET").arg(&["plain", "text"]).query(&mut connection).unwrap();
        let shown = |instance: &Instance| -> Vec<Value> {
            let mut connection = instance.connect(0);
            let mut ask = |words: &[&str]| cmd(words[0]).arg(&words[1..]).query::<Value>(&mut connection);
            let mut shown = vec![ask(&["JSON.GET", "doc"]).unwrap(), ask(&["BF.INFO", "bloom"]).unwrap()];
            shown.push(ask(&["TS.RANGE", "series", "-", "+"]).unwrap());
            shown.push(ask(&["GET", "plain"]).unwrap());
            for i in 0..600 {
                shown.push(ask(&["BF.EXISTS", "bloom", &i.to_string()]).unwrap());
            }
            shown
        };
        let expected = shown(&source);
        assert!(format!("{:?}", expected[0]).contains("chair"));
        for mode in ["psync", "scan"] {
            let site = Site::at(source.port, &format!(", mode: {mode}"));
            site.good(&["backup"]);
            assert_eq!(shown(&Instance::on(product, &site.rdb(), &[])), expected, "{mode} by start");
            let target = Instance::start(product, &[]);
            site.good(&["restore", "cache", "--into", &target.url()]);
            assert_eq!(shown(&target), expected, "{mode} by RESTORE");
        }
        let site = Site::at(source.port, "");
        site.good(&["backup"]);
        let newest = *named("CHUPACABRA_REDIS_SERVERS").last().unwrap();
        let said = site.bad(&["restore", "cache", "--into", &Instance::start(newest, &[]).url()]);
        assert!(said.contains("is a value of the module type") && said.contains("load the module"), "{said}");
    }
}

/// What a module keeps outside of keys passes with a snapshot, is refused where it cannot be put back, and is named
/// where it cannot be read.
#[test]
#[ignore = "needs a server with modules: tests/run --ring redis_versions"]
fn what_a_module_keeps_outside_of_keys() {
    let product = named("CHUPACABRA_REDIS_SEARCH")[0];
    let source = Instance::start(product, &[]);
    source.run(0, "HSET doc:1 title hello");
    source.run(0, "FT.CREATE titles ON HASH PREFIX 1 doc: SCHEMA title TEXT");
    let found = |instance: &Instance| format!("{:?}", instance.run(0, "FT._LIST"));
    assert!(found(&source).contains("titles"));
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    assert!(found(&Instance::on(product, &site.rdb(), &[])).contains("titles"));
    let target = Instance::start(product, &[]);
    assert!(!found(&target).contains("titles"));
    let said = site.bad(&["restore", "cache", "--into", &target.url()]);
    assert!(
        said.contains("keeps data outside of the keyspace") && said.contains("via=replication"),
        "{said}"
    );
    let replicated = Instance::start(product, &[]);
    site.good(&["restore", "cache", "--into", &replicated.url(), "--switch", "via=replication"]);
    assert!(found(&replicated).contains("titles"));
    let site = Site::at(source.port, ", mode: scan");
    let output = site.command(&["backup"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "partial: {}", String::from_utf8_lossy(&output.stdout));
    let record = site.record();
    assert_eq!(record["missing"][0]["name"], "definitions of search indexes", "{record}");
}

/// The oldest version too knows replicas that want the RDB file only: whatever is written meanwhile, there is nothing
/// that could exceed its limit and end the snapshot.
#[test]
#[ignore = "needs servers of other versions: tests/run --ring redis_versions"]
fn the_output_buffer_limit_is_never_exceeded() {
    for diskless in ["yes", "no"] {
        let more =
            ["--rdb-key-save-delay", "2000", "--rdbcompression", "no", "--repl-diskless-sync", diskless];
        let server = Instance::start(named("CHUPACABRA_REDIS_SERVERS")[0], &more);
        server.run(0, "DEBUG POPULATE 4000 key 2000");
        let limit = ["SET", "client-output-buffer-limit", "replica 1mb 1mb 1"];
        let _: Value = cmd("CONFIG").arg(&limit).query(&mut server.connect(0)).unwrap();
        let site = Site::at(server.port, "");
        let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = || server.info("rdb_bgsave_in_progress") == "1";
        wait_until(Duration::from_secs(30), begun, || "no snapshot begins".to_owned());
        let mut connection = server.connect(1);
        for i in 0..40 {
            let _: Value = cmd("SET").arg(i).arg(vec![b'x'; 1 << 20]).query(&mut connection).unwrap();
        }
        assert_eq!(server.info("rdb_bgsave_in_progress"), "1", "all of that was written meanwhile");
        let output = backup.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(site.record()["counts"]["keys"], 4000);
    }
}

/// Redis 8, the newest server of the line.
fn newest() -> Product {
    named("CHUPACABRA_REDIS_SERVERS").pop().unwrap()
}

/// Vector sets come back with their elements the other way round.
#[test]
#[ignore = "needs servers of other versions: tests/run --ring redis_versions"]
fn vector_sets() {
    let source = Instance::start(newest(), &[]);
    let mut connection = source.connect(0);
    for i in 0..300u32 {
        let vector = [i, i * 7 % 31, i * 11 % 17, 1];
        let mut add = cmd("VADD");
        add.arg("vectors").arg("VALUES").arg(4).arg(&vector).arg(format!("element {i}"));
        let _: Value = add.query(&mut connection).unwrap();
    }
    let attribute = ["vectors", "element 3", "{\"a\":1}"];
    let _: Value = cmd("VSETATTR").arg(&attribute).query(&mut connection).unwrap();
    let _: Value = cmd("VREM").arg("vectors").arg("element 100").query(&mut connection).unwrap();
    let shown = |server: &Instance| -> Vec<Value> {
        let mut connection = server.connect(0);
        let mut ask =
            |words: &[&str]| cmd(words[0]).arg(&words[1..]).query::<Value>(&mut connection).unwrap();
        let mut shown = vec![ask(&["VCARD", "vectors"]), ask(&["VGETATTR", "vectors", "element 3"])];
        shown.extend((0..300).map(|i| ask(&["VEMB", "vectors", &format!("element {i}")])));
        shown
    };
    for mode in ["psync", "scan"] {
        let site = Site::at(source.port, &format!(", mode: {mode}"));
        site.good(&["backup"]);
        for way in ["via=restore", "via=replication"] {
            let target = Instance::start(newest(), &[]);
            site.good(&["restore", "cache", "--into", &target.url(), "--switch", way]);
            assert_eq!(shown(&target), shown(&source), "{mode}, {way}");
        }
    }
}

/// A server without a module that the package needs would end over the file: it is not told to load it.
#[test]
#[ignore = "needs a server with modules: tests/run --ring redis_versions"]
fn a_target_without_the_module_keeps_what_it_has() {
    let with = |variable: &str| Instance::start(named(variable)[0], &[]);
    let values = with("CHUPACABRA_REDIS_MODULES");
    values.run(0, "JSON.SET doc $ 1");
    let outside = with("CHUPACABRA_REDIS_SEARCH");
    outside.run(0, "FT.CREATE people SCHEMA name TEXT");
    for (source, why) in [(values, "is a value of the module type"), (outside, "has data of the module type")]
    {
        let site = Site::at(source.port, "");
        site.good(&["backup"]);
        let target = Instance::start(newest(), &[]);
        target.run(0, "SET precious 1");
        let words = ["restore", "cache", "--replace", "--switch", "via=replication", "--into", &target.url()];
        let said = site.bad(&words);
        assert!(said.contains(why), "{said}");
        assert_eq!(target.run(0, "DBSIZE"), Value::Int(1), "{why}");
        assert_eq!(target.info("role"), "master", "{why}");
    }
}
