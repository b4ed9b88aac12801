//! Redis and Valkey: dumps as RDB files, and restores into running servers, against the real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod places;
mod processes;
mod restores;
mod round_trips;
mod site;
mod targets;
mod versions;
