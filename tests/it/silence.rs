//! Sources that hang: they fail by name, the other sources get their backups, and what is only slow is none of them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::support::backups::{Site, noise};
use crate::support::{shell, tool};

/// Writes the sources of a site anew: lines of the configuration, without their indentation.
fn sources(site: &Site, lines: &[String]) {
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let (others, _) = yaml.split_once("sources:").unwrap();
    std::fs::write(site.config(), format!("{others}sources:\n  {}\n", lines.join("\n  "))).unwrap();
}

/// The tree of a site as the source `web`, which may be silent for so long.
fn web(site: &Site, settings: &str, patience: &str) -> String {
    let tree = site.tree();
    format!("web: {{ files: {{ path: {}{settings} }}, stall_timeout: {patience} }}", tree.display())
}

/// A second source, which is sound.
fn zoo(site: &Site) -> String {
    let other = site.dir().join("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("file"), "content").unwrap();
    format!("zoo: {{ files: {{ path: {} }} }}", other.display())
}

/// Makes a site whose source `web` may be silent for so long, and a second one.
fn site(patience: &str) -> Site {
    let site = Site::new("");
    sources(&site, &[web(&site, "", patience), zoo(&site)]);
    site
}

/// Runs a backup in which a call on `path` takes its time, and says how it ended and how long it took.
fn backup_with(site: &Site, path: Option<&Path>, inject: &str) -> (Output, Duration) {
    let plain = site.command(&["backup"]);
    let mut traced = Command::new("timeout");
    traced.args(["-k", "5", "120"]).arg(tool("strace"));
    traced.args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"]);
    if let Some(path) = path {
        // By descriptor the full path counts, in a call relative to a directory the name as it was passed.
        let path: std::path::PathBuf = path.components().collect();
        traced.arg("-P").arg(&path).arg("-P").arg(path.file_name().unwrap());
    }
    let call = inject.split(':').next().unwrap();
    traced.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
    let began = Instant::now();
    let output = traced.arg(plain.get_program()).args(plain.get_args()).output().unwrap();
    (output, began.elapsed())
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// How long a call hangs: strace keeps the program from ending for so long, which a file server does not.
const HANGS: &str = "delay_enter=25s";

/// A tree in which a call on one path hangs.
fn hangs(call: &str, victim: &str, told: &str) {
    let site = site("2s");
    std::fs::create_dir(site.tree().join("dir")).unwrap();
    std::fs::write(site.tree().join("dir/small"), "content").unwrap();
    std::fs::write(site.tree().join("large"), noise(6 << 20, 1)).unwrap();
    let (output, took) = backup_with(&site, Some(&site.tree().join(victim)), &format!("{call}:{HANGS}"));
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{call}: {said}");
    assert!(took < Duration::from_secs(60), "{call} took {took:?}: {said}");
    assert!(said.contains("nothing has come from the source for 2s"), "{call}: {said}");
    assert!(said.contains(told) && said.contains("stall_timeout"), "{call}: {said}");
    assert_eq!(site.leftovers(), 0, "{call}: an upload is left");
    let scan = site.scan();
    let recorded: Vec<_> = scan.packages.iter().map(|found| found.record.key.source().as_str()).collect();
    assert_eq!((recorded, scan.orphans.len()), (vec!["zoo"], 0), "{call}: {said}");
}

#[test]
fn a_read_that_never_ends_fails_its_source_by_name_and_no_other() {
    std::thread::scope(|scope| {
        for (call, victim, told) in [
            ("pread64", "large", "`large` was being read"),
            ("read", "dir/small", "`dir/small` was being read"),
            ("getdents64", "dir", "`dir` was being read"),
            ("openat", "dir/small", "`dir/small` was being read"),
            // The root itself, before anything is dumped: so does a mount whose server is gone.
            ("open", "", "it was being examined"),
        ] {
            scope.spawn(move || hangs(call, victim, told));
        }
    });
}

#[test]
fn what_is_slow_is_not_silent() {
    // Every piece of the file takes a part of the time that the source may be silent, all of them much more.
    let slow = site("4s");
    std::fs::write(slow.tree().join("large"), noise(12 << 20, 1)).unwrap();
    let (output, took) = backup_with(&slow, Some(&slow.tree().join("large")), "pread64:delay_enter=1s");
    assert!(output.status.success(), "{}", said(&output));
    assert!(took > Duration::from_secs(9), "too fast to prove anything: {took:?}");
    // A tree of which nothing is wanted for long, and every directory takes its time.
    let unwanted = Site::new("");
    sources(&unwanted, &[web(&unwanted, ", include: [\"*.conf\"], read_ahead: 1", "4s")]);
    shell(&format!(
        "cd '{}'; for i in $(seq 10 22); do mkdir $i; touch $i/x; done; mkdir zz; touch zz/a.conf",
        unwanted.tree().display()
    ));
    let (output, took) = backup_with(&unwanted, None, "getdents64:delay_enter=400ms");
    assert!(output.status.success(), "{}", said(&output));
    assert!(took > Duration::from_secs(8), "too fast to prove anything: {took:?}");
    // A store that takes its time is not the source's fault.
    let throttled = site("4s");
    std::fs::write(throttled.tree().join("large"), noise(30 << 20, 1)).unwrap();
    let yaml = std::fs::read_to_string(throttled.config()).unwrap();
    let limited = yaml.replace("stores: { here: { ", "stores: { here: { limits: { upload: 3MiB/s }, ");
    assert_ne!(limited, yaml);
    std::fs::write(throttled.config(), limited).unwrap();
    let began = Instant::now();
    throttled.good(&["backup"]);
    assert!(began.elapsed() > Duration::from_secs(8), "too fast to prove anything");
}

/// Takes every connection and answers nothing, as a proxy does whose server is gone.
fn mute() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Whoever only looks, or has not begun to write yet, has nothing to end in order.
#[test]
fn a_signal_ends_at_once_what_waits_for_a_store() {
    let verbs: [&[&str]; 8] = [
        &["list"],
        &["check"],
        &["backup", "--dry-run"],
        &["verify"],
        &["show", "web"],
        &["prune"],
        &["restore", "web", "--into", "/nowhere"],
        &["backup"],
    ];
    for (number, verb) in verbs.into_iter().enumerate() {
        let site = Site::new("");
        let (listener, port) = mute();
        let yaml = std::fs::read_to_string(site.config()).unwrap();
        let store = format!(
            "s3: {{ endpoint: \"http://127.0.0.1:{port}\", provider: other, bucket: bucket, region: r, \
             access_key_id: {{ env: P }}, secret_access_key: {{ env: P }} }}"
        );
        let changed = yaml.replace(&format!("local: {{ path: {} }}", site.store().display()), &store);
        assert_ne!(changed, yaml);
        std::fs::write(site.config(), changed).unwrap();
        let mut command = site.command(verb);
        let mut child =
            command.env("P", "secret").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // It listens for signals before it asks anybody.
        let _asked = listener.accept().unwrap();
        let (signal, code) = [(Signal::TERM, 143), (Signal::INT, 130)][number % 2];
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let told = Instant::now();
        rustix::process::kill_process(pid, signal).unwrap();
        let status = child.wait().unwrap();
        assert!(told.elapsed() < Duration::from_secs(10), "{verb:?} took {:?}", told.elapsed());
        assert_eq!(status.code(), Some(code), "{verb:?}");
    }
}

#[test]
fn a_database_that_takes_connections_and_answers_nothing_fails_by_name() {
    let (_listener, port) = mute();
    let account = format!("host: 127.0.0.1, port: {port}, user: a, password: {{ env: P }}");
    for kind in [
        format!("postgres: {{ {account}, lock_timeout: 2s }}"),
        format!("mariadb: {{ {account}, lock_timeout: 2s }}"),
        "mongodb: { url: { env: M } }".to_owned(),
        format!("redis: {{ host: 127.0.0.1, port: {port} }}"),
    ] {
        let site = Site::new("");
        sources(&site, &[format!("dumb: {{ {kind}, stall_timeout: 3s }}"), zoo(&site)]);
        let mut command = site.command(&["backup"]);
        command.env("P", "secret").env("M", format!("mongodb://127.0.0.1:{port}/"));
        let began = Instant::now();
        let output = command.output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{kind}: {said}");
        assert!(began.elapsed() < Duration::from_secs(60), "{kind} took {:?}: {said}", began.elapsed());
        assert!(said.contains("nothing has come from the source for 3s"), "{kind}: {said}");
        assert_eq!(site.scan().packages.len(), 1, "{kind}: {said}");
    }
}
