//! S3: the contract of stores over real servers, faults, and what only S3 has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the counts of faults are part of the proof")]

#[path = "../contract/stores.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;

mod ambient;
mod buckets;
mod faults;
mod legacy;
mod limits;
mod memory;
mod program;
mod protection;
mod proxies;
mod rclone;
mod schedules;
mod seaweedfs;
mod servers;
