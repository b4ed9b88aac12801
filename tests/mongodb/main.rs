//! MongoDB against real servers.
#![allow(clippy::print_stdout, clippy::err_expect, reason = "a bench prints; refusals are what is wanted")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod bench;
mod capped;
mod consistency;
mod definitions;
mod faults;
mod members;
mod mongos;
mod refusals;
mod replay;
mod round_trip;
mod secure;
