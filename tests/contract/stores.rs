//! What every store promises, as one list of tests over `Arc<dyn Store>`.
//!
//! Each function is one promise from the documentation of [`Store`] and [`Upload`], and fails by panicking. A ring
//! runs them all over a kind of store with [`store_contract!`], given a function that makes an empty store. The
//! promises hold for every name and size, so the sizes are taken around the one where the store changes its ways.
#![allow(dead_code, unreachable_pub, reason = "a ring may run a part of the promises")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chupacabra::clock::{Clock, Timestamp};
use chupacabra::stores::{Error, Intent, ObjectName, Reason, Severity, Store, Stored};
use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt as _, TryStreamExt as _};

/// An empty store to try.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The size in bytes at which the store changes its ways: its part or chunk size.
    pub boundary: usize,
    /// More objects than one page of a listing holds; small for stores that have no pages.
    pub page: usize,
    /// What must live as long as the store: a temporary directory, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Makes one test of each promise, over the store that the given async function makes; with an attribute of each.
macro_rules! store_contract {
    ($attribute:meta, $subject:path: $($promise:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[$attribute]
            async fn $promise() {
                let subject = $subject().await;
                $crate::contract::within_time($crate::contract::$promise(&subject)).await;
            }
        )+
    };
    ($attribute:meta, $subject:path) => {
        store_contract!($attribute, $subject:
            objects_come_back_whole, writes_of_any_size_add_up, ranges_are_exact, ranges_beyond_the_end_are_refused,
            invisible_until_finished, nothing_is_overwritten, the_second_of_two_uploads_fails,
            an_abort_leaves_nothing, a_dropped_upload_never_appears, missing_objects_are_not_found,
            deleting_is_final_and_repeatable, listings_are_complete_and_ordered, listings_are_paged_to_the_end,
            prefixes_are_plain_text, names_of_all_sorts, estimates_bind_nobody, uploads_run_side_by_side,
            downloads_may_be_dropped, sweeps_spare_the_finished_and_the_young, a_check_finds_no_fault_and_leaves_none);
    };
    ($subject:path) => {
        store_contract!(cfg(test), $subject);
    };
}
pub(crate) use store_contract;

/// Fails a promise that is not kept in time, rather than waiting for ever.
pub async fn within_time(promise: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(2), promise).await.expect("a promise kept within two minutes");
}

/// What is uploaded is what comes back, for every size around the boundary; the store reports the right size.
pub async fn objects_come_back_whole(subject: &Subject) {
    let boundary = subject.boundary;
    for size in [0, 1, boundary - 1, boundary, boundary + 1, 2 * boundary, 2 * boundary + 4_321] {
        let content = pattern(size, size as u64);
        let name = name(&format!("whole/object-{size}"));
        let stored = put(subject, &name, &content).await.unwrap();
        assert_eq!(stored.size, size as u64, "the size that the store reports");
        same(&get(subject, &name, None).await.unwrap(), &content);
    }
}

/// How the bytes are cut into writes makes no difference.
pub async fn writes_of_any_size_add_up(subject: &Subject) {
    let content = pattern(subject.boundary * 2 + 77, 3);
    let cuts = [0, 1, 7, 0, 4_096, 65_536, subject.boundary + 3];
    let mut upload = subject.store.create(&name("cut/object"), &Intent::default()).await.unwrap();
    let mut rest = content.clone();
    for size in cuts.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        upload.write(rest.split_to((*size).min(rest.len()))).await.unwrap();
    }
    assert_eq!(upload.finish().await.unwrap().size, content.len() as u64);
    same(&get(subject, &name("cut/object"), None).await.unwrap(), &content);
}

/// A range yields exactly its bytes.
pub async fn ranges_are_exact(subject: &Subject) {
    let boundary = subject.boundary as u64;
    let size = boundary + 10_000;
    let content = pattern(usize::try_from(size).unwrap(), 5);
    let name = name("ranges/object");
    put(subject, &name, &content).await.unwrap();
    let ranges =
        [0..1, 0..size, 1..2, boundary - 1..boundary + 1, size - 1..size, 0..0, 77..77, 4_000..70_000];
    for range in ranges {
        let got = get(subject, &name, Some(range.clone())).await.unwrap();
        let wanted = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        same(&got, &content.slice(wanted));
    }
    let all = (0..8u64).map(|n| get(subject, &name, Some(n * 1_000..(n + 1) * 1_000)));
    let joined: Vec<u8> = try_join_all(all).await.unwrap().into_iter().flatten().collect();
    same(&joined.into(), &content.slice(0..8_000));
}

/// A range that ends beyond the object is an error, never a short answer.
pub async fn ranges_beyond_the_end_are_refused(subject: &Subject) {
    let name = name("beyond/object");
    put(subject, &name, &pattern(1_000, 1)).await.unwrap();
    for range in [0..1_001, 999..1_001, 1_000..1_001, 5_000..6_000] {
        let got = get(subject, &name, Some(range.clone())).await;
        assert!(got.is_err(), "{range:?} of 1000 bytes gave {} bytes", got.unwrap().len());
    }
}

/// An upload shows only when it has been finished, and then at once.
pub async fn invisible_until_finished(subject: &Subject) {
    let name = name("visible/object");
    let content = pattern(subject.boundary * 2 + 1, 9);
    let mut upload = subject.store.create(&name, &Intent::default()).await.unwrap();
    assert_absent(subject, &name).await;
    upload.write(content.clone()).await.unwrap();
    assert_absent(subject, &name).await;
    upload.finish().await.unwrap();
    assert_eq!(listed(subject, "visible/").await, [(name.to_string(), content.len() as u64)]);
    same(&get(subject, &name, None).await.unwrap(), &content);
}

/// An object that is there stays as it is.
pub async fn nothing_is_overwritten(subject: &Subject) {
    let boundary = subject.boundary;
    for (first, second) in [(10, 10), (10, boundary * 2), (boundary * 2, 10)] {
        let name = name(&format!("keep/object-{first}-{second}"));
        let content = pattern(first, 1);
        put(subject, &name, &content).await.unwrap();
        let refused = put(subject, &name, &pattern(second, 2)).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Exists);
        same(&get(subject, &name, None).await.unwrap(), &content);
    }
}

/// Of two uploads of one name, the one that is finished first wins and the other is told.
pub async fn the_second_of_two_uploads_fails(subject: &Subject) {
    for size in [100, subject.boundary * 2] {
        let name = name(&format!("race/object-{size}"));
        let (first, second) = (pattern(size, 1), pattern(size, 2));
        let mut early = subject.store.create(&name, &Intent::default()).await.unwrap();
        let mut late = subject.store.create(&name, &Intent::default()).await.unwrap();
        late.write(second).await.unwrap();
        early.write(first.clone()).await.unwrap();
        early.finish().await.unwrap();
        assert_eq!(late.finish().await.unwrap_err().reason, Reason::Exists);
        same(&get(subject, &name, None).await.unwrap(), &first);
    }
}

/// An aborted upload is gone, the name is free, and there is nothing to sweep.
pub async fn an_abort_leaves_nothing(subject: &Subject) {
    for (number, size) in [0, 100, subject.boundary * 2 + 1].into_iter().enumerate() {
        let name = package("abort", number);
        let mut upload = subject.store.create(&name, &Intent::default()).await.unwrap();
        upload.write(pattern(size, 4)).await.unwrap();
        upload.abort().await.unwrap();
        assert_absent(subject, &name).await;
        let left = subject.store.sweep("abort/", tomorrow(), true).await.unwrap();
        assert_eq!(left, Vec::<String>::new(), "an abort left something behind");
        put(subject, &name, &pattern(10, 5)).await.unwrap();
    }
}

/// An upload that is neither finished nor aborted never becomes an object.
pub async fn a_dropped_upload_never_appears(subject: &Subject) {
    for size in [100, subject.boundary * 2 + 1] {
        let name = name(&format!("dropped/object-{size}"));
        let mut upload = subject.store.create(&name, &Intent::default()).await.unwrap();
        upload.write(pattern(size, 4)).await.unwrap();
        drop(upload);
        assert_absent(subject, &name).await;
        put(subject, &name, &pattern(10, 5)).await.unwrap();
    }
}

/// What was never there is not found.
pub async fn missing_objects_are_not_found(subject: &Subject) {
    assert_absent(subject, &name("none/object")).await;
    assert_eq!(listed(subject, "none/").await, []);
    assert_eq!(listed(subject, "").await, []);
}

/// A deleted object is gone, its neighbours are not, and deleting again is no error.
pub async fn deleting_is_final_and_repeatable(subject: &Subject) {
    let (gone, longer) = (name("delete/object"), name("delete/object-2"));
    put(subject, &gone, &pattern(10, 1)).await.unwrap();
    put(subject, &longer, &pattern(20, 2)).await.unwrap();
    subject.store.delete(&gone).await.unwrap();
    assert_absent(subject, &gone).await;
    subject.store.delete(&gone).await.unwrap();
    subject.store.delete(&name("delete/never-was")).await.unwrap();
    assert_eq!(listed(subject, "delete/").await, [(longer.to_string(), 20)]);
    put(subject, &gone, &pattern(30, 3)).await.unwrap();
    same(&get(subject, &gone, None).await.unwrap(), &pattern(30, 3));
}

/// A listing shows all objects in the order of their names, with size and time.
pub async fn listings_are_complete_and_ordered(subject: &Subject) {
    let names = ["list/b", "list/a/2", "list/a/1", "list/a-b", "list/a.b", "list/c/d/e/f", "lisu/z", "lis/a"];
    for (size, text) in names.iter().enumerate() {
        put(subject, &name(text), &pattern(size, 1)).await.unwrap();
    }
    let mut wanted: Vec<(String, u64)> =
        names.iter().enumerate().map(|(size, text)| ((*text).to_owned(), size as u64)).collect();
    wanted.sort();
    assert_eq!(listed(subject, "").await, wanted);
    wanted.retain(|(name, _)| name.starts_with("list/"));
    assert_eq!(listed(subject, "list/").await, wanted);
    let now = Clock::system().now();
    for object in subject.store.list("list/").await.unwrap() {
        let age = now.duration_since(object.modified).abs();
        assert!(age < jiff::SignedDuration::from_mins(10), "{} was written {age:?} ago", object.name);
    }
}

/// A listing goes on to its last page.
pub async fn listings_are_paged_to_the_end(subject: &Subject) {
    let names: Vec<ObjectName> = (0..=subject.page).map(|n| name(&format!("pages/object-{n:05}"))).collect();
    let uploads = names.iter().map(|name| async move { put(subject, name, &pattern(1, 1)).await });
    let stored: Vec<_> =
        futures_util::stream::iter(uploads).buffer_unordered(16).try_collect().await.unwrap();
    assert_eq!(stored.len(), subject.page + 1);
    let found: Vec<String> = listed(subject, "pages/").await.into_iter().map(|(name, _)| name).collect();
    let wanted: Vec<String> = names.iter().map(ToString::to_string).collect();
    assert!(found == wanted, "{} of {} listed", found.len(), wanted.len());
}

/// A prefix is the beginning of a name, wherever it ends, and taken literally.
pub async fn prefixes_are_plain_text(subject: &Subject) {
    for text in ["prefix/web/web-1", "prefix/web/web-2", "prefix/web2/web2-1", "prefix/we*/x"] {
        put(subject, &name(text), &pattern(1, 1)).await.unwrap();
    }
    let count = async |prefix| listed(subject, prefix).await.len();
    assert_eq!(count("prefix/web/web-1").await, 1);
    assert_eq!(count("prefix/web/").await, 2);
    assert_eq!(count("prefix/web").await, 3);
    assert_eq!(count("prefix/w").await, 4);
    assert_eq!(count("prefix/we*").await, 1);
    assert_eq!(count("prefix/web/web-1/").await, 0);
    assert_eq!(count("refix/").await, 0);
}

/// A name may have any character that [`ObjectName`] allows.
pub async fn names_of_all_sorts(subject: &Subject) {
    let long = format!("names/{}/{}", "x".repeat(120), "y".repeat(120));
    let texts = [
        "names/with space",
        "names/plus+plus",
        "names/100%",
        "names/%41",
        "names/a&b=c?d#e",
        "names/o'clock \"quoted\"",
        "names/über/größe",
        "names/日本語",
        "names/colon:semi;comma,",
        "names/~(tilde)!@$",
        "names/UPPER",
        "names/upper",
        "names/<a>|b",
        "names/[x]{y}",
        "names/a.tar.gz.age",
        &long,
    ];
    for (size, text) in texts.iter().enumerate() {
        put(subject, &name(text), &pattern(size + 1, 7)).await.unwrap_or_else(|e| panic!("{text}: {e}"));
    }
    let mut wanted: Vec<(String, u64)> =
        texts.iter().enumerate().map(|(size, text)| ((*text).to_owned(), size as u64 + 1)).collect();
    wanted.sort();
    assert_eq!(listed(subject, "names/").await, wanted);
    for (size, text) in texts.iter().enumerate() {
        same(&get(subject, &name(text), None).await.unwrap(), &pattern(size + 1, 7));
        subject.store.delete(&name(text)).await.unwrap();
    }
    assert_eq!(listed(subject, "names/").await, []);
}

/// An estimate of the size may be wrong in either direction.
pub async fn estimates_bind_nobody(subject: &Subject) {
    let size = subject.boundary as u64 + 1_000;
    for estimate in [0, 1, size * 3] {
        let name = name(&format!("estimate/object-{estimate}"));
        let intent = Intent { size_estimate: Some(estimate), ..Intent::default() };
        let content = pattern(usize::try_from(size).unwrap(), 8);
        let mut upload = subject.store.create(&name, &intent).await.unwrap();
        upload.write(content.clone()).await.unwrap();
        upload.finish().await.unwrap();
        same(&get(subject, &name, None).await.unwrap(), &content);
    }
}

/// Uploads and downloads of one store do not get into each other's way.
pub async fn uploads_run_side_by_side(subject: &Subject) {
    let round_trip = |n: u64| async move {
        let name = name(&format!("parallel/object-{n}"));
        let content = pattern(subject.boundary + usize::try_from(n).unwrap(), n);
        put(subject, &name, &content).await.unwrap();
        same(&get(subject, &name, None).await.unwrap(), &content);
    };
    join_all((0..6).map(round_trip)).await;
    assert_eq!(listed(subject, "parallel/").await.len(), 6);
}

/// A download that nobody wants to the end harms nothing.
pub async fn downloads_may_be_dropped(subject: &Subject) {
    let name = name("partly/object");
    let content = pattern(subject.boundary * 2, 6);
    put(subject, &name, &content).await.unwrap();
    for _ in 0..4 {
        let mut download = subject.store.open(&name, None).await.unwrap();
        assert!(!download.next().await.unwrap().unwrap().is_empty());
    }
    same(&get(subject, &name, None).await.unwrap(), &content);
}

/// A sweep removes what interrupted uploads left if it is old enough, and nothing else.
pub async fn sweeps_spare_the_finished_and_the_young(subject: &Subject) {
    let kept = name("sweep/finished");
    put(subject, &kept, &pattern(subject.boundary * 2, 1)).await.unwrap();
    for interrupted in [package("sweep", 1), package("other", 1)] {
        let mut upload = subject.store.create(&interrupted, &Intent::default()).await.unwrap();
        upload.write(pattern(subject.boundary * 2, 2)).await.unwrap();
        drop(upload);
    }
    let running_name = package("sweep", 2);
    let mut running = subject.store.create(&running_name, &Intent::default()).await.unwrap();
    running.write(pattern(subject.boundary * 2, 3)).await.unwrap();

    let sweep = async |prefix, before, dry_run| subject.store.sweep(prefix, before, dry_run).await.unwrap();
    assert_eq!(sweep("sweep/", yesterday(), false).await, Vec::<String>::new(), "a young upload was removed");
    running.finish().await.unwrap();
    let told = sweep("sweep/", tomorrow(), true).await;
    assert_eq!(sweep("sweep/", tomorrow(), false).await, told, "a dry run says what a sweep would do");
    assert_eq!(sweep("sweep/", tomorrow(), false).await, Vec::<String>::new(), "what was swept is gone");
    let elsewhere = sweep("other/", tomorrow(), false).await;
    assert_eq!(elsewhere.len(), told.len(), "a sweep keeps to its prefix");
    let found: Vec<String> = listed(subject, "").await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["sweep/finished", running_name.as_str()]);
    same(&get(subject, &kept, None).await.unwrap(), &pattern(subject.boundary * 2, 1));
}

/// A check of a store that works finds nothing bad, says something, and leaves nothing behind.
pub async fn a_check_finds_no_fault_and_leaves_none(subject: &Subject) {
    let kept = name("check/object");
    put(subject, &kept, &pattern(10, 1)).await.unwrap();
    let findings = subject.store.check().await;
    assert!(!findings.is_empty(), "a check that says nothing");
    for finding in &findings {
        assert!(finding.severity != Severity::Bad, "{finding:?}");
        assert!(!finding.topic.is_empty() && !finding.what.is_empty(), "{finding:?}");
    }
    assert_eq!(listed(subject, "").await, [(kept.to_string(), 10)]);
    let left = subject.store.sweep("", tomorrow(), true).await.unwrap();
    assert_eq!(left, Vec::<String>::new(), "a check left something behind");
}

/// The name of a package: what has another shape a sweep takes for somebody else's.
pub fn package(source: &str, number: usize) -> ObjectName {
    name(&format!("{source}/{source}-20260102T030405.{number:03}Z.tar.gz.age"))
}

/// A sound name.
pub fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

/// Bytes that repeat nowhere, so that parts in the wrong order or doubled are noticed.
pub fn pattern(size: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes.into()
}

/// Uploads an object in writes of 64 KiB; an error of any step is the error, after an abort.
pub async fn put(subject: &Subject, name: &ObjectName, content: &Bytes) -> Result<Stored, Error> {
    let intent = Intent { size_estimate: Some(content.len() as u64), ..Intent::default() };
    let mut upload = subject.store.create(name, &intent).await?;
    let mut rest = content.clone();
    while !rest.is_empty() {
        if let Err(error) = upload.write(rest.split_to(rest.len().min(65_536))).await {
            upload.abort().await?;
            return Err(error);
        }
    }
    upload.finish().await
}

/// Downloads an object or a range of it.
pub async fn get(subject: &Subject, name: &ObjectName, range: Option<Range<u64>>) -> Result<Bytes, Error> {
    let mut download = subject.store.open(name, range).await?;
    let mut got = Vec::new();
    while let Some(bytes) = download.next().await {
        got.extend_from_slice(&bytes?);
    }
    Ok(got.into())
}

/// Fails unless both are the same, without printing megabytes.
pub fn same(got: &Bytes, wanted: &Bytes) {
    assert_eq!(got.len(), wanted.len(), "the length of what came back");
    let difference = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert_eq!(difference, None, "the first byte that came back different");
}

/// Names and sizes as listed; fails if the order is wrong.
pub async fn listed(subject: &Subject, prefix: &str) -> Vec<(String, u64)> {
    let objects = subject.store.list(prefix).await.unwrap();
    assert!(objects.is_sorted_by(|a, b| a.name < b.name), "not in the order of names: {objects:?}");
    objects.into_iter().map(|object| (object.name.to_string(), object.size)).collect()
}

async fn assert_absent(subject: &Subject, name: &ObjectName) {
    let whole = get(subject, name, None).await;
    assert_eq!(whole.expect_err("an object that should not be there").reason, Reason::NotFound);
    let range = get(subject, name, Some(0..10)).await;
    assert_eq!(range.expect_err("a range that should not be there").reason, Reason::NotFound);
    let found = listed(subject, name.as_str()).await;
    assert!(!found.iter().any(|(listed, _)| listed == name.as_str()), "{name} is listed");
}

fn tomorrow() -> Timestamp {
    Clock::system().now() + jiff::SignedDuration::from_hours(24)
}

fn yesterday() -> Timestamp {
    Clock::system().now() - jiff::SignedDuration::from_hours(24)
}
