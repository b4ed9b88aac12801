//! The ring that needs no server: packages, files, the local store, the command line, crashes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../contract/stores.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;

mod crashes;
mod local_store;
mod package_round_trip;
mod store_faults;
