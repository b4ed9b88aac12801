//! The dump, top to bottom: prelude, users and roles, collections side by side, views, the oplog's slice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};

use bytes::Bytes;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::archive::{self, Entry, Kind, Namespace, TERMINATOR};
use super::collection::{Dropped, Stream};
use super::connect::{self, Member};
use super::listing::{self, AUTH_COLLECTIONS, Listed};
use super::split::{self, Range, Size};
use super::{Error, Plan, oplog, probe};
use crate::package::digest::Fingerprint;
use crate::package::member::{Header, Object, Time};
use crate::package::outlet::Outlet;
use crate::sources::{Consistency, ConsistencyKind, Summary};

/// From which size on the prelude is cut into members.
const PRELUDE: usize = 2 << 20;

pub(super) async fn dump(plan: &Plan, outlet: Outlet) -> Result<Summary, Error> {
    let member = connect::member(plan).await?;
    probe::rights(&member, plan).await?;
    // The slice's begin comes first of all: what is read afterwards cannot lack anything older.
    let start = match &member.hello.set {
        Some(_) => Some(oplog::start(&member).await?),
        None => None,
    };
    let mtime = Time {
        seconds: member.hello.millis.div_euclid(1_000),
        nanos: u32::try_from(member.hello.millis.rem_euclid(1_000)).unwrap_or(0) * 1_000_000,
    };
    let listed = listing::list(&member, &plan.selection, plan.users_and_roles).await?;
    let dropped = StdMutex::default();
    let mut job = Job { member, plan, outlet, mtime, counts: BTreeMap::new(), dropped };
    job.prelude(&listed, start.is_some()).await?;
    job.count(&listed);
    job.collections(listed.iter().filter(|l| is_auth(&l.entry.namespace)).cloned().collect(), 1).await?;
    let rest: Vec<_> = listed
        .iter()
        .filter(|l| l.entry.kind != Kind::View && !is_auth(&l.entry.namespace))
        .cloned()
        .collect();
    job.collections(rest, plan.parallel).await?;
    for view in listed.iter().filter(|listed| listed.entry.kind == Kind::View) {
        job.end(&Stream::of(view, mtime), view.kind()).await?;
    }
    let consistency = match start {
        Some(start) => job.oplog(start, &listed).await?,
        None => Job::fuzzy(),
    };
    if let Some(dropped) = job.dropped().pop() {
        return Err(dropped.error);
    }
    job.member.unchanged().await?;
    let mut notes = match consistency.kind {
        ConsistencyKind::Snapshot => Vec::new(),
        ConsistencyKind::Fuzzy => {
            vec!["standalone server without an oplog: collections were read one after the other".into()]
        }
    };
    notes.extend(listed.iter().filter_map(|listed| unfinished(listed, consistency.kind)));
    Ok(Summary { consistency, missing: Vec::new(), notes, counts: job.counts })
}

/// What is to be said of indexes that were being built.
fn unfinished(listed: &Listed, kind: ConsistencyKind) -> Option<String> {
    let (namespace, names) = (&listed.entry.namespace, listed.unfinished.join("`, `"));
    let unless = match kind {
        ConsistencyKind::Snapshot => ", unless that ended before the dump did",
        ConsistencyKind::Fuzzy => "",
    };
    (!names.is_empty())
        .then(|| format!("index `{names}` of `{namespace}` was still being built and is left out{unless}"))
}

fn is_auth(namespace: &Namespace) -> bool {
    namespace.database == "admin" && AUTH_COLLECTIONS.contains(&namespace.collection.as_str())
}

/// A dump under way.
struct Job<'a> {
    member: Member,
    plan: &'a Plan,
    outlet: Outlet,
    mtime: Time,
    counts: BTreeMap<String, u64>,
    /// Collections that were dropped while they were read, and whose end no slice has shown.
    dropped: StdMutex<Vec<Dropped>>,
}

/// A namespace whose ranges are being read.
struct Reading {
    stream: Stream,
    listed: Listed,
    size: Size,
    /// Ranges that have not been read to their end.
    left: AtomicUsize,
}

impl Job<'_> {
    async fn prelude(&self, listed: &[Listed], oplog: bool) -> Result<(), Error> {
        let concurrent = i32::try_from(self.plan.parallel).unwrap_or(1);
        let mut bytes = archive::prelude_begin(concurrent, &self.member.version);
        let mut number = 1;
        let slice = Entry { namespace: Namespace::oplog(), kind: Kind::Unsaid, metadata: String::new() };
        let entries = listed.iter().map(|listed| &listed.entry).chain(oplog.then_some(&slice));
        for entry in entries {
            bytes.extend(archive::prelude_entry(entry));
            if bytes.len() > PRELUDE {
                self.prelude_member(number, std::mem::take(&mut bytes)).await?;
                number += 1;
            }
        }
        bytes.extend_from_slice(&TERMINATOR);
        self.prelude_member(number, bytes).await
    }

    async fn prelude_member(&self, number: u32, bytes: Vec<u8>) -> Result<(), Error> {
        let header =
            Header::data(format!("prelude.{number:04}.bson"), "prelude", bytes.len() as u64, self.mtime);
        Ok(self.outlet.member(header, Bytes::from(bytes)).await?)
    }

    fn count(&mut self, listed: &[Listed]) {
        let of = |kind: Kind| listed.iter().filter(|l| l.entry.kind == kind).count() as u64;
        let databases: BTreeSet<_> = listed.iter().map(|l| &l.entry.namespace.database).collect();
        self.counts.insert("databases".into(), databases.len() as u64);
        self.counts.insert("collections".into(), of(Kind::Collection));
        self.counts.insert("views".into(), of(Kind::View));
        self.counts.insert("time_series".into(), of(Kind::TimeSeries));
        self.counts.insert("indexes".into(), listed.iter().map(|l| l.indexes as u64).sum());
    }

    /// Reads collections, at most `parallel` ranges at once. Ranges of one namespace are next to each other in the
    /// queue, so no more than `parallel` namespaces are open at any time.
    async fn collections(&mut self, listed: Vec<Listed>, parallel: usize) -> Result<(), Error> {
        let mut sizes = Vec::with_capacity(listed.len());
        for one in &listed {
            sizes.push(split::size(&self.member, &one.entry.data()).await?);
        }
        let all: u64 = sizes.iter().map(|size| size.bytes()).sum();
        let mut queue: VecDeque<(Arc<Reading>, Range)> = VecDeque::new();
        for (one, size) in listed.iter().zip(sizes) {
            let count = split::ranges_for(size.bytes(), all, parallel, self.plan.split_above);
            let ranges = split::cut(&self.member, one, count).await?;
            let reading = Arc::new(Reading {
                stream: Stream::of(one, self.mtime),
                listed: one.clone(),
                size,
                left: AtomicUsize::new(ranges.len()),
            });
            queue.extend(ranges.into_iter().map(|range| (reading.clone(), range)));
        }
        let queue = Mutex::new(queue);
        let workers = (0..parallel).map(|_| self.worker(&queue));
        let documents: u64 = futures_util::future::try_join_all(workers).await?.into_iter().sum();
        *self.counts.entry("documents".into()).or_default() += documents;
        Ok(())
    }

    async fn worker(&self, queue: &Mutex<VecDeque<(Arc<Reading>, Range)>>) -> Result<u64, Error> {
        let mut documents = 0;
        loop {
            let next = queue.lock().await.pop_front();
            let Some((reading, range)) = next else { return Ok(documents) };
            let dropped = reading.stream.read(&self.member, &range, reading.size, &self.outlet).await?;
            let whole = dropped.is_none();
            self.dropped().extend(dropped);
            if reading.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                if whole && self.member.hello.set.is_none() {
                    listing::still_the_same(&self.member, &reading.listed).await?;
                }
                documents += self.end(&reading.stream, reading.listed.kind()).await?.rows;
            }
        }
    }

    fn dropped(&self) -> std::sync::MutexGuard<'_, Vec<Dropped>> {
        // A list that only grows cannot be left half changed, so a panic elsewhere does not spoil it.
        self.dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn end(&self, stream: &Stream, kind: &str) -> Result<Fingerprint, Error> {
        let fingerprint = stream.end(&self.outlet).await?;
        let object = Object { name: stream.object().to_owned(), kind: kind.to_owned(), fingerprint };
        self.outlet.object(object).await?;
        Ok(fingerprint)
    }

    async fn oplog(
        &mut self,
        start: mongodb::bson::Timestamp,
        listed: &[Listed],
    ) -> Result<Consistency, Error> {
        let stream = Stream::new("oplog".into(), Namespace::oplog(), true, self.mtime);
        let selection = &self.plan.selection;
        let known: BTreeSet<&Namespace> = listed.iter().map(|listed| &listed.entry.namespace).collect();
        let users = self.plan.users_and_roles;
        let wanted = |namespace: &Namespace| {
            if is_auth(namespace) {
                return users;
            }
            // The list of views as a whole, which is dropped with its database; each view is asked for by its own name.
            if namespace.collection == oplog::VIEWS {
                return selection.has_database(&namespace.database);
            }
            known.contains(namespace) || selection.has(namespace)
        };
        let filter = oplog::Filter::new(&wanted, selection.is_all() && self.plan.users_and_roles);
        let cut = self.dropped().iter().map(|dropped| dropped.uuid.clone()).collect();
        let slice = oplog::slice(&self.member, start, &stream, filter, cut, &self.outlet).await?;
        self.dropped().retain(|dropped| slice.cut.contains(&dropped.uuid));
        self.end(&stream, "oplog").await?;
        self.counts.insert("oplog_entries".into(), slice.fingerprint.rows);
        let (from, to) = (oplog::show(slice.start), oplog::show(slice.end));
        info!(from, to, entries = slice.fingerprint.rows, "oplog slice dumped");
        let coordinates = [
            ("cluster_time", to.clone()),
            ("oplog_start", from),
            ("oplog_end", to),
            ("replica_set", self.member.hello.set.clone().unwrap_or_default()),
            ("member", self.member.hello.name.clone()),
        ];
        let coordinates = coordinates.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Consistency { kind: ConsistencyKind::Snapshot, coordinates })
    }

    fn fuzzy() -> Consistency {
        warn!("standalone server without an oplog, the dump is not of one point in time");
        Consistency { kind: ConsistencyKind::Fuzzy, coordinates: BTreeMap::new() }
    }
}
