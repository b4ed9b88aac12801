//! The MariaDB source against real servers and the stock clients.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod accepted;
mod charsets;
mod consistency;
mod definitions;
mod elsewhere;
mod faults;
mod grants;
mod history;
mod losses;
mod memory;
mod restoring;
mod roundtrip;
mod shared;
mod types;
mod views;

use support::mariadb::{dumped, facts};
