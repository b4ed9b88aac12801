//! What is sealed comes back, whole and in parts.

use chupacabra::package::index::Line;
use chupacabra::package::member::{Kind, Object};
use chupacabra::package::{Error, Selection};

use crate::support::memory_store::MemoryStore;
use crate::support::package::{Keep, Step, empty, file, key, keys, member, package, sealed};

/// Bytes that do not compress, different for each seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sealed_comes_back_in_order() {
    let keys = keys();
    let big = noise(1, 3_000_000);
    let steps = [
        member(empty("tree", Kind::Directory), ""),
        member(file("tree/small", 5), "small"),
        member(file("tree/big", big.len()), big.clone()),
        Step::Object(Object { name: "a.b".into(), kind: "table".into(), fingerprint: Default::default() }),
        member(file("tree/empty", 0), ""),
        member(empty("tree/link", Kind::Symlink(b"../elsewhere".to_vec())), ""),
    ];
    let (store, record) = sealed(&keys, "web", steps).await;
    assert_eq!((record.totals.members, record.totals.objects), (5, 1));
    let package = package(&store, &record, &keys);
    let keep = package.read(Selection::All, Keep::default()).await.unwrap();
    let members = keep.take();
    let paths: Vec<_> = members.iter().map(|(_, header, _)| String::from_utf8_lossy(&header.path)).collect();
    assert_eq!(paths, ["tree", "tree/small", "tree/big", "tree/empty", "tree/link"]);
    assert!(members[2].2 == big);
    assert_eq!(members[4].1.kind, Kind::Symlink(b"../elsewhere".to_vec()));
    package.verify_objects().await.unwrap();

    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = lines.clone();
    package
        .index(move |line| {
            seen.lock().unwrap().push(line);
            Ok(())
        })
        .await
        .unwrap();
    let lines = lines.lock().unwrap();
    assert_eq!(lines.iter().filter(|line| matches!(line, Line::Entry(_))).count(), 5);
    assert_eq!(lines.iter().filter(|line| matches!(line, Line::Object(_))).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_small_member_costs_a_few_chunks_and_the_index() {
    let keys = keys();
    let steps = (0..400u64).map(|i| {
        let size = if i == 217 { 1_000 } else { 1 << 20 };
        member(file(format!("f/{i}"), size), noise(i, size))
    });
    let (store, record) = sealed(&keys, "web", steps).await;
    assert!(record.package.size > 380 << 20);
    let package = package(&store, &record, &keys);
    store.take_counts();
    let keep = package
        .read(Selection::Where(Box::new(|entry| entry.path == b"f/217")), Keep::default())
        .await
        .unwrap();
    let (read, requests) = store.take_counts();
    let members = keep.take();
    assert_eq!(members.len(), 1);
    assert!(members[0].2 == noise(217, 1_000));
    let beyond_index = read - record.index.size;
    println!(
        "{beyond_index} bytes of {} in {requests} requests, index {}",
        record.package.size, record.index.size
    );
    // A member may straddle two blocks of 1 MiB: an amount that does not grow with the package.
    assert!(beyond_index < (2 << 20) + (512 << 10), "{beyond_index}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_members_come_from_all_over() {
    let keys = keys();
    let content = |i: u64| noise(i, usize::try_from(i * 7_919 % 300_000).unwrap());
    let steps = (0..100).map(|i| member(file(format!("f/{i}"), content(i).len()), content(i)));
    let (store, record) = sealed(&keys, "web", steps).await;
    let package = package(&store, &record, &keys);
    let mut number = 0u64;
    let every_seventh = move |_: &_| {
        number += 1;
        number % 7 == 0
    };
    let keep = package.read(Selection::Where(Box::new(every_seventh)), Keep::default()).await.unwrap();
    let members = keep.take();
    assert_eq!(members.len(), 14);
    for (at, (entry, _, bytes)) in members.iter().enumerate() {
        let number = at as u64 * 7 + 6;
        assert_eq!(entry.path, format!("f/{number}").into_bytes());
        assert!(*bytes == content(number));
    }
    let none = package.read(Selection::Where(Box::new(|_| false)), Keep::default()).await.unwrap();
    assert!(none.take().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_members_than_are_kept_are_read_with_the_index_again() {
    let keys = keys();
    let steps = (0..10_000u32).map(|i| member(file(format!("f/{i}"), 4), i.to_le_bytes().to_vec()));
    let (store, record) = sealed(&keys, "web", steps).await;
    let package = package(&store, &record, &keys);
    let keep = package
        .read(Selection::Where(Box::new(|entry| !entry.path.ends_with(b"7"))), Keep::default())
        .await
        .unwrap();
    let members = keep.take();
    assert_eq!(members.len(), 9_000);
    assert!(members.iter().all(|(entry, _, bytes)| {
        entry.path == format!("f/{}", u32::from_le_bytes(bytes[..].try_into().unwrap())).into_bytes()
    }));
}

#[tokio::test]
async fn one_thread_is_enough() {
    let keys = keys();
    let (store, record) = sealed(&keys, "web", [member(file("a", 1), "a")]).await;
    let package = package(&store, &record, &keys);
    assert_eq!(package.read(Selection::All, Keep::default()).await.unwrap().take().len(), 1);
    let all = Selection::Where(Box::new(|_| true));
    assert_eq!(package.read(all, Keep::default()).await.unwrap().take().len(), 1);
}

#[tokio::test]
async fn an_empty_dump_is_a_package_too() {
    let keys = keys();
    let (store, record) = sealed(&keys, "web", []).await;
    assert_eq!(record.totals.tar_bytes, 1_024);
    let package = package(&store, &record, &keys);
    assert!(package.read(Selection::All, Keep::default()).await.unwrap().take().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let keys = keys();
    let (_, record) = sealed(&keys, "web", []).await;
    let package = package(&MemoryStore::default(), &record, &keys);
    let error = package.read(Selection::All, Keep::default()).await.err().unwrap();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(error.to_string().contains(&key("web").to_string()), "{error}");
}

mod any {
    //! Any members, in any sizes.

    use chupacabra::package::member::{Header, Kind, Time};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::support::package::{settings, try_seal};

    fn header() -> impl Strategy<Value = (Header, Vec<u8>)> {
        let size = prop_oneof![4 => 0usize..2_000, 1 => 900_000usize..1_200_000, 1 => Just(1 << 20)];
        let kind = prop_oneof![
            5 => Just(Kind::File),
            1 => Just(Kind::Directory),
            1 => vec(1u8..=255, 1..200).prop_map(Kind::Symlink),
        ];
        let path = "[a-zA-Z0-9 äß]{1,30}(/[a-z]{1,60}){0,5}";
        (path, kind, size, any::<u32>(), 0u32..=0o7777, 0u32..1_000_000_000).prop_map(
            |(path, kind, size, seed, mode, nanos)| {
                let content = if kind == Kind::File { noise(seed.into(), size) } else { Vec::new() };
                let mtime = Time { seconds: i64::from(seed), nanos };
                let base = file(path, content.len());
                (Header { kind, mode, mtime, object: format!("o{}", seed % 3), ..base }, content)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn members_open_as_they_were_sealed(
            members in vec(header(), 0..12),
            level in 1u8..=4,
            threads in 1usize..4,
            wanted in any::<u64>(),
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let keys = keys();
                let key = key("any");
                let settings = chupacabra::package::Settings { level, threads, ..settings(&keys.recipient) };
                let steps = members.iter().map(|(header, content)| member(header.clone(), content.clone()));
                let (packed, sealed, index) = try_seal(&settings, &key, steps).await.unwrap();
                let store = MemoryStore::default();
                crate::support::package::store(&store, &key, sealed, index);
                let package = package(&store, &crate::support::package::record(&key, &packed), &keys);
                let opened = package.read(Selection::All, Keep::default()).await.unwrap().take();
                assert_eq!(opened.len(), members.len());
                for ((_, header, content), (sealed_header, sealed_content)) in opened.iter().zip(&members) {
                    assert_eq!(header, sealed_header);
                    assert!(content == sealed_content);
                }
                let mut at = 0;
                let choose = Box::new(move |_: &_| {
                    at += 1;
                    wanted >> (at - 1) & 1 == 1
                });
                let some = package.read(Selection::Where(choose), Keep::default()).await.unwrap().take();
                let chosen = opened.iter().enumerate().filter(|(at, _)| wanted >> at & 1 == 1).map(|(_, kept)| kept);
                assert!(some.iter().eq(chosen));
            });
        }
    }
}
