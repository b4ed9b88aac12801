//! Whole runs against a service where anything goes wrong at random: what a run says is what the bucket has.

use std::sync::Arc;

use aws_sdk_s3::Client;
use chupacabra::exit::Exit;
use chupacabra::stores::Store;

use crate::buckets::{sdk, seaweedfs};
use crate::faults::{LASTING, PASSING, Rig, is_stall, rig};
use crate::support::backups::noise;
use crate::support::fault_proxy::{Fault, Kind};
use crate::support::schedules::{Objects, Service, Site, all, assert_damages_are_seen, chance, schedule};

/// What goes wrong with a request, and how often.
fn fault(schedule: u64, run: u64, index: usize, kind: Kind) -> Option<(Fault, u32)> {
    let chance = chance(schedule, run, index)?;
    let fault = match chance.what {
        // What does not pass, and what only some requests can suffer.
        0..250 => return Some((chance.pick(&LASTING).0, u32::MAX)),
        250..420 => Fault::LostAnswer,
        420..560 if matches!(kind, Kind::Put | Kind::Part) => Fault::ChangedBody,
        420..560 if kind == Kind::Complete => Fault::ErrorIn200,
        420..560 => Fault::CutAnswer,
        _ => chance.pick(&PASSING),
    };
    // A stall takes its time, so it is rare.
    match fault {
        fault if is_stall(fault) && !chance.slowly => None,
        fault => Some((fault, if is_stall(fault) { 1 } else { chance.times })),
    }
}

/// A bucket behind a proxy, and another client that reads it past the faults.
struct Bucket {
    rig: Rig,
    client: Client,
}

impl Bucket {
    async fn new() -> Self {
        Self { rig: rig(|config| config).await, client: sdk(&seaweedfs().endpoint()) }
    }
}

impl Service for Bucket {
    type Injected = (usize, Kind, Fault);

    fn arm(&self, schedule: u64, run: u64) {
        self.rig.proxy.arm(move |index, kind| fault(schedule, run, index, kind));
    }

    fn disarm(&self) -> Vec<Self::Injected> {
        self.rig.proxy.disarm()
    }

    async fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.rig.store.clone())
    }

    async fn objects(&self) -> Objects {
        let mut found = Objects::new();
        let bucket = &self.rig.bucket;
        let mut pages = self.client.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            for key in page.unwrap().contents().iter().filter_map(|object| object.key()) {
                let got = self.client.get_object().bucket(bucket).key(key).send().await.unwrap();
                let name = key.strip_prefix("pre/fix/").unwrap().to_owned();
                found.insert(name, vec![got.body.collect().await.unwrap().to_vec()]);
            }
        }
        found
    }

    fn passes(injected: &[Self::Injected]) -> bool {
        let passing =
            |fault| PASSING.contains(fault) || matches!(fault, Fault::ChangedBody | Fault::ErrorIn200);
        injected.iter().all(|(_, _, fault)| passing(fault))
    }

    /// The answer was lost, or the service said afterwards that nothing is there, or would not say.
    fn is_unanswered((_, kind, fault): &Self::Injected) -> bool {
        match kind {
            Kind::Put => matches!(fault, Fault::LostAnswer | Fault::CutAnswer),
            kind => *kind == Kind::Head,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_a_run_says_what_the_bucket_has() {
    let tally = all(0..8, 1, async |number| {
        // In one request, or in two parts.
        let size = if number.is_multiple_of(2) { 200_000 } else { 5_600_000 };
        schedule(&Bucket::new().await, number, size).await
    });
    let tally = tally.await;
    assert!(tally.recovered > 2 && tally.swept > 0, "{tally:?}");
    assert!(tally.faults > 50 && tally.good > 20 && tally.failed > 1 && tally.pruned > 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_or_changed_is_seen() {
    let (site, bucket) = (Site::new(), Bucket::new().await);
    site.fill(&noise(1_000, 1));
    assert_eq!(site.backup(bucket.store().await).await.exit(), Exit::Good);
    assert_damages_are_seen(&bucket.objects().await);
}
