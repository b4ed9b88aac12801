//! Integration tests: everything that needs no server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod files_changing;
mod files_faults;
mod files_hostile;
mod files_options;
mod files_round_trip;
mod files_support;
mod package_round_trip;
