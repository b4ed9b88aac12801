//! Every fault at every request: an object that is right, or a clean failure. Nothing else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chupacabra::config::units::Span;
use chupacabra::stores::{Error, Intent, Reason, Store};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::contract::{name, pattern, same};
use crate::drives::{CHUNK, config, store};
use crate::support::drive::Fake;
use crate::support::drive::fault::Fault;

const CHUNKS: usize = 40;
/// How many cases run at once, each with a server of its own. Most of their time is waiting.
const WORKERS: usize = 8;

/// What may befall any request.
const ANYWHERE: [Fault; 13] = [
    Fault::Refused(503, "backendError", "Backend Error"),
    Fault::Refused(500, "internalError", "Internal Error"),
    Fault::Refused(408, "", "Request Timeout"),
    Fault::Refused(403, "rateLimitExceeded", "Rate Limit Exceeded"),
    Fault::Refused(403, "userRateLimitExceeded", "User Rate Limit Exceeded. Rate of requests is too high."),
    Fault::SlowDown,
    Fault::Unauthorized,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::LostAnswer,
    Fault::HalfAnswer,
    Fault::Silence,
    Fault::SlowAnswer(300),
];

/// What only befalls a chunk.
const AT_CHUNKS: [Fault; 6] = [
    Fault::NoRange,
    Fault::Partly(0),
    Fault::Partly(1),
    Fault::PartlyThenError(1),
    Fault::SessionGone(404),
    Fault::SessionGone(410),
];

/// A fault, and the request that meets it: of all, or of those that carry chunks.
type Case = (usize, Fault);

fn befalls_chunks(fault: Fault) -> bool {
    AT_CHUNKS.contains(&fault)
}

/// What came of one upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The object is there, once, with the right bytes.
    Recovered,
    /// An error, and nothing is there.
    Refused,
    /// An error, and a file with the right bytes is there: without a record it does not count.
    Left,
}

/// The first request asks for a token: it cannot be refused for one.
fn makes_sense((at, fault): &Case) -> bool {
    *at > 0 || *fault != Fault::Unauthorized
}

async fn upload(store: &dyn Store, object: &str, content: &Bytes) -> Result<(), Error> {
    let mut upload = store.create(&name(object), &Intent::default()).await?;
    let mut rest = content.clone();
    while !rest.is_empty() {
        if let Err(error) = upload.write(rest.split_to(rest.len().min(CHUNK))).await {
            upload.abort().await?;
            return Err(error);
        }
    }
    upload.finish().await.map(drop)
}

/// How long nothing may move. A silence is waited for to its end; a slow answer takes longer as a whole.
fn stall_timeout(fault: Option<Fault>) -> Duration {
    match fault {
        Some(Fault::Silence | Fault::SlowAnswer(_)) => Duration::from_secs(1),
        _ => Duration::from_secs(30),
    }
}

/// How many requests one upload made, and how many of them went to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Requests {
    all: usize,
    to_session: usize,
}

/// One upload with at most one fault, which must be met; the outcome, and the requests that it took.
async fn case(fake: &Fake, number: usize, fault: Option<Case>, content: &Bytes) -> (Outcome, Requests) {
    // Half a chunk can only be taken of a chunk that has two units.
    let chunk = content.len().div_ceil(CHUNKS).next_multiple_of(CHUNK);
    let mut config = config(fake);
    config.folder = Some(format!("case-{number}"));
    config.chunk_size = Some(chupacabra::config::units::ByteSize(chunk as u64));
    config.stall_timeout = Some(Span(stall_timeout(fault.map(|(_, fault)| fault))));
    let store = store(config).await;
    match fault {
        Some((at, fault)) if befalls_chunks(fault) => fake.world().faults.at_session(at, fault),
        Some((at, fault)) => fake.world().faults.at(at, fault),
        None => fake.world().faults.clear(),
    }
    let done = upload(&store, "web/object", content).await;
    let mut world = fake.world();
    let (met, requests) =
        (world.faults.met, Requests { all: world.faults.count, to_session: world.faults.to_sessions });
    world.faults.clear();
    assert_eq!(met, usize::from(fault.is_some()), "{fault:?} in {requests:?}");
    let files: Vec<Bytes> = world.objects().into_iter().map(|entry| entry.content.clone()).collect();
    world.files.retain(|_, entry| entry.parent.is_empty());
    world.sessions.clear();
    drop(world);
    for file in &files {
        same(file, content);
    }
    let outcome = match (done, files.len()) {
        (Ok(()), 1) => Outcome::Recovered,
        (Err(error), 0) => {
            assert!(!error.to_string().contains("upload_id"), "a session's address in {error}");
            Outcome::Refused
        }
        (Err(_), 1) => Outcome::Left,
        (done, count) => panic!("{fault:?}: {done:?} with {count} files"),
    };
    (outcome, requests)
}

/// Runs all cases, each worker with a server of its own.
async fn outcomes(cases: Vec<Case>) -> Vec<(Case, Outcome)> {
    let (content, large) = (pattern(CHUNKS * CHUNK - 1_000, 1), pattern(CHUNKS * CHUNK * 2 - 1_000, 2));
    let runs = (0..WORKERS).map(|worker| {
        let share: Vec<Case> = cases.iter().skip(worker).step_by(WORKERS).copied().collect();
        let (content, large) = (content.clone(), large.clone());
        tokio::spawn(async move {
            let fake = Fake::start();
            let mut outcomes = Vec::new();
            for (number, (at, fault)) in share.into_iter().enumerate() {
                let partly = matches!(fault, Fault::Partly(1) | Fault::PartlyThenError(1));
                let content = if partly { &large } else { &content };
                let (outcome, _) = case(&fake, number, Some((at, fault)), content).await;
                outcomes.push(((at, fault), outcome));
            }
            outcomes
        })
    });
    futures_util::future::join_all(runs).await.into_iter().flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_request_of_an_upload() {
    let content = pattern(CHUNKS * CHUNK - 1_000, 1);
    let (outcome, requests) = case(&Fake::start(), 0, None, &content).await;
    assert_eq!((outcome, requests.to_session), (Outcome::Recovered, CHUNKS));
    let anywhere = ANYWHERE.iter().flat_map(|fault| (0..requests.all).map(move |at| (at, *fault)));
    let at_chunks = AT_CHUNKS.iter().flat_map(|fault| (0..CHUNKS).map(move |at| (at, *fault)));
    let cases: Vec<Case> = anywhere.filter(makes_sense).chain(at_chunks).collect();
    let total = cases.len();
    let outcomes = outcomes(cases).await;
    let count = |wanted: Outcome| outcomes.iter().filter(|(_, outcome)| *outcome == wanted).count();
    let (recovered, refused, left) =
        (count(Outcome::Recovered), count(Outcome::Refused), count(Outcome::Left));
    println!(
        "faults injected {total}, recovered {recovered}, refused cleanly {refused}, left for a sweep {left}, wrong 0"
    );
    for ((at, fault), outcome) in &outcomes {
        // A stream cannot be wound back: a session that is lost after its first chunk ends the upload, and only that.
        let lost = matches!(fault, Fault::SessionGone(_)) && *at > 0;
        let expected = if lost { Outcome::Refused } else { Outcome::Recovered };
        assert_eq!(*outcome, expected, "{fault:?} at request {at}");
    }
    // Sessions end by 404 and by 410, after each of the chunks but the first.
    assert_eq!((outcomes.len(), refused, left), (total, 2 * (CHUNKS - 1), 0));
}

/// Whether bytes move is what counts, not how long all of them take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_waited_for_and_a_silent_one_is_not() {
    let fake = Fake::start();
    let mut settings = config(&fake);
    settings.stall_timeout = Some(Span(Duration::from_millis(1_500)));
    let store = store(settings).await;
    let content = pattern(CHUNK * 2, 5);
    upload(&store, "web/object", &content).await.unwrap();
    let read = async |fault| {
        // The file is looked at by its id, then read.
        fake.world().faults.at(1, fault);
        let download = store.open(&name("web/object"), None).await.unwrap();
        let pieces: Vec<Bytes> = download.try_collect().await.unwrap();
        same(&pieces.concat().into(), &content);
        fake.world().faults.count
    };
    assert_eq!(read(Fault::SlowAnswer(500)).await, 2, "a slow download was begun again");
    assert_eq!(read(Fault::Silence).await, 3);
    // The answer to the last chunk is the file: it is not asked for again.
    fake.world().faults.at_session(1, Fault::SlowAnswer(500));
    upload(&store, "web/other", &content).await.unwrap();
    let asked = fake.world().faults.to_sessions;
    assert_eq!(asked, 2, "a chunk with a slow answer was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_request_of_a_ranged_download() {
    let fake = Fake::start();
    let content = pattern(CHUNK * 8, 3);
    upload(&store(config(&fake)).await, "web/object", &content).await.unwrap();
    let read = async || {
        let mut config = config(&fake);
        config.stall_timeout = Some(Span(Duration::from_secs(1)));
        let store = store(config).await;
        let range = 100..content.len() as u64 - 100;
        let download = store.open(&name("web/object"), Some(range)).await?;
        let pieces: Vec<Bytes> = download.try_collect().await?;
        Ok::<_, Error>(Bytes::from(pieces.concat()))
    };
    fake.world().faults.clear();
    same(&read().await.unwrap(), &content.slice(100..content.len() - 100));
    let requests = fake.world().faults.count;
    let (mut injected, mut recovered) = (0, 0);
    for fault in &ANYWHERE {
        for at in (0..requests).filter(|at| makes_sense(&(*at, *fault))) {
            fake.world().faults.at(at, *fault);
            same(
                &read().await.unwrap_or_else(|e| panic!("{fault:?} at {at}: {e}")),
                &content.slice(100..content.len() - 100),
            );
            injected += fake.world().faults.met;
            recovered += 1;
        }
    }
    println!("download: faults injected {injected}, recovered {recovered}, wrong 0");
    assert!(injected == recovered && injected > 40);
}

/// The negative control: a service that changes bytes is found out, and the file is removed.
#[tokio::test]
async fn a_damaged_upload_is_never_taken_for_good() {
    let fake = Fake::start();
    fake.world().switches.damages = true;
    let store = store(config(&fake)).await;
    for size in [100, CHUNK * 3 + 5] {
        let error = upload(&store, &format!("web/object-{size}"), &pattern(size, 4)).await.unwrap_err();
        assert_eq!(error.reason, Reason::Corrupt);
        assert_eq!(
            error.to_string(),
            format!("`web/object-{size}` was uploaded, but the service has other bytes")
        );
    }
    assert!(fake.world().objects().is_empty(), "a damaged file is left");
}

#[tokio::test]
async fn old_files_without_sha256_are_compared_by_md5() {
    let fake = Fake::start();
    fake.world().switches.without_sha256 = true;
    let store = store(config(&fake)).await;
    upload(&store, "web/object", &pattern(CHUNK * 2, 4)).await.unwrap();
    fake.world().switches.damages = true;
    let error = upload(&store, "web/other", &pattern(CHUNK * 2, 4)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Corrupt);
}

#[tokio::test]
async fn quotas_end_the_upload_at_once_and_say_what_to_do() {
    let fake = Fake::start();
    let mut settings = config(&fake);
    settings.max_attempts = Some(2);
    let store = store(settings).await;
    fake.world().switches.limit = Some(CHUNK as u64);
    let error = upload(&store, "web/full", &pattern(CHUNK * 3, 1)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Full);
    assert!(error.help.unwrap().starts_with("make room"));
    fake.world().switches.limit = None;
    fake.world().switches.daily_cap = Some(0);
    let error = upload(&store, "web/cap", &pattern(CHUNK * 3, 1)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Full);
    assert_eq!(
        error.help.unwrap(),
        "a user may upload 750 GB in 24 hours: it works again when these have passed"
    );
    // It holds for the day: the next upload is not even begun.
    let asked = fake.world().log.len();
    let error = upload(&store, "web/next", &pattern(10, 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing more can be uploaded today by this user");
    assert_eq!((error.reason, fake.world().log.len()), (Reason::Full, asked));
    assert!(fake.world().objects().is_empty());
}

#[tokio::test]
async fn listings_that_lag_hide_nothing_of_this_process_and_incomplete_ones_fail() {
    let fake = Fake::start();
    fake.world().switches.list_lag = 1_000;
    let store = store(config(&fake)).await;
    upload(&store, "web/object", &pattern(100, 1)).await.unwrap();
    assert_eq!(store.list("web/").await.unwrap().len(), 1, "a new file is not hidden");
    let again = upload(&store, "web/object", &pattern(100, 2)).await.unwrap_err();
    assert_eq!(again.reason, Reason::Exists);
    store.delete(&name("web/object")).await.unwrap();
    assert_eq!(store.list("web/").await.unwrap(), [], "a removed file is not shown");
    fake.world().switches.incomplete = true;
    let error = store.list("web/").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot list objects: the service has not searched everywhere");
}

/// Of two files of one name the one that the record names is read, listed once, and the other is swept.
#[tokio::test]
async fn of_two_files_of_one_name_the_record_decides() {
    let fake = Fake::start();
    let store = store(config(&fake)).await;
    let (right, wrong) = (pattern(1_000, 1), pattern(900, 2));
    upload(&store, "web/web-1.tar.gz.age", &right).await.unwrap();
    {
        // Someone else's file, made before: without a record the oldest would win.
        let mut world = fake.world();
        let twin = world.objects()[0].clone();
        let mut metadata = serde_json::json!({ "name": twin.name, "createdTime": "2020-01-01T00:00:00Z" });
        metadata["appProperties"] = serde_json::Value::Object(twin.properties.clone());
        world.insert(&metadata, &twin.parent, &twin.app, None, wrong.clone());
    }
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&right));
    upload(&store, "web/web-1.json", &Bytes::from(format!("{{\"sha256\": \"{digest}\"}}"))).await.unwrap();
    let fresh = crate::drives::store(config(&fake)).await;
    let listed = fresh.list("web/").await.unwrap();
    assert_eq!(listed.iter().map(|object| object.size).collect::<Vec<_>>(), [listed[0].size, 1_000]);
    let read: Vec<Bytes> =
        fresh.open(&name("web/web-1.tar.gz.age"), None).await.unwrap().try_collect().await.unwrap();
    same(&read.concat().into(), &right);
    let tomorrow = chupacabra::clock::Clock::system().now() + jiff::SignedDuration::from_hours(24);
    let swept = fresh.sweep("web/", tomorrow, false).await.unwrap();
    assert_eq!(swept, ["web/web-1.tar.gz.age (second file of this name, 2020-01-01T00:00:00Z)"]);
    assert_eq!(fake.world().objects().len(), 2);
}

#[tokio::test]
async fn the_trash_keeps_what_is_deleted_and_abusive_files_need_leave() {
    let fake = Fake::start();
    let mut settings = config(&fake);
    settings.trash = None;
    let store_with_trash = store(settings.clone()).await;
    upload(&store_with_trash, "web/object", &pattern(100, 1)).await.unwrap();
    fake.world().switches.abusive = true;
    let refused = store_with_trash.open(&name("web/object"), None).await;
    assert_eq!(refused.err().unwrap().reason, Reason::Denied);
    settings.acknowledge_abuse = true;
    let allowed = store(settings).await;
    let read: Vec<_> = allowed.open(&name("web/object"), None).await.unwrap().collect().await;
    assert_eq!(read.into_iter().map(|piece| piece.unwrap().len()).sum::<usize>(), 100);
    store_with_trash.delete(&name("web/object")).await.unwrap();
    let trashed = fake.world().files.values().filter(|entry| entry.trashed).count();
    assert_eq!((trashed, store_with_trash.list("").await.unwrap().len()), (1, 0));
}

/// Memory, requests and quota units go with the chunks, not with luck.
#[tokio::test]
async fn an_upload_costs_as_many_requests_as_it_has_chunks_and_a_few_more() {
    let fake = Arc::new(Fake::start());
    let store = store(config(&fake)).await;
    upload(&store, "web/first", &pattern(10, 1)).await.unwrap();
    let before = fake.world().log.len();
    let units = fake.world().units;
    upload(&store, "web/object", &pattern(CHUNKS * CHUNK, 1)).await.unwrap();
    let requests = fake.world().log.len() - before;
    let units = fake.world().units - units;
    println!("{CHUNKS} chunks: {requests} requests, {units} quota units");
    assert!(requests <= CHUNKS + 5, "{requests} requests");
}
