//! The archive, read back through stock tools by an independent reader.

use crate::support::mongodb::{Dump, How, Mongod, dump, plan_with, read_archive};

const SEED: &str = "
for i in range(4):
    direct.shop['c%d' % i].insert_many([{'_id': k, 'text': 'x' * 500} for k in range(6000 * (i + 1))])
direct.shop.create_collection('empty')
direct.shop.command('create', 'view', viewOn='c0', pipeline=[])
direct.shop.create_collection('series', timeseries={'timeField': 't'})
direct.shop.series.insert_one({'t': datetime.datetime(2020, 1, 1), 'v': 1})
direct.other['odd/name%with.dots'].insert_one({'a': 1})
";

async fn dumped(server: &Mongod) -> Dump {
    let plan = plan_with(&server.url(None), "split_above: 1MiB\nparallel: 3");
    dump(plan).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_reader_accepts_it() {
    let server = Mongod::start(How { set: Some("rs0"), ..How::default() });
    server.python(SEED);
    let dump = dumped(&server).await;
    let read = dump.read_back();
    assert_eq!(read["header"]["concurrent_collections"], 3);
    assert_eq!(read["header"]["server_version"], "6.0.5");
    // Every namespace is in the prelude, and has as many documents as the index says.
    let mut namespaces: Vec<&str> =
        read["namespaces"].as_object().unwrap().keys().map(String::as_str).collect();
    namespaces.sort_unstable();
    let expected = [
        ".oplog",
        "admin.system.version",
        "other.odd/name%with.dots",
        "shop.c0",
        "shop.c1",
        "shop.c2",
        "shop.c3",
        "shop.empty",
        "shop.system.buckets.series",
        "shop.view",
    ];
    assert_eq!(namespaces, expected);
    for (name, documents) in [("c0", 6_000), ("c1", 12_000), ("c2", 18_000), ("c3", 24_000), ("empty", 0)] {
        let found = &read["namespaces"][format!("shop.{name}")];
        assert_eq!(found["documents"], documents, "{name}");
        let object = dump.object(&format!("shop.{name}"));
        assert_eq!((object.fingerprint.rows, &found["bytes"]), (documents, &object.fingerprint.bytes.into()));
    }
    assert!(
        read["most_open"].as_u64().unwrap() > 1,
        "collections are read side by side: {}",
        read["most_open"]
    );
    assert_eq!(dump.object("shop.view").kind, "view");
    assert_eq!(dump.object("shop.series").kind, "timeseries");
    assert_eq!(dump.summary.counts["documents"], 60_003);
    assert_eq!(dump.summary.counts["views"], 1);
    let coordinates = &dump.summary.consistency.coordinates;
    assert_eq!(coordinates["replica_set"], "rs0");
    assert!(coordinates["oplog_start"] <= coordinates["cluster_time"], "{coordinates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_independent_reader_refuses_damage() {
    let server = Mongod::start(How { set: Some("rs0"), ..How::default() });
    server.python("direct.shop.a.insert_many([{'_id': k, 'text': 'needle %d' % k} for k in range(100)])");
    let archive = dumped(&server).await.archive();
    read_archive(&archive).unwrap();
    let needle = archive.windows(9).position(|bytes| bytes == b"needle 42").unwrap();
    let mut flipped = archive.clone();
    flipped[needle] ^= 1;
    let wrong = read_archive(&flipped).unwrap_err();
    assert!(wrong.contains("shop.a has CRC"), "{wrong}");
    for cut in [2, 40, needle, archive.len() - 5] {
        assert!(read_archive(&archive[..cut]).is_err(), "cut at {cut}");
    }
}
