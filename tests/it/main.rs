//! The ring that needs no server: packages, files, the local store, the command line, crashes.
#![allow(
    unreachable_pub,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::default_trait_access,
    clippy::format_collect,
    clippy::needless_pass_by_value,
    clippy::unused_async,
    clippy::useless_vec,
    clippy::type_complexity,
    clippy::manual_is_multiple_of,
    reason = "test code: sizes are small and known, and what was injected is printed"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../contract/stores.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;

mod cli_cases;
mod cli_flow;
mod cli_logs;
mod crashes;
mod files_changing;
mod files_faults;
mod files_hostile;
mod files_options;
mod files_round_trip;
mod files_support;
mod files_unprivileged;
mod local_store;
mod notes;
mod package_damage;
mod package_round_trip;
mod package_stock_tools;
mod package_vectors;
mod silence;
mod store_faults;
mod unprivileged;
