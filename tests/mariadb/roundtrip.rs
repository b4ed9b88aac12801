//! Everything there and back: through stock tools, and through our own restore.

use chupacabra::sources::Request;
use chupacabra::sources::mariadb::Config;
use tokio_util::sync::CancellationToken;

use crate::dumped::{Dumped, config, dump, source};
use crate::facts::{assert_same, facts};
use crate::support::mariadb::{MariaDb, feed};

/// The databases of `schema.sql`.
const DATABASES: [&str; 4] = ["shop", "latin", "odd `name.1/%", "empty"];

async fn everything(server: &MariaDb) -> Dumped {
    server.sql(include_str!("schema.sql"));
    dump(Config { system: true, ..config(server) }).await.unwrap()
}

fn keep(script: &[u8]) {
    if let Some(path) = std::env::var_os("CHUPACABRA_KEEP_SCRIPT") {
        std::fs::write(path, script).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_client_restores_everything() {
    let source = MariaDb::start(&[]);
    let dumped = everything(&source).await;
    let target = MariaDb::start(&[]);
    let script = dumped.script(&[]);
    keep(&script);
    feed(&mut target.client(&[]), &script);
    assert_same(&facts(&source, &DATABASES, true), &facts(&target, &DATABASES, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_restore_restores_everything() {
    let from = MariaDb::start(&[]);
    let dumped = everything(&from).await;
    let target = MariaDb::start(&[]);
    let restored = source(config(&target))
        .restore(&dumped.package, &Request::default(), &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(restored.counts["table"], dumped.summary.counts["tables"]);
    assert_same(&facts(&from, &DATABASES, true), &facts(&target, &DATABASES, true));
}
