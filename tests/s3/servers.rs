//! Servers that die, fill up, are not there or say no.

use std::path::Path;
use std::time::Duration;

use chupacabra::config::units::Span;
use chupacabra::stores::s3::Config;
use chupacabra::stores::{Error, Intent, Reason, Severity, Store};

use crate::buckets::{PART, config, new_bucket, sdk, seaweedfs, secret, store};
use crate::contract::{name, pattern};
use crate::support::seaweedfs::SeaweedFs;
use crate::support::{run, scratch};

async fn upload(store: &dyn Store, object: &str, content: bytes::Bytes) -> Result<(), Error> {
    let mut upload = store.create(&name(object), &Intent::default()).await?;
    if let Err(error) = upload.write(content).await {
        // What the server no longer takes it may not abort either; a sweep removes it.
        drop(upload.abort().await);
        return Err(error);
    }
    upload.finish().await.map(drop)
}

/// The server is killed between two parts and comes back a moment later: the upload goes on and is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_mid_upload_and_started_again_costs_nothing() {
    let dir = scratch();
    let server = SeaweedFs::start(dir.path(), &[]);
    let (endpoint, ports) = (server.endpoint(), server.ports());
    sdk(&endpoint).create_bucket().bucket("killed").send().await.unwrap();
    let store = store(config(&endpoint, "killed")).await;
    let content = pattern(6 * PART + 99, 21);
    let mut upload = store.create(&name("object"), &Intent::default()).await.unwrap();
    upload.write(content.slice(..3 * PART)).await.unwrap();
    server.kill(dir.path());
    let path = dir.path().to_owned();
    let again = tokio::task::spawn_blocking(move || SeaweedFs::start_again(&path, ports));
    upload.write(content.slice(3 * PART..)).await.unwrap();
    let stored = upload.finish().await.unwrap();
    let _again = again.await.unwrap();
    assert_eq!(stored.size, content.len() as u64);
    let got = sdk(&endpoint).get_object().bucket("killed").key("pre/fix/object").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == content);
}

/// A server that never comes back ends the upload, with an error that says how often it was tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_come_back_ends_the_upload() {
    let dir = scratch();
    let server = SeaweedFs::start(dir.path(), &[]);
    let endpoint = server.endpoint();
    sdk(&endpoint).create_bucket().bucket("gone").send().await.unwrap();
    let config = Config { max_attempts: Some(3), ..config(&endpoint, "gone") };
    let store = store(config).await;
    let mut upload = store.create(&name("object"), &Intent::default()).await.unwrap();
    upload.write(pattern(2 * PART, 22)).await.unwrap();
    server.kill(dir.path());
    let error = match upload.write(pattern(5 * PART, 23)).await {
        Ok(()) => upload.finish().await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.is_transient() && error.to_string().contains("tried 3 times"), "{error}");
}

/// A server whose disk is full refuses the upload; nothing is left under its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_the_upload() {
    assert!(rustix::process::geteuid().is_root(), "mounting a small tmpfs needs root");
    let dir = scratch();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    run(std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(&data));
    let _unmount = Mounted(&data);
    let server = SeaweedFs::start(dir.path(), &[]);
    let endpoint = server.endpoint();
    sdk(&endpoint).create_bucket().bucket("full").send().await.unwrap();
    let config = Config { max_attempts: Some(3), ..config(&endpoint, "full") };
    let store = store(config).await;
    upload(&store, "small", pattern(1_000, 1)).await.unwrap();
    let error = upload(&store, "large", pattern(60 << 20, 2)).await.unwrap_err();
    assert!(matches!(error.reason, Reason::Full | Reason::Transient(_)), "{error:?}");
    let found = sdk(&endpoint).head_object().bucket("full").key("pre/fix/large").send().await;
    assert!(found.is_err(), "a part of an object is there");
    drop(server);
}

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: the server may still be ending.
        drop(std::process::Command::new("umount").arg("-l").arg(self.0).status());
    }
}

/// Every request of every kind is refused for the same reason, and the help says what to correct.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_a_wrong_secret_and_a_missing_bucket_are_told_apart() {
    let endpoint = seaweedfs().endpoint();
    let bucket = new_bucket().await;
    let cases = [
        (
            Config { secret_access_key: Some(secret("wrong", "nonsense")), ..config(&endpoint, &bucket) },
            Reason::Denied,
            "secret key",
        ),
        (
            Config { access_key_id: Some(secret("wrong", "NOBODY")), ..config(&endpoint, &bucket) },
            Reason::Denied,
            "access key",
        ),
        (config(&endpoint, "no-such-bucket"), Reason::Rejected, "make the bucket"),
    ];
    for (config, reason, help) in cases {
        let store = store(config).await;
        let error = store.list("").await.unwrap_err();
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(error.help.as_ref().is_some_and(|told| told.contains(help)), "{error:?}");
        let error = upload(&store, "object", pattern(10, 1)).await.unwrap_err();
        assert_eq!(error.reason, reason, "{error:?}");
        let findings = store.check().await;
        assert!(findings.iter().any(|finding| finding.severity == Severity::Bad), "{findings:?}");
        assert!(!format!("{findings:?} {error:?}").contains("nonsense"), "a secret was printed");
    }
}

/// Nobody listens: the check says so soon, and does not try for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_where_nobody_listens_is_found_soon() {
    let port = crate::support::server::free_port();
    let store = store(config(&format!("http://127.0.0.1:{port}"), "bucket")).await;
    let findings = tokio::time::timeout(Duration::from_secs(20), store.check()).await.unwrap();
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0].severity == Severity::Bad && findings[0].what.contains("connection failed"),
        "{findings:?}"
    );
}

/// Keys that may do a part: the check says what works, and a key that may only write can back up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_may_do_a_part_are_told_what_works() {
    let dir = scratch();
    let identities = dir.path().join("identities.json");
    let identity = |name: &str, actions: &str| {
        format!(
            r#"{{"name":"{name}","credentials":[{{"accessKey":"{name}","secretKey":"SKTEST12345"}}],"actions":[{actions}]}}"#
        )
    };
    let all = [
        identity("AKTEST", r#""Admin""#),
        identity("READER", r#""Read:rights","List:rights""#),
        identity("WRITER", r#""Write:rights""#),
    ];
    std::fs::write(&identities, format!(r#"{{"identities":[{}]}}"#, all.join(","))).unwrap();
    let server = SeaweedFs::start(dir.path(), &[&format!("-s3.config={}", identities.display())]);
    let endpoint = server.endpoint();
    sdk(&endpoint).create_bucket().bucket("rights").send().await.unwrap();
    let with = |id: &str| Config {
        access_key_id: Some(secret("id", id)),
        stall_timeout: Some(Span(Duration::from_secs(20))),
        ..config(&endpoint, "rights")
    };

    let reader = store(with("READER")).await;
    let error = upload(&reader, "object", pattern(10, 1)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Denied, "{error:?}");
    let findings = reader.check().await;
    let bad: Vec<&str> =
        findings.iter().filter(|f| f.severity == Severity::Bad).map(|f| f.topic.as_str()).collect();
    assert_eq!(bad, ["write", "multipart"], "{findings:?}");

    let writer = store(with("WRITER")).await;
    let findings = writer.check().await;
    assert!(findings.iter().all(|finding| finding.severity != Severity::Bad), "{findings:?}");
    let noticed = |topic: &str| findings.iter().any(|f| f.topic == topic && f.severity == Severity::Notice);
    assert!(noticed("list") && noticed("read"), "{findings:?}");
    for size in [1_000, 2 * PART + 1] {
        upload(&writer, &format!("object-{size}"), pattern(size, 3)).await.unwrap();
        let key = format!("pre/fix/object-{size}");
        let got = sdk(&endpoint).get_object().bucket("rights").key(key).send().await.unwrap();
        assert!(got.body.collect().await.unwrap().into_bytes() == pattern(size, 3));
    }
    assert_eq!(writer.list("").await.unwrap_err().reason, Reason::Denied);
}
