//! Everything that a server can have, through a package and back over the wire.

use std::time::Duration;

use chupacabra::sources::{ConsistencyKind, Request};

use crate::support::mongodb::{How, Mongod, differences, dump, plan, plan_with, python, restore};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

#[tokio::test(flavor = "multi_thread")]
async fn replica_set() {
    let source = Mongod::start(How { set: Some("rs0"), ..How::default() });
    source.python("import mongodb_seed; mongodb_seed.seed(direct)");
    let dump = dump(plan_with(&source.url(None), "split_above: 512KiB")).await.unwrap();
    let read = dump.read_back();
    // `_id`s of all types, in ranges, each document once.
    assert_eq!(read["namespaces"]["zoo.ids"]["documents"], 19_005);
    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    let restored = restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    assert_eq!(differences(&source, &target, ""), Vec::<String>::new());
    assert_eq!(restored.counts["users"], 3, "{restored:?}");
    // The comparison above can fail.
    target.python("direct.zoo.types.update_one({'_id': 0}, {'$set': {'v': 1.25}})");
    assert!(differences(&source, &target, "").iter().any(|line| line.starts_with("zoo.types: sha256")));
}

#[tokio::test(flavor = "multi_thread")]
async fn standalone_is_fuzzy_and_says_so() {
    let source = Mongod::start(How::default());
    source.python("import mongodb_seed; mongodb_seed.options(direct.zoo); mongodb_seed.users(direct)");
    let dump = dump(plan(&source.url(None))).await.unwrap();
    assert_eq!(dump.summary.consistency.kind, ConsistencyKind::Fuzzy);
    assert_eq!(
        dump.summary.notes,
        ["standalone server without an oplog: collections were read one after the other"]
    );
    assert!(dump.read_back()["namespaces"].get(".oplog").is_none());
    let target = Mongod::start(How::default());
    let restored = restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    assert!(restored.compared.ends_with(" collections by fingerprint"), "{}", restored.compared);
    assert_eq!(differences(&source, &target, ", ('zoo',)"), Vec::<String>::new());

    // Another name, one collection, nothing at all: into the same server.
    let named = Request { switches: vec!["rename=zoo:park".into()], ..Request::default() };
    restore(&dump, plan(&target.url(None)), named).await.unwrap();
    let same = "import mongodb_seed as s; print(s.differences(*[{k.removeprefix(n): v for k, v in s.facts(direct, (n,), False).items() if not k.startswith('dbHash')} for n in ('zoo', 'park')]))";
    assert_eq!(target.python(same).trim(), "[]");

    let only = Request { only: vec!["zoo.capped".into()], ..Request::default() };
    let refused = restore(&dump, plan(&target.url(None)), only.clone()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the target is not empty, it has `zoo.capped`: choose an empty one, or replace it (--replace)"
    );
    target.python("direct.zoo.capped.insert_one({'_id': 'new'}); direct.zoo.validated.insert_one({'_id': 'new', 'name': 1, 'n': 7})");
    let trial = Request { dry_run: true, ..only.clone() };
    let trial = restore(&dump, plan(&target.url(None)), trial).await.unwrap();
    assert_eq!(trial.notes, ["`zoo.capped` is in the way"]);
    let replaced = Request { replace: true, ..only };
    let restored = restore(&dump, plan(&target.url(None)), replaced).await.unwrap();
    assert_eq!((restored.counts["documents"], restored.counts["collections"]), (500, 1));
    let differ = differences(&source, &target, ", ('zoo',)");
    assert!(
        differ.iter().all(|line| line.contains("validated")),
        "only what was not replaced differs: {differ:?}"
    );
    assert_eq!(differ.len(), 3, "{differ:?}");
    let all = Request { replace: true, ..Request::default() };
    restore(&dump, plan(&target.url(None)), all).await.unwrap();
    assert_eq!(differences(&source, &target, ", ('zoo',)"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_log_in_after_a_restore() {
    let source = Mongod::start(How { auth: true, set: Some("rs0"), ..How::default() });
    source.root(
        "root.shop.a.insert_one({'_id': 1})\n\
         root.admin.command('createUser', 'backup', pwd='b', roles=['backup'])\n\
         root.admin.command('createUser', 'alice', pwd='alices', roles=[{'role': 'read', 'db': 'shop'}])\n\
         root.admin.command('createUser', 'shared', pwd='old', roles=[])",
    );
    // The built-in role `backup` is enough.
    let dump = dump(plan(&source.url(Some("backup:b")))).await.unwrap();
    let target = Mongod::start(How { auth: true, set: Some("rs1"), ..How::default() });
    target.root("root.admin.command('createUser', 'shared', pwd='new', roles=[])");
    let restored = restore(&dump, plan(&target.url(Some("root:root"))), Request::default()).await.unwrap();
    assert_eq!(
        restored.notes.last().unwrap(),
        "these users exist with other content and were left as they are: admin.root, admin.shared"
    );
    let alice = |password: &str| format!("mongodb://alice:{password}@127.0.0.1:{}/", target.port());
    let read = format!("print(MongoClient('{}').shop.a.find_one())", alice("alices"));
    assert_eq!(python(&read).trim(), "{'_id': 1}");
    let shared = |password: &str| {
        let url = format!("mongodb://shared:{password}@127.0.0.1:{}/", target.port());
        let script = format!(
            "try: MongoClient('{url}').admin.command('connectionStatus'); print('in')\nexcept Exception as e: print('out')"
        );
        python(&script).trim().to_owned()
    };
    assert_eq!((shared("new"), shared("old")), ("in".into(), "out".into()), "the target's own was kept");
    let replace = Request { replace: true, ..Request::default() };
    let restored = restore(&dump, plan(&target.url(Some("root:root"))), replace).await.unwrap();
    assert_eq!(restored.notes.last().unwrap(), "the user who restores was left as it is: admin.root");
    assert_eq!((shared("new"), shared("old")), ("out".into(), "in".into()), "the archive's has replaced it");
    assert_eq!(python(&read).trim(), "{'_id': 1}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_takes_its_part_of_the_oplog() {
    let source = Mongod::start(How { set: Some("rs0"), ..How::default() });
    source
        .python("import mongodb_writer; mongodb_writer.fill(direct); direct.other.a.insert_one({'_id': 1})");
    let proxy = Proxy::start(source.port());
    proxy.hold_after(8 << 20);
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port);
    let lines = "databases: [bank]\nexclude: [bank.left]\nparallel: 1";
    let dumping = tokio::spawn(dump(plan_with(&url, lines)));
    let (proxy, source) = tokio::task::spawn_blocking(move || {
        wait_until(Duration::from_secs(60), || proxy.has_held(), || "the dump does not read".into());
        source.python(
            "import mongodb_writer; mongodb_writer.move(direct, 200)\ndirect.other.a.insert_one({'_id': 2})\n\
             direct.bank.command('create', 'seen', viewOn='right', pipeline=[])",
        );
        (proxy, source)
    })
    .await
    .unwrap();
    proxy.release();
    let dump = dumping.await.unwrap().unwrap();
    let archive = dump.archive();
    let has = |text: &str| archive.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(has("bank.right") && !has("bank.left") && !has("other.a"), "of transactions too, only the part");
    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    let differ = differences(&source, &target, ", ('bank',), False");
    let expected = |line: &String| line.starts_with("bank.left") || line.starts_with("dbHash bank: left");
    assert!(differ.iter().all(expected) && !differ.is_empty(), "{differ:?}");
}
