//! The PostgreSQL source against real servers of versions 15 and 18.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod catalog;
mod consistency;
mod encodings;
mod faults;
mod gate;
mod idle;
mod locks;
mod owners;
mod pooler;
mod program;
mod replace;
mod restore;
mod selection;
mod session;
mod settings;
mod standby;
mod states;
mod swap;
mod tls;
mod unusual;
mod versions;

use support::postgres::compare;
