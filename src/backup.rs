//! Backup: one run, top to bottom.
//!
//! For each source: probe, dump into a package that goes to all its stores at once, prove, record, and only then
//! prune. A [`Sealed`] package can only come from finishing the package *and* an upload; a record only from a
//! `Sealed`. One source's failure never stops the others.

mod earlier;
mod seal_and_send;
mod size;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use crate::catalog::key::{Note, Part};
use crate::catalog::record::{Outcome, VERSION};
use crate::catalog::{Found, Key, Record, SourceName, note};
use crate::clock::Clock;
use crate::config::plan::{Plan, SourcePlan};
use crate::package;
use crate::progress::Progress;
use crate::prune;
use crate::report::{Job, Report, Status, StoreOutcome, chain};
use crate::sources::{self, Facts};
use crate::stores::{self, Named, ObjectName};
use earlier::Earlier;
pub use seal_and_send::Sealed;

/// How often a dump is begun when what ended it may pass by itself.
const ATTEMPTS: u32 = 3;
/// How long is waited before the second attempt; twice as long before the third.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(5);
/// How long uploads may take to end once the run was told to stop. With the notifications it stays well within the
/// grace period of a pod, which may be 30 seconds.
const ENDING: std::time::Duration = std::time::Duration::from_secs(10);

/// What a run needs: the plan, the stores, the clock, and a way to be told to stop.
pub struct Run<'a> {
    /// What to back up, and how.
    pub plan: &'a Plan,
    /// The stores by name, connected.
    pub stores: &'a BTreeMap<String, Named>,
    /// The clock.
    pub clock: Clock,
    /// Cancelled when the run shall end: uploads are aborted and nothing more is recorded.
    pub stop: CancellationToken,
    /// Where the counters go.
    pub progress: &'a Progress,
}

/// Why a source has no backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source could not be dumped.
    #[error(transparent)]
    Source(#[from] sources::Error),
    /// The package could not be written.
    #[error("the package could not be written")]
    Package(#[source] package::Error),
    /// No store took it; each store's own error is with the store.
    #[error("no store took the package")]
    NoStore,
    /// No store took it, and one of them only because it forgot an upload that was under way.
    #[error("no store took the package")]
    UploadLost,
    /// The run was told to stop.
    #[error("the run was told to stop")]
    Stopped,
    /// A thread was lost.
    #[error("a part of the program ended unexpectedly")]
    Lost(#[source] tokio::task::JoinError),
    /// The job itself was lost.
    #[error("a defect in this program ended the job")]
    Defect,
}

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.help(),
            Self::Package(error) => error.help(),
            Self::Defect => Some("please report it with the event that tells its place".to_owned()),
            Self::NoStore | Self::UploadLost | Self::Stopped | Self::Lost(_) => None,
        }
    }

    /// Whether another attempt may do better: nothing is wrong with the source, the stores or the configuration.
    fn may_pass(&self) -> bool {
        match self {
            Self::Source(error) => error.may_pass(),
            Self::UploadLost => true,
            Self::Package(_) | Self::NoStore | Self::Stopped | Self::Lost(_) | Self::Defect => false,
        }
    }
}

impl Run<'_> {
    /// Backs up the given sources one after the other. Never fails as a whole: the report says what became of each.
    pub async fn backup(&self, names: &[SourceName]) -> Report {
        let started = self.clock.now();
        let mut jobs = Vec::new();
        for name in names {
            if let Some(source) = self.plan.sources.get(name) {
                jobs.push(self.guarded(name, source).await);
            }
        }
        Report { started, finished: self.clock.now(), jobs, problems: Vec::new(), stopped: None }
    }

    /// A job whose panic is a failure of this source alone: the others still get their backup, and people are told. What
    /// it had under way is swept as any leftover is.
    async fn guarded(&self, name: &SourceName, source: &SourcePlan) -> Job {
        let (began, key) = (Instant::now(), Key::new(name.clone(), self.clock.now()));
        if let Ok(job) = AssertUnwindSafe(Box::pin(self.job(name, source))).catch_unwind().await {
            return job;
        }
        let job = Job {
            source: name.clone(),
            kind: source.source.kind(),
            key,
            status: Status::Failed,
            stores: Vec::new(),
            record: None,
            error: chain(&Error::Defect),
            help: Error::Defect.help(),
            seconds: began.elapsed().as_secs_f64(),
        };
        told(&job);
        job
    }

    async fn job(&self, name: &SourceName, source: &SourcePlan) -> Job {
        let (began, key) = (Instant::now(), Key::new(name.clone(), self.clock.now()));
        tracing::info!(source = %name, key = %key, "backup begins");
        self.progress.begin(name.as_str(), "looking at earlier packages", None);
        let ((), earlier) = tokio::join!(self.sweep(name, source), Earlier::look(self, name, source));
        let (result, mut stores) = match Box::pin(self.one(&key, source, &earlier)).await {
            Ok(sealed) => self.commit(sealed, &earlier).await,
            Err((error, stores)) => (Err(error), stores),
        };
        let (record, error, help) = match result {
            Ok(record) => (Some(record), Vec::new(), None),
            Err(error) => (None, chain(&error), error.help()),
        };
        let key = record.as_ref().map_or(key, |record| record.key.clone());
        let status = Job::judge(record.as_ref(), &stores, source.require);
        self.prune(name, source, &mut stores, status).await;
        let seconds = began.elapsed().as_secs_f64();
        let job = Job {
            source: name.clone(),
            kind: source.source.kind(),
            key,
            status,
            stores,
            record,
            error,
            help,
            seconds,
        };
        told(&job);
        job
    }

    /// Removes what dead runs have left of this source's uploads. Never fails a backup: a later sweep may succeed.
    async fn sweep(&self, name: &SourceName, source: &SourcePlan) {
        for (store, policy) in &source.stores {
            let Some(named) = self.stores.get(store) else { continue };
            let age =
                jiff::SignedDuration::try_from(policy.orphans_after).unwrap_or(jiff::SignedDuration::MAX);
            let Ok(before) = self.clock.now().checked_sub(age) else { continue };
            let sweep = async {
                named.store.sweep(&format!("{name}/"), before, false).await.map_err(|_| Error::NoStore)
            };
            match self.unless_stopped(sweep).await {
                Ok(swept) if swept.is_empty() => {}
                Ok(swept) => {
                    tracing::info!(source = %name, store, count = swept.len(), "unfinished uploads removed");
                }
                // A key that may only write is a sound choice; a store that is down shows when the upload begins.
                Err(_) => tracing::info!(source = %name, store, "cannot look for unfinished uploads"),
            }
        }
    }

    /// Probes, dumps and seals one source into all its stores.
    async fn one(
        &self,
        key: &Key,
        source: &SourcePlan,
        earlier: &Earlier,
    ) -> Result<Sealed, (Error, Vec<StoreOutcome>)> {
        let untouched = |error| (error, Vec::new());
        self.progress.begin(key.source().as_str(), "probing", None);
        let probe =
            async { Box::pin(source.source.examine(source.stall_timeout)).await.map_err(Error::from) };
        let facts = self.unless_stopped(probe).await.map_err(untouched)?;
        for finding in &facts.findings {
            tracing::info!(source = %key.source(), topic = %finding.topic, help = %finding.help, "{}", finding.what);
        }
        // What the source cannot say, such as the size of a tree, is probably about what it was.
        let before = earlier.newest();
        let intent = size::intent(facts.estimate, before, &self.stop);
        let expected = facts.estimate.or(before.map(|found| found.record.totals.content_bytes));
        let (mut key, mut attempt) = (key.clone(), 1);
        loop {
            self.progress.begin(key.source().as_str(), "dumping", expected);
            match seal_and_send::seal_and_send(self, &key, source, facts.clone(), &intent).await {
                Err((error, stores)) if error.may_pass() && attempt < ATTEMPTS => {
                    let stores: Vec<String> = stores
                        .iter()
                        .map(|store| format!("{}: {}", store.store, store.error.join(": ")))
                        .collect();
                    tracing::warn!(source = %key.source(), attempt, error = chain(&error).join(": "), stores = stores.join("; "), "dumping again from the beginning");
                    let pause = async {
                        stores::retry::pause(PAUSE * attempt).await;
                        Ok(())
                    };
                    self.unless_stopped(pause).await.map_err(untouched)?;
                }
                done => return done,
            }
            attempt += 1;
            // Another package: what the first attempt may have left in a store is swept as any orphan is.
            key = Key::new(key.source().clone(), self.clock.now());
        }
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::Stopped),
            done = work => done,
        }
    }

    /// Waits for work that must not be cut in the middle; once the run was told to stop, only as long as its end may
    /// take. `None`: it was cut.
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.stop.cancelled().await;
            stores::retry::pause(ENDING).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = late => None,
        }
    }

    /// Writes the record into every store that holds the package: the commit point.
    async fn commit(&self, sealed: Sealed, earlier: &Earlier) -> (Result<Record, Error>, Vec<StoreOutcome>) {
        self.progress.doing("recording");
        let mut outcomes = sealed.failed;
        let mut committed = None;
        for (named, proof) in &sealed.stores {
            if self.stop.is_cancelled() {
                outcomes.push(StoreOutcome::failed(&named.name, &Error::Stopped));
                continue;
            }
            let mut record = Record { proof: *proof, ..sealed.record.clone() };
            let (before, suspicious) = earlier.compare(named, &record).await;
            record.suspicious = suspicious;
            match self.in_time(write_record(named, &record)).await.unwrap_or_else(|| Err(unknown_end())) {
                Ok(()) => {
                    let accepted = self.accept(named, &record, before.as_ref()).await;
                    outcomes.push(StoreOutcome { accepted, ..StoreOutcome::committed(&named.name) });
                    let graver = committed.as_ref().is_none_or(|known: &Record| known.suspicious.is_none());
                    committed = if graver { Some(record) } else { committed };
                }
                Err(error) => outcomes.push(StoreOutcome::failed(&named.name, &error)),
            }
        }
        let stopped = self.stop.is_cancelled();
        (committed.ok_or(if stopped { Error::Stopped } else { Error::NoStore }), outcomes)
    }

    /// What a person accepted stays accepted: a package that lacks nothing but what an accepted one lacked is noted
    /// as accepted too. Returns whether it was.
    async fn accept(&self, named: &Named, record: &Record, before: Option<&Found>) -> bool {
        let Some(before) = before.filter(|before| before.accepted.is_some()) else { return false };
        if record.is_good() || record.suspicious.is_some() || !record.lacks_no_more_than(&before.record) {
            return false;
        }
        let why = format!("it lacks no more than {}", before.record.key);
        let left = note::leave(&named.store, &record.key, Note::Accepted, self.clock.now(), &why).await;
        if let Err(error) = &left {
            tracing::warn!(store = %named.name, key = %record.key, %error, "cannot note that what is missing is accepted");
        }
        left.is_ok()
    }

    /// Applies retention in every store that has this run's package, if it is good or accepted there.
    async fn prune(
        &self,
        name: &SourceName,
        source: &SourcePlan,
        outcomes: &mut [StoreOutcome],
        status: Status,
    ) {
        self.progress.doing("pruning");
        let ripe = |outcome: &StoreOutcome| outcome.committed && (status == Status::Good || outcome.accepted);
        for (store, policy) in source.stores.iter().filter(|(_, policy)| policy.automatic) {
            let outcome = outcomes.iter_mut().find(|outcome| outcome.store == *store && ripe(outcome));
            let (Some(outcome), Some(named)) = (outcome, self.stores.get(store)) else { continue };
            if self.stop.is_cancelled() {
                return;
            }
            let pruned = async {
                let intended = prune::intend(named, name, policy, self.clock.now()).await?;
                intended.execute(named).await
            };
            // A record goes before its data: wherever this is cut, what is left is swept as any leftover is.
            match self.unless_stopped(async { Ok(pruned.await) }).await {
                Ok(Ok(pruned)) => {
                    outcome.pruned = pruned.packages;
                    if let Some((package, why)) = pruned.locked.first() {
                        let packages = pruned.locked.len();
                        tracing::info!(source = %name, %store, packages, %package, why, "packages are locked: a later prune removes them");
                    }
                }
                Ok(Err(error)) => outcome.prune_error = chain(&error),
                Err(stopped) => outcome.prune_error = chain(&stopped),
            }
        }
    }
}

impl StoreOutcome {
    fn committed(store: &str) -> Self {
        Self {
            store: store.into(),
            committed: true,
            accepted: false,
            error: Vec::new(),
            help: None,
            pruned: 0,
            prune_error: Vec::new(),
        }
    }

    fn failed(store: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        // The store's own error knows best; it may stand behind another.
        let mut next = Some(error);
        let mut help = None;
        while let (Some(error), None) = (next, &help) {
            help = error.downcast_ref::<stores::Error>().and_then(|error| error.help.clone());
            next = error.source();
        }
        Self { committed: false, error: chain(error), help, ..Self::committed(store) }
    }
}

/// The process had to end while a record was on its way.
fn unknown_end() -> stores::Error {
    let what = "the record was not confirmed before the run had to stop: `list` shows whether it is there";
    stores::Error::new(stores::Reason::Stopped, what)
}

async fn write_record(named: &Named, record: &Record) -> Result<(), stores::Error> {
    let rejected =
        |error| stores::Error::new(stores::Reason::Rejected, "cannot write the record").because(error);
    let json = record.to_json().map_err(rejected)?;
    let name = ObjectName::new(record.key.object(&Part::Record))?;
    let mut upload = named.store.create(&name, &stores::Intent::default()).await?;
    match upload.write(json.into()).await {
        Ok(()) => upload.finish().await.map(drop),
        Err(error) => {
            if let Err(error) = upload.abort().await {
                tracing::warn!(store = %named.name, %error, "cannot abort the upload; a later prune sweeps it");
            }
            Err(error)
        }
    }
}

fn record_of(
    key: &Key,
    source: &SourcePlan,
    facts: Facts,
    summary: sources::Summary,
    packed: package::Packed,
    settings: &package::Settings,
    finished: crate::clock::Timestamp,
) -> Record {
    let outcome = if summary.missing.is_empty() { Outcome::Complete } else { Outcome::Partial };
    Record {
        version: VERSION,
        key: key.clone(),
        kind: source.source.kind().to_owned(),
        product: facts.product,
        finished,
        outcome,
        package: packed.package,
        index: packed.index,
        proof: stores::Proof::PartChecksums,
        totals: packed.totals,
        counts: summary.counts,
        consistency: summary.consistency,
        missing: summary.missing,
        notes: summary.notes,
        suspicious: None,
        recipients: settings.recipients.iter().map(ToString::to_string).collect(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn told(job: &Job) {
    for store in &job.stores {
        if store.committed {
            tracing::info!(source = %job.source, store = %store.store, key = %job.key, pruned = store.pruned, "package recorded");
        } else {
            tracing::error!(source = %job.source, store = %store.store, error = store.error.join(": "), help = store.help, "no package in this store");
        }
        if !store.prune_error.is_empty() {
            tracing::error!(source = %job.source, store = %store.store, error = store.prune_error.join(": "), "retention not enforced");
        }
    }
    let Some(record) = &job.record else {
        tracing::error!(source = %job.source, error = job.error.join(": "), help = job.help, "backup failed");
        return;
    };
    if let Some(why) = &record.suspicious {
        let help = format!("look at the source; if it is right as it is: chupacabra accept {}", record.key);
        tracing::warn!(source = %job.source, key = %record.key, why, help, "package is suspicious");
    }
    tracing::info!(
        source = %job.source, status = ?job.status, seconds = job.seconds, bytes = record.package.size,
        content_bytes = record.totals.content_bytes, members = record.totals.members, "backup ended"
    );
}
