//! One source and one target server for all tests that need no server of their own; each test has its own database.

use std::sync::OnceLock;

use chupacabra::sources::Request;
use tokio_util::sync::CancellationToken;

use crate::dumped::{Dumped, config, source};
use crate::facts::{assert_same, facts};
use crate::support::mariadb::{MariaDb, feed};

/// The server that is dumped.
pub fn source_server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| MariaDb::start(&[]))
}

/// The server that is restored to.
pub fn target_server() -> &'static MariaDb {
    static SERVER: OnceLock<MariaDb> = OnceLock::new();
    SERVER.get_or_init(|| MariaDb::start(&[]))
}

/// Restores with the stock client and then with our own restore, and compares all facts both times.
pub async fn both_ways(from: &MariaDb, dumped: &Dumped, databases: &[&str]) {
    let target = target_server();
    let expected = facts(from, databases, false);
    feed(&mut target.client(&["--max-allowed-packet=1G"]), &dumped.script(&[]));
    assert_same(&expected, &facts(target, databases, false));
    let request = Request { replace: true, ..Request::default() };
    source(config(target)).restore(&dumped.package, &request, &CancellationToken::new()).await.unwrap();
    assert_same(&expected, &facts(target, databases, false));
}
