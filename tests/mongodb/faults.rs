//! What must end a dump: no part of a package is handed over as a whole.

use std::time::Duration;

use chupacabra::sources::Request;
use chupacabra::sources::mongodb::Error;

use crate::support::mongodb::{Dump, How, Mongod, dump, plan, plan_with, restore};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

/// Dumps through a proxy that holds the dump half way while `fault` happens.
async fn dump_with(set: Option<&'static str>, fault: fn(&Mongod, &Proxy)) -> Result<Dump, Error> {
    dump_from(How { set, ..How::default() }, fault).await
}

async fn dump_from(how: How, fault: fn(&Mongod, &Proxy)) -> Result<Dump, Error> {
    let source = Mongod::start(how);
    source.python("direct.shop.a.insert_many([{'_id': n, 'pad': 'p' * 10000} for n in range(3000)])");
    let proxy = Proxy::start(source.port());
    proxy.hold_after(6 << 20);
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port);
    let dumping = tokio::spawn(dump(plan_with(&url, "parallel: 1")));
    let server = tokio::task::spawn_blocking(move || {
        wait_until(Duration::from_secs(60), || proxy.has_held(), || "the dump does not read".into());
        fault(&source, &proxy);
        proxy.release();
        source
    })
    .await
    .unwrap();
    let result = dumping.await.unwrap();
    drop(server);
    result
}

fn said(result: Result<Dump, Error>) -> String {
    result.err().expect("the dump fails").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_fault_it_is_whole() {
    let dump = dump_with(Some("rs0"), |_, _| ()).await.unwrap();
    assert_eq!(dump.read_back()["namespaces"]["shop.a"]["documents"], 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_killed() {
    let error = said(
        dump_with(Some("rs0"), |server, _| {
            server.python(
                "found = [op['cursor']['cursorId'] for op in direct.admin.aggregate([{'$currentOp': {'idleCursors': True}}]) \
                 if op.get('ns') == 'shop.a' and op.get('cursor')]\n\
                 assert found\n\
                 print(direct.shop.command('killCursors', 'a', cursors=found))",
            );
        })
        .await,
    );
    assert!(error.starts_with("read `shop.a`: the server ended the cursor (43): cursor id"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn collection_dropped() {
    let drop_it = |server: &Mongod, _: &Proxy| drop(server.python("direct.shop.a.drop()"));
    // Nothing would say that it is gone.
    let error = said(dump_with(None, drop_it).await);
    assert!(error.starts_with("read `shop.a`: the server ended the cursor (175)"), "{error}");
    let dump = dump_with(Some("rs0"), drop_it).await.unwrap();
    assert!(dump.object("shop.a").fingerprint.rows < 3_000, "the slice drops what was read of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn collection_renamed() {
    let rename = |server: &Mongod, _: &Proxy| {
        drop(server.python("direct.shop.b.insert_one({}); direct.shop.b.rename('c')"));
    };
    // Born within the slice: it is replayed.
    dump_with(Some("rs0"), rename).await.unwrap();
    let rename = |server: &Mongod, _: &Proxy| drop(server.python("direct.shop.a.rename('b')"));
    let error = said(dump_with(Some("rs0"), rename).await);
    assert!(
        error.starts_with("read `shop.a`: the server ended the cursor (175)")
            || error.starts_with("`shop.a` was renamed to `shop.b` during the dump"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_cut() {
    let error = said(dump_with(Some("rs0"), |_, proxy| proxy.cut_after(1 << 20)).await);
    assert!(error.starts_with("read `shop.a`: the connection broke: "), "{error}");
    let error = said(dump_with(None, |_, proxy| proxy.cut_after(1 << 20)).await);
    assert!(error.starts_with("read `shop.a`: the connection broke: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn primary_stepped_down() {
    let step_down = |server: &Mongod, _: &Proxy| {
        drop(server.python("direct.admin.command('replSetStepDown', 60, force=True)"));
    };
    let error = said(dump_with(Some("rs0"), step_down).await);
    assert!(error.contains("stepped down while it was read (primary by election "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_killed() {
    let kill = |server: &Mongod, _: &Proxy| server.kill();
    let error = said(dump_with(Some("rs0"), kill).await);
    assert!(error.starts_with("read `shop.a`: the connection broke: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oplog_rolled_over() {
    let write = |server: &Mongod, _: &Proxy| {
        drop(server.python(
            "first = lambda: direct.local['oplog.rs'].find().sort('$natural', 1).limit(1)[0]['ts']\n\
             begun = direct.admin.command('hello')['lastWrite']['opTime']['ts']\n\
             while first() <= begun:\n\
            \x20   direct.shop.other.insert_many([{'pad': 'p' * 100000} for _ in range(50)])\n\
            \x20   direct.shop.other.delete_many({})\n",
        ));
    };
    let how = How { set: Some("rs0"), oplog: 1, ..How::default() };
    let error = said(dump_from(how, write).await);
    assert!(
        error.starts_with("the oplog no longer reaches back to ") && error.contains("replSetResizeOplog"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn target_lost_while_it_is_restored() {
    let source = Mongod::start(How::default());
    source.python("direct.shop.a.insert_many([{'_id': n, 'pad': 'p' * 10000} for n in range(3000)])");
    let dump = dump(plan(&source.url(None))).await.unwrap();
    let target = Mongod::start(How::default());
    let proxy = Proxy::start(target.port());
    proxy.cut_after_sent(12 << 20);
    let url = format!("mongodb://127.0.0.1:{}/", proxy.port);
    let error = restore(&dump, plan(&url), Request::default()).await.unwrap_err().to_string();
    assert!(proxy.was_cut());
    assert!(error.starts_with("insert into `shop.a`: the connection broke: "), "{error}");
}
