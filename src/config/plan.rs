//! The configuration as meant: defaults filled in, names resolved, contradictions refused.

use std::collections::BTreeMap;

use super::context::{Context, Problem};
use super::secret::Secret;
use super::{Config, Require};
use crate::catalog::SourceName;
use crate::package::age::Recipient;
use crate::retention::Policy;
use crate::{package, sources, stores};

/// A configuration that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How packages are written.
    pub package: package::Settings,
    /// The private key, if the configuration names one.
    pub identity: Option<Secret>,
    /// The stores by name.
    pub stores: BTreeMap<String, StorePlan>,
    /// The sources by name.
    pub sources: BTreeMap<SourceName, SourcePlan>,
}

/// A store as meant.
#[derive(Debug, Clone)]
pub struct StorePlan {
    /// Its kind and settings.
    pub kind: stores::Kind,
}

/// A source as meant.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// The source.
    pub source: sources::Source,
    /// The stores its packages go to, with how long they are kept there. Not empty.
    pub stores: Vec<(String, Policy)>,
    /// What one store's failure means.
    pub require: Require,
}

impl Config {
    /// Turns a configuration as written into a plan, or tells everything that is wrong with it.
    pub fn plan(self) -> Result<Plan, Vec<Problem>> {
        let _ = Context::default();
        let _: Vec<Recipient> = Vec::new();
        todo!()
    }
}
