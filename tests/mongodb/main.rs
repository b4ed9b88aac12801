//! MongoDB against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod consistency;
mod faults;
mod refusals;
mod round_trip;
