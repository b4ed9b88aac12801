//! ChupaCabra: a backup agent for databases and volumes.

pub mod backup;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exit;
mod gather;
pub mod mesh;
pub mod notify;
pub mod package;
pub mod progress;
pub mod prune;
pub mod report;
pub mod restore;
pub mod retention;
pub mod shard;
pub mod shutdown;
pub mod sources;
pub mod stores;
pub mod telemetry;
pub mod verify;
