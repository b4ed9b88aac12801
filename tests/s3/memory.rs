//! Memory is what the configuration allows, however long the stream is: one dump into two stores at once.

use std::process::Command;

use crate::buckets::{new_bucket, seaweedfs};
use crate::program::Site;
use crate::support::tool;

/// What one stream into two stores may take with the default settings, in KiB.
const BOUND: u64 = 128 << 10;
/// Long enough for every buffer to fill many times.
const STREAM: usize = 300_000_000;

/// The peak of memory, in KiB, of a backup into two stores with these further settings.
async fn peak(more: &str) -> u64 {
    let mut stores = Vec::new();
    for name in ["one", "two"] {
        let (bucket, endpoint) = (new_bucket().await, seaweedfs().endpoint());
        stores.push(format!(
            "  {name}: {{ s3: {{ provider: seaweedfs, bucket: {bucket}, endpoint: '{endpoint}', \
             access_key_id: {{ env: ONE_ID }}, secret_access_key: {{ env: ONE_SECRET }}{more} }} }}"
        ));
    }
    let site = Site::new(&stores, "", STREAM);
    let (report, backup) = (site.path("peak"), site.command(&["backup"]));
    let mut command = Command::new(tool("time"));
    command.args(["-f", "%M", "-o"]).arg(&report).arg(backup.get_program()).args(backup.get_args());
    command.envs(backup.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(report).unwrap().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_stream_into_two_stores_stays_below_its_bound() {
    let peak_by_default = peak("").await;
    // The control: buffers that are allowed to be more do show.
    let peak_with_more = peak(", part_size: 64MiB").await;
    println!("peak: {} MiB; with parts of 64 MiB: {} MiB", peak_by_default >> 10, peak_with_more >> 10);
    assert!(peak_by_default <= BOUND, "{} MiB", peak_by_default >> 10);
    assert!(peak_with_more > BOUND, "{} MiB", peak_with_more >> 10);
}
