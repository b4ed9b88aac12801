//! What the verbs share: where the configuration is, the clock, the screen, the signals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Problem;
use crate::catalog::{Key, SourceName};
use crate::clock::Clock;
use crate::config::suggest::{nearest, one_of};
use crate::config::{self, Plan};
use crate::package::age::Identity;
use crate::progress::Progress;
use crate::shutdown::Shutdown;
use crate::stores::Named;
use crate::stores::limit::limited;
use crate::telemetry::{Bar, Screen};

/// One call of the program.
#[derive(Debug)]
pub struct Session {
    config: Option<PathBuf>,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
    pub(super) screen: Screen,
    pub(super) progress: Arc<Progress>,
}

impl Session {
    pub(super) fn new(config: Option<PathBuf>, clock: Clock, shutdown: Shutdown, screen: Screen) -> Self {
        Self { config, clock, shutdown, screen, progress: Arc::default() }
    }

    /// Does the work unless the process is told to stop meanwhile.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let stop = self.shutdown.token();
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Shows a progress bar until the guard is dropped, where there is a terminal.
    pub(super) fn bar(&self) -> Bar {
        Bar::show(&self.screen, Arc::clone(&self.progress))
    }

    /// Where the configuration is.
    pub(super) fn config_path(&self) -> Result<PathBuf, config::Error> {
        config::find(self.config.as_deref())
    }

    /// The configuration as meant.
    pub(super) fn plan(&self) -> Result<Plan, config::Error> {
        config::load(&self.config_path()?)
    }
}

/// A source, and the one package that is meant if the text is a key.
pub(super) fn source_or_package(text: &str) -> Result<(SourceName, Option<Key>), Problem> {
    if let Ok(key) = text.parse::<Key>() {
        return Ok((key.source().clone(), Some(key)));
    }
    let source = text.parse::<SourceName>().map_err(|error| {
        Problem::usage(error.to_string(), "name a source, or a package's key as `list --json` prints it")
    })?;
    Ok((source, None))
}

/// Connects the stores of a plan: all, or only the one that is named.
pub(super) async fn connect(plan: &Plan, only: Option<&str>) -> anyhow::Result<BTreeMap<String, Named>> {
    if let Some(name) = only.filter(|name| !plan.stores.contains_key(*name)) {
        return Err(unknown("store", name, plan.stores.keys().map(String::as_str)).into());
    }
    let mut connected = BTreeMap::new();
    for (name, store) in plan.stores.iter().filter(|(name, _)| only.is_none_or(|only| only == *name)) {
        let problem =
            || Problem::failed(format!("the store `{name}` cannot be used"), "run `chupacabra check`");
        let limits = store.limits;
        let store = store.kind.connect().await.map_err(|error| problem().because(error))?;
        let store = limited(store, limits);
        connected.insert(name.clone(), Named { name: name.clone(), store });
    }
    Ok(connected)
}

/// The sources that are named, or all of them; a name that is not configured is a problem.
pub(super) fn sources(plan: &Plan, named: &[String]) -> Result<Vec<SourceName>, Problem> {
    if named.is_empty() {
        return Ok(plan.sources.keys().cloned().collect());
    }
    let known = |name: &String| {
        let found = plan.sources.keys().find(|source| source.as_str() == name).cloned();
        found.ok_or_else(|| unknown("source", name, plan.sources.keys().map(SourceName::as_str)))
    };
    named.iter().map(known).collect()
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Problem {
    let help = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the configuration has {}", one_of(known)),
    };
    Problem::usage(format!("there is no {what} `{name}` in the configuration"), help)
}

/// The keys that open packages: from the file given, else from the configuration. May be none.
pub(super) fn identities(plan: &Plan, file: Option<&Path>) -> Result<Vec<Identity>, Problem> {
    let parse = |text: &str, place: String| {
        let help = "give the file that `chupacabra keygen` or `age-keygen` wrote, or an ssh private key without \
                    passphrase";
        Identity::parse_file(text).map_err(|error| {
            Problem::usage(format!("{place} holds no usable private key"), help).because(error)
        })
    };
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let what = format!("cannot read the identity file `{}`", path.display());
            Problem::usage(what, "check the path and that you may read the file").because(error)
        })?;
        return parse(&text, format!("`{}`", path.display()));
    }
    let mut identities = match &plan.identity {
        Some(secret) => parse(secret.expose(), "`encryption.identity`".to_owned())?,
        None => Vec::new(),
    };
    // Both: packages from before the passphrase, or from after it, are there too.
    identities.extend(plan.passphrase.iter().map(|passphrase| Identity::passphrase(passphrase.expose())));
    Ok(identities)
}

/// As [`identities`], for verbs that cannot do without.
pub(super) fn required_identities(plan: &Plan, file: Option<&Path>) -> Result<Vec<Identity>, Problem> {
    let identities = identities(plan, file)?;
    if identities.is_empty() {
        let help = "give the private key with `--identity FILE`, or name it in the configuration as `encryption.identity`";
        return Err(Problem::usage("no private key is given: packages cannot be opened", help));
    }
    Ok(identities)
}
