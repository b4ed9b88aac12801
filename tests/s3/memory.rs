//! Memory is what the configuration allows, however long the stream is: one dump into two stores at once.

use std::process::Command;

use crate::buckets::{new_bucket, seaweedfs};
use crate::program::Site;
use crate::support::tool;

/// What a stream into two stores may take on top of what a backup of next to nothing takes, in KiB: the released
/// program stays below 128 MiB as a whole (`tests/bench/s3_memory.sh`), but the code of a build for tests weighs more.
const BOUND: u64 = 96 << 10;
/// Long enough for every buffer to fill many times.
const STREAM: usize = 300_000_000;

/// The peak of memory, in KiB, of a backup of so many bytes into two stores with these further settings.
async fn peak(size: usize, more: &str) -> u64 {
    let mut stores = Vec::new();
    for name in ["one", "two"] {
        let (bucket, endpoint) = (new_bucket().await, seaweedfs().endpoint());
        stores.push(format!(
            "  {name}: {{ s3: {{ provider: seaweedfs, bucket: {bucket}, endpoint: '{endpoint}', \
             access_key_id: {{ env: ONE_ID }}, secret_access_key: {{ env: ONE_SECRET }}{more} }} }}"
        ));
    }
    let site = Site::new(&stores, "", size);
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
    let nothing = peak(1_000, "").await;
    let stream = peak(STREAM, "").await - nothing;
    // The control: buffers that are allowed to be more do show.
    let with_more = peak(STREAM, ", part_size: 64MiB").await - nothing;
    println!(
        "{} MiB and {} for the stream; {} with parts of 64 MiB",
        nothing >> 10,
        stream >> 10,
        with_more >> 10
    );
    assert!(stream <= BOUND, "{} MiB", stream >> 10);
    assert!(with_more > BOUND, "{} MiB", with_more >> 10);
}
