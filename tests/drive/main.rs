//! Google Drive: the contract of stores over the API's fake, its faults, the doctor, and the proof that it is faithful.
#![allow(
    clippy::print_stdout,
    clippy::case_sensitive_file_extension_comparisons,
    reason = "what was injected is printed; our own names are lowercase"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../contract/stores.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;

mod doctor;
mod drives;
mod faithful;
mod faults;
mod programs;
mod promises;
mod proxies;
mod schedules;
