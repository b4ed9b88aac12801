//! Every fault at every request: afterwards there is either the whole object, or an error, no object and no upload.

use std::time::Duration;

use bytes::Bytes;
use chupacabra::config::units::Span;
use chupacabra::stores::retry::{Limits, Retry};
use chupacabra::stores::s3::{Config, S3};
use chupacabra::stores::{Error, Intent, Reason, Severity, Store, Stored};
use futures_util::StreamExt as _;

use crate::buckets::{PART, config, new_bucket, sdk, seaweedfs, store};
use crate::contract::{name, pattern};
use crate::support::fault_proxy::{Fault, FaultProxy, Kind};
use crate::support::hurried::hurried;

/// What passes by itself: a retry must make good for it.
pub(crate) const PASSING: [Fault; 14] = [
    Fault::Answer(503, "SlowDown"),
    Fault::Answer(503, "ServiceUnavailable"),
    Fault::Answer(500, "InternalError"),
    Fault::Answer(400, "RequestTimeout"),
    Fault::Answer(400, "IncompleteBody"),
    Fault::Answer(409, "OperationAborted"),
    Fault::RetryAfter,
    Fault::BadGateway,
    Fault::ResetBefore,
    Fault::ResetInBody,
    Fault::LostAnswer,
    Fault::CutAnswer,
    Fault::Stall,
    Fault::StallInBody,
];

/// What does not: the upload or download must fail, soon and cleanly.
pub(crate) const LASTING: [(Fault, Reason); 6] = [
    (Fault::Answer(403, "RequestTimeTooSkewed"), Reason::Rejected),
    (Fault::Answer(403, "SignatureDoesNotMatch"), Reason::Denied),
    (Fault::Answer(403, "AccessDenied"), Reason::Denied),
    (Fault::Answer(403, "QuotaExceeded"), Reason::Full),
    (Fault::Answer(404, "NoSuchBucket"), Reason::Rejected),
    (Fault::Answer(501, "NotImplemented"), Reason::Rejected),
];

/// Each takes a stall timeout: once is enough.
pub(crate) fn is_stall(fault: Fault) -> bool {
    matches!(fault, Fault::Stall | Fault::StallInBody)
}

/// Counts of outcomes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    injected: usize,
    recovered: usize,
    refused: usize,
    wrong: usize,
}

/// A store that speaks through a proxy, and the bucket behind it.
pub(crate) struct Rig {
    pub(crate) proxy: FaultProxy,
    pub(crate) bucket: String,
    pub(crate) store: S3,
}

/// Longer than a busy server takes to answer, short enough to wait for in every stall.
const STALL: Duration = Duration::from_millis(1_500);

pub(crate) async fn rig(change: impl FnOnce(Config) -> Config) -> Rig {
    let bucket = new_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let config = config(&proxy.endpoint, &bucket);
    let config = Config { stall_timeout: Some(Span(STALL)), ..config };
    let store = store(change(config)).await.retrying(hurried());
    Rig { proxy, bucket, store }
}

impl Rig {
    async fn upload(&self, object: &str, content: &Bytes) -> Result<Stored, Error> {
        let mut upload = self.store.create(&name(object), &Intent::default()).await?;
        for piece in content.chunks(1 << 20) {
            if let Err(error) = upload.write(content.slice_ref(piece)).await {
                upload.abort().await?;
                return Err(error);
            }
        }
        upload.finish().await
    }

    /// The object as another client reads it, past the proxy.
    async fn behind(&self, object: &str) -> Option<Bytes> {
        let sdk = sdk(&seaweedfs().endpoint());
        let got = sdk.get_object().bucket(&self.bucket).key(format!("pre/fix/{object}")).send().await;
        Some(got.ok()?.body.collect().await.unwrap().into_bytes())
    }

    /// The uploads that were begun and are neither complete nor aborted.
    async fn unfinished(&self) -> usize {
        let uploads = sdk(&seaweedfs().endpoint()).list_multipart_uploads().bucket(&self.bucket).send().await;
        uploads.unwrap().uploads().len()
    }

    async fn clean(&self, object: &str) {
        self.store.delete(&name(object)).await.unwrap();
        let uploads = sdk(&seaweedfs().endpoint()).list_multipart_uploads().bucket(&self.bucket).send().await;
        for upload in uploads.unwrap().uploads() {
            let (key, id) = (upload.key().unwrap(), upload.upload_id().unwrap());
            let sdk = sdk(&seaweedfs().endpoint());
            sdk.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(id).send().await.unwrap();
        }
    }

    /// Uploads with faults and judges what is there afterwards.
    async fn try_upload(&self, object: &str, content: &Bytes, tally: &mut Tally) -> Result<Stored, Error> {
        self.try_and_tell(object, content, tally).await.0
    }

    /// As `try_upload`; tells the kind of the last request that went wrong too.
    async fn try_and_tell(
        &self,
        object: &str,
        content: &Bytes,
        tally: &mut Tally,
    ) -> (Result<Stored, Error>, Option<Kind>) {
        let outcome = self.upload(object, content).await;
        let injected = self.proxy.disarm();
        tally.injected += injected.len();
        // A begun upload whose id was lost with the answer can only be swept later.
        let lost = |(_, kind, fault): &&(usize, Kind, Fault)| {
            *kind == Kind::Create && matches!(fault, Fault::LostAnswer | Fault::CutAnswer)
        };
        let lost = injected.iter().filter(lost).count();
        let last = injected.last().map(|(_, kind, _)| *kind);
        let (behind, unfinished) = (self.behind(object).await, self.unfinished().await);
        let sound = match &outcome {
            Ok(stored) => behind.as_ref() == Some(content) && stored.size == content.len() as u64,
            // Where looking at the object fails, it may be there after all; without a record it does not count.
            Err(_) => behind.is_none() || last == Some(Kind::Head),
        };
        match &outcome {
            _ if !sound || unfinished > lost => {
                let there = behind.map(|bytes| bytes.len());
                println!("wrong: {outcome:?}, object {there:?}, {unfinished} unfinished, after {injected:?}");
                tally.wrong += 1;
            }
            Ok(_) => tally.recovered += injected.len(),
            Err(_) => tally.refused += injected.len(),
        }
        self.clean(object).await;
        (outcome, last)
    }
}

/// Request `i` of run `r` suffers fault `r + i`: over all runs every request suffers every fault, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_passing_fault_at_every_request_of_an_upload_in_20_parts() {
    let rig = rig(|config| config).await;
    let content = pattern(19 * PART + 12_345, 7);
    let mut tally = Tally::default();
    for run in 0..PASSING.len() {
        rig.proxy.arm(move |index, _| Some((PASSING[(run + index) % PASSING.len()], 1)));
        let outcome = rig.try_upload(&format!("upload-{run}"), &content, &mut tally).await;
        assert!(outcome.is_ok(), "run {run}: {outcome:?}");
    }
    println!("upload in 20 parts, passing faults: {tally:?}");
    // Create, 20 parts, two looks at the object, complete: the looks are one request.
    assert_eq!(
        tally,
        Tally { injected: PASSING.len() * 23, recovered: PASSING.len() * 23, refused: 0, wrong: 0 }
    );
}

/// A fault that does not pass, at every request of an upload: it ends there, with the right reason, and leaves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lasting_fault_ends_an_upload_cleanly() {
    let rig = rig(|config| config).await;
    let content = pattern(2 * PART + 1, 8);
    let mut tally = Tally::default();
    for (fault, reason) in LASTING {
        for at in 0..6 {
            rig.proxy.arm(move |index, _| (index == at).then_some((fault, u32::MAX)));
            let (outcome, kind) = rig.try_and_tell(&format!("lasting-{at}"), &content, &mut tally).await;
            // A HEAD has no body to say the code in, and a key that may not look can still write.
            let looked = kind == Some(Kind::Head);
            match outcome {
                Err(error) => assert!(error.reason == reason || looked, "{fault:?} at {at}: {error:?}"),
                Ok(_) => assert!(looked, "{fault:?} at {at} made no difference"),
            }
        }
    }
    println!("upload in 3 parts, lasting faults: {tally:?}");
    assert!(
        tally.wrong == 0 && tally.refused > 0 && tally.injected == tally.refused + tally.recovered,
        "{tally:?}"
    );
}

/// A fault that would pass but never does: the retries end, and so does the upload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_fault_that_never_passes_ends_an_upload_cleanly() {
    let rig = rig(|config| config).await;
    let content = pattern(2 * PART + 1, 9);
    let mut tally = Tally::default();
    let kinds = [Kind::Create, Kind::Part, Kind::Head, Kind::Complete];
    for fault in [Fault::Answer(503, "SlowDown"), Fault::ResetInBody, Fault::ErrorIn200, Fault::RetryAfter] {
        for kind in kinds {
            if fault == Fault::ErrorIn200 && kind != Kind::Complete {
                continue;
            }
            rig.proxy.arm(move |_, seen| (seen == kind).then_some((fault, u32::MAX)));
            let outcome = rig.try_upload("never", &content, &mut tally).await;
            let error = outcome.expect_err("an upload without that request");
            assert!(error.to_string().contains("tried 10 times"), "{fault:?} at {kind:?}: {error}");
        }
    }
    println!("upload in 3 parts, faults without end: {tally:?}");
    assert!(tally.wrong == 0 && tally.recovered == 0 && tally.injected == tally.refused, "{tally:?}");
}

/// What only completing can suffer: an error inside a 200, an answer that is lost, an upload that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completing_is_resolved_by_looking() {
    let content = pattern(2 * PART + 1, 10);
    let mut tally = Tally::default();
    for conditional in [true, false] {
        let rig = rig(|config| Config { conditional_writes: Some(conditional), ..config }).await;
        for (fault, times) in [
            (Fault::ErrorIn200, 3),
            (Fault::LostAnswer, 1),
            (Fault::LostAnswer, 3),
            (Fault::CutAnswer, 2),
            (Fault::Answer(409, "ConditionalRequestConflict"), 1),
        ] {
            rig.proxy.arm(move |_, kind| (kind == Kind::Complete).then_some((fault, times)));
            let outcome = rig.try_upload("complete", &content, &mut tally).await;
            assert!(outcome.is_ok(), "{fault:?}, conditional {conditional}: {outcome:?}");
        }
        for (code, reason) in [
            ("NoSuchUpload", Reason::SessionLost),
            ("InvalidPart", Reason::SessionLost),
            ("PreconditionFailed", Reason::Exists),
        ] {
            let fault = Fault::Answer(if code == "NoSuchUpload" { 404 } else { 412 }, code);
            rig.proxy.arm(move |_, kind| (kind == Kind::Complete).then_some((fault, u32::MAX)));
            let outcome = rig.try_upload("complete", &content, &mut tally).await;
            assert_eq!(outcome.unwrap_err().reason, reason, "{code}");
        }
    }
    println!("completing: {tally:?}");
    assert!(tally.wrong == 0 && tally.refused == 6 && tally.recovered > 10, "{tally:?}");
}

/// An upload that the service forgets half way is given up, with a reason that says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_forgotten_half_way_is_given_up() {
    let rig = rig(|config| config).await;
    let content = pattern(4 * PART, 11);
    let mut tally = Tally::default();
    for at in 1..=5 {
        let fault = Fault::Answer(404, "NoSuchUpload");
        rig.proxy.arm(move |index, kind| (index >= at && kind == Kind::Part).then_some((fault, u32::MAX)));
        let outcome = rig.try_upload("forgotten", &content, &mut tally).await;
        assert_eq!(outcome.unwrap_err().reason, Reason::SessionLost);
    }
    println!("forgotten uploads: {tally:?}");
    assert!(tally.wrong == 0 && tally.recovered == 0 && tally.refused >= 5, "{tally:?}");
}

/// Bytes that change on their way are noticed by the service, and sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_change_on_their_way_are_sent_again() {
    let rig = rig(|config| config).await;
    let mut tally = Tally::default();
    for content in [pattern(1_000, 1), pattern(2 * PART + 1, 2)] {
        rig.proxy.arm(|_, kind| matches!(kind, Kind::Put | Kind::Part).then_some((Fault::ChangedBody, 1)));
        assert!(rig.try_upload("changed", &content, &mut tally).await.is_ok());
    }
    println!("changed bytes: {tally:?}");
    assert_eq!(tally, Tally { injected: 4, recovered: 4, refused: 0, wrong: 0 });
}

/// Every passing fault at every request of an object in one request: look, store, look again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_passing_fault_at_every_request_of_a_small_upload() {
    let mut tally = Tally::default();
    let content = pattern(300_000, 12);
    for conditional in [true, false] {
        let rig = rig(|config| Config { conditional_writes: Some(conditional), ..config }).await;
        for fault in PASSING {
            for at in 0..2 {
                for times in [1, if is_stall(fault) { 1 } else { 3 }] {
                    rig.proxy.arm(move |index, _| (index == at).then_some((fault, times)));
                    let outcome = rig.try_upload("small", &content, &mut tally).await;
                    assert!(outcome.is_ok(), "{fault:?} at {at}, {times} times: {outcome:?}");
                }
            }
        }
    }
    println!("upload in one request, passing faults: {tally:?}");
    assert!(tally.wrong == 0 && tally.refused == 0 && tally.recovered == tally.injected, "{tally:?}");
    assert!(tally.injected >= PASSING.len() * 2 * 2 * 2, "{tally:?}");
}

/// Every fault at every request of a restore in 8 ranges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_request_of_a_ranged_restore() {
    const RANGES: u64 = 8;
    const SIZE: u64 = 300_000;
    let rig = rig(|config| config).await;
    let content = pattern(usize::try_from(RANGES * SIZE).unwrap(), 13);
    rig.upload("restored", &content).await.unwrap();
    let restore = async || {
        let mut got = Vec::new();
        for n in 0..RANGES {
            let mut range = rig.store.open(&name("restored"), Some(n * SIZE..(n + 1) * SIZE)).await?;
            while let Some(bytes) = range.next().await {
                got.extend_from_slice(&bytes?);
            }
        }
        Ok::<_, Error>(got)
    };
    let mut tally = Tally::default();
    for fault in PASSING.into_iter().chain(LASTING.map(|(fault, _)| fault)) {
        for at in 0..usize::try_from(RANGES).unwrap() {
            for times in [1, if is_stall(fault) { 1 } else { 3 }] {
                rig.proxy.arm(move |index, _| (index == at).then_some((fault, times)));
                let outcome = restore().await;
                let injected = rig.proxy.disarm().len();
                tally.injected += injected;
                match outcome {
                    Ok(got) if got == content => tally.recovered += injected,
                    Err(_) if LASTING.iter().any(|(lasting, _)| *lasting == fault) => {
                        tally.refused += injected;
                    }
                    outcome => {
                        println!(
                            "wrong: {fault:?} at {at}, {times} times: {:?}",
                            outcome.map(|got| got.len())
                        );
                        tally.wrong += 1;
                    }
                }
            }
        }
    }
    println!("restore in 8 ranges: {tally:?}");
    assert!(tally.wrong == 0 && tally.refused == LASTING.len() * 8 * 2, "{tally:?}");
    assert!(tally.recovered >= PASSING.len() * 8 * 2, "{tally:?}");
}

/// A key that may only write is enough where the `ETag` tells what the service has; where it does not, no backup would
/// succeed, and the check says so before one is tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_look_is_enough_only_where_the_etag_tells() {
    for foreign in [false, true] {
        let rig = rig(|config| config).await;
        rig.proxy.arm(move |_, kind| match kind {
            Kind::Head | Kind::Get => Some((Fault::Answer(403, "AccessDenied"), u32::MAX)),
            Kind::Put if foreign => Some((Fault::ForeignEtag, u32::MAX)),
            _ => None,
        });
        let uploaded = rig.upload("blind", &pattern(1_000, 1)).await;
        let findings = rig.store.check().await;
        assert!(!rig.proxy.disarm().is_empty());
        let bad = findings.iter().find(|finding| finding.severity == Severity::Bad);
        match uploaded {
            Ok(_) => assert!(!foreign && bad.is_none(), "{findings:#?}"),
            Err(error) => {
                assert!(foreign && error.reason == Reason::Denied, "{error:?}");
                assert!(bad.is_some_and(|bad| bad.help.contains("allow s3:GetObject")), "{findings:#?}");
            }
        }
    }
}

/// A cache that still says what was there before the upload is asked again; one that goes on is told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_not_to_be_seen_at_once_is_looked_for_again() {
    let rig = rig(|config| config).await;
    for size in [1_000, 2 * PART + 1] {
        let content = pattern(size, 1);
        // The first answer is true: there is no object of that name yet.
        rig.proxy.arm(|_, kind| (kind == Kind::Head).then_some((Fault::Answer(404, ""), 4)));
        let stored = rig.upload("late", &content).await.unwrap();
        assert_eq!((stored.size, rig.proxy.disarm().len()), (size as u64, 4));
        rig.clean("late").await;

        rig.proxy.arm(|_, kind| (kind == Kind::Head).then_some((Fault::Answer(404, ""), u32::MAX)));
        let error = rig.upload("never", &content).await.unwrap_err();
        rig.proxy.disarm();
        assert!(error.reason == Reason::Corrupt && error.remedy().contains("consistency"), "{error:?}");
        rig.clean("never").await;
    }
}

/// The proxy does what it says: without retries every passing fault is an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_retries_every_fault_is_an_error() {
    let rig = rig(|config| Config { max_attempts: Some(1), ..config }).await;
    let once = Retry::new(Limits { attempts: 1, ..Limits::default() });
    let rig = Rig { store: rig.store.retrying(once), ..rig };
    let mut tally = Tally::default();
    for fault in PASSING {
        rig.proxy.arm(move |index, _| (index == 1).then_some((fault, 1)));
        let outcome = rig.upload("once", &pattern(1_000, 1)).await;
        rig.proxy.disarm();
        assert!(outcome.is_err(), "{fault:?} made no difference");
        rig.clean("once").await;
        tally.refused += 1;
    }
    assert_eq!(tally.refused, PASSING.len());
}
