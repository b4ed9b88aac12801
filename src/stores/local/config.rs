//! The configuration of a local store.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::Context;

/// A local store as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory. It is created if it is missing; its parent must exist.
    pub path: PathBuf,
}

/// A local store as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The directory, absolute.
    pub path: PathBuf,
}

impl Config {
    /// Refuses a path that cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        if !self.path.is_absolute() {
            let what = format!("`{}` is not an absolute path", self.path.display());
            context.problem("path", what, "write the whole path, beginning with `/`");
            return None;
        }
        Some(Plan { path: self.path })
    }
}
