//! The local store: a directory, for example on a mounted volume.

pub mod config;

pub use config::{Config, Plan};
