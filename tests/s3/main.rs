//! S3: the contract of stores over real servers, faults, and what only S3 has.
#[path = "../contract/stores.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod support;
