//! Everything that a server can have, through a package and back over the wire.

use chupacabra::sources::Request;

use crate::support::mongodb::{How, Mongod, differences, dump, plan, plan_with, restore};

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
