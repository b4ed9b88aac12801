//! Measures uploads to Google Drive's API on loopback, against the server of the tests; run by `tests/bench/drive.sh`.
//!
//! `serve` is that server: it prints its address, and for every line that it is given, what was asked of it since the
//! last one. `upload ADDRESS MIB CHUNK_MIB` sends that much through the store and prints how fast it was.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a program for people")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it fails by panicking")]

#[allow(
    dead_code,
    unreachable_pub,
    clippy::large_enum_variant,
    clippy::manual_is_multiple_of,
    clippy::single_match_else,
    clippy::needless_pass_by_value,
    clippy::struct_excessive_bools,
    reason = "the tests' server; measuring uses a part of it"
)]
#[path = "../support/drive/mod.rs"]
mod drive;

use std::time::Instant;

use bytes::Bytes;
use chupacabra::clock::Clock;
use chupacabra::config::context::Context;
use chupacabra::config::secret::SecretRef;
use chupacabra::config::units::ByteSize;
use chupacabra::stores::google_drive::config::OAuth;
use chupacabra::stores::google_drive::{Config, GoogleDrive};
use chupacabra::stores::{Intent, ObjectName, Store as _};

/// What the store is given at once: as much as the pipe of a package holds in one piece.
const PIECE: usize = 256 << 10;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve"] => serve(),
        ["upload", root, mib, chunk] => upload(root, mib.parse().unwrap(), chunk.parse().unwrap()).await,
        _ => panic!("serve, or upload ADDRESS MIB CHUNK_MIB"),
    }
}

fn serve() {
    let fake = drive::Fake::start();
    fake.world().switches.forgets = true;
    fake.world().switches.limit = None;
    println!("{}", fake.root());
    for _ in std::io::stdin().lines() {
        let mut world = fake.world();
        let to_drive = world.log.iter().filter(|one| one.path.contains("/drive/v3/")).count();
        println!("{to_drive} requests, {} quota units", world.units);
        world.log.clear();
        world.units = 0;
    }
}

async fn upload(root: &str, mib: usize, chunk: u64) {
    let secret = |name: &str| SecretRef { env: Some(name.to_owned()), file: None };
    let config = Config {
        oauth: Some(OAuth {
            client_id: secret("BENCH_ID"),
            client_secret: secret("BENCH_SECRET"),
            refresh_token: secret("BENCH_TOKEN"),
        }),
        chunk_size: Some(ByteSize(chunk << 20)),
        endpoint: Some(root.to_owned()),
        ..Config::default()
    };
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    assert_eq!(context.into_problems(), []);
    let store = GoogleDrive::connect(&plan.unwrap(), Clock::system()).await.unwrap();
    let name = ObjectName::new(format!("bench/object-{:016x}", rand::random::<u64>())).unwrap();
    let mixed = |at: usize| u8::try_from(at * at / 7 % 251).unwrap_or_default();
    let piece: Bytes = (0..PIECE).map(mixed).collect::<Vec<_>>().into();
    let start = Instant::now();
    let mut upload = store.create(&name, &Intent::default()).await.unwrap();
    for _ in 0..mib * (1 << 20) / PIECE {
        upload.write(piece.clone()).await.unwrap();
    }
    let stored = upload.finish().await.unwrap();
    assert_eq!(stored.size, (mib as u64) << 20);
    println!("{:.0}", stored.size as f64 / 1e6 / start.elapsed().as_secs_f64());
}
