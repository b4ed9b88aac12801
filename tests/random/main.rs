//! Random databases against the stock tools: what the rings of each database arrange by hand, put together by chance.
//!
//! Everything follows from a seed. `CHUPACABRA_SEEDS=100..130` runs others than the few that run otherwise, and
//! `CHUPACABRA_KEEP=DIR` keeps what was said to the servers, what they refused, and both sides of what differs.
//! A generator says whatever it likes; what the server refuses is left out, and what it took is counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod chance;
mod counts;
mod mariadb;
mod postgres;
mod words;

/// Keeps bytes for whoever looks into a failure, if a directory is given for that.
fn keep(name: &str, bytes: &[u8]) {
    if let Some(dir) = std::env::var_os("CHUPACABRA_KEEP") {
        std::fs::write(std::path::Path::new(&dir).join(name), bytes).unwrap();
    }
}
