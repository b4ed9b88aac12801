//! Retention: which packages are kept, and why. Pure.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// How long packages are kept, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Keep everything this much older than the newest good package. Default: 30d.
    pub keep_within: Option<Span>,
    /// Never keep fewer than this many good packages. Default: 3.
    pub keep_last: Option<u32>,
    /// Keep the newest package of each of this many hours. Default: 0.
    pub hourly: Option<u32>,
    /// Keep the newest package of each of this many days. Default: 0.
    pub daily: Option<u32>,
    /// Keep the newest package of each of this many ISO weeks. Default: 0.
    pub weekly: Option<u32>,
    /// Keep the newest package of each of this many months. Default: 0.
    pub monthly: Option<u32>,
    /// Keep the newest package of each of this many years. Default: 0.
    pub yearly: Option<u32>,
}

/// How long packages are kept, as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {}
