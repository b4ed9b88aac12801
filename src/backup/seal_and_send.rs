//! The middle of a backup: a dump becomes a package that goes to several stores while it is written.

use tokio::task::spawn_blocking;

use super::{Error, Run, record_of};
use crate::catalog::key::Part;
use crate::catalog::{Key, Record};
use crate::config::plan::SourcePlan;
use crate::package::pipe::{PipeReader, pipe};
use crate::package::pulse::Pulse;
use crate::package::{Packed, Sealing, seal};
use crate::progress::Progress;
use crate::report::StoreOutcome;
use crate::sources::{self, Facts, Summary, silence};
use crate::stores::tee::Tee;
use crate::stores::{self, Intent, Named, ObjectName, Proof, Stored};

/// How many chunks of the package wait for the stores.
const PACKAGE_DEPTH: usize = 4;
/// How many chunks of the index wait for the stores.
const INDEX_DEPTH: usize = 2;

/// A package that is finished, in stores that have finished and proved it. Only this module makes one.
#[derive(Debug)]
pub struct Sealed {
    /// The record to be written; the proof is each store's own.
    pub(super) record: Record,
    /// The stores that hold package and index.
    pub(super) stores: Vec<(Named, Proof)>,
    /// The stores that do not, with their errors.
    pub(super) failed: Vec<StoreOutcome>,
}

/// The two objects of a package on their way, into the same stores.
struct Uploads {
    package: Tee,
    index: Tee,
}

/// What became of a package whose every byte was handed over.
#[derive(Default)]
struct Finished {
    good: Vec<(Named, Proof)>,
    failed: Vec<StoreOutcome>,
    /// Whether a store had forgotten an upload that was under way.
    lost: bool,
}

fn is_lost(error: &stores::Error) -> bool {
    error.reason == stores::Reason::SessionLost
}

pub(super) async fn seal_and_send(
    run: &Run<'_>,
    key: &Key,
    source: &SourcePlan,
    facts: Facts,
    intent: &Intent,
) -> Result<Sealed, (Error, Vec<StoreOutcome>)> {
    let named: Vec<Named> =
        source.stores.iter().filter_map(|(store, _)| run.stores.get(store).cloned()).collect();
    let create = async { Ok(Uploads::create(&named, key, intent).await) };
    let mut uploads = run.unless_stopped(create).await.map_err(|error| (error, Vec::new()))?;
    let (package_out, package_in) = pipe(PACKAGE_DEPTH);
    let (index_out, index_in) = pipe(INDEX_DEPTH);
    let begun = seal(&run.plan.package, &key.to_string(), package_out, index_out).map_err(Error::Package);
    let pulse = begun.as_ref().map_or_else(|_| Pulse::default(), |(outlet, _)| outlet.pulse().clone());
    // A dump that is given up leaves threads behind; what they do has no use any more.
    let stop = run.stop.child_token();
    let _stopped = stop.clone().drop_guard();
    let produce = async {
        let (outlet, sealing) = begun?;
        run.progress.watch(sealing.counters());
        let dumped = Box::pin(source.source.dump(outlet, &stop)).await;
        close(dumped, sealing).await
    };
    let streamed = async {
        let (produced, package, index) = tokio::join!(
            produce,
            pump(package_in, &mut uploads.package, Some(run.progress)),
            pump(index_in, &mut uploads.index, None)
        );
        match (produced, package.and(index)) {
            (Ok(produced), Ok(())) => Ok(produced),
            (Err(error), Ok(()) | Err(Pumped::Broken)) => Err(error),
            // A package breaks after its stores do, so theirs is the reason.
            (_, Err(_)) => Err(Error::NoStore),
        }
    };
    let watched = async { silence::bounded(&pulse, source.stall_timeout, streamed).await? };
    let done = Box::pin(run.unless_stopped(watched)).await;
    match done {
        Ok((packed, summary)) => {
            run.progress.doing("finishing");
            let finished = run.in_time(uploads.finish(&named, &packed)).await;
            let Some(Finished { good: stores, failed, lost }) = finished else {
                return Err((Error::Stopped, left_behind(&named)));
            };
            // What ended for being told to stop is no failure of the stores.
            if stores.is_empty() && run.stop.is_cancelled() {
                return Err((Error::Stopped, failed));
            }
            if stores.is_empty() {
                return Err((if lost { Error::UploadLost } else { Error::NoStore }, failed));
            }
            let now = run.clock.now();
            let record = record_of(key, source, facts, summary, packed, &run.plan.package, now);
            Ok(Sealed { record, stores, failed })
        }
        Err(error) => {
            let Some((failed, lost)) = run.in_time(uploads.abort(&error)).await else {
                return Err((Error::Stopped, left_behind(&named)));
            };
            let lost = lost && matches!(error, Error::NoStore);
            Err((if lost { Error::UploadLost } else { error }, failed))
        }
    }
}

/// What became of stores whose uploads could not be ended before the process had to.
fn left_behind(named: &[Named]) -> Vec<StoreOutcome> {
    let why = "the upload could not be given up in time; a later prune sweeps it";
    let error = stores::Error::new(stores::Reason::Stopped, why);
    named.iter().map(|named| StoreOutcome::failed(&named.name, &error)).collect()
}

/// Finishes the package if the dump is complete, and breaks it if it is not.
async fn close(
    dumped: Result<Summary, sources::Error>,
    sealing: Sealing,
) -> Result<(Packed, Summary), Error> {
    let lost = |error| Error::Lost(error);
    match dumped {
        Ok(summary) => {
            let packed =
                spawn_blocking(move || sealing.finish()).await.map_err(lost)?.map_err(Error::Package)?;
            Ok((packed, summary))
        }
        // The source only noticed that the package had ended: finishing tells why.
        Err(error) if error.is_closed() => {
            let packed = spawn_blocking(move || sealing.finish()).await.map_err(lost)?;
            Err(packed.err().map_or(Error::Source(error), Error::Package))
        }
        Err(error) => {
            spawn_blocking(move || drop(sealing)).await.map_err(lost)?;
            Err(Error::Source(error))
        }
    }
}

enum Pumped {
    /// Every store has failed.
    NoneLeft,
    /// The package ended before it was finished.
    Broken,
}

/// Carries one object from the pipe to the stores.
async fn pump(mut from: PipeReader, to: &mut Tee, progress: Option<&Progress>) -> Result<(), Pumped> {
    while let Some(bytes) = from.next().await.map_err(|_| Pumped::Broken)? {
        to.write(&bytes).await.map_err(|_| Pumped::NoneLeft)?;
        if let Some(progress) = progress {
            progress.packed(bytes.len() as u64);
        }
    }
    if to.is_any_open() { Ok(()) } else { Err(Pumped::NoneLeft) }
}

impl Uploads {
    async fn create(stores: &[Named], key: &Key, intent: &Intent) -> Self {
        let name = |part: &Part| ObjectName::new(key.object(part));
        let create = async |part: &Part, intent: &Intent| match name(part) {
            Ok(name) => Tee::create(stores, &name, intent).await,
            Err(_) => Tee::default(),
        };
        // At once: a store that does not answer is waited for once.
        let small = Intent { stop: intent.stop.clone(), ..Intent::default() };
        let (package, index) = tokio::join!(create(&Part::Package, intent), create(&Part::Index, &small));
        Self { package, index }
    }

    /// Finishes both objects in every store that took both, the index first.
    async fn finish(mut self, named: &[Named], packed: &Packed) -> Finished {
        let why = "the index of this package could not be stored here";
        let lost: Vec<String> = self.index.failed().into_iter().map(str::to_owned).collect();
        self.package.drop_stores(&lost, why);
        let index = self.index.finish().await;
        let lost: Vec<String> = index.iter().filter(|(_, r)| r.is_err()).map(|(s, _)| s.clone()).collect();
        self.package.drop_stores(&lost, why);
        let package = self.package.finish().await;
        let mut finished = Finished::default();
        for ((store, index), (_, package)) in index.into_iter().zip(package) {
            let index = index.and_then(|stored| sized(&stored, packed.index.size));
            let package = package.and_then(|stored| sized(&stored, packed.package.size));
            match (named.iter().find(|named| named.name == store), index, package) {
                (Some(named), Ok(_), Ok(proof)) => finished.good.push((named.clone(), proof)),
                (_, Err(error), _) | (_, _, Err(error)) => {
                    finished.lost |= is_lost(&error);
                    finished.failed.push(StoreOutcome::failed(&store, &error));
                }
                (None, Ok(_), Ok(_)) => finished.failed.push(StoreOutcome::failed(&store, &Error::NoStore)),
            }
        }
        finished
    }

    /// Gives both objects up. Returns what became of each store, and whether one had forgotten an upload.
    async fn abort(self, why: &Error) -> (Vec<StoreOutcome>, bool) {
        let (package, index) = tokio::join!(self.package.abort(), self.index.abort());
        let lost = package.iter().chain(&index).any(|(_, error)| error.as_ref().is_some_and(is_lost));
        let outcome =
            |((store, package), (_, index)): ((String, Option<stores::Error>), (String, Option<_>))| {
                match package.or(index) {
                    Some(error) => StoreOutcome::failed(&store, &error),
                    None => StoreOutcome::failed(&store, why),
                }
            };
        (package.into_iter().zip(index).map(outcome).collect(), lost)
    }
}

/// Compares the store's word on the size with what was sent.
fn sized(stored: &Stored, sent: u64) -> Result<Proof, stores::Error> {
    if stored.size == sent {
        return Ok(stored.proof);
    }
    let what = format!("the store has {} bytes of the {sent} that were sent", stored.size);
    Err(stores::Error::new(stores::Reason::Corrupt, what))
}
