//! Signals, `kill -9`, full disks and failing system calls: no record, or a complete backup; nothing in between.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chupacabra::catalog::SourceName;
use chupacabra::clock::Clock;
use chupacabra::prune;
use chupacabra::retention::Policy;
use chupacabra::stores::Named;

use crate::support::backups::{Site, noise};
use crate::support::server::wait_until;
use crate::support::{run, tool};

fn spawn(site: &Site, args: &[&str]) -> Child {
    site.command(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The size of the largest temporary file in the store.
fn uploading(store: &Path) -> u64 {
    let entries = std::fs::read_dir(store.join("web")).into_iter().flatten().flatten();
    let hidden = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    hidden.filter_map(|entry| Some(entry.metadata().ok()?.len())).max().unwrap_or(0)
}

#[test]
fn a_signal_aborts_the_upload_and_says_so() {
    use rustix::process::Signal;
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let site = Site::new("");
        std::fs::write(site.tree().join("noise"), noise(600 << 20, 1)).unwrap();
        let mut child = spawn(&site, &["backup"]);
        wait_until(
            Duration::from_secs(60),
            || uploading(&site.store()) > 4 << 20,
            || "no upload began".into(),
        );
        let told = Instant::now();
        signal(&child, sent);
        let status = child.wait().unwrap();
        assert!(told.elapsed() < Duration::from_secs(5), "took {:?}", told.elapsed());
        assert_eq!(status.code(), Some(code), "{:?}", status.signal());
        assert_eq!(site.leftovers(), 0, "a temporary file is left");
        let scan = site.scan();
        assert!(scan.packages.is_empty() && scan.orphans.is_empty(), "{scan:?}");
    }
}

#[test]
fn kill_9_at_any_moment_leaves_no_record_or_a_complete_backup() {
    let site = Site::new("");
    std::fs::write(site.tree().join("noise"), noise(24 << 20, 2)).unwrap();
    for n in 0..50 {
        std::fs::write(site.tree().join(format!("small-{n}")), noise(900, n)).unwrap();
    }
    let began = Instant::now();
    site.good(&["backup"]);
    // How long a run takes; kept up to date, because other work on the machine makes it shorter and longer.
    let mut whole = began.elapsed();
    let (mut killed, mut ended, mut recorded) = (0u32, 0u32, 1);
    while killed < 50 && killed + ended < 150 {
        let began = Instant::now();
        let mut child = spawn(&site, &["backup"]);
        // Moments spread over the whole run and a little beyond, in no order.
        let deadline = began + whole * ((killed + ended) * 37 % 50) / 48;
        while Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            #[allow(clippy::disallowed_methods, reason = "the moment is what is tested")]
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        let packages = site.scan().packages;
        assert!(packages.len() == recorded || packages.len() == recorded + 1, "more records than runs");
        if status.signal() == Some(9) {
            killed += 1;
        } else {
            ended += 1;
            whole = began.elapsed();
            assert_eq!(status.code(), Some(0));
            assert_eq!(packages.len(), recorded + 1, "a run ended well without a record");
        }
        recorded = packages.len();
    }
    assert_eq!(killed, 50, "only {killed} of {} runs were killed in time", killed + ended);
    if recorded == 1 {
        site.good(&["backup"]);
        recorded += 1;
    }
    assert!(site.scan().packages.iter().all(chupacabra::catalog::Found::is_good));
    // Every record stands for a package that opens to its last member.
    let verified = site.good(&["verify", "web", "--all", "--json"]);
    let verified: serde_json::Value = serde_json::from_str(&verified).unwrap();
    let sound = verified.as_array().unwrap().iter().filter(|v| v["outcome"] == "sound" && v["members"] == 52);
    assert_eq!(sound.count(), recorded);
    sweep_after_three_days(&site, recorded);
}

/// A later prune removes what the dead runs left, and nothing else.
fn sweep_after_three_days(site: &Site, recorded: usize) {
    let later = Clock::system().now() + jiff::SignedDuration::from_hours(72);
    let named = Named { name: "here".into(), store: site.open_store() };
    let source: SourceName = "web".parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let intended = prune::intend(&named, &source, &Policy::default(), later).await.unwrap();
        assert!(
            !intended.leftovers.is_empty() || !intended.orphans.is_empty(),
            "the kills left nothing to sweep"
        );
        intended.execute(&named).await.unwrap();
    });
    let scan = site.scan();
    assert_eq!((scan.packages.len(), scan.orphans.len(), site.leftovers()), (recorded, 0, 0));
}

#[test]
fn a_full_disk_fails_cleanly() {
    assert!(rustix::process::geteuid().is_root(), "mounting a small tmpfs needs root");
    let mount = crate::support::scratch();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(mount.path()));
    let site = Site::with_store("", Some(&mount.path().join("store")));
    std::fs::write(site.tree().join("noise"), noise(20 << 20, 3)).unwrap();
    let output = site.output(&["backup"]);
    let left = std::fs::read_dir(mount.path().join("store/web")).unwrap().count();
    std::fs::remove_file(site.tree().join("noise")).unwrap();
    std::fs::write(site.tree().join("small"), "fits").unwrap();
    let afterwards = site.output(&["backup"]);
    run(Command::new("umount").arg(mount.path()));
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(left, 0, "something is left on the full disk");
    assert_eq!(afterwards.status.code(), Some(0));
}

/// A backup in which the nth call of a kind fails with EIO, as strace counts them: in each thread.
struct Traced {
    hit: bool,
    status: Option<i32>,
    records: usize,
}

impl Traced {
    fn backup(site: &Site, call: &str, nth: u32) -> Self {
        let before = site.scan().packages.len();
        let trace = site.dir().join("trace");
        let plain = site.command(&["backup"]);
        let mut traced = Command::new(tool("strace"));
        traced.args(["-f", "-qq", "-o"]).arg(&trace);
        traced.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:error=EIO:when={nth}")]);
        let output = traced.arg(plain.get_program()).args(plain.get_args()).output().unwrap();
        let hit = std::fs::read_to_string(&trace).unwrap().contains("(INJECTED)");
        Self { hit, status: output.status.code(), records: site.scan().packages.len() - before }
    }
}

/// How many threads share the calls is up to the machine, so only the first of each kind is sure to be hit.
#[test]
fn failing_system_calls_leave_no_record() {
    let site = Site::new("");
    std::fs::write(site.tree().join("noise"), noise(6 << 20, 4)).unwrap();
    let mut injected = 0;
    for (call, nths) in [("fsync", 1..8u32), ("renameat2", 1..4), ("fadvise64", 1..3)] {
        for nth in nths {
            let Traced { hit, status, records } = Traced::backup(&site, call, nth);
            if hit {
                injected += 1;
                // A fault after the commit point may fail the run, but it must not look like success without a record.
                assert!(records == 0 || records == 1);
                assert_ne!(status, Some(0), "{call} {nth} failed and the run was called good");
                assert!(nth > 1 || records == 0, "the first {call} failed and there is a record");
            } else {
                assert!(nth > 1, "the first {call} was not hit");
                assert_eq!((status, records), (Some(0), 1), "{call} {nth}");
            }
        }
        // The same under strace with a fault that no run reaches: what fails the others is the fault.
        let Traced { hit, status, records } = Traced::backup(&site, call, 10_000);
        assert_eq!((hit, status, records), (false, Some(0), 1), "{call}");
    }
    assert!(injected >= 3, "{injected} faults injected");
    site.good(&["verify", "web", "--all"]);
}

/// File systems that cannot rename without overwriting, have no hard links, and flush no directories: shared folders
/// of virtual machines, and what programs mount.
#[test]
fn poor_file_systems_can_hold_a_store() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    let store = site.store();
    std::fs::create_dir_all(store.join("web")).unwrap();
    let backup = |faults: &[&str]| {
        let plain = site.command(&["backup"]);
        let mut traced = Command::new(tool("strace"));
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2,linkat,fsync"]);
        traced.args(faults.iter().flat_map(|fault| ["-e", fault]));
        traced.arg(plain.get_program()).args(plain.get_args()).output().unwrap()
    };
    let mut made = 0;
    for link in
        ["inject=linkat:error=EPERM", "inject=linkat:error=EOPNOTSUPP", "inject=linkat:error=EXDEV:when=99"]
    {
        let output = backup(&["inject=renameat2:error=EINVAL", link]);
        assert_eq!(output.status.code(), Some(0), "{link}: {}", String::from_utf8_lossy(&output.stderr));
        made += 1;
        assert_eq!((site.scan().packages.len(), site.leftovers()), (made, 0), "{link}");
    }
    // By the directories' paths: the files in them are flushed as ever.
    let (root, source) = (store.display().to_string(), store.join("web").display().to_string());
    let directories = ["-P", &root, "-P", &source];
    let backup_with = |fault: &str| {
        let plain = site.command(&["backup"]);
        let mut traced = Command::new(tool("strace"));
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e", fault]).args(directories);
        traced.arg(plain.get_program()).args(plain.get_args()).output().unwrap()
    };
    let output = backup_with("inject=fsync:error=EINVAL");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    made += 1;
    assert_eq!((site.scan().packages.len(), site.leftovers()), (made, 0));
    assert_eq!(backup_with("inject=fsync:error=EIO").status.code(), Some(4));
    // Whatever else keeps a file from its name is a failure.
    let output = backup(&["inject=renameat2:error=EINVAL", "inject=linkat:error=EIO"]);
    assert_eq!((output.status.code(), site.scan().packages.len()), (Some(4), made));
    site.good(&["verify", "web", "--all"]);
}
