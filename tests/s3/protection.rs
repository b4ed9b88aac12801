//! Versions, object lock, checksums and tags: what the service keeps besides the bytes.

use std::time::Duration;

use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockRetentionMode, VersioningConfiguration};
use chupacabra::clock::{Clock, Timestamp};
use chupacabra::config::units::Span;
use chupacabra::stores::s3::config::{ChecksumKind, LockMode, ObjectLock};
use chupacabra::stores::s3::{Config, S3};
use chupacabra::stores::{Intent, Proof, Reason, Severity, Store, Stored};

use crate::buckets::{PART, bucket_name, config, new_bucket, plan, sdk, seaweedfs, store};
use crate::contract::{name, package, pattern};
use crate::support::fault_proxy::{Fault, FaultProxy, Kind};

async fn upload(store: &dyn Store, object: &str, size: usize) -> Stored {
    let mut upload = store.create(&name(object), &Intent::default()).await.unwrap();
    upload.write(pattern(size, 31)).await.unwrap();
    upload.finish().await.unwrap()
}

/// How many versions and markers a bucket has.
async fn versions(bucket: &str) -> usize {
    let page = sdk(&seaweedfs().endpoint()).list_object_versions().bucket(bucket).send().await.unwrap();
    page.versions().len() + page.delete_markers().len()
}

/// In a bucket that keeps versions, deleting an object leaves no version and no marker of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_removes_every_version() {
    let (bucket, sdk) = (new_bucket().await, sdk(&seaweedfs().endpoint()));
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    sdk.put_bucket_versioning().bucket(&bucket).versioning_configuration(enabled).send().await.unwrap();
    let store = store(config(&seaweedfs().endpoint(), &bucket)).await;
    upload(&store, "web/a", 100).await;
    upload(&store, "web/ab", 100).await;
    // Another client deletes it, which leaves a marker, and it is written again.
    sdk.delete_object().bucket(&bucket).key("pre/fix/web/a").send().await.unwrap();
    assert_eq!(store.list("web/").await.unwrap().len(), 1);
    upload(&store, "web/a", 200).await;
    assert_eq!(versions(&bucket).await, 4);
    store.delete(&name("web/a")).await.unwrap();
    assert_eq!(versions(&bucket).await, 1, "only the neighbour is left");
    assert_eq!(store.list("web/").await.unwrap().len(), 1);
}

/// Where it may not be asked whether the bucket keeps versions, the answer to the deletion tells: nothing is left, or the
/// object is to be seen as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_may_not_be_asked_for_its_versions_keeps_none_behind() {
    let (bucket, sdk) = (new_bucket().await, sdk(&seaweedfs().endpoint()));
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
    sdk.put_bucket_versioning().bucket(&bucket).versioning_configuration(enabled).send().await.unwrap();
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let config = config(&proxy.endpoint, &bucket);
    // The first request asks whether there are versions, the third one which.
    for denied in [vec![0, 2], vec![0]] {
        let store = store(config.clone()).await;
        if versions(&bucket).await == 0 {
            upload(&store, "web/a", 100).await;
        }
        let may_list = denied.len() == 1;
        proxy.arm(move |index, _| {
            denied.contains(&index).then_some((Fault::Answer(403, "AccessDenied"), u32::MAX))
        });
        let deleted = store.delete(&name("web/a")).await;
        proxy.disarm();
        if may_list {
            deleted.unwrap();
            assert_eq!(versions(&bucket).await, 0);
        } else {
            let error = deleted.unwrap_err();
            assert!(
                error.reason == Reason::Denied && error.remedy().contains("DeleteObjectVersion"),
                "{error:?}"
            );
            assert_eq!(store.list("web/").await.unwrap().len(), 1, "a marker hides the object");
            assert_eq!(versions(&bucket).await, 1);
        }
    }
}

/// With `object_lock` the bucket keeps versions, whether it may be asked or not: what is protected is never hidden.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_protected_is_never_hidden_by_a_marker() {
    let bucket = locked_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let lock = ObjectLock { mode: LockMode::Governance, retain_for: Span(Duration::from_hours(2)) };
    let store = store(Config { object_lock: Some(lock), ..config(&proxy.endpoint, &bucket) }).await;
    upload(&store, "object", 100).await;
    proxy.arm(|index, _| (index == 0).then_some((Fault::Answer(403, "AccessDenied"), u32::MAX)));
    assert_eq!(store.delete(&name("object")).await.unwrap_err().reason, Reason::Locked);
    assert_eq!(proxy.disarm().len(), 1);
    assert_eq!(versions(&bucket).await, 1);
}

/// Another program's unfinished upload in the same bucket, below the same prefix, is not swept; an agent's is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_of_other_programs_are_not_swept() {
    let (bucket, sdk) = (new_bucket().await, sdk(&seaweedfs().endpoint()));
    let ours = package("web", 1);
    for key in ["web/videos/long.mp4", "web/web-notes.tar.gz.age", ours.as_str()] {
        let begin = sdk.create_multipart_upload().bucket(&bucket).key(format!("pre/fix/{key}"));
        begin.send().await.unwrap();
    }
    let store = store(config(&seaweedfs().endpoint(), &bucket)).await;
    let tomorrow = Clock::system().now() + Duration::from_hours(24);
    let swept = store.sweep("web/", tomorrow, false).await.unwrap();
    assert!(swept.len() == 1 && swept[0].starts_with(ours.as_str()), "{swept:?}");
    let left = sdk.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    let mut left: Vec<&str> =
        left.uploads().iter().filter_map(aws_sdk_s3::types::MultipartUpload::key).collect();
    left.sort_unstable();
    assert_eq!(left, ["pre/fix/web/videos/long.mp4", "pre/fix/web/web-notes.tar.gz.age"]);
}

/// A key that may not list unfinished uploads sweeps none, which is no reason to fail: retention is applied all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_may_not_list_unfinished_uploads_prunes_all_the_same() {
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let store = store(config(&proxy.endpoint, &new_bucket().await)).await;
    proxy.arm(|_, _| Some((Fault::Answer(403, "AccessDenied"), u32::MAX)));
    let swept = store.sweep("web/", Clock::system().now(), true).await.unwrap();
    assert_eq!((swept, proxy.disarm().len()), (Vec::<String>::new(), 1));

    proxy.arm(|_, kind| (kind == Kind::Uploads).then_some((Fault::Answer(403, "AccessDenied"), u32::MAX)));
    let findings = store.check().await;
    assert!(!proxy.disarm().is_empty());
    let found = findings.iter().find(|finding| finding.topic == "sweep").unwrap();
    assert!(
        found.severity == Severity::Notice && found.help.contains("s3:ListBucketMultipartUploads"),
        "{findings:?}"
    );
}

async fn locked_bucket() -> String {
    let bucket = bucket_name();
    let sdk = sdk(&seaweedfs().endpoint());
    sdk.create_bucket().bucket(&bucket).object_lock_enabled_for_bucket(true).send().await.unwrap();
    bucket
}

async fn retention(bucket: &str, key: &str) -> (ObjectLockRetentionMode, Timestamp) {
    let answer = sdk(&seaweedfs().endpoint()).get_object_retention().bucket(bucket).key(key).send().await;
    let retention = answer.unwrap().retention.unwrap();
    let until = Timestamp::from_second(retention.retain_until_date.unwrap().secs()).unwrap();
    (retention.mode.unwrap(), until)
}

/// Objects are protected from the upload on, deletion is refused for that reason, and protection only grows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_object_stays_and_its_protection_grows() {
    let modes = [
        (LockMode::Governance, ObjectLockRetentionMode::Governance),
        (LockMode::Compliance, ObjectLockRetentionMode::Compliance),
    ];
    for (mode, said) in modes {
        let bucket = locked_bucket().await;
        let lock = ObjectLock { mode, retain_for: Span(Duration::from_hours(2)) };
        let config = Config { object_lock: Some(lock), ..config(&seaweedfs().endpoint(), &bucket) };
        let store = store(config).await;
        let before = Clock::system().now();
        for (object, size) in [("small", 100), ("large", 2 * PART + 1)] {
            upload(&store, object, size).await;
            let key = format!("pre/fix/{object}");
            let (mode, until) = retention(&bucket, &key).await;
            assert_eq!(mode, said);
            assert!(until >= before + Duration::from_hours(2), "protected until {until}");
            let error = store.delete(&name(object)).await.unwrap_err();
            assert_eq!(error.reason, Reason::Locked, "{error:?}");
            assert_eq!(store.list(object).await.unwrap().len(), 1);

            let later = Clock::system().now() + Duration::from_hours(24);
            store.extend(&name(object), later).await.unwrap();
            let (_, extended) = retention(&bucket, &key).await;
            assert!(extended >= later + Duration::from_hours(2), "extended until {extended}");
            store.extend(&name(object), before).await.unwrap();
            assert_eq!(retention(&bucket, &key).await.1, extended, "protection shrank");
        }
        let findings = store.check().await;
        assert!(findings.iter().all(|finding| finding.severity != Severity::Bad), "{findings:?}");
        assert_eq!(store.list("").await.unwrap().len(), 2, "the check left something behind");
    }
}

/// Services refuse to delete what is protected and what the key may not delete by the same code. Once the protection has
/// ended, it is the right that is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protection_that_has_ended_is_no_reason() {
    let bucket = locked_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let lock = ObjectLock { mode: LockMode::Governance, retain_for: Span(Duration::from_hours(2)) };
    let config = Config { object_lock: Some(lock), ..config(&proxy.endpoint, &bucket) };
    let now = Clock::system();
    upload(&S3::connect(&plan(config.clone()), now).await.unwrap(), "object", 100).await;
    proxy.arm(|_, kind| (kind == Kind::Delete).then_some((Fault::Answer(403, "AccessDenied"), u32::MAX)));
    let tomorrow = Clock::fixed(now.now() + Duration::from_hours(24));
    for (clock, reason) in [(now, Reason::Locked), (tomorrow, Reason::Denied)] {
        let store = S3::connect(&plan(config.clone()), clock).await.unwrap();
        let error = store.delete(&name("object")).await.unwrap_err();
        assert_eq!(error.reason, reason, "{error:?}");
    }
}

/// Without a configured lock nothing is protected, even where it could be; and a bucket that cannot protect is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protection_is_only_where_it_is_configured_and_possible() {
    let bucket = locked_bucket().await;
    let unlocked = store(config(&seaweedfs().endpoint(), &bucket)).await;
    upload(&unlocked, "object", 100).await;
    unlocked.delete(&name("object")).await.unwrap();
    assert_eq!(versions(&bucket).await, 0);

    let lock = ObjectLock { mode: LockMode::Governance, retain_for: Span(Duration::from_hours(2)) };
    let config = Config { object_lock: Some(lock), ..config(&seaweedfs().endpoint(), &new_bucket().await) };
    let findings = store(config).await.check().await;
    let found = findings.iter().find(|finding| finding.topic == "lock").unwrap();
    assert!(
        found.severity == Severity::Bad && found.what.contains("not made with Object Lock"),
        "{findings:?}"
    );
}

/// Configured checksums are sent, kept by the service and compared; without them the proof says less for parts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checksums_over_the_whole_object_are_compared() {
    let cases = [
        (ChecksumKind::None, Proof::Checksum, Proof::PartChecksums),
        (ChecksumKind::Crc64nvme, Proof::Checksum, Proof::Checksum),
        (ChecksumKind::Crc32c, Proof::Checksum, Proof::Checksum),
        (ChecksumKind::Sha256, Proof::Checksum, Proof::PartChecksums),
    ];
    for (checksum, single, multipart) in cases {
        let bucket = new_bucket().await;
        let config = Config { checksum, ..config(&seaweedfs().endpoint(), &bucket) };
        let store = store(config).await;
        assert_eq!(upload(&store, "single", 1_000).await.proof, single, "{checksum:?}");
        assert_eq!(upload(&store, "multi", 2 * PART + 1).await.proof, multipart, "{checksum:?}");
        let findings = store.check().await;
        assert!(findings.iter().all(|finding| finding.severity != Severity::Bad), "{findings:?}");
    }
}

/// A service that takes a checksum and keeps none compares nothing by it, and the check says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checksum_that_is_not_kept_is_told() {
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let config = Config { checksum: ChecksumKind::Crc64nvme, ..config(&proxy.endpoint, &new_bucket().await) };
    let store = store(config).await;
    for (kept, severity) in [(true, Severity::Good), (false, Severity::Notice)] {
        proxy.arm(move |_, kind| (kind == Kind::Head && !kept).then_some((Fault::WithoutChecksum, u32::MAX)));
        let findings = store.check().await;
        let found = findings.iter().find(|finding| finding.topic == "checksum").unwrap();
        assert_eq!(found.severity, severity, "{findings:?}");
    }
}

/// Tags, storage class and encryption arrive at the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_and_storage_class_arrive() {
    let bucket = new_bucket().await;
    let config = Config {
        tags: [("team".to_owned(), "data & more".to_owned())].into(),
        storage_class: Some("STANDARD_IA".to_owned()),
        ..config(&seaweedfs().endpoint(), &bucket)
    };
    let store = store(config).await;
    let sdk = sdk(&seaweedfs().endpoint());
    for (object, size) in [("small", 100), ("large", PART + 1)] {
        upload(&store, object, size).await;
        let key = format!("pre/fix/{object}");
        let tags = sdk.get_object_tagging().bucket(&bucket).key(&key).send().await.unwrap();
        let tags: Vec<(&str, &str)> = tags.tag_set().iter().map(|tag| (tag.key(), tag.value())).collect();
        assert_eq!(tags, [("team", "data & more")], "{object}");
        let head = sdk.head_object().bucket(&bucket).key(&key).send().await.unwrap();
        assert_eq!(
            head.storage_class().map(aws_sdk_s3::types::StorageClass::as_str),
            Some("STANDARD_IA"),
            "{object}"
        );
    }
}
