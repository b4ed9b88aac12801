//! What a restore is asked for, and into which server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::only::Only;
use crate::config::secret::SecretRef;
use crate::sources::Request;
use crate::sources::redis::config::{Address, Prefer, Tls};
use crate::sources::redis::connect::{Endpoint, locate};
use crate::sources::redis::{Error, Plan};

/// A restore as meant.
#[allow(clippy::struct_excessive_bools, reason = "each is something that the user may ask for or not")]
pub(super) struct Order {
    pub(super) endpoint: Endpoint,
    pub(super) connections: usize,
    pub(super) replace: bool,
    pub(super) dry_run: bool,
    /// Play the master instead of restoring key by key.
    pub(super) replication: bool,
    /// The address under which the target reaches us, if it is not the one that reaches the target.
    pub(super) listen: Option<String>,
    /// Restore ACL users that were saved.
    pub(super) acl: bool,
    /// Set while the target follows us.
    pub(super) following: AtomicBool,
    databases: BTreeMap<u64, u64>,
    pub(super) only: Option<Only>,
}

impl Order {
    /// Reads the request.
    pub(super) async fn of(plan: &Plan, request: &Request) -> Result<Self, Error> {
        let mut plan = plan.clone();
        if let Some(url) = &request.into {
            into(&mut plan, url)?;
        }
        if let Some(sentinel) = &mut plan.sentinel {
            sentinel.prefer = Prefer::Master;
        }
        let (mut replication, mut listen, mut acl, mut databases) = (false, None, false, BTreeMap::new());
        for switch in &request.switches {
            match switch.split_once('=').unwrap_or((switch, "")) {
                ("via", "replication") => replication = true,
                ("via", "restore") => replication = false,
                ("listen", address) if !address.is_empty() => listen = Some(address.to_owned()),
                ("acl", "") => acl = true,
                ("db", pair) => {
                    let (from, to) = remap(pair)?;
                    if databases.insert(from, to).is_some() {
                        return Err(Error::Request(format!(
                            "database {from} has one place to go to: give `db={from}:…` once"
                        )));
                    }
                }
                ("password-env", name) => password(&mut plan, Some(name.to_owned()), None)?,
                ("password-file", path) => password(&mut plan, None, Some(path.into()))?,
                ("ca-file", path) => plan.tls.get_or_insert_default().ca_file = Some(path.into()),
                _ => return Err(unknown(switch)),
            }
        }
        if plan.address.is_none() && plan.sentinel.is_none() {
            let what = "say where to: `--into redis://host:6379`, without a password";
            return Err(Error::Request(what.to_owned()));
        }
        if replication && (!request.only.is_empty() || !databases.is_empty()) {
            let what = "`via=replication` restores everything as it was: leave out `--only` and `db=…`";
            return Err(Error::Request(what.to_owned()));
        }
        if replication && plan.tls.is_some() {
            let what = "by `via=replication` the target takes the data from us over a plain connection, and it is reached by \
                        TLS: one with `tls-replication` would not speak to us, any other would be sent everything for \
                        whoever listens to read; leave `via=replication` out, or name a plain port with `--into redis://…`";
            return Err(Error::Request(what.to_owned()));
        }
        Ok(Self {
            endpoint: locate(&plan).await?,
            connections: plan.connections,
            replace: request.replace,
            dry_run: request.dry_run,
            replication,
            listen,
            acl,
            following: AtomicBool::new(false),
            databases,
            only: Only::of(&request.only)?,
        })
    }

    /// The database that the keys of `database` go to.
    pub(super) fn database(&self, database: u64) -> u64 {
        self.databases.get(&database).copied().unwrap_or(database)
    }

    /// The first database that is to go elsewhere and is none of these.
    pub(super) fn stray(&self, databases: &BTreeSet<u64>) -> Option<u64> {
        self.databases.keys().copied().find(|from| !databases.contains(from))
    }

    /// Whether a key is asked for.
    pub(super) fn wants(&self, key: &[u8]) -> bool {
        self.only.as_ref().is_none_or(|only| only.wants(key))
    }

    /// Whether everything is asked for.
    pub(super) fn is_whole(&self) -> bool {
        self.only.is_none()
    }
}

fn unknown(switch: &str) -> Error {
    Error::Request(format!(
        "there is no switch `{switch}`; known are `via=replication`, `listen=HOST:PORT`, `db=FROM:TO`, `acl`, \
         `password-env=NAME`, `password-file=PATH` and `ca-file=PATH`"
    ))
}

fn remap(pair: &str) -> Result<(u64, u64), Error> {
    let numbers = pair.split_once(':').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    numbers.ok_or_else(|| Error::Request(format!("`db={pair}` is no pair of databases; write `db=0:5`")))
}

fn password(plan: &mut Plan, env: Option<String>, file: Option<PathBuf>) -> Result<(), Error> {
    let secret = SecretRef { env, file }.resolve();
    plan.password = Some(secret.map_err(|error| Error::Request(error.to_string()))?);
    Ok(())
}

/// Points the plan at another server: `redis://[user@]host[:port]`, `rediss://…`, `unix:///path`.
fn into(plan: &mut Plan, url: &str) -> Result<(), Error> {
    let bad = |why: &str| {
        Error::Request(format!("`--into` {why}; write `redis://host:6379`, `rediss://…` or `unix:///path`"))
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("is not a URL"))?;
    plan.sentinel = None;
    match scheme {
        "unix" => {
            plan.address = Some(Address::Unix(rest.into()));
            return Ok(());
        }
        "redis" | "valkey" => plan.tls = None,
        "rediss" | "valkeys" => {
            plan.tls.get_or_insert_with(Tls::default);
        }
        _ => return Err(bad("has a scheme that is not known")),
    }
    let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    if user.contains(':') {
        return Err(Error::Request(
            "`--into` holds a password; give it with `--switch password-env=NAME` or `password-file=PATH`"
                .into(),
        ));
    }
    if !user.is_empty() {
        plan.username = Some(user.to_owned());
    }
    let place = place.strip_suffix('/').unwrap_or(place);
    plan.address = Some(Address::parse(place, 6379).ok_or_else(|| bad("has no address"))?);
    Ok(())
}
