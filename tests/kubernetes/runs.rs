//! The program as pods run it: shards that together cover everything, and monitors that hear of every run.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::{chupacabra, run, scratch};

/// Makes `count` trees, of which the first is large, and a configuration that sends them to a local store.
fn site(dir: &Path, count: usize, more: &str) {
    let mut sources = String::new();
    for number in 0..count {
        let tree = dir.join(format!("tree-{number}"));
        std::fs::create_dir(&tree).unwrap();
        // Not compressible, so that packages are as large as their trees.
        let size = if number == 0 { 6_000_000 } else { 1_000 };
        let mut noise = vec![0; size];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
        std::fs::write(tree.join("file"), noise).unwrap();
        sources.push_str(
            &["  app-", &number.to_string(), ": { files: { path: ", tree.to_str().unwrap(), " } }\n"]
                .concat(),
        );
    }
    let config = format!(
        "encryption: {{ recipients: [age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup] }}\n\
         stores: {{ here: {{ local: {{ path: {} }} }} }}\nsources:\n{sources}{more}",
        dir.join("store").display()
    );
    std::fs::write(dir.join("config.yaml"), config).unwrap();
}

fn backup(dir: &Path) -> Command {
    let mut command = chupacabra();
    command.env_clear().arg("--config").arg(dir.join("config.yaml")).args(["backup", "--json"]);
    command
}

fn sources(output: &Output) -> Vec<String> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let jobs = report["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["source"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn shards_cover_every_source_once_although_they_run_one_after_the_other() {
    let dir = scratch();
    site(dir.path(), 5, "");
    let all: Vec<String> = (0..5).map(|number| format!("app-{number}")).collect();
    run(&mut backup(dir.path()));
    let as_of = jiff::Timestamp::from_millisecond(now()).unwrap().to_string();
    // What grows afterwards decides nothing: a shard that runs later must not see what one that ran before has done.
    std::fs::write(dir.path().join("tree-1/file"), vec![7; 9_000_000]).unwrap();
    // The name of a Job of a CronJob, made for the minute to come.
    let job = format!("shop-backup-nightly-{}", now() / 60_000 + 1);
    for of in [3, 7, 1] {
        let mut seen = Vec::new();
        for index in 0..of {
            let mut command = backup(dir.path());
            command.arg(format!("--shard={index}/{of}"));
            let output = if of == 7 {
                run(command.env("CHUPACABRA_JOB", &job))
            } else {
                run(command.args(["--as-of", &as_of]))
            };
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            let own = sources(&output);
            assert!(log.contains(r#"weighted":true"#), "{log}");
            if of == 3 && own.contains(&"app-0".to_owned()) {
                assert_eq!(own, ["app-0"], "the large one shares its shard");
            }
            seen.extend(own);
        }
        seen.sort();
        assert_eq!(seen, all, "{of} shards");
    }
    // Without a common time every source counts the same; what is covered is the same.
    let unweighted = |index: usize| sources(&run(backup(dir.path()).arg(format!("--shard={index}/2"))));
    let seen: BTreeSet<String> = (0..2).flat_map(unweighted).collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

#[allow(clippy::disallowed_methods, reason = "a Job's name is made from the time at which it is made")]
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[test]
fn shards_that_could_not_agree_are_refused() {
    let dir = scratch();
    site(dir.path(), 2, "retention: { keep_last: 2 }\n");
    let output = backup(dir.path()).args(["--shard=0/2", "--as-of=2026-11-21T02:30:00Z"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("its retention keeps 2") && told.contains("keep_last: 3"), "{told}");
    assert!(!dir.path().join("store").join("app-0").exists());
    for wrong in ["--shard=2/2", "--shard=1", "--as-of=2026-11-21"] {
        assert_eq!(backup(dir.path()).arg(wrong).output().unwrap().status.code(), Some(2), "{wrong}");
    }
}

/// A store that cannot say what it has costs the other stores nothing, and what the shards may have missed is told.
#[test]
fn shards_go_on_although_the_sizes_cannot_be_had() {
    let dir = scratch();
    site(dir.path(), 4, "");
    let config = dir.path().join("config.yaml");
    let yaml = std::fs::read_to_string(&config).unwrap();
    let whole = format!(" whole: {{ local: {{ path: {}/whole }} }} }}\nsources:", dir.path().display());
    std::fs::write(&config, yaml.replace(" }\nsources:", &[",", &whole].concat())).unwrap();
    std::fs::create_dir_all(dir.path().join("store")).unwrap();
    std::os::unix::fs::symlink("app-0", dir.path().join("store/app-0")).unwrap();
    let as_of = jiff::Timestamp::from_millisecond(now()).unwrap().to_string();
    let mut seen = Vec::new();
    for index in 0..2 {
        let shard = format!("--shard={index}/2");
        let output = backup(dir.path()).args([&shard, "--as-of", &as_of]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let problem = report["problems"][0].as_str().unwrap();
        assert!(problem.contains("every source counted the same") && problem.contains("app-0"), "{problem}");
        seen.extend(sources(&output));
    }
    seen.sort();
    assert_eq!(seen, ["app-0", "app-1", "app-2", "app-3"]);
    for source in seen {
        let recorded = |store: &str| {
            let files = std::fs::read_dir(dir.path().join(store).join(&source)).into_iter().flatten();
            let names = files.map(|entry| entry.unwrap().path());
            names.filter(|path| path.extension().is_some_and(|end| end == "json")).count()
        };
        assert_eq!((recorded("store"), recorded("whole")), (usize::from(source != "app-0"), 1), "{source}");
    }
}

/// Answers every request with `answer`; gives the requests' first lines with their bodies.
fn monitor(answer: &'static str) -> (u16, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    (listener.local_addr().unwrap().port(), listen(listener, answer))
}

/// The same for a listener that is there.
fn listen(listener: TcpListener, answer: &'static str) -> mpsc::Receiver<(String, String)> {
    let (send, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = vec![0; 65536];
            let (head, body) = loop {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head
                    .lines()
                    .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break (head.lines().next().unwrap().to_owned(), body.to_owned());
                }
            };
            if send.send((head, body)).is_err() {
                return;
            }
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    received
}

const NOTIFICATIONS: &str =
    "notifications: { alarm: { healthchecks: { url: { env: PING } }, label: prod } }\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn a_monitor_hears_of_the_start_and_of_every_end() {
    let dir = scratch();
    site(dir.path(), 2, NOTIFICATIONS);
    let (port, requests) = monitor(OK);
    let ping = format!("http://127.0.0.1:{port}/ping/top-secret-uuid");
    let lines = |expected: i32| {
        let output = backup(dir.path()).env("PING", &ping).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).contains("top-secret"));
        let mut heard: Vec<(String, String)> = requests.try_iter().collect();
        for (line, _) in &mut heard {
            *line = line.replace("POST /ping/top-secret-uuid", "").replace(" HTTP/1.1", "");
        }
        heard
    };
    let heard = lines(0);
    assert_eq!(heard.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["/start", ""]);
    assert!(heard[1].1.starts_with("[prod] backup good: 2 of 2\napp-0 (files): good"), "{heard:?}");
    // A source that is gone.
    std::fs::remove_dir_all(dir.path().join("tree-1")).unwrap();
    let heard = lines(3);
    assert_eq!(heard.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["/start", "/fail"]);
    assert!(heard[1].1.starts_with("[prod] backup PARTIAL: 1 of 2 good\napp-1 (files): FAILED"), "{heard:?}");
    // A run that could not begin.
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    std::fs::write(dir.path().join("store"), "in the way").unwrap();
    let output = backup(dir.path()).env("PING", &ping).output().unwrap();
    assert_ne!(output.status.code(), Some(0));
    let heard: Vec<(String, String)> = requests.try_iter().collect();
    assert!(
        heard.last().is_some_and(|(line, body)| line.contains("/fail ") && body.contains("FAILED")),
        "{heard:?}"
    );
}

/// As a Secret has it that was made with `--from-file`, or of what `echo` wrote.
#[test]
fn a_secret_in_a_variable_may_end_with_a_newline() {
    use std::os::unix::ffi::OsStrExt as _;
    let dir = scratch();
    site(dir.path(), 1, NOTIFICATIONS);
    let (port, requests) = monitor(OK);
    run(backup(dir.path()).env("PING", format!("http://127.0.0.1:{port}/ping/uuid\n")));
    let heard: Vec<String> = requests.try_iter().map(|(line, _)| line).collect();
    assert_eq!(heard, ["POST /ping/uuid/start HTTP/1.1", "POST /ping/uuid HTTP/1.1"]);
    // The negative controls: what is nothing, and no text, is refused and named.
    for (value, why) in [(&b"\n"[..], "`PING` is empty"), (&b"http://\xff/"[..], "`PING` is no UTF-8 text")] {
        let value = std::ffi::OsStr::from_bytes(value);
        let output = backup(dir.path()).env("PING", value).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains(why), "{told}");
    }
}

#[test]
fn a_monitor_that_refuses_or_is_gone_never_fails_a_backup() {
    let dir = scratch();
    site(dir.path(), 1, NOTIFICATIONS);
    let (port, requests) =
        monitor("HTTP/1.1 404 Not Found\r\nContent-Length: 15\r\nConnection: close\r\n\r\ntop-secret-uuid");
    let output = run(backup(dir.path()).env("PING", format!("http://127.0.0.1:{port}/ping/top-secret-uuid")));
    assert_eq!(requests.try_iter().count(), 2);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("nobody was notified") && log.contains("404 Not Found: [secret]"), "{log}");
    assert!(!log.contains("top-secret"), "{log}");
    // Nobody listens: given up after a while, and still good.
    let output = run(backup(dir.path()).env("PING", "http://127.0.0.1:9/ping/top-secret-uuid"));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.contains("nobody was notified") && !log.contains("top-secret"), "{log}");
}

/// Where Istio's sidecar is told to quit.
const SIDECAR: u16 = 15_020;

/// One test for all of it: the sidecar's port is always the same.
#[test]
fn a_sidecar_is_told_to_quit_however_the_run_ends_and_changes_nothing() {
    let dir = scratch();
    site(dir.path(), 1, "");
    for mesh in ["istio", "linkerd", "none"] {
        let output = run(backup(dir.path()).env("CHUPACABRA_MESH", mesh));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(log.contains("the sidecar was not told to quit"), mesh != "none", "{log}");
    }
    assert_eq!(backup(dir.path()).args(["--mesh", "consul"]).output().unwrap().status.code(), Some(2));
    let requests = listen(TcpListener::bind((Ipv4Addr::LOCALHOST, SIDECAR)).unwrap(), OK);
    let told = |wrong: &[&str], code: i32| {
        let output = backup(dir.path()).env("CHUPACABRA_MESH", "istio").args(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        let heard: Vec<String> = requests.try_iter().map(|(line, _)| line).collect();
        assert_eq!(heard, ["POST /quitquitquit HTTP/1.1"], "{wrong:?}");
    };
    told(&[], 0);
    // An argument that there is not, a source that there is not, a run that fails.
    told(&["--shart=0/2"], 2);
    told(&["wbe"], 2);
    std::fs::remove_dir_all(dir.path().join("tree-0")).unwrap();
    told(&[], 4);
}

/// What Kubernetes keeps of the log of a container that failed (`FallbackToLogsOnError`).
const KEPT: usize = 2048;

#[test]
fn the_end_of_the_log_says_what_failed_whatever_came_after_it() {
    let dir = scratch();
    site(dir.path(), 12, "");
    let end = |code: i32| {
        let output = backup(dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let log = output.stderr;
        String::from_utf8_lossy(&log[log.len().saturating_sub(KEPT)..]).into_owned()
    };
    assert!(!end(0).contains("run ended"));
    // The first one fails, and many good ones come after it.
    std::fs::remove_dir_all(dir.path().join("tree-0")).unwrap();
    let told = end(3);
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let why = last["error.message"].as_str().unwrap();
    assert!(why.starts_with("backup PARTIAL: 11 of 12 good; app-0 (files): FAILED: cannot open"), "{told}");
    // All fail: what is kept begins with the verdict all the same.
    for number in 1..12 {
        std::fs::remove_dir_all(dir.path().join(format!("tree-{number}"))).unwrap();
    }
    let told = end(4);
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert!(
        last["error.message"].as_str().unwrap().starts_with("backup FAILED: 0 of 12 good; app-0"),
        "{told}"
    );
}
