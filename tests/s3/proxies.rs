//! A proxy before the service: what goes through it, and what is told when it does not do what it is there for.
//!
//! The service's name is known to the proxy alone, so nothing arrives that has not gone through it.

use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::buckets::{new_bucket, sdk, seaweedfs};
use crate::program::Site;
use crate::support::http_proxy::{HttpProxy, Manner, certificate};
use crate::support::scratch;

const HOST: &str = "s3.example.test";

/// A site whose store is known to the proxy alone.
struct Behind {
    site: Site,
    bucket: String,
    proxy: HttpProxy,
    _certificate: TempDir,
}

impl Behind {
    async fn new(scheme: &str, manner: Manner, more: &str) -> Self {
        let dir = scratch();
        let ca: PathBuf = dir.path().join("ca.pem");
        let service = certificate(&[HOST], &ca);
        let proxy = HttpProxy::start(seaweedfs().server.port, manner, Some(service)).await;
        let bucket = new_bucket().await;
        let store = format!(
            "  one: {{ s3: {{ provider: seaweedfs, bucket: {bucket}, endpoint: '{scheme}://{HOST}', part_size: 5MiB, \
             allow_http: true, access_key_id: {{ env: ONE_ID }}, secret_access_key: {{ env: ONE_SECRET }}, \
             ca_bundle: {}, max_attempts: 2, stall_timeout: 2s{more} }} }}",
            ca.display()
        );
        Self { site: Site::new(&[store], "", 12_000_000), bucket, proxy, _certificate: dir }
    }

    /// Runs the program with these variables, and with no others about proxies.
    async fn run(&self, args: &[&str], environment: &[(&str, String)]) -> Output {
        let mut command = self.site.command(args);
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.envs(environment.iter().cloned());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = format!("{output:?}");
        assert!(!told.contains("hunter2") && !told.contains("aHVudGVy"), "a password was printed: {told}");
        output
    }

    async fn objects(&self) -> usize {
        let page = sdk(&seaweedfs().endpoint()).list_objects_v2().bucket(&self.bucket).send().await.unwrap();
        page.contents().len()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_and_its_restore_go_through_the_proxy_of_the_environment() {
    for (scheme, variable, line) in [
        ("https", "HTTPS_PROXY", format!("CONNECT {HOST}:443 ")),
        ("https", "https_proxy", format!("CONNECT {HOST}:443 ")),
        ("https", "ALL_PROXY", format!("CONNECT {HOST}:443 ")),
        ("http", "HTTP_PROXY", format!(" http://{HOST}/")),
    ] {
        let behind = Behind::new(scheme, Manner::Wants("us@er:hunter2"), "").await;
        let address = format!("http://us%40er:hunter2@127.0.0.1:{}", behind.proxy.port);
        let environment = [(variable, address.clone())];
        let output = behind.run(&["-vv", "backup"], &environment).await;
        assert!(output.status.success(), "{variable}: {}", told(&output));
        assert_eq!(behind.objects().await, 3, "{variable}: package, index and record");
        let log = behind.proxy.log();
        assert!(!log.is_empty() && log.iter().all(|seen| seen.contains(&line)), "{variable}: {log:?}");
        let into = behind.site.path("restored");
        let output = behind.run(&["restore", "web", "--into", into.to_str().unwrap()], &environment).await;
        assert!(output.status.success(), "{variable}: {}", told(&output));
        assert_eq!(std::fs::read(into.join("hello")).unwrap(), b"hello\n");

        // Without the proxy, or past it, nobody knows the service; the other scheme's proxy is not asked.
        let seen = behind.proxy.log().len();
        let other = if scheme == "https" { "HTTP_PROXY" } else { "HTTPS_PROXY" };
        let past = [environment[0].clone(), ("NO_PROXY", "example.test".to_owned())];
        for environment in [&[][..], &past, &[(other, address)]] {
            let output = behind.run(&["list"], environment).await;
            assert!(
                !output.status.success() && told(&output).contains("connection failed"),
                "{}",
                told(&output)
            );
        }
        assert_eq!(behind.proxy.log().len(), seen, "{variable}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stores_own_proxy_comes_before_the_environments() {
    let behind = Behind::new("https", Manner::Wants("user:hunter2"), ", proxy: { env: MINE }").await;
    let mine = format!("http://user:hunter2@127.0.0.1:{}", behind.proxy.port);
    let nobody = "http://127.0.0.1:9".to_owned();
    let output = behind.run(&["backup"], &[("MINE", mine), ("HTTPS_PROXY", nobody)]).await;
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(behind.objects().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_do_its_work_is_named() {
    for (manner, said, help) in [
        (Manner::Wants("user:other"), "wants other credentials (407)", "USER:PASSWORD"),
        (Manner::Refuses(407), "wants other credentials (407)", "USER:PASSWORD"),
        (Manner::Refuses(403), "does not connect to the service", "CONNECT"),
        (Manner::Refuses(502), "does not connect to the service", "CONNECT"),
        (Manner::HangsUp, "breaks the connection off", "NO_PROXY"),
    ] {
        let behind = Behind::new("https", manner, "").await;
        let address = format!("http://user:hunter2@127.0.0.1:{}", behind.proxy.port);
        let output = behind.run(&["backup"], &[("HTTPS_PROXY", address)]).await;
        let told = told(&output);
        let named = format!("the proxy {} {said}", behind.proxy.address());
        assert_eq!(output.status.code(), Some(4), "{manner:?}: {told}");
        assert!(told.contains(&named) && told.contains(help), "{manner:?}: {told}");
        assert_eq!(behind.objects().await, 0);
    }
    // Nobody listens there; nobody answers there.
    let behind = Behind::new("https", Manner::Silent, "").await;
    let port = crate::support::server::free_port();
    let dead = format!("http://user:hunter2@127.0.0.1:{port}");
    let output = behind.run(&["backup"], &[("HTTPS_PROXY", dead)]).await;
    let said = format!("the proxy http://127.0.0.1:{port} cannot be reached");
    assert!(output.status.code() == Some(4) && told(&output).contains(&said), "{}", told(&output));
    let began = Instant::now();
    let output = behind.run(&["list"], &[("HTTPS_PROXY", behind.proxy.address())]).await;
    assert!(!output.status.success(), "{}", told(&output));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

/// Whoever has set a variable does not expect to be passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_address_of_a_proxy_is_refused_by_name() {
    let behind = Behind::new("https", Manner::Open, "").await;
    for (variable, value) in [
        ("HTTPS_PROXY", "socks5://user:hunter2@proxy:1080"),
        ("https_proxy", "http://user:hunter2@"),
        ("ALL_PROXY", "http://user:hunter2@@proxy"),
    ] {
        let output = behind.run(&["backup"], &[(variable, value.to_owned())]).await;
        let told = told(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        let what = format!("the environment variable `{variable}` holds no address of a proxy");
        assert!(told.contains(&what) && told.contains("stores.one.s3.proxy"), "{told}");
    }
}

/// The machine itself is never asked for through a proxy: a store on it works whatever the environment says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_machine_is_spoken_to_without_a_proxy() {
    let proxy = HttpProxy::start(9, Manner::Refuses(403), None).await;
    let bucket = new_bucket().await;
    let store = format!(
        "  one: {{ s3: {{ provider: seaweedfs, bucket: {bucket}, endpoint: '{}', access_key_id: {{ env: ONE_ID }}, \
         secret_access_key: {{ env: ONE_SECRET }} }} }}",
        seaweedfs().endpoint()
    );
    let site = Site::new(&[store], "", 1_000);
    let mut command = site.command(&["backup"]);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(name, proxy.address());
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(proxy.log(), Vec::<String>::new());
}
