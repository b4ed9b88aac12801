//! Measures the package alone: the compressor, the whole sealing pipeline, and opening, on one and the same tar stream.
//!
//! Run by `tests/bench/package.sh`. The input is a directory; its files are held in memory first, so that no disk is
//! measured.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a program for people"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chupacabra::package::age::{Identity, keygen};
use chupacabra::package::gzip;
use chupacabra::package::member::{Header, Time};
use chupacabra::package::open::members;
use chupacabra::package::pipe::pipe;
use chupacabra::package::{Settings, seal, tar};

/// Members of at most this size.
const PART: usize = 4 << 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap();
    let level: u8 = arguments.next().unwrap().parse().unwrap();
    let threads: usize = arguments.next().unwrap().parse().unwrap();
    let what = arguments.next().unwrap_or_else(|| "all".into());
    let files = load(Path::new(&dir));
    let plain: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    if what == "all" || what == "compress" {
        let (time, packed) = compress(&files, level, threads);
        print("compressor alone", plain, packed, time);
    }
    if what == "all" || what == "seal" {
        let (time, packed, _) = sealed(&files, level, threads, false);
        print("sealing, whole", plain, packed, time);
    }
    if what == "all" || what == "open" {
        let (_, packed, (identities, package)) = sealed(&files, level, threads, true);
        let start = Instant::now();
        let mut seen = 0;
        let mut waste = vec![0; 1 << 16];
        let source = std::io::Cursor::new(package);
        members(&identities, source, |_, content| {
            loop {
                match content.read(&mut waste)? {
                    0 => return Ok(()),
                    count => seen += count as u64,
                }
            }
        })
        .unwrap();
        assert_eq!(seen, plain);
        print("opening", plain, packed, start.elapsed());
    }
    println!("peak RSS {} MiB, input {} MiB", peak() >> 10, plain >> 20);
}

fn print(what: &str, plain: u64, packed: u64, time: Duration) {
    let rate = plain as f64 / 1e6 / time.as_secs_f64();
    println!("{what:>18}: {rate:7.0} MB/s, ratio {:.3}", plain as f64 / packed as f64);
}

fn load(dir: &Path) -> Vec<(String, Bytes)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = Bytes::from(std::fs::read(&path).unwrap());
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            for start in (0..bytes.len()).step_by(PART) {
                let part = bytes.slice(start..bytes.len().min(start + PART));
                files.push((format!("{name}.{start}"), part));
            }
        }
    }
    files
}

fn header(name: &str, size: usize) -> Header {
    Header::data(name, "", size as u64, Time { seconds: 1_700_000_000, nanos: 0 })
}

/// What the compressor reaches on the bytes of the archive, with nothing before or behind it.
fn compress(files: &[(String, Bytes)], level: u8, threads: usize) -> (Duration, u64) {
    let start = Instant::now();
    let (mut packer, mut packed) = gzip::pack(level, threads).unwrap();
    let count = std::thread::spawn(move || {
        let mut size = 0;
        while let Some(compressed) = packed.take().unwrap() {
            size += compressed.member().len() as u64;
            packed.recycle(compressed);
        }
        size
    });
    let mut frame = Vec::new();
    for (name, bytes) in files {
        frame.clear();
        tar::frame(&header(name, bytes.len()), &mut frame).unwrap();
        packer.put(&frame).unwrap();
        packer.put(bytes).unwrap();
        packer.put(tar::padding(bytes.len() as u64)).unwrap();
    }
    packer.put(tar::end()).unwrap();
    packer.finish().unwrap();
    let size = count.join().unwrap();
    (start.elapsed(), size)
}

/// The whole pipeline, into nothing or into memory.
fn sealed(
    files: &[(String, Bytes)],
    level: u8,
    threads: usize,
    keep: bool,
) -> (Duration, u64, (Vec<Identity>, Vec<u8>)) {
    let (text, recipient) = keygen();
    let settings = Settings { level, threads, memory: 16 << 20, recipients: vec![recipient] };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let start = Instant::now();
    let (packed, bytes) = runtime.block_on(async {
        let (package, mut package_in) = pipe(4);
        let (index, mut index_in) = pipe(2);
        let (outlet, sealing) = seal(&settings, "bench", package, index).unwrap();
        let drain = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Some(bytes) = package_in.next().await.unwrap() {
                if keep {
                    kept.extend_from_slice(&bytes);
                }
            }
            kept
        });
        let drain_index = tokio::spawn(async move { while index_in.next().await.unwrap().is_some() {} });
        for (name, bytes) in files {
            outlet.member(header(name, bytes.len()), bytes.clone()).await.unwrap();
        }
        drop(outlet);
        let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
        drain_index.await.unwrap();
        (packed, drain.await.unwrap())
    });
    (start.elapsed(), packed.package.size, (Identity::parse_file(&text).unwrap(), bytes))
}

/// The peak of the resident memory in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
