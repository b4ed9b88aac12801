//! Committed packages: those that must open, and those that must not, with the words in which they are refused.
//!
//! They keep later versions honest: what was sealed once opens for ever. The fuzz bodies run over them too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chupacabra::catalog::key::Part;
use chupacabra::catalog::record;
use chupacabra::package::age::Identity;
use chupacabra::package::{Discard, Error, Package, Selection, tar};

use crate::package_damage::{Sound, sound};
use crate::support::memory_store::MemoryStore;
use crate::support::package::{digest, encrypted, file, gzipped, reseal};

#[path = "../fuzz/bodies.rs"]
mod bodies;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn load(dir: &Path) -> Package {
    let record = record::parse(&fs::read(dir.join("record.json")).unwrap()).unwrap();
    let store = MemoryStore::default();
    store.put(&record.key.object(&Part::Package), fs::read(dir.join("package.tar.gz.age")).unwrap());
    store.put(&record.key.object(&Part::Index), fs::read(dir.join("index.age")).unwrap());
    let identities = Identity::parse_file(&fs::read_to_string(vectors().join("key.txt")).unwrap()).unwrap();
    Package::new(Arc::new(store), record, identities)
}

fn folders(kind: &str) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(vectors().join(kind)).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_that_must_open_do() {
    for dir in folders("pass") {
        let package = load(&dir);
        package.verify_objects().await.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        package
            .read(Selection::All, Discard)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        let all = Selection::Where(Box::new(|_| true));
        package.read(all, Discard).await.unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packages_that_must_not_open_are_refused_in_the_right_words() {
    for dir in folders("fail") {
        let expected = fs::read_to_string(dir.join("refusal.txt")).unwrap();
        let error = load(&dir).read(Selection::All, Discard).await.err();
        let error = error.unwrap_or_else(|| panic!("{} opened", dir.display()));
        assert_eq!(error.to_string(), expected.trim_end(), "{}", dir.display());
    }
}

fn save(dir: &Path, sound: &Sound, package: &[u8], index: &[u8]) {
    fs::create_dir_all(dir).unwrap();
    let mut record = sound.record.clone();
    record.package = digest(package);
    record.index = digest(index);
    fs::write(dir.join("package.tar.gz.age"), package).unwrap();
    fs::write(dir.join("index.age"), index).unwrap();
    fs::write(dir.join("record.json"), record.to_json().unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes the vectors anew; only for a new version of the format, into a new folder"]
async fn write_vectors() {
    let (sound, other) = (sound("web").await, sound("other").await);
    let to = vectors();
    fs::create_dir_all(&to).unwrap();
    fs::write(to.join("key.txt"), &sound.keys.text).unwrap();
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    fs::create_dir_all(&seeds).unwrap();
    fs::write(seeds.join("key.txt"), &sound.keys.text).unwrap();
    fs::write(seeds.join("open"), &sound.package).unwrap();
    fs::write(seeds.join("open.gz"), gzipped(&sound.tar())).unwrap();
    fs::write(seeds.join("open.tar"), sound.tar()).unwrap();
    fs::write(seeds.join("index"), sound.lines().join("\n") + "\n").unwrap();
    fs::write(seeds.join("record"), sound.record.to_json().unwrap()).unwrap();
    save(&to.join("pass/version-1"), &sound, &sound.package, &sound.index);

    let recipient = &sound.keys.recipient;
    let tar = sound.tar();
    let end = tar.len() - 1_024;
    let framed = |path: &str| {
        let mut framed = Vec::new();
        tar::frame(&file(path, 0), &mut framed).unwrap();
        framed
    };
    let mut escaping = framed("xx/evil");
    escaping[..2].copy_from_slice(b"..");
    let sum: u32 = escaping
        .iter()
        .enumerate()
        .map(|(at, b)| if (148..156).contains(&at) { 32 } else { u32::from(*b) })
        .sum();
    escaping[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let gzip = gzipped(&tar);
    let foreign =
        reseal(recipient, other.lines().iter().map(|l| l.clone() + "\n").collect::<String>().as_bytes());
    let lines = sound.lines();
    let unfinished = lines[..lines.len() - 1].join("\n") + "\n";
    let cases: [(&str, Vec<u8>, Vec<u8>); 9] = [
        ("truncated-age", sound.package[..sound.package.len() - 1].to_vec(), sound.index.clone()),
        ("truncated-header", sound.package[..100].to_vec(), sound.index.clone()),
        ("truncated-gzip", encrypted(recipient, &gzip[..gzip.len() - 4]), sound.index.clone()),
        ("no-end-mark", reseal(recipient, &tar[..end]), sound.index.clone()),
        (
            "extra-member",
            reseal(recipient, &[&tar[..end], &framed("extra"), &tar[end..]].concat()),
            sound.index.clone(),
        ),
        (
            "missing-member",
            reseal(recipient, &[&tar[..end - 1_536], &tar[end..]].concat()),
            sound.index.clone(),
        ),
        (
            "member-leaving-the-target",
            reseal(recipient, &[&escaping[..], &tar].concat()),
            sound.index.clone(),
        ),
        ("index-of-another-package", sound.package.clone(), foreign),
        ("index-not-finished", sound.package.clone(), reseal(recipient, unfinished.as_bytes())),
    ];
    for (name, package, index) in cases {
        let dir = to.join("fail").join(name);
        save(&dir, &sound, &package, &index);
        let error: Error = load(&dir).read(Selection::All, Discard).await.unwrap_err();
        fs::write(dir.join("refusal.txt"), format!("{error}\n")).unwrap();
    }
}

/// Random changes of the seeds, for a bounded time.
#[test]
fn fuzz_bodies_survive_changed_seeds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
    let read = |name: &str| fs::read(seeds.join(name)).unwrap();
    let bodies: [(&str, fn(&[u8])); 10] = [
        ("open", bodies::open),
        ("open.gz", bodies::open),
        ("open.tar", bodies::open),
        ("index", bodies::index),
        ("record", bodies::record),
        ("config", bodies::config),
        ("rdb", bodies::rdb),
        ("rdb.valkey", bodies::rdb),
        ("open.tar", bodies::deflate),
        ("config", bodies::deflate),
    ];
    // The seeds are what the bodies read: an index that is refused at once would test nothing.
    let sound = chupacabra::package::index::check(&read("index")[..], bodies::PACKAGE);
    assert_eq!(sound.unwrap().members, 3);
    record::parse(&read("record")).unwrap();
    assert!(bodies::walks(&read("rdb")) && bodies::walks(&read("rdb.valkey")));
    for (name, body) in bodies {
        let seed = read(name);
        body(&seed);
        body(&[]);
        let began = Instant::now();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..2_000 {
            if began.elapsed() > Duration::from_secs(4) {
                break;
            }
            let mut bytes = seed.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(5) {
                    0 => bytes[at] ^= 1 << next(8),
                    1 => bytes[at] = u8::try_from(next(256)).unwrap(),
                    2 => bytes.truncate(at + 1),
                    3 => {
                        let part = bytes[at..bytes.len().min(at + 1 + next(600))].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => bytes[at..].iter_mut().take(next(12)).for_each(|byte| *byte = b'9'),
                }
            }
            body(&bytes);
        }
    }
}
