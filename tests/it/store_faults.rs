//! Every write to a store fails once: then there is no record, no open upload, and no good exit code.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chupacabra::backup::Run;
use chupacabra::catalog::Scan;
use chupacabra::clock::{Clock, Timestamp};
use chupacabra::config::{self, Plan};
use chupacabra::exit::Exit;
use chupacabra::progress::Progress;
use chupacabra::prune::intend;
use chupacabra::report::{Report, Status};
use chupacabra::retention::Policy;
use chupacabra::stores::local::{self, Local};
use chupacabra::stores::{
    Download, Error, Finding, Intent, Listed, Named, ObjectName, Reason, Store, Upload,
};
use tokio_util::sync::CancellationToken;

use crate::support::faulty_store::FaultyStore;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// A plan for one tree of four MiB of noise (so that the package takes several writes) and two stores.
fn plan(dir: &Path, require: &str) -> Plan {
    let tree = dir.join("tree");
    std::fs::create_dir_all(tree.join("folder")).unwrap();
    let noise: Vec<u8> = (0..4u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(tree.join("noise"), noise).unwrap();
    std::fs::write(tree.join("folder/small"), "small").unwrap();
    let written = dir.join("chupacabra.yaml");
    let yaml = format!(
        "encryption: {{ recipients: [{RECIPIENT}] }}\n\
         stores: {{ one: {{ local: {{ path: {0}/one }} }}, two: {{ local: {{ path: {0}/two }} }} }}\n\
         sources: {{ web: {{ files: {{ path: {0}/tree }}, require: {require} }} }}\n",
        dir.display()
    );
    std::fs::write(&written, yaml).unwrap();
    config::load(&written).unwrap()
}

fn local_store(dir: &Path, name: &str) -> Arc<dyn Store> {
    Arc::new(Local::new(&local::Plan { path: dir.join(name) }))
}

async fn run(plan: &Plan, one: Arc<dyn Store>, two: Arc<dyn Store>, stop: CancellationToken) -> Report {
    let named = |name: &str, store| (name.to_owned(), Named { name: name.to_owned(), store });
    let stores: BTreeMap<String, Named> = [named("one", one), named("two", two)].into();
    let progress = Progress::default();
    let run = Run { plan, stores: &stores, clock: Clock::system(), stop, progress: &progress };
    let names: Vec<_> = plan.sources.keys().cloned().collect();
    run.backup(&names).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_fails_once_in_the_only_stores() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path(), "all");
    let mut reached_the_end = false;
    for fail_at in 0..60 {
        let (one, two) = (local_store(dir.path(), "one"), local_store(dir.path(), "two"));
        let (faulty, other) =
            (FaultyStore::new(one.clone(), fail_at), FaultyStore::new(two.clone(), fail_at));
        let counts = [faulty.counts(), other.counts()];
        let before = records(&one).await + records(&two).await;
        let report = run(&plan, Arc::new(faulty), Arc::new(other), CancellationToken::new()).await;
        let job = &report.jobs[0];
        if !counts[0].has_failed() {
            assert_eq!((report.exit(), job.status), (Exit::Good, Status::Good));
            reached_the_end = true;
            break;
        }
        assert_eq!((report.exit(), job.status), (Exit::Failed, Status::Failed), "call {fail_at}");
        assert_eq!(records(&one).await + records(&two).await, before, "call {fail_at}: a record was written");
        assert!(job.stores.iter().all(|store| !store.committed && !store.error.is_empty()), "{job:?}");
        for counts in &counts {
            assert_eq!(counts.left_open(), 0, "call {fail_at}: an upload was left open");
        }
    }
    assert!(reached_the_end, "the uploads have more writes than this test expects");
    assert_eq!(leftovers(dir.path()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_store_failing_costs_the_other_nothing() {
    for (require, status, exit) in
        [("all", Status::Partial, Exit::Partial), ("any", Status::Good, Exit::Good)]
    {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), require);
        let mut faults = 0;
        for fail_at in 0..60 {
            let (one, two) = (local_store(dir.path(), "one"), local_store(dir.path(), "two"));
            let (recorded_one, recorded_two) = (records(&one).await, records(&two).await);
            let faulty = FaultyStore::new(one.clone(), fail_at);
            let counts = faulty.counts();
            let report = run(&plan, Arc::new(faulty), two.clone(), CancellationToken::new()).await;
            if !counts.has_failed() {
                break;
            }
            faults += 1;
            let job = &report.jobs[0];
            assert_eq!((report.exit(), job.status), (exit, status), "call {fail_at}");
            assert_eq!(records(&one).await, recorded_one, "call {fail_at}");
            assert_eq!(records(&two).await, recorded_two + 1, "call {fail_at}");
            assert_eq!(counts.left_open(), 0, "call {fail_at}");
            let committed: Vec<_> = job.stores.iter().map(|s| (s.store.as_str(), s.committed)).collect();
            assert!(committed.contains(&("one", false)) && committed.contains(&("two", true)), "{job:?}");
        }
        assert!(faults >= 8, "only {faults} calls were failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_told_to_stop_records_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path(), "all");
    let stop = CancellationToken::new();
    stop.cancel();
    let (one, two) = (local_store(dir.path(), "one"), local_store(dir.path(), "two"));
    let report = run(&plan, one.clone(), two.clone(), stop).await;
    assert_eq!(report.jobs[0].status, Status::Failed);
    assert_eq!(records(&one).await + records(&two).await, 0);
    assert_eq!(leftovers(dir.path()), 0);
}

/// A store with a defect of its own in its listings.
struct Strange {
    inner: Arc<dyn Store>,
    /// Panics when this is listed.
    panics: &'static str,
    /// Leaves out what ends so.
    hidden: &'static str,
    /// How many listings fail, and how, before the first is answered.
    unlisted: std::sync::Mutex<(u32, Reason)>,
    /// Cannot protect what ends so.
    unprotected: &'static str,
    protected: std::sync::Mutex<Vec<String>>,
}

impl Strange {
    fn new(inner: Arc<dyn Store>) -> Self {
        let unlisted = std::sync::Mutex::new((0, Reason::Rejected));
        Self { inner, panics: "-", hidden: "", unlisted, unprotected: "-", protected: Vec::new().into() }
    }
}

#[async_trait]
impl Store for Strange {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, Error> {
        self.inner.create(name, intent).await
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, Error> {
        self.inner.open(name, range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        assert_ne!(prefix, self.panics, "a defect that the test has put here");
        {
            let mut unlisted = self.unlisted.lock().unwrap();
            if unlisted.0 > 0 {
                unlisted.0 -= 1;
                return Err(Error::new(unlisted.1, "the listing is not complete"));
            }
        }
        let mut listed = self.inner.list(prefix).await?;
        listed.retain(|one| self.hidden.is_empty() || !one.name.as_str().ends_with(self.hidden));
        Ok(listed)
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), Error> {
        self.inner.delete(name).await
    }

    async fn extend(&self, name: &ObjectName, _: Timestamp) -> Result<(), Error> {
        if name.as_str().ends_with(self.unprotected) {
            return Err(Error::new(Reason::NotFound, format!("there is no `{name}`")));
        }
        self.protected.lock().unwrap().push(name.to_string());
        Ok(())
    }

    async fn check(&self) -> Vec<Finding> {
        self.inner.check().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_in_one_job_costs_the_others_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut plan = plan(dir.path(), "all");
    let source = plan.sources.values().next().unwrap().clone();
    for name in ["also", "zoo"] {
        plan.sources.insert(name.parse().unwrap(), source.clone());
    }
    let strange =
        |store| Arc::new(Strange { panics: "web/", ..Strange::new(local_store(dir.path(), store)) });
    let report = run(&plan, strange("one"), strange("two"), CancellationToken::new()).await;
    let ended: Vec<_> = report.jobs.iter().map(|job| (job.source.as_str(), job.status)).collect();
    assert_eq!(ended, [("also", Status::Good), ("web", Status::Failed), ("zoo", Status::Good)]);
    assert_eq!(report.exit(), Exit::Partial);
    assert!(report.jobs[1].error[0].contains("defect"), "{:?}", report.jobs[1]);
}

/// A listing that leaves a record out makes a sound package look like the remains of a run that was interrupted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_a_record_is_not_swept_although_the_record_is_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(dir.path(), "all");
    let (one, two) = (local_store(dir.path(), "one"), local_store(dir.path(), "two"));
    run(&plan, one.clone(), two, CancellationToken::new()).await;
    let name = plan.sources.keys().next().unwrap();
    let later = Clock::system().now() + jiff::SignedDuration::from_hours(24 * 9);
    let named = |store| Named { name: "one".to_owned(), store };
    let strange = Strange { hidden: ".json", ..Strange::new(one.clone()) };
    let error = intend(&named(Arc::new(strange)), name, &Policy::default(), later).await.unwrap_err();
    assert!(error.reason == Reason::Corrupt && error.to_string().contains("without its record"), "{error}");
    // What has none goes, and the store that lists everything is judged.
    let intended = intend(&named(one.clone()), name, &Policy::default(), later).await.unwrap();
    assert_eq!((intended.decisions.len(), intended.orphans.len()), (1, 0));
    let record = intended.decisions[0].key.to_string().replace(".tar.gz.age", ".json");
    one.delete(&ObjectName::new(record).unwrap()).await.unwrap();
    let intended = intend(&named(one.clone()), name, &Policy::default(), later).await.unwrap();
    assert_eq!((intended.decisions.len(), intended.orphans.len()), (0, 2));
}

/// A listing that fails at the wrong moment must not make a source that came up empty the measure of what follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_source_is_suspicious_although_the_store_could_not_be_listed() {
    // Listings that fail before the first answer (a job asks when it begins and again before it records), how, and what
    // becomes of the package of an empty tree.
    let cases = [
        (0, Reason::Rejected, Some("bytes of content after")),
        (1, Reason::Rejected, Some("bytes of content after")),
        (2, Reason::Rejected, Some("could not be compared")),
        // A key that may only write: a sound choice.
        (2, Reason::Denied, None),
    ];
    for (fails, reason, suspicious) in cases {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), "all");
        let (one, two) = (local_store(dir.path(), "one"), local_store(dir.path(), "two"));
        let report = run(&plan, one.clone(), two.clone(), CancellationToken::new()).await;
        assert_eq!(report.exit(), Exit::Good);
        std::fs::remove_dir_all(dir.path().join("tree")).unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        let strange = Strange { unlisted: (fails, reason).into(), ..Strange::new(one.clone()) };
        let report = run(&plan, Arc::new(strange), two, CancellationToken::new()).await;
        let found = Scan::of(&one, None).await.unwrap().packages.pop().unwrap();
        let said = found.record.suspicious.as_deref();
        let as_expected = match suspicious {
            Some(words) => said.is_some_and(|said| said.contains(words)),
            None => said.is_none(),
        };
        assert!(as_expected, "{fails} {reason:?}: {said:?}");
        assert_eq!(found.is_good(), suspicious.is_none(), "{fails} {reason:?}");
        // The other store was listed, and says so.
        assert_eq!((report.exit(), report.jobs[0].status), (Exit::Partial, Status::Suspicious));
    }
}

/// The newest package may be of another version: what it holds is not known, so it holds all others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newest_record_that_cannot_be_read_holds_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, one) = backed_up_three_times(dir.path()).await;
    let name = plan.sources.keys().next().unwrap();
    let short = Policy { keep_last: 1, keep_within: std::time::Duration::ZERO, ..Policy::default() };
    let dropped = async || {
        let named = Named { name: "one".to_owned(), store: one.clone() };
        let intended = intend(&named, name, &short, Clock::system().now()).await.unwrap();
        let dropped = intended.decisions.iter().filter(|decision| !decision.keep).count();
        (intended.decisions.len(), dropped, intended.unreadable.len())
    };
    assert_eq!(dropped().await, (3, 2, 0));
    let mut records: Vec<_> = std::fs::read_dir(dir.path().join("one/web"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    records.sort();
    let (newest, oldest) = (records.pop().unwrap(), records.swap_remove(0));
    let whole = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, b"{").unwrap();
    assert_eq!(dropped().await, (2, 0, 1));
    // One that is older holds nothing, and stays.
    std::fs::write(&newest, whole).unwrap();
    std::fs::write(&oldest, b"{").unwrap();
    assert_eq!(dropped().await, (2, 1, 1));
}

/// Whoever removes one object must not have the protection of all others run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_protected_costs_no_other_its_protection() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, one) = backed_up_three_times(dir.path()).await;
    let name = plan.sources.keys().next().unwrap();
    for (unprotected, kept) in [("-", 9), (".index.age", 6)] {
        let strange = Arc::new(Strange { unprotected, ..Strange::new(one.clone()) });
        let named = Named { name: "one".to_owned(), store: strange.clone() };
        let intended = intend(&named, name, &Policy::default(), Clock::system().now()).await.unwrap();
        let done = intended.execute(&named).await;
        let protected = strange.protected.lock().unwrap();
        assert_eq!((done.is_ok(), protected.len()), (kept == 9, kept), "{done:?} {protected:?}");
    }
}

/// A plan whose source has three packages in each store, and the first of the stores.
async fn backed_up_three_times(dir: &Path) -> (Plan, Arc<dyn Store>) {
    let plan = plan(dir, "all");
    let (one, two) = (local_store(dir, "one"), local_store(dir, "two"));
    for _ in 0..3 {
        run(&plan, one.clone(), two.clone(), CancellationToken::new()).await;
    }
    (plan, one)
}

async fn records(store: &Arc<dyn Store>) -> usize {
    Scan::of(store, None).await.unwrap().packages.len()
}

/// Temporary files in both stores.
fn leftovers(dir: &Path) -> usize {
    let files = |store: &str| std::fs::read_dir(dir.join(store).join("web")).into_iter().flatten();
    let hidden = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    files("one").chain(files("two")).flatten().filter(hidden).count()
}
