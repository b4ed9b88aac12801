//! Bad input: refused before anything is handed over, in words that help.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use chupacabra::package::member::{Header, Time};
use chupacabra::sources::mongodb::{MongoDb, archive};
use chupacabra::sources::{Consistency, ConsistencyKind, Request, Summary};

use crate::support::mongodb::{Dump, How, Mongod, dump, dump_by, plan, plan_with, restore};
use crate::support::server::free_port;

async fn said(url: &str, lines: &str) -> String {
    let probed =
        MongoDb::new(plan_with(url, lines)).probe().await.err().expect("the probe refuses").to_string();
    let dumped = dump(plan_with(url, lines)).await.err().expect("the dump refuses").to_string();
    assert_eq!(probed, dumped, "the probe says what the dump would");
    dumped
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_set() {
    let server = Mongod::start(How { set: Some("rs0"), auth: true, ..How::default() });
    let port = server.port();
    let wrong = format!("mongodb://root:root@127.0.0.1:{port}/?replicaSet=rs9&serverSelectionTimeoutMS=1000");
    assert_eq!(said(&wrong, "").await, "the connection string says replica set `rs9`, the server says `rs0`");
    assert_eq!(
        said(&server.url(Some("root:wrong")), "").await,
        "the server refused the credentials: SCRAM failure: Authentication failed."
    );
    let nobody = said(&server.url(None), "").await;
    assert!(nobody.starts_with("the user may not "), "{nobody}");
    assert!(nobody.ends_with(": grant it the role `backup` on the database `admin`"), "{nobody}");
    server.root(
        "root.shop.a.insert_one({'_id': 1})\n\
         root.admin.command('createUser', 'reader', pwd='r', roles=['readAnyDatabase'])\n\
         root.shop.command('createUser', 'owner', pwd='o', roles=['dbOwner'])",
    );
    assert_eq!(
        said(&server.url(Some("reader:r")), "").await,
        "the user may not read `admin.system.version`: grant it the role `backup` on the database `admin`"
    );
    let owner = format!("mongodb://owner:o@127.0.0.1:{port}/shop?replicaSet=rs0");
    assert_eq!(
        said(&owner, "databases: [shop]").await,
        "the user may not read `local.oplog.rs`: grant it the role `backup` on the database `admin`"
    );
    let root = server.url(Some("root:root"));
    assert_eq!(said(&root, "databases: [shpo]").await, "the pattern `shpo` matches no collection");
    assert_eq!(said(&root, "collections: ['shop.x*']").await, "the pattern `shop.x*` matches no collection");
    let facts = MongoDb::new(plan(&root)).probe().await.unwrap();
    assert_eq!(facts.product, "MongoDB 6.0.5");
    assert!(facts.estimate.unwrap() > 0);
    assert_eq!(facts.findings[0].what.split(" by ").next().unwrap(), "primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there() {
    let port = free_port();
    let url = format!("mongodb://someone:hunter2@127.0.0.1:{port}/?serverSelectionTimeoutMS=500");
    let refused = "I/O error: Connection refused (os error 111)";
    assert_eq!(said(&url, "").await, format!("no server could be reached: 127.0.0.1:{port}: {refused}"));
    let odd = "mongodb://someone:hunter2/@host/";
    let error = said(odd, "").await;
    assert!(
        error.starts_with("the connection string cannot be used: ") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_where_a_set_is_expected() {
    let server = Mongod::start(How::default());
    let url = format!("mongodb://127.0.0.1:{}/?replicaSet=rs0&serverSelectionTimeoutMS=500", server.port());
    assert_eq!(
        said(&url, "").await,
        "the connection string says replica set `rs0`, the server says it is in none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_sharded_cluster() {
    let args = vec!["--configsvr".into()];
    let server = Mongod::start(How { set: Some("config"), joins: true, args, ..How::default() });
    server.python(&format!(
        "members = [{{'_id': 0, 'host': '127.0.0.1:{}'}}]\n\
         direct.admin.command('replSetInitiate', {{'_id': 'config', 'configsvr': True, 'members': members}})\n\
         while not direct.admin.command('hello')['isWritablePrimary']: time.sleep(0.02)",
        server.port()
    ));
    let refused = said(&server.url(None), "").await;
    assert!(refused.starts_with("this is a config server of a sharded cluster: "), "{refused}");
    let as_target = async |server: &Mongod| {
        let dump = empty_archive("6.0.5").await;
        restore(&dump, plan(&server.url(None)), Request::default()).await.unwrap_err()
    };
    let refused = as_target(&server).await.to_string();
    assert!(refused.starts_with("the target is a config server of a sharded cluster: "), "{refused}");

    let server = Mongod::start(How { set: Some("rs0"), ..How::default() });
    server.python("direct.shop.a.insert_one({'_id': 1})");
    dump(plan(&server.url(None))).await.unwrap();
    server.python("direct.admin['system.version'].insert_one({'_id': 'shardIdentity', 'shardName': 'east'})");
    for lines in ["", "databases: [shop]"] {
        let refused = said(&server.url(None), lines).await;
        assert!(refused.starts_with("this is the shard `east` of a sharded cluster: "), "{refused}");
    }
    let refused = as_target(&server).await;
    assert!(
        refused.to_string().starts_with("the target is the shard `east` of a sharded cluster: "),
        "{refused}"
    );
    assert!(refused.help().unwrap().starts_with("restore into a replica set or a standalone server"));
    let refused = MongoDb::new(plan(&server.url(None))).probe().await.err().unwrap();
    assert!(refused.help().unwrap().ends_with("delete `shardIdentity` from its `admin.system.version`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn restores() {
    let server = Mongod::start(How::default());
    server.python("direct.shop.a.insert_one({'_id': 1})");
    let dump = dump(plan(&server.url(None))).await.unwrap();
    let refused = |request: Request| async {
        let limit = Duration::from_secs(60);
        let restoring = restore(&dump, plan(&server.url(None)), request);
        tokio::time::timeout(limit, restoring).await.unwrap().unwrap_err().to_string()
    };
    let one = |switch: &str| Request { switches: vec![switch.into()], ..Request::default() };
    assert_eq!(
        refused(one("swap")).await,
        "the switch `swap` is unknown: a MongoDB source knows `rename=OLD:NEW`, for databases"
    );
    assert_eq!(refused(one("rename=shpo:a")).await, "the pattern `shpo` matches no collection");
    server.python("direct.blog.a.insert_one({'_id': 1}); direct.blog.b.insert_one({'_id': 1})");
    let both = self::dump(plan(&server.url(None))).await.unwrap();
    let merged = Request { switches: vec!["rename=blog:shop".into()], replace: true, ..Request::default() };
    assert_eq!(
        restore(&both, plan(&server.url(None)), merged).await.unwrap_err().to_string(),
        "`blog.a` and `shop.a` would both be restored as `shop.a`: rename one of the databases to another name"
    );
    // Each other's names are no names in common.
    let swapped = vec!["rename=blog:shop".into(), "rename=shop:blog".into()];
    let swapped = Request { switches: swapped, replace: true, ..Request::default() };
    restore(&both, plan(&server.url(None)), swapped).await.unwrap();
    server.python("assert direct.shop.b.find_one(); direct.shop.b.drop(); direct.drop_database('blog')");
    let only = Request { only: vec!["shop.b".into()], ..Request::default() };
    assert_eq!(refused(only).await, "the pattern `shop.b` matches no collection");
    assert_eq!(
        refused(Request::default()).await,
        "the target is not empty, it has `shop.a`: choose an empty one, or replace it (--replace)"
    );
}

/// An archive without namespaces, as a server of this version would have written it.
async fn empty_archive(version: &'static str) -> Dump {
    let handed = dump_by(async |outlet| {
        let bytes = [archive::prelude_begin(4, version), archive::TERMINATOR.to_vec()].concat();
        let time = Time { seconds: 0, nanos: 0 };
        let header = Header::data("prelude.0001.bson", "prelude", bytes.len() as u64, time);
        outlet.member(header, Bytes::from(bytes)).await?;
        let consistency = Consistency { kind: ConsistencyKind::Fuzzy, coordinates: BTreeMap::new() };
        Ok(Summary { consistency, missing: Vec::new(), notes: Vec::new(), counts: BTreeMap::new() })
    });
    handed.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_newer_server() {
    let server = Mongod::start(How::default());
    let attempt = async |version: &'static str| {
        let dump = empty_archive(version).await;
        restore(&dump, plan(&server.url(None)), Request::default()).await
    };
    for newer in ["6.1.0", "7.0.2", "10.0.0-rc1"] {
        let expected =
            format!("the archive is of MongoDB {newer}, the target is 6.0.5: restore into {newer} or newer");
        assert_eq!(attempt(newer).await.unwrap_err().to_string(), expected);
    }
    for older in ["4.4.29", "6.0.0", "6.0.99"] {
        attempt(older).await.unwrap();
    }
}
