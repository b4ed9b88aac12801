//! The program itself with buckets as its stores: one dump into two, one store that refuses, faults, and a stop.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::buckets::{new_bucket, sdk, seaweedfs};
use crate::support::backups::noise;
use crate::support::fault_proxy::{Fault, FaultProxy, Kind};
use crate::support::rclone::{self, serve_s3};
use crate::support::seaweedfs::{ACCESS_KEY, SECRET_KEY};
use crate::support::{chupacabra, run, scratch, shell, tool};

/// A tree, a key and a configuration.
pub(crate) struct Site {
    dir: TempDir,
}

impl Site {
    /// `stores` is the YAML of the stores, one on each line; `source` are further keys of the source.
    pub(crate) fn new(stores: &[String], source: &str, size: usize) -> Self {
        let dir = scratch();
        let key = dir.path().join("key.txt");
        run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
        let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
        let recipient = String::from_utf8(recipient).unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("sub")).unwrap();
        std::fs::write(tree.join("sub/noise"), noise(size, 5)).unwrap();
        std::fs::write(tree.join("hello"), "hello\n").unwrap();
        let yaml = format!(
            "encryption: {{ recipients: [{}], identity: {{ file: {} }} }}\nstores:\n{}\nsources:\n  web:\n    files: {{ path: {} }}\n{source}",
            recipient.trim(),
            key.display(),
            stores.join("\n"),
            tree.display()
        );
        std::fs::write(dir.path().join("config.yaml"), yaml).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = chupacabra();
        command.arg("--config").arg(self.path("config.yaml")).args(args).stdin(Stdio::null());
        command.envs([("ONE_ID", ACCESS_KEY), ("ONE_SECRET", SECRET_KEY), ("WRONG", "wrong")]);
        command.envs([("TWO_ID", rclone::ACCESS_KEY), ("TWO_SECRET", rclone::SECRET_KEY)]);
        command
    }

    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    async fn json(&self, args: &[&str], code: i32) -> Value {
        let output = self.run(args).await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {told}\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert!(!told.contains(SECRET_KEY), "a secret was printed");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn seaweedfs_store(name: &str, endpoint: &str, bucket: &str, more: &str) -> String {
    format!(
        "  {name}: {{ s3: {{ provider: seaweedfs, bucket: {bucket}, prefix: deep/er, endpoint: '{endpoint}', \
         part_size: 5MiB, access_key_id: {{ env: ONE_ID }}, secret_access_key: {{ env: ONE_SECRET }}{more} }} }}"
    )
}

/// What each store of a report's only job says: name and whether it has the package.
fn committed(report: &Value) -> Vec<(String, bool)> {
    let stores = report["jobs"][0]["stores"].as_array().unwrap();
    let said =
        |store: &Value| (store["store"].as_str().unwrap().to_owned(), store["committed"].as_bool().unwrap());
    let mut all: Vec<_> = stores.iter().map(said).collect();
    all.sort();
    all
}

/// rclone reads the package from each store; stock tools open it; the program restores from each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dump_goes_to_two_stores_and_other_clients_read_it() {
    let bucket = new_bucket().await;
    let dir = scratch();
    let server = serve_s3(dir.path(), &["two".to_owned()]);
    let (one, two) = (seaweedfs().endpoint(), format!("http://127.0.0.1:{}", server.port));
    let stores = [
        seaweedfs_store("one", &one, &bucket, ""),
        format!(
            "  two: {{ s3: {{ provider: rclone, bucket: two, endpoint: '{two}', part_size: 5MiB, \
             access_key_id: {{ env: TWO_ID }}, secret_access_key: {{ env: TWO_SECRET }} }} }}"
        ),
    ];
    let site = Site::new(&stores, "", 17_000_000);
    let report = site.json(&["backup", "--json"], 0).await;
    assert_eq!(committed(&report), [("one".to_owned(), true), ("two".to_owned(), true)]);
    let record = &report["jobs"][0]["record"]["package"];
    let key = report["jobs"][0]["key"].as_str().unwrap();

    let remote = format!(
        ":s3,provider=SeaweedFS,endpoint='{one}',access_key_id={ACCESS_KEY},secret_access_key={SECRET_KEY},force_path_style=true:{bucket}/deep/er/{key}"
    );
    let from_one = run(Command::new(tool("rclone")).args(["cat", &remote])).stdout;
    let from_two = std::fs::read(dir.path().join("data/two").join(key)).unwrap();
    assert!(from_one == from_two, "the two stores hold different packages of one dump");
    assert_eq!(from_one.len() as u64, record["size"].as_u64().unwrap());
    let package = site.path("package");
    std::fs::write(&package, &from_one).unwrap();
    let sum = String::from_utf8(shell(&format!("sha256sum < {}", package.display()))).unwrap();
    assert_eq!(sum.split(' ').next(), record["sha256"].as_str());
    shell(&format!(
        "mkdir {0}/stock && age -d -i {0}/key.txt {0}/package | tar xzC {0}/stock && diff -r {0}/tree {0}/stock",
        site.dir.path().display()
    ));
    for store in ["one", "two"] {
        let into = site.path(&format!("restored-{store}"));
        let output = site.run(&["restore", "web", "--into", into.to_str().unwrap(), "--store", store]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        same_tree(&site.path("tree"), &into, true);
    }
    // The comparison would notice.
    std::fs::write(site.path("restored-one/hello"), "hullo\n").unwrap();
    same_tree(&site.path("tree"), &site.path("restored-one"), false);
}

fn same_tree(one: &Path, other: &Path, same: bool) {
    let status = Command::new("diff").arg("-r").arg(one).arg(other).stdout(Stdio::null()).status().unwrap();
    assert_eq!(status.success(), same, "{} and {}", one.display(), other.display());
}

/// One store refuses the key: the other has its package either way; `require` decides what that means.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stores_failure_costs_the_other_nothing() {
    for (require, good) in [("any", true), ("all", false)] {
        let bucket = new_bucket().await;
        let wrong =
            seaweedfs_store("two", &seaweedfs().endpoint(), "elsewhere", "").replace("ONE_SECRET", "WRONG");
        let stores = [seaweedfs_store("one", &seaweedfs().endpoint(), &bucket, ""), wrong];
        let site = Site::new(&stores, &format!("    require: {require}\n"), 12_000_000);
        let output = site.run(&["backup", "--json"]).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.success(), good, "require: {require}: {report:#}");
        assert_eq!(committed(&report), [("one".to_owned(), true), ("two".to_owned(), false)]);
        let stores = report["jobs"][0]["stores"].as_array().unwrap();
        let failed = stores.iter().find(|store| store["store"] == "two").unwrap();
        assert!(failed["error"].to_string().contains("SignatureDoesNotMatch"), "{failed:#}");
        let into = site.path("restored");
        let output = site.run(&["restore", "web", "--store", "one", "--into", into.to_str().unwrap()]).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        same_tree(&site.path("tree"), &into, true);
    }
}

/// A fault that lasts, at every request of a backup: a good exit code and a package, or a bad one and none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_recorded_or_it_fails() {
    let (mut recorded, mut refused) = (0, 0);
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    for fault in [Fault::Answer(403, "AccessDenied"), Fault::Answer(500, "InternalError"), Fault::ResetInBody]
    {
        for at in 0.. {
            assert!(at < 60, "a backup that never ends");
            let bucket = new_bucket().await;
            let stores = [seaweedfs_store("one", &proxy.endpoint, &bucket, ", max_attempts: 3")];
            let site = Site::new(&stores, "", 200_000);
            proxy.arm(move |index, _| (index == at).then_some((fault, u32::MAX)));
            let output = site.run(&["backup", "--json"]).await;
            let injected = proxy.disarm();
            let page = sdk(&seaweedfs().endpoint()).list_objects_v2().bucket(&bucket).send().await.unwrap();
            let records = page
                .contents()
                .iter()
                .filter(|object| object.key().unwrap().rsplit_once('.').unwrap().1 == "json")
                .count();
            let left =
                sdk(&seaweedfs().endpoint()).list_multipart_uploads().bucket(&bucket).send().await.unwrap();
            assert_eq!(left.uploads().len(), 0, "{fault:?} at {at} left an upload behind");
            if records == 1 {
                let into = site.path("restored");
                let restored = site.run(&["restore", "web", "--into", into.to_str().unwrap()]).await;
                assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
                same_tree(&site.path("tree"), &into, true);
                recorded += 1;
            } else {
                let said = String::from_utf8_lossy(&output.stdout);
                assert!(!output.status.success(), "{fault:?} at {at}: exit code 0 and no record: {said}");
                refused += 1;
            }
            if injected.is_empty() {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(
                    output.status.success() && records == 1,
                    "without a fault there is a package: {said}"
                );
                break;
            }
        }
    }
    println!("backups with a lasting fault at each request: recorded {recorded}, refused {refused}, wrong 0");
    assert!(recorded > 0 && refused > 10, "{recorded} {refused}");
}

/// Told to stop in mid-upload, the program aborts its upload and says so with its exit code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_backup_aborts_its_upload() {
    let bucket = new_bucket().await;
    let store = seaweedfs_store("one", &seaweedfs().endpoint(), &bucket, "");
    let store = store.replacen("{ s3", "{ limits: { upload: 4MiB/s }, s3", 1);
    let site = Site::new(&[store], "", 60_000_000);
    let mut running = site.command(&["backup"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let sdk = sdk(&seaweedfs().endpoint());
    let unfinished = async || {
        let uploads = sdk.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
        uploads.uploads().len()
    };
    let begun = async {
        while unfinished().await == 0 {
            #[allow(clippy::disallowed_methods, reason = "polling another process")]
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), begun).await.expect("an upload begins");
    run(Command::new("kill").args(["-TERM", &running.id().to_string()]));
    let status = tokio::task::spawn_blocking(move || running.wait().unwrap()).await.unwrap();
    assert_eq!(status.code(), Some(143));
    assert_eq!(unfinished().await, 0, "the upload was not aborted");
    let page = sdk.list_objects_v2().bucket(&bucket).send().await.unwrap();
    assert_eq!(page.contents().len(), 0, "something was finished");
}

/// Told to stop while a service takes its time to finish an object, the program does not wait for it: the upload is
/// given up, nothing is recorded, and the exit code comes within the grace period of a pod.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_stopped_while_it_finishes_ends_in_seconds() {
    for stalled in [Kind::Head, Kind::Put, Kind::Complete] {
        let bucket = new_bucket().await;
        let proxy = FaultProxy::start(seaweedfs().server.port).await;
        let site = Site::new(&[seaweedfs_store("one", &proxy.endpoint, &bucket, "")], "", 12_000_000);
        proxy.arm(move |_, kind| (kind == stalled).then_some((Fault::Stall, u32::MAX)));
        let (code, took) = stop_when_stalled(&site, &proxy, &["backup"]).await;
        assert_eq!(code, Some(143), "{stalled:?}");
        assert!(took < Duration::from_secs(20), "{stalled:?}: {took:?}");
        let sdk = sdk(&seaweedfs().endpoint());
        let page = sdk.list_objects_v2().bucket(&bucket).send().await.unwrap();
        let names: Vec<&str> = page.contents().iter().filter_map(|object| object.key()).collect();
        let is_record = |name: &&str| name.rsplit_once('.').is_some_and(|(_, end)| end == "json");
        assert!(!names.iter().any(is_record), "{stalled:?}: recorded: {names:?}");
        let left = sdk.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
        assert_eq!(left.uploads().len(), 0, "{stalled:?}: the upload was not given up");
    }
}

/// What only reads is ended by the first signal, however long a service is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verb_that_only_reads_ends_when_it_is_told_to() {
    let bucket = new_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    let site = Site::new(&[seaweedfs_store("one", &proxy.endpoint, &bucket, "")], "", 1_000);
    for args in [&["list"][..], &["verify"], &["prune"], &["restore", "web", "--into", "/nonexistent/x"]] {
        proxy.arm(|_, _| Some((Fault::Stall, u32::MAX)));
        let (code, took) = stop_when_stalled(&site, &proxy, args).await;
        assert_eq!(code, Some(143), "{args:?}");
        assert!(took < Duration::from_secs(10), "{args:?}: {took:?}");
    }
}

/// Runs the program until a request is stalled, and tells it to stop. Returns the exit code and how long it took to end.
async fn stop_when_stalled(site: &Site, proxy: &FaultProxy, args: &[&str]) -> (Option<i32>, Duration) {
    let mut running = site.command(args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let stalled = async {
        while proxy.injected() == 0 {
            #[allow(clippy::disallowed_methods, reason = "polling another process")]
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), stalled).await;
    let began = Instant::now();
    run(Command::new("kill").args(["-TERM", &running.id().to_string()]));
    let ended = tokio::task::spawn_blocking(move || {
        let limit = Instant::now() + Duration::from_secs(50);
        while running.try_wait().unwrap().is_none() && Instant::now() < limit {
            #[allow(clippy::disallowed_methods, reason = "polling another process")]
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(running.kill());
        running.wait().unwrap().code()
    });
    waited.expect("a request is stalled");
    (ended.await.unwrap(), began.elapsed())
}
