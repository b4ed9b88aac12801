//! Whole runs against a service where anything goes wrong at random: what a run says is what the service has.
//!
//! A schedule follows from its number alone. `CHUPACABRA_SCHEDULES=100..900` runs others than the usual ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chupacabra::backup::Run;
use chupacabra::catalog::{Key, record};
use chupacabra::clock::Clock;
use chupacabra::config::{self, Plan};
use chupacabra::exit::Exit;
use chupacabra::progress::Progress;
use chupacabra::prune::intend;
use chupacabra::report::{Job, Report, Status};
use chupacabra::stores::{Named, Store};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use super::backups::noise;
use super::{run, scratch, shell, tool};

/// How many runs a schedule has, the last without faults.
pub const RUNS: u64 = 6;
/// Of a thousand requests so many go wrong, schedule by schedule.
const RATES: [u64; 4] = [20, 60, 150, 400];
/// The least that retention keeps here.
const KEPT: usize = 2;
/// Fewer than the attempts at one request, with some to spare for a busy machine.
const FEW: usize = 6;
/// Longer than any run takes: one that takes longer hangs.
const LONGEST: Duration = Duration::from_mins(5);

/// Chance, as far as it decides about one request.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// What goes wrong, below 1,000.
    pub what: u64,
    /// How often.
    pub times: u32,
    /// Whether what takes its time may happen: it is rare.
    pub slowly: bool,
    pick: u64,
}

impl Chance {
    /// One of these.
    pub fn pick<T: Copy>(self, from: &[T]) -> T {
        from[usize::try_from(self.pick).unwrap() % from.len()]
    }
}

/// Whether a request goes wrong, and what chance has to say about how.
pub fn chance(schedule: u64, run: u64, index: usize) -> Option<Chance> {
    let seed: Vec<u8> = [schedule, run, index as u64].iter().flat_map(|part| part.to_le_bytes()).collect();
    let random = xxh3_64(&seed);
    let [one, two, three] = [random % 1_000, (random >> 20) % 1_000, (random >> 40) % 1_000];
    if run + 1 == RUNS || one >= RATES[usize::try_from(schedule).unwrap() % RATES.len()] {
        return None;
    }
    let times = u32::try_from(1 + three % 3).unwrap();
    Some(Chance { what: two, times, slowly: three % 8 == 0, pick: random >> 50 })
}

/// What a service has, by the names that the store gave, past the faults. Some services let names have several files.
pub type Objects = BTreeMap<String, Vec<Vec<u8>>>;

/// A service of one store's own, where things go wrong.
pub trait Service {
    /// What went wrong.
    type Injected: Debug;

    /// From now on, things go wrong as in this run of this schedule.
    fn arm(&self, schedule: u64, run: u64);
    /// From now on, nothing goes wrong by chance. Returns what did.
    fn disarm(&self) -> Vec<Self::Injected>;
    /// The store, as a new process has it.
    fn store(&self) -> impl Future<Output = Arc<dyn Store>>;
    /// Whether listings show late what is there. A record that is not shown does not count, so that what it records
    /// must not be swept before listings show it: the least that a configuration may ask for is an hour.
    fn lags(&self) -> bool {
        false
    }
    /// From now on, what is there shows at once.
    fn settle(&self) {}
    /// What is there.
    fn objects(&self) -> impl Future<Output = Objects>;
    /// Whether everything that went wrong passes by itself, given as many attempts as there are.
    fn passes(injected: &[Self::Injected]) -> bool;
    /// Whether a record can have arrived without the run's knowing it.
    fn is_unanswered(injected: &Self::Injected) -> bool;
    /// Whether a record can have been damaged on its way, and be there because removing it went wrong too.
    fn is_left_damaged(_: &[Self::Injected]) -> bool {
        false
    }
}

/// What is wrong with the recorded packages: none may lack anything, have other bytes than recorded, or be there twice.
pub fn damages(objects: &Objects) -> Vec<String> {
    let mut damages = Vec::new();
    for (name, files) in objects {
        if files.len() != 1 {
            damages.push(format!("{name} is there {} times", files.len()));
        }
        let Some(base) = name.strip_suffix(".json") else { continue };
        let Ok(record) = serde_json::from_slice::<Value>(&files[0]) else { continue };
        for (part, end) in [("package", ".tar.gz.age"), ("index", ".index.age")] {
            let object = objects.get(&format!("{base}{end}"));
            let digest = object.map(|files| hex::encode(sha2::Sha256::digest(&files[0])));
            if digest.as_deref() != record[part]["sha256"].as_str() {
                damages.push(format!("{name}: {part} {digest:?}"));
            }
        }
    }
    damages
}

/// The names of the records, without their end: those that are records, or those that are damaged.
fn records(objects: &Objects, sound: bool) -> BTreeSet<String> {
    let records = objects.iter().filter_map(|(name, files)| Some((name.strip_suffix(".json")?, &files[0])));
    let wanted = records.filter(|(_, bytes)| record::parse(bytes).is_ok() == sound);
    wanted.map(|(name, _)| name.to_owned()).collect()
}

/// A tree, a key, and a plan.
pub struct Site {
    dir: tempfile::TempDir,
    plan: Plan,
}

impl Site {
    /// Makes the key with the stock `age-keygen`.
    pub fn new() -> Self {
        let dir = scratch();
        let key = dir.path().join("key.txt");
        run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
        let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
        let yaml = format!(
            "encryption: {{ recipients: [{}] }}\n\
             stores: {{ there: {{ local: {{ path: {1}/unused }} }} }}\n\
             retention: {{ keep_within: 1s, keep_last: {KEPT} }}\n\
             sources: {{ web: {{ files: {{ path: {1}/tree }} }} }}\n",
            String::from_utf8(recipient).unwrap().trim(),
            dir.path().display()
        );
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        std::fs::write(dir.path().join("config.yaml"), yaml).unwrap();
        let plan = config::load(&dir.path().join("config.yaml")).unwrap();
        Self { dir, plan }
    }

    /// The same, with what has no record swept after a second: sooner than a configuration may ask for. Here runs come
    /// one after the other, so nothing is still on its way.
    fn sweeping(mut self) -> Self {
        for (_, policy) in self.plan.sources.values_mut().flat_map(|source| &mut source.stores) {
            policy.orphans_after = Duration::from_secs(1);
        }
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Fills the tree.
    pub fn fill(&self, content: &[u8]) {
        std::fs::write(self.path("tree/noise"), content).unwrap();
    }

    /// One run, which must end.
    pub async fn backup(&self, store: Arc<dyn Store>) -> Report {
        let stores = BTreeMap::from([("there".to_owned(), named(store))]);
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let clock = Clock::system();
        let run = Run { plan: &self.plan, stores: &stores, clock, stop, progress: &progress };
        let sources: Vec<_> = self.plan.sources.keys().cloned().collect();
        tokio::time::timeout(LONGEST, run.backup(&sources)).await.expect("the run does not end")
    }

    /// Retention and sweeping as they are when everything is old.
    async fn prune(&self, store: Arc<dyn Store>) {
        let (name, source) = self.plan.sources.first_key_value().unwrap();
        let later = Clock::system().now() + jiff::SignedDuration::from_hours(24 * 3);
        let named = named(store);
        let intended = intend(&named, name, &source.stores[0].1, later).await.unwrap();
        intended.execute(&named).await.unwrap();
    }

    /// Stock tools take the tree's file out of a package.
    fn content(&self, package: &[u8]) -> Vec<u8> {
        let at = self.path("package");
        std::fs::write(&at, package).unwrap();
        shell(&format!("age -d -i {}/key.txt {} | tar xzO noise", self.dir.path().display(), at.display()))
    }
}

fn named(store: Arc<dyn Store>) -> Named {
    Named { name: "there".to_owned(), store }
}

/// Counts over schedules.
#[derive(Debug, Default)]
pub struct Tally {
    /// Requests that went wrong.
    pub faults: usize,
    /// Runs that were good.
    pub good: usize,
    /// Runs that were not.
    pub failed: usize,
    /// Runs that were good although something went wrong, because all of it passes.
    pub recovered: usize,
    /// Packages that retention removed.
    pub pruned: usize,
    /// Good runs whose retention failed.
    pub not_pruned: usize,
    /// Runs whose package could not be compared with the one before, and is no good one until a person says so.
    pub uncompared: usize,
    /// Runs that could not learn whether their record had arrived.
    pub unknown: usize,
    /// Runs that left a damaged record, which they could not remove.
    pub damaged: usize,
    /// Objects without a record that were swept.
    pub swept: usize,
}

impl Tally {
    fn and(self, other: &Self) -> Self {
        Self {
            faults: self.faults + other.faults,
            good: self.good + other.good,
            failed: self.failed + other.failed,
            recovered: self.recovered + other.recovered,
            pruned: self.pruned + other.pruned,
            not_pruned: self.not_pruned + other.not_pruned,
            uncompared: self.uncompared + other.uncompared,
            unknown: self.unknown + other.unknown,
            damaged: self.damaged + other.damaged,
            swept: self.swept + other.swept,
        }
    }
}

/// A schedule in the middle.
struct Course<'a, S> {
    site: Site,
    service: &'a S,
    number: u64,
    /// What was in the tree, for every record that was ever there.
    trees: BTreeMap<String, Vec<u8>>,
    good: BTreeSet<String>,
    /// What could not be compared: retention does not count it.
    uncompared: BTreeSet<String>,
    /// The records after the run before.
    before: BTreeSet<String>,
    /// What had no record then.
    orphans: BTreeSet<String>,
    damaged_before: BTreeSet<String>,
    tally: Tally,
}

/// The key of the job's package as the names of its objects begin.
fn stem(key: &Key) -> String {
    key.to_string().strip_suffix(".tar.gz.age").unwrap().to_owned()
}

impl<S: Service> Course<'_, S> {
    async fn run(&mut self, run: u64, size: usize) {
        let content = noise(size, self.number * RUNS + run);
        self.site.fill(&content);
        self.service.arm(self.number, run);
        let report = self.site.backup(self.service.store().await).await;
        let injected = self.service.disarm();
        self.tally.faults += injected.len();
        let job = &report.jobs[0];
        let told = format!("schedule {}, run {run}: {job:?}\nafter {injected:?}", self.number);
        let objects = self.service.objects().await;
        assert_eq!(damages(&objects), Vec::<String>::new(), "{told}");
        let after = records(&objects, true);
        let new: Vec<String> = after.difference(&self.before).cloned().collect();
        assert!(new.len() <= 1, "{new:?} are new: {told}");
        self.trees.extend(new.iter().map(|name| (name.clone(), content.clone())));
        self.judge(&report, &new, &injected, &told);
        let committed = job.stores[0].committed;
        self.judge_damaged(&objects, committed, &injected, &told);
        self.judge_retention(&after, committed, &told);
        self.before = after;
        self.note_orphans(&objects);
    }

    /// What has no record, neither a sound one nor a damaged one.
    fn note_orphans(&mut self, objects: &Objects) {
        let ends = [".json", ".tar.gz.age", ".index.age"];
        let recorded = |name: &str| {
            let base = ends.iter().find_map(|end| name.strip_suffix(end));
            base.is_some_and(|base| self.before.contains(base) || self.damaged_before.contains(base))
        };
        let orphans: BTreeSet<String> = objects.keys().filter(|name| !recorded(name)).cloned().collect();
        self.tally.swept += self.orphans.iter().filter(|orphan| !objects.contains_key(*orphan)).count();
        self.orphans = orphans;
    }

    /// Good is what is recorded, and what retention could be enforced after.
    fn judge(&mut self, report: &Report, new: &[String], injected: &[S::Injected], told: &str) {
        let job: &Job = &report.jobs[0];
        let outcome = &job.stores[0];
        let suspicious = job.record.as_ref().and_then(|record| record.suspicious.as_deref());
        let uncompared = suspicious.is_some_and(|why| why.starts_with("it could not be compared"));
        // The trees are all of one size: nothing else is suspicious about any.
        assert_eq!(job.status == Status::Suspicious, uncompared, "{told}");
        assert!(!uncompared || !injected.is_empty(), "{told}");
        assert_eq!(outcome.committed, job.status == Status::Good || uncompared, "{told}");
        let sound = outcome.committed && outcome.prune_error.is_empty() && !uncompared;
        let exit = match (sound, outcome.committed) {
            (true, _) => Exit::Good,
            (_, true) => Exit::Partial,
            _ => Exit::Failed,
        };
        assert_eq!(report.exit(), exit, "{told}");
        // So few faults cannot use up the attempts of any request.
        if injected.len() <= FEW && S::passes(injected) {
            assert!(sound, "everything passes: {told}");
            self.tally.recovered += usize::from(!injected.is_empty());
        }
        if outcome.committed {
            assert_eq!(new, [stem(&job.key)], "{told}");
            if uncompared {
                self.tally.uncompared += 1;
                self.uncompared.insert(stem(&job.key));
                return;
            }
            self.tally.good += 1;
            assert!(self.good.insert(stem(&job.key)), "{told}");
        } else {
            assert!(!outcome.error.is_empty(), "{told}");
            assert!(new.is_empty() || injected.iter().any(S::is_unanswered), "{new:?} is there: {told}");
            self.tally.failed += 1;
            self.tally.unknown += new.len();
        }
        self.tally.not_pruned += usize::from(!outcome.prune_error.is_empty());
    }

    /// A damaged record is no claim, but it stays: its run must have failed, and could not remove it.
    fn judge_damaged(&mut self, objects: &Objects, committed: bool, injected: &[S::Injected], told: &str) {
        let damaged = records(objects, false);
        let new = damaged.difference(&self.damaged_before).count();
        assert!(new == 0 || !committed && S::is_left_damaged(injected), "a damaged record: {told}");
        assert!(self.damaged_before.is_subset(&damaged), "what cannot be read was removed: {told}");
        self.tally.damaged += new;
        self.damaged_before = damaged;
    }

    /// Only retention removes, only after a good backup, and never the newest ones.
    fn judge_retention(&mut self, after: &BTreeSet<String>, committed: bool, told: &str) {
        let gone: Vec<&String> = self.before.difference(after).collect();
        assert!(gone.is_empty() || committed, "{gone:?} are gone: {told}");
        let all: BTreeSet<&String> = self.before.union(after).collect();
        let counted = all.into_iter().rev().filter(|name| !self.uncompared.contains(*name));
        let newest: Vec<&String> = counted.take(KEPT).collect();
        assert!(newest.iter().all(|name| after.contains(*name)), "{newest:?}: {told}");
        self.tally.pruned += gone.len();
    }

    /// What is left can be restored, and everything else is swept once it is old.
    async fn end(&mut self) {
        let told = format!("schedule {}", self.number);
        let last = &self.before.last().unwrap().clone();
        assert!(self.good.contains(last), "{told}: the last run had no faults");
        self.service.settle();
        self.site.prune(self.service.store().await).await;
        let objects = self.service.objects().await;
        let kept = records(&objects, true);
        assert!(kept.is_subset(&self.before) && kept.contains(last), "{told}: {kept:?}");
        let counted = |names: &BTreeSet<String>| names.difference(&self.uncompared).count();
        assert!(counted(&kept) >= KEPT.min(counted(&self.before)), "{told}: {kept:?}");
        self.before.clone_from(&kept);
        self.note_orphans(&objects);
        assert!(self.orphans.is_empty(), "{told}: {:?} are left", self.orphans);
        for name in &kept {
            let content = self.site.content(&objects[&format!("{name}.tar.gz.age")][0]);
            assert!(content == self.trees[name], "{told}: {name} has another tree");
        }
    }
}

/// One schedule on a service of its own, with trees of this size.
pub async fn schedule<S: Service>(service: &S, number: u64, size: usize) -> Tally {
    let site = if service.lags() { Site::new() } else { Site::new().sweeping() };
    let mut course = Course {
        site,
        service,
        number,
        trees: BTreeMap::new(),
        good: BTreeSet::new(),
        uncompared: BTreeSet::new(),
        before: BTreeSet::new(),
        orphans: BTreeSet::new(),
        damaged_before: BTreeSet::new(),
        tally: Tally::default(),
    };
    for run in 0..RUNS {
        course.run(run, size).await;
    }
    course.end().await;
    course.tally
}

/// Runs the usual schedules, or those that are wished for, so many at once.
#[allow(clippy::print_stdout, reason = "the counts of faults are part of the proof")]
pub async fn all<W: Future<Output = Tally>>(
    usual: Range<u64>,
    at_once: usize,
    schedule: impl Fn(u64) -> W,
) -> Tally {
    let numbers = match std::env::var("CHUPACABRA_SCHEDULES") {
        Ok(wanted) => {
            let (from, to) = wanted.split_once("..").unwrap();
            from.parse().unwrap()..to.parse().unwrap()
        }
        Err(_) => usual,
    };
    // Every schedule runs, whatever an earlier one found.
    let run = |number| {
        let outcome = AssertUnwindSafe(schedule(number)).catch_unwind();
        async move { outcome.await.map_err(|_| number) }
    };
    let outcomes: Vec<_> = stream::iter(numbers.clone()).map(run).buffer_unordered(at_once).collect().await;
    let failed: Vec<&u64> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    let tally = outcomes.iter().flatten().fold(Tally::default(), Tally::and);
    println!("schedules {numbers:?}: {tally:?}");
    assert!(failed.is_empty(), "schedules that failed: {failed:?}");
    tally
}

/// The negative control: what is missing, changed or doubled is seen. The objects are those of one good run.
pub fn assert_damages_are_seen(sound: &Objects) {
    assert_eq!((sound.len(), damages(sound)), (3, Vec::new()));
    for end in [".tar.gz.age", ".index.age"] {
        let changed = |change: fn(&mut Objects, String)| {
            let mut objects = sound.clone();
            let name = objects.keys().find(|name| name.ends_with(end)).unwrap().clone();
            change(&mut objects, name);
            damages(&objects).len()
        };
        assert_eq!(changed(|objects, name| drop(objects.remove(&name))), 1);
        assert_eq!(changed(|objects, name| objects.get_mut(&name).unwrap()[0][100] ^= 1), 1);
        let double = |objects: &mut Objects, name: String| {
            let files = objects.get_mut(&name).unwrap();
            files.push(files[0].clone());
        };
        assert_eq!(changed(double), 1);
    }
}
