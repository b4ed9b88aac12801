//! The configuration as meant: defaults filled in, names resolved, contradictions refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::{Context, Problem};
use super::kinds::Kinds;
use super::secret::Secret;
use super::suggest::{nearest, one_of};
use super::units::Span;
use super::{Config, Package, Require, Source, Store, encryption};
use crate::catalog::SourceName;
use crate::package::age::Recipient;
use crate::retention::{self, Policy};
use crate::sources::files::Files;
use crate::sources::files::globs::Globs;
use crate::sources::mariadb::MariaDb;
use crate::sources::mongodb::MongoDb;
use crate::sources::postgres::Postgres;
use crate::sources::redis::Redis;
use crate::{notify, package, sources, stores};

/// Compression that costs least for what it saves.
const LEVEL: u8 = 1;
/// Memory for data on its way, in bytes.
const MEMORY: usize = 32 << 20;
/// The most compression threads that nobody asked for. Each holds several blocks: on a machine with a hundred processors
/// they would take the memory of the whole container, and no store takes what eight of them compress.
const MOST_THREADS: usize = 8;
/// Below this, members and compression blocks no longer fit.
const LEAST_MEMORY: usize = 8 << 20;

/// A configuration that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How packages are written.
    pub package: package::Settings,
    /// The private key, if the configuration names one.
    pub identity: Option<Secret>,
    /// The passphrase, if that is what packages are encrypted with: it opens them too.
    pub passphrase: Option<Secret>,
    /// The stores by name.
    pub stores: BTreeMap<String, StorePlan>,
    /// The sources by name.
    pub sources: BTreeMap<SourceName, SourcePlan>,
    /// Who is told how runs go.
    pub notifications: Vec<notify::Notifier>,
}

/// A store as meant.
#[derive(Debug, Clone)]
pub struct StorePlan {
    /// Its kind and settings.
    pub kind: stores::Kind,
    /// How fast packages go in and out.
    pub limits: stores::limit::Limits,
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
    /// How long the source may be silent while it is waited for.
    pub stall_timeout: Duration,
}

impl Config {
    /// Turns a configuration as written into a plan, or tells everything that is wrong with it.
    pub fn plan(self) -> Result<Plan, Vec<Problem>> {
        let mut context = Context::default();
        let encryption::Keys { recipients, identity, passphrase } =
            context.at("encryption", |context| encryption::plan(&self.encryption, context));
        let package = context.at("package", |context| settings(&self.package, recipients, context));
        let general = context.at("retention", |context| self.retention.plan(context));
        let (stores, kept) = context.at("stores", |context| plan_stores(self.stores, context));
        let sources = context.at("sources", |context| {
            let known = Known { stores: &stores, kept: &kept, general: &general };
            plan_sources(self.sources, &known, context)
        });
        let notifications =
            context.at("notifications", |context| plan_notifications(self.notifications, context));
        let problems = context.into_problems();
        if problems.is_empty() {
            Ok(Plan { package, identity, passphrase, stores, sources, notifications })
        } else {
            Err(problems)
        }
    }
}

fn settings(written: &Package, recipients: Vec<Recipient>, context: &mut Context) -> package::Settings {
    let level = written.compression_level.unwrap_or(LEVEL);
    if !(1..=12).contains(&level) {
        context.problem(
            "compression_level",
            format!("{level} is not a level"),
            "write 1 (fastest) to 12 (smallest)",
        );
    }
    if written.threads == Some(0) {
        context.problem("threads", "0 threads compress nothing", "write 1 or more, or leave the key out");
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = written.memory.map_or(MEMORY, super::units::ByteSize::as_usize);
    if memory < LEAST_MEMORY {
        context.problem(
            "memory",
            "this is too little to work with",
            "write `8MiB` or more; `32MiB` is the default",
        );
    }
    let threads = written.threads.unwrap_or_else(|| usual_threads(processors));
    package::Settings { level, threads, memory, recipients }
}

/// The compression threads for so many processors, unless the configuration says otherwise.
pub(super) fn usual_threads(processors: usize) -> usize {
    processors.clamp(1, MOST_THREADS)
}

/// What the sources refer to.
struct Known<'a> {
    stores: &'a BTreeMap<String, StorePlan>,
    kept: &'a BTreeMap<String, Option<Policy>>,
    general: &'a Policy,
}

type Stores = (BTreeMap<String, StorePlan>, BTreeMap<String, Option<Policy>>);

fn plan_stores(written: BTreeMap<String, Store>, context: &mut Context) -> Stores {
    if written.is_empty() {
        let help = "add one, for example `nas: { local: { path: /mnt/backup } }`";
        context.problem("", "no store is given: packages would go nowhere", help);
    }
    let mut planned = (BTreeMap::new(), BTreeMap::new());
    for (name, mut store) in written {
        context.at(name.clone(), |context| {
            name_is_sound(&name, context);
            let own = store.retention.take().map(|own| policy(&own, context));
            // Known even if it cannot be used, so that no source is told that there is no such store.
            planned.1.insert(name.clone(), own);
            let limits = store.limits.take().unwrap_or_default();
            let limits = context.at("limits", |context| limits.plan(context));
            if let Some(kind) = store.plan(context) {
                same_place(&kind, &planned.0, context);
                planned.0.insert(name, StorePlan { kind, limits });
            }
        });
    }
    planned
}

/// Refuses two stores that are one: each would take the other's objects for its own.
fn same_place(kind: &stores::Kind, others: &BTreeMap<String, StorePlan>, context: &mut Context) {
    let twin = others.iter().find(|(_, other)| match (&other.kind, kind) {
        (stores::Kind::Local(one), stores::Kind::Local(other)) => {
            one.path.components().eq(other.path.components())
        }
        (stores::Kind::S3(one), stores::Kind::S3(other)) => one.is_same_place(other),
        (stores::Kind::GoogleDrive(one), stores::Kind::GoogleDrive(other)) => one.is_same_place(other),
        _ => false,
    });
    if let Some((name, _)) = twin {
        let what = format!("this is the same place as that of `{name}`");
        context.problem(kind.word(), what, "give each store its own place, or remove one");
    }
}

fn plan_sources(
    written: BTreeMap<String, Source>,
    known: &Known<'_>,
    context: &mut Context,
) -> BTreeMap<SourceName, SourcePlan> {
    if written.is_empty() {
        let help = "add one, for example `web: { files: { path: /srv/web } }`";
        context.problem("", "no source is given: nothing would be backed up", help);
    }
    let mut planned = BTreeMap::new();
    for (name, mut source) in written {
        context.at(name.clone(), |context| {
            let sound = name_is_sound(&name, context);
            let own = source.retention.take().map(|own| policy(&own, context));
            let stores = targets(source.stores.take(), own.as_ref(), known, context);
            holds_no_store(&source, &stores, known, context);
            let (require, stall_timeout) = (source.require, patience(source.stall_timeout, context));
            let source = source.plan(context);
            waits_before_it_gives_up(source.as_ref(), stall_timeout, context);
            if let (Some(source), Some(name)) = (source, sound) {
                planned.insert(name, SourcePlan { source, stores, require, stall_timeout });
            }
        });
    }
    planned
}

/// How long a source may be silent. A second is no silence yet.
fn patience(written: Option<Span>, context: &mut Context) -> Duration {
    let patience = written.map_or(sources::silence::PATIENCE, |span| span.0);
    if patience < Duration::from_secs(1) {
        let what = "every source is silent for so long";
        context.problem("stall_timeout", what, "write for example `1h`; that is the default");
    }
    patience
}

/// Refuses a source that would be taken for dead while it waits for a lock, and fail without saying whose.
fn waits_before_it_gives_up(source: Option<&sources::Source>, patience: Duration, context: &mut Context) {
    if let Some(wait) = source.and_then(sources::Source::lock_timeout).filter(|wait| *wait >= patience) {
        let what = format!(
            "the source may wait {} for a lock (`lock_timeout`), and would fail meanwhile",
            Span(wait)
        );
        context.problem("stall_timeout", what, "make it longer than that, or write a shorter `lock_timeout`");
    }
}

/// Refuses a tree that holds the store its packages go to: every package would hold all those before it.
fn holds_no_store(source: &Source, targets: &[(String, Policy)], known: &Known<'_>, context: &mut Context) {
    let Some(files) = &source.files else { return };
    let Ok(exclude) = Globs::new(&files.exclude) else { return };
    for (name, store) in targets.iter().filter_map(|(name, _)| known.stores.get_key_value(name)) {
        #[allow(irrefutable_let_patterns, reason = "refutable as soon as there is a second kind of store")]
        let stores::Kind::Local(local) = &store.kind else { continue };
        let Ok(inside) = local.path.strip_prefix(&files.path) else { continue };
        if !exclude.covers(inside.as_os_str().as_encoded_bytes(), true) {
            let what =
                format!("the store `{name}` lies in this directory: every package would hold all before it");
            let help = match inside.display().to_string() {
                all if all.is_empty() => "move the store elsewhere".to_owned(),
                below => format!("add `/{below}` to `exclude`, or move the store elsewhere"),
            };
            context.problem("files.path", what, help);
        }
    }
}

fn plan_notifications(
    written: BTreeMap<String, notify::Config>,
    context: &mut Context,
) -> Vec<notify::Notifier> {
    let plan = |(name, mut notification): (String, notify::Config)| {
        context.at(name.clone(), |context| {
            let mut kinds = Kinds::new();
            kinds.kind("telegram", notification.telegram.take(), context, |config, context| {
                config.plan(context).map(notify::Channel::Telegram)
            });
            kinds.kind("slack", notification.slack.take(), context, |config, context| {
                config.plan(context).map(notify::Channel::Slack)
            });
            kinds.kind("webhook", notification.webhook.take(), context, |config, context| {
                config.plan(context).map(notify::Channel::Webhook)
            });
            kinds.kind("healthchecks", notification.healthchecks.take(), context, |config, context| {
                config.plan(context).map(notify::Channel::Healthchecks)
            });
            let channel = kinds.one(context);
            notification.plan_with(&name, channel, context)
        })
    };
    written.into_iter().filter_map(plan).collect()
}

fn policy(own: &retention::Config, context: &mut Context) -> Policy {
    context.at("retention", |context| own.plan(context))
}

fn name_is_sound(name: &str, context: &mut Context) -> Option<SourceName> {
    context.check("", name.parse::<SourceName>(), "choose another name, for example `web` or `shop-db`")
}

/// The stores of one source with their policies: the source's own comes first, then the store's, then the general one.
fn targets(
    written: Option<Vec<String>>,
    own: Option<&Policy>,
    known: &Known<'_>,
    context: &mut Context,
) -> Vec<(String, Policy)> {
    if written.as_ref().is_some_and(Vec::is_empty) {
        let help = "name at least one store, or leave the key out to use all";
        context.problem("stores", "the list is empty: its packages would go nowhere", help);
    }
    let names = written.unwrap_or_else(|| known.kept.keys().cloned().collect());
    let mut targets: Vec<(String, Policy)> = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        let key = format!("stores[{index}]");
        let Some(kept) = known.kept.get(&name) else {
            let stores = || known.kept.keys().map(String::as_str);
            let help = match nearest(&name, stores()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the stores of this configuration: {}", one_of(stores())),
            };
            context.problem(&key, format!("there is no store `{name}`"), help);
            continue;
        };
        if targets.iter().any(|(other, _)| *other == name) {
            context.problem(&key, format!("`{name}` is listed twice"), "remove one of the two");
            continue;
        }
        let policy = own.or(kept.as_ref()).unwrap_or(known.general).clone();
        targets.push((name, policy));
    }
    targets
}

impl Store {
    /// Plans the one kind that is given. A new kind of store is one line here.
    fn plan(self, context: &mut Context) -> Option<stores::Kind> {
        let mut kinds = Kinds::new();
        kinds.kind("local", self.local, context, |config, context| {
            config.plan(context).map(stores::Kind::Local)
        });
        kinds.kind("s3", self.s3, context, |config, context| {
            config.plan(context).map(|plan| stores::Kind::S3(Box::new(plan)))
        });
        kinds.kind("google_drive", self.google_drive, context, |config, context| {
            config.plan(context).map(|plan| stores::Kind::GoogleDrive(Box::new(plan)))
        });
        kinds.one(context)
    }
}

impl Source {
    /// Plans the one kind that is given. A new kind of source is one line here.
    fn plan(self, context: &mut Context) -> Option<sources::Source> {
        let mut kinds = Kinds::new();
        kinds.kind("files", self.files, context, |config, context| {
            config.plan(context).map(|plan| sources::Source::Files(Files::new(plan)))
        });
        kinds.kind("redis", self.redis, context, |config, context| {
            config.plan(context).map(|plan| sources::Source::Redis(Redis::new(plan)))
        });
        kinds.kind("mariadb", self.mariadb, context, |config, context| {
            config.plan(context).map(|plan| sources::Source::MariaDb(MariaDb::new(plan)))
        });
        kinds.kind("mongodb", self.mongodb, context, |config, context| {
            config.plan(context).map(|plan| sources::Source::MongoDb(MongoDb::new(plan)))
        });
        kinds.kind("postgres", self.postgres, context, |config, context| {
            config.plan(context).map(|plan| sources::Source::Postgres(Postgres::new(plan)))
        });
        kinds.one(context)
    }
}
