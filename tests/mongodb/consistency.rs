//! A dump while others write.

use std::time::Duration;

use chupacabra::sources::{ConsistencyKind, Request};

use crate::support::mongodb::{How, Mongod, differences, dump, plan, plan_with, python, restore};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

/// Everything that an oplog can have happens while the dump is held half way through the collections; then the source rests, so that what was
/// restored can be compared with it as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn one_point_in_time_under_load() {
    let source = Mongod::start(How {
        set: Some("rs0"),
        args: vec!["--setParameter".into(), "enableTestCommands=1".into()],
        ..How::default()
    });
    source.python("import mongodb_writer; mongodb_writer.fill(direct)");
    let proxy = Proxy::start(source.port());
    proxy.hold_after(30 << 20);
    let mut writer = source.beside(
        "import mongodb_writer as w\n\
         held, commit = w.prepared(direct)\n\
         print('begun')\n\
         input()\n\
         w.move(direct, 300)\n\
         commit()\n\
         w.churn(direct)\n\
         w.move(direct, 1500, 300)\n\
         print('done')\n",
    );
    assert_eq!(writer.line(), "begun");
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port);
    // One collection after the other: side by side both accounts of a pair would be read at about the same time.
    let dumping = tokio::spawn(dump(plan_with(&url, "parallel: 1")));
    let (proxy, writer, line) = tokio::task::spawn_blocking(move || {
        wait_until(Duration::from_secs(60), || proxy.has_held(), || "the dump does not read".into());
        writer.go();
        let line = writer.line();
        (proxy, writer, line)
    })
    .await
    .unwrap();
    assert_eq!(line, "done");
    proxy.release();
    let dump = dumping.await.unwrap().unwrap();
    writer.finish();
    assert_eq!(dump.summary.consistency.kind, ConsistencyKind::Snapshot);
    dump.read_back();

    let archive = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(archive.path(), dump.archive()).unwrap();
    let without = python(&format!(
        "import mongodb_writer; print(mongodb_writer.broken_in_archive('{}'))",
        archive.path().display()
    ));
    assert_ne!(without.trim(), "0", "without the oplog there are broken pairs, or this test proves nothing");

    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    let restored = restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    assert!(restored.counts["oplog_operations"] > 3_000, "{restored:?}");
    assert_eq!(target.python("import mongodb_writer; print(mongodb_writer.broken(direct))").trim(), "0");
    let databases = ", ('bank', 'fresh', 'brief'), False";
    assert_eq!(differences(&source, &target, databases), Vec::<String>::new());
}
