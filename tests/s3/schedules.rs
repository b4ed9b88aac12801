//! Whole runs against a service where anything goes wrong at random: what a run says is what the bucket has.
//!
//! A schedule follows from its number alone. `CHUPACABRA_SCHEDULES=100..900` runs others than the usual ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use aws_sdk_s3::Client;
use chupacabra::backup::Run;
use chupacabra::clock::Clock;
use chupacabra::config::{self, Plan};
use chupacabra::exit::Exit;
use chupacabra::progress::Progress;
use chupacabra::report::{Report, Status};
use chupacabra::stores::{Named, Store};
use serde_json::Value;
use sha2::Digest as _;
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_64;

use crate::buckets::{sdk, seaweedfs};
use crate::faults::{LASTING, PASSING, Rig, is_stall, rig};
use crate::support::backups::noise;
use crate::support::fault_proxy::{Fault, Kind};
use crate::support::{run, scratch, shell, tool};

/// How many runs a schedule has, the last without faults.
const RUNS: u64 = 6;
/// Of a thousand requests so many go wrong, schedule by schedule.
const RATES: [u64; 4] = [20, 60, 150, 400];
/// The least that retention keeps here.
const KEPT: usize = 2;

/// What goes wrong with a request, and how often.
fn fault(schedule: u64, run: u64, index: usize, kind: Kind) -> Option<(Fault, u32)> {
    let seed: Vec<u8> = [schedule, run, index as u64].iter().flat_map(|part| part.to_le_bytes()).collect();
    let random = xxh3_64(&seed);
    let [one, two, three] = [random % 1_000, (random >> 20) % 1_000, (random >> 40) % 1_000];
    if run + 1 == RUNS || one >= RATES[usize::try_from(schedule).unwrap() % RATES.len()] {
        return None;
    }
    let times = u32::try_from(1 + three % 3).unwrap();
    let pick = |count: usize| usize::try_from(random >> 50).unwrap() % count;
    let fault = match two {
        // What does not pass, and what only some requests can suffer.
        0..250 => return Some((LASTING[pick(LASTING.len())].0, u32::MAX)),
        250..420 => Fault::LostAnswer,
        420..560 if matches!(kind, Kind::Put | Kind::Part) => Fault::ChangedBody,
        420..560 if kind == Kind::Complete => Fault::ErrorIn200,
        420..560 => Fault::CutAnswer,
        _ => PASSING[pick(PASSING.len())],
    };
    // A stall takes its time, so it is rare.
    match fault {
        fault if is_stall(fault) && three % 8 > 0 => None,
        fault => Some((fault, if is_stall(fault) { 1 } else { times })),
    }
}

/// What a bucket holds, by name, as another client reads it past the faults.
type Objects = BTreeMap<String, Vec<u8>>;

async fn objects(client: &Client, bucket: &str) -> Objects {
    let mut found = Objects::new();
    let mut pages = client.list_objects_v2().bucket(bucket).into_paginator().send();
    while let Some(page) = pages.next().await {
        for name in page.unwrap().contents().iter().filter_map(|object| object.key()) {
            let got = client.get_object().bucket(bucket).key(name).send().await.unwrap();
            found.insert(name.to_owned(), got.body.collect().await.unwrap().to_vec());
        }
    }
    found
}

/// What is wrong with the recorded packages: none may lack anything, or have other bytes than recorded.
fn damages(objects: &Objects) -> Vec<String> {
    let mut damages = Vec::new();
    for (name, bytes) in objects {
        let Some(base) = name.strip_suffix(".json") else { continue };
        let record: Value = serde_json::from_slice(bytes).unwrap();
        for (part, end) in [("package", ".tar.gz.age"), ("index", ".index.age")] {
            let object = objects.get(&format!("{base}{end}"));
            let digest = object.map(|bytes| hex::encode(sha2::Sha256::digest(bytes)));
            if digest.as_deref() != record[part]["sha256"].as_str() {
                damages.push(format!("{name}: {part} {digest:?}"));
            }
        }
    }
    damages
}

/// A tree, a key, a plan and a bucket behind a proxy.
struct Site {
    dir: tempfile::TempDir,
    plan: Plan,
    rig: Rig,
    client: Client,
}

impl Site {
    async fn new() -> Self {
        let dir = scratch();
        let key = dir.path().join("key.txt");
        run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
        let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
        let yaml = format!(
            "encryption: {{ recipients: [{}] }}\n\
             stores: {{ bucket: {{ local: {{ path: {1}/unused }} }} }}\n\
             retention: {{ keep_within: 1s, keep_last: {KEPT} }}\n\
             sources: {{ web: {{ files: {{ path: {1}/tree }} }} }}\n",
            String::from_utf8(recipient).unwrap().trim(),
            dir.path().display()
        );
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        std::fs::write(dir.path().join("config.yaml"), yaml).unwrap();
        let plan = config::load(&dir.path().join("config.yaml")).unwrap();
        let client = sdk(&seaweedfs().endpoint());
        Self { plan, dir, rig: rig(|config| config).await, client }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    async fn objects(&self) -> Objects {
        objects(&self.client, &self.rig.bucket).await
    }

    async fn backup(&self) -> Report {
        let store: Arc<dyn Store> = Arc::new(self.rig.store.clone());
        let stores = BTreeMap::from([("bucket".to_owned(), Named { name: "bucket".to_owned(), store })]);
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let clock = Clock::system();
        let run = Run { plan: &self.plan, stores: &stores, clock, stop, progress: &progress };
        run.backup(&self.plan.sources.keys().cloned().collect::<Vec<_>>()).await
    }

    /// Stock tools take the tree's file out of a package.
    fn content(&self, package: &[u8]) -> Vec<u8> {
        let at = self.path("package");
        std::fs::write(&at, package).unwrap();
        shell(&format!("age -d -i {}/key.txt {} | tar xzO noise", self.dir.path().display(), at.display()))
    }
}

fn records(objects: &Objects) -> BTreeSet<String> {
    objects.keys().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect()
}

/// Counts over all schedules.
#[derive(Debug, Default)]
struct Tally {
    faults: usize,
    good: usize,
    failed: usize,
    pruned: usize,
    not_pruned: usize,
    /// Runs that could not learn whether their record had arrived.
    unknown: usize,
}

async fn schedule(number: u64, tally: &mut Tally) {
    let site = Site::new().await;
    // In one request, or in two parts.
    let size = if number.is_multiple_of(2) { 200_000 } else { 5_600_000 };
    // The records of packages that are there, in the order of time, and what was in the tree.
    let mut trees: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut good: Vec<String> = Vec::new();
    let mut before = BTreeSet::new();
    for run in 0..RUNS {
        let content = noise(size, number * RUNS + run);
        std::fs::write(site.path("tree/noise"), &content).unwrap();
        site.rig.proxy.arm(move |index, kind| fault(number, run, index, kind));
        let report = site.backup().await;
        let injected = site.rig.proxy.disarm();
        tally.faults += injected.len();
        let told = || format!("schedule {number}, run {run}: {:?}\nafter {injected:?}", report.jobs[0]);
        let objects = site.objects().await;
        assert_eq!(damages(&objects), Vec::<String>::new(), "{}", told());
        let job = &report.jobs[0];
        let outcome = &job.stores[0];
        let key = job.key.to_string();
        let name = format!("pre/fix/{}", key.strip_suffix(".tar.gz.age").unwrap());
        let after = records(&objects);
        let is_there = after.contains(&name);
        trees.insert(name.clone(), content);
        // Good is what is recorded, and what retention could be enforced after.
        assert_eq!(outcome.committed, job.status == Status::Good, "{}", told());
        assert_eq!(
            report.exit() == Exit::Good,
            outcome.committed && outcome.prune_error.is_empty(),
            "{}",
            told()
        );
        if outcome.committed {
            assert!(is_there, "{}", told());
            tally.good += 1;
            good.push(name.clone());
        } else {
            assert!(!outcome.error.is_empty(), "{}", told());
            // The answer was lost, or the service said afterwards that nothing is there, or would not say.
            let unanswered = |(_, kind, fault): &(usize, Kind, Fault)| match kind {
                Kind::Put => matches!(fault, Fault::LostAnswer | Fault::CutAnswer),
                kind => *kind == Kind::Head,
            };
            assert!(!is_there || injected.iter().any(unanswered), "{}", told());
            tally.failed += 1;
            tally.unknown += usize::from(is_there);
        }
        // Only retention removes, only after a good backup, and never the newest ones.
        let gone: Vec<&String> = before.difference(&after).collect();
        assert!(gone.is_empty() || outcome.committed, "{gone:?} are gone: {}", told());
        let newest: Vec<&String> =
            before.union(&after).collect::<Vec<_>>().into_iter().rev().take(KEPT).collect();
        assert!(newest.iter().all(|name| after.contains(*name)), "{newest:?}: {}", told());
        tally.pruned += gone.len();
        tally.not_pruned += usize::from(!outcome.prune_error.is_empty());
        before = after;
    }
    assert_eq!(good.len(), good.iter().collect::<BTreeSet<_>>().len());
    let objects = site.objects().await;
    assert!(
        good.last().is_some_and(|name| before.contains(name)),
        "schedule {number}: the last run had no faults"
    );
    for name in &before {
        let content = site.content(&objects[&format!("{name}.tar.gz.age")]);
        assert!(content == trees[name], "schedule {number}: {name} has another tree");
    }
}

/// Which schedules to run.
fn schedules() -> Range<u64> {
    let Ok(wanted) = std::env::var("CHUPACABRA_SCHEDULES") else { return 0..8 };
    let (from, to) = wanted.split_once("..").unwrap();
    from.parse().unwrap()..to.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_a_run_says_what_the_bucket_has() {
    let mut tally = Tally::default();
    for number in schedules() {
        schedule(number, &mut tally).await;
    }
    println!("schedules {:?}: {tally:?}", schedules());
    assert!(tally.faults > 50 && tally.good > 20 && tally.failed > 1 && tally.pruned > 0, "{tally:?}");
}

/// The negative control: what is missing or changed is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_changed_is_seen() {
    let site = Site::new().await;
    std::fs::write(Path::new(&site.path("tree/noise")), noise(1_000, 1)).unwrap();
    assert_eq!(site.backup().await.exit(), Exit::Good);
    let sound = site.objects().await;
    assert_eq!((sound.len(), damages(&sound)), (3, Vec::new()));
    for end in [".tar.gz.age", ".index.age"] {
        let mut objects = sound.clone();
        objects.retain(|name, _| !name.ends_with(end));
        assert_eq!(damages(&objects).len(), 1);
        let mut objects = sound.clone();
        objects.iter_mut().filter(|(name, _)| name.ends_with(end)).for_each(|(_, bytes)| bytes[100] ^= 1);
        assert_eq!(damages(&objects).len(), 1);
    }
}
