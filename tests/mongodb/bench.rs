//! Figures for `tests/bench/mongodb.sh`; not part of the test run.

use std::time::{Duration, Instant};

use chupacabra::package::pipe::{PipeReader, pipe};
use chupacabra::package::seal;
use chupacabra::sources::mongodb::MongoDb;
use futures_util::StreamExt as _;
use mongodb::bson::{RawDocumentBuf, doc};
use tokio_util::sync::CancellationToken;

use crate::support::mongodb::plan_with;
use crate::support::package::{keys, settings};

async fn drain(mut reader: PipeReader) {
    while let Ok(Some(_)) = reader.next().await {}
}

/// Reads four collections side by side with the driver alone: the limit.
async fn scan(url: &str) -> u64 {
    let client = mongodb::Client::with_uri_str(url).await.unwrap();
    let scans = (0..4).map(|number| {
        let collection = client.database("bench").collection::<RawDocumentBuf>(&format!("c{number}"));
        tokio::spawn(async move {
            let mut batches = collection.find(doc! {}).batch_size(20_000).batch().await.unwrap();
            let mut bytes = 0;
            while let Some(batch) = batches.next().await {
                for document in batch.unwrap().doc_slices().unwrap() {
                    bytes += document.unwrap().as_document().unwrap().as_bytes().len() as u64;
                }
            }
            bytes
        })
    });
    let bytes = futures_util::future::join_all(scans.collect::<Vec<_>>()).await;
    bytes.into_iter().map(Result::unwrap).sum()
}

/// Dumps into a package that goes nowhere.
async fn dump(url: &str) {
    let (package_writer, package_reader) = pipe(2);
    let (index_writer, index_reader) = pipe(2);
    let settings = settings(&keys().recipient);
    let (outlet, sealing) = seal(&settings, "bench", package_writer, index_writer).unwrap();
    let drains = [tokio::spawn(drain(package_reader)), tokio::spawn(drain(index_reader))];
    let plan = plan_with(url, "databases: [bench]");
    MongoDb::new(plan).dump(outlet, &CancellationToken::new()).await.unwrap();
    tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
    futures_util::future::join_all(drains).await;
}

/// Processor seconds of this process and its largest memory in MiB.
fn usage() -> (f64, u64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    (f64::from(ticks) / 100.0, kib / 1024)
}

/// Runs what `CHUPACABRA_BENCH` says (`scan`, `dump`) on `CHUPACABRA_BENCH_URL` and prints seconds, processor seconds
/// and MiB.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark: run it by tests/bench/mongodb.sh"]
async fn bench() {
    let url = std::env::var("CHUPACABRA_BENCH_URL").unwrap();
    let (before, start) = (usage().0, Instant::now());
    let bytes = if std::env::var("CHUPACABRA_BENCH").unwrap() == "scan" {
        scan(&url).await
    } else {
        dump(&url).await;
        0
    };
    let elapsed: Duration = start.elapsed();
    let (after, peak) = usage();
    println!("figures {:.2} {:.2} {peak} {bytes}", elapsed.as_secs_f64(), after - before);
}
