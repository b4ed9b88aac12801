//! What cannot be read fails the job by name. Faults are injected into the real system calls of a real dump: this test
//! program runs itself under strace.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::files_support::{Backup, source};
use crate::support::{scratch, shell, tool};
use crate::unprivileged::as_nobody;

const TREE: &str = "CHUPACABRA_TEST_TREE";
const SETTINGS: &str = "CHUPACABRA_TEST_SETTINGS";

/// The dump that runs under strace: prints its counts or its error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests of this file, under strace"]
async fn dump_in_a_process_of_its_own() {
    let tree = std::env::var_os(TREE).unwrap();
    let settings = std::env::var(SETTINGS).unwrap();
    match Backup::of(Path::new(&tree), serde_json::from_str(&settings).unwrap()).await {
        Ok(backup) => println!("GOOD {:?} {:?}", backup.summary.counts, backup.summary.notes),
        Err(error) => {
            println!("BAD {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        }
    }
}

/// Runs a dump of `tree` under strace with faults injected into calls that touch `path`.
fn dump_under_strace(tree: &Path, path: &Path, inject: &str, settings: &serde_json::Value) -> String {
    let Output { stdout, stderr, .. } = Command::new("timeout")
        .args(["-k", "5", "60"])
        .arg(tool("strace"))
        .args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", inject])
        // By descriptor the full path counts, in a call relative to a directory the name as it was passed.
        .arg("-P")
        .arg(path)
        .arg("-P")
        .arg(path.file_name().unwrap())
        .arg("-e")
        .arg(format!("trace={}", inject.split([':', '=']).nth(1).unwrap()))
        .arg(std::env::current_exe().unwrap())
        .args(["files_faults::dump_in_a_process_of_its_own", "--exact", "--ignored", "--nocapture"])
        .env(TREE, tree)
        .env(SETTINGS, settings.to_string())
        .output()
        .unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    let line = stdout
        .lines()
        .find_map(|line| line.find("GOOD ").or_else(|| line.find("BAD ")).map(|at| &line[at..]));
    line.unwrap_or_else(|| panic!("no verdict:\n{stdout}\n{}", String::from_utf8_lossy(&stderr))).to_owned()
}

/// A tree with a victim among many.
fn tree() -> tempfile::TempDir {
    let dir = scratch();
    let root = dir.path().display();
    shell(&format!(
        "cd '{root}'; mkdir -p a b victim-dir; for i in $(seq 50); do echo $i > a/$i; echo $i > b/$i; done
         echo x > a/victim; head -c 3000000 /dev/urandom > b/victim-large; echo x > victim-dir/in; ln -s x a/link"
    ));
    dir
}

#[test]
fn faults_of_every_call_fail_the_job_and_name_the_path() {
    let dir = tree();
    let cases = [
        ("a/victim", "openat:error=ESTALE", "cannot open"),
        ("a/victim", "openat:error=EACCES", "cannot open"),
        ("a/victim", "openat:error=EIO", "cannot open"),
        ("a/victim", "openat:error=ENOENT", "cannot open"),
        ("a/victim", "openat:error=EMFILE", "cannot open"),
        ("a/victim", "fstat:error=ESTALE", "cannot examine"),
        ("a/victim", "statx:error=EIO", "cannot examine"),
        ("a/victim", "read:error=EIO", "cannot read"),
        ("a/victim", "flistxattr:error=EIO", "cannot read the attributes of"),
        ("b/victim-large", "pread64:error=EIO:when=2", "cannot read"),
        ("b/victim-large", "pread64:error=ESTALE", "cannot read"),
        ("b/victim-large", "statx:error=EIO", "cannot read"),
        ("victim-dir", "openat:error=EACCES", "cannot open"),
        ("victim-dir", "openat:error=ENOENT", "cannot open"),
        ("victim-dir", "getdents64:error=EIO", "cannot list"),
        ("victim-dir", "getdents64:error=ENOENT", "cannot list"),
        ("victim-dir", "getdents64:error=ESTALE:when=2", "cannot list"),
        ("victim-dir", "fstat:error=ESTALE", "cannot examine"),
        ("victim-dir", "statx:error=EIO", "cannot list"),
    ];
    for (victim, fault, action) in cases {
        let path = dir.path().join(victim);
        let verdict = dump_under_strace(dir.path(), &path, &format!("inject={fault}"), &json!({}));
        let expected = format!("BAD {action} `{}`", path.display());
        assert!(verdict.starts_with(&expected), "{victim} {fault}: {verdict}");
    }
}

#[test]
fn calls_that_are_interrupted_are_made_again() {
    let dir = tree();
    for (victim, fault) in
        [("a/victim", "read:error=EINTR:when=1"), ("b/victim-large", "pread64:error=EINTR:when=1..3")]
    {
        let verdict =
            dump_under_strace(dir.path(), &dir.path().join(victim), &format!("inject={fault}"), &json!({}));
        assert!(verdict.starts_with("GOOD "), "{verdict}");
    }
}

/// A lease as file servers take them for their clients: given back a while after the system asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_leased_to_another_process_is_read_when_it_is_given_back() {
    let dir = tree();
    let script = "import fcntl, os, signal, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
signal.sigwait([signal.SIGIO])
time.sleep(0.3)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
print('given back', flush=True)";
    let mut holder = Command::new("python3")
        .args(["-c", script])
        .arg(dir.path().join("a/victim"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = std::io::BufReader::new(holder.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut told, &mut line).unwrap();
        line
    };
    assert_eq!(line(), "leased\n");
    let backup = Backup::of(dir.path(), json!({})).await;
    // Whatever became of it, the other process must not be left waiting.
    let broken = backup.map(|backup| backup.summary.counts["files"]);
    if broken.is_err() {
        holder.kill().unwrap();
    }
    assert_eq!(broken.unwrap(), 103);
    assert_eq!(line(), "given back\n");
    assert!(holder.wait().unwrap().success());
}

#[test]
fn a_lease_that_is_broken_soon_is_waited_for() {
    let dir = tree();
    let fault = "inject=openat:error=EAGAIN:when=1..20";
    let verdict = dump_under_strace(dir.path(), &dir.path().join("b/victim-large"), fault, &json!({}));
    assert!(verdict.starts_with("GOOD "), "{verdict}");
}

/// A file of `/proc` has no size, but content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_of_files_without_a_size_is_not_dropped_in_silence() {
    let root = Path::new("/proc/sys/kernel/random");
    let settings = json!({ "include": ["poolsize"] });
    let error = Backup::of(root, settings.clone()).await.err().expect("an empty file in place of content");
    assert!(error.to_string().contains("/proc/sys/kernel/random/poolsize"), "{error}");
    let mut accepted = settings;
    accepted["changing_files"] = "accept".into();
    let backup = Backup::of(root, accepted).await.unwrap();
    assert_eq!(backup.summary.notes.len(), 1);
    let keep = crate::support::package::Keep::default();
    let keep = backup.package().read(chupacabra::package::Selection::All, keep).await.unwrap();
    let content = keep.take().into_iter().find(|(_, header, _)| header.path == b"poolsize").unwrap().2;
    assert_eq!(content, std::fs::read(root.join("poolsize")).unwrap());
}

/// A mount whose server is away, or a file that another client of a file server is about to delete, says that it is not
/// there when it is opened. What is still listed was not deleted.
#[test]
fn what_cannot_be_opened_but_is_there_is_not_taken_for_deleted() {
    let dir = tree();
    let accepted = json!({ "changing_files": "accept" });
    let cases = [
        ("a/victim", "openat:error=ENOENT", "cannot open"),
        ("a/victim", "openat:error=EACCES", "cannot open"),
        ("b/victim-large", "openat:error=ENOENT", "cannot open"),
        ("victim-dir", "openat:error=ENOENT", "cannot open"),
        ("victim-dir", "getdents64:error=ENOENT", "cannot list"),
        ("victim-dir", "getdents64:error=EIO", "cannot list"),
        ("a/link", "readlinkat:error=ENOENT", "cannot open"),
        ("", "getdents64:error=ENOENT", "cannot list"),
    ];
    for (victim, fault, action) in cases {
        let path = if victim.is_empty() { dir.path().to_owned() } else { dir.path().join(victim) };
        let verdict = dump_under_strace(dir.path(), &path, &format!("inject={fault}"), &accepted);
        let expected = format!("BAD {action} `{}", path.display());
        assert!(verdict.starts_with(&expected), "{victim} {fault}: {verdict}");
    }
    // Once is a moment in which one file took the place of another.
    let fault = "inject=openat:error=ENOENT:when=1";
    let verdict = dump_under_strace(dir.path(), &dir.path().join("a/victim"), fault, &accepted);
    assert!(verdict.starts_with("GOOD ") && verdict.contains("\"files\": 103"), "{verdict}");
}

/// A client of a file server may say for a minute that nothing has changed, because it has not asked.
#[test]
fn whether_a_file_changed_is_asked_of_the_file_server() {
    let dir = tree();
    let trace = scratch();
    let trace = trace.path().join("trace");
    for victim in ["a/victim", "b/victim-large", "victim-dir"] {
        let path = dir.path().join(victim);
        let output = Command::new(tool("strace"))
            .args(["-f", "-qq", "-y", "-e", "trace=statx", "-P"])
            .arg(&path)
            .arg("-o")
            .arg(&trace)
            .arg(std::env::current_exe().unwrap())
            .args(["files_faults::dump_in_a_process_of_its_own", "--exact", "--ignored", "--nocapture"])
            .env(TREE, dir.path())
            .env(SETTINGS, "{}")
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("GOOD "), "{output:?}");
        let calls = std::fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("AT_STATX_FORCE_SYNC"), "{victim}: {calls}");
    }
}

#[test]
fn without_faults_the_same_dump_is_good() {
    let dir = tree();
    let verdict = dump_under_strace(dir.path(), &dir.path().join("a"), "inject=sync:error=EIO", &json!({}));
    assert!(verdict.starts_with("GOOD ") && verdict.contains("\"files\": 103"), "{verdict}");
}

/// Whoever may not read everything is told by the probe, and by the dump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_root_fails_the_probe_with_help() {
    let dir = scratch();
    let error = source(&dir.path().join("absent"), json!({})).probe().await.unwrap_err();
    assert!(error.to_string().contains("absent") && error.help().unwrap().contains("mounted"), "{error}");
    std::fs::write(dir.path().join("file"), "x").unwrap();
    source(&dir.path().join("file"), json!({})).probe().await.unwrap_err();
    source(dir.path(), json!({})).probe().await.unwrap();
}

const ROOT: &str = "CHUPACABRA_TEST_ROOT";

/// What is left out need not be readable; what may hold something that is wanted at any depth must be.
#[test]
fn the_probe_looks_at_what_is_wanted_only() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p wanted secret; touch wanted/file top; chmod 700 secret; chmod 600 top",
        dir.path().display()
    ));
    let root = dir.path().to_str().unwrap();
    as_nobody("files_faults::probes_as_nobody", &[(ROOT, root)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, as nobody"]
async fn probes_as_nobody() {
    let root = std::path::PathBuf::from(std::env::var_os(ROOT).unwrap());
    let probe = async |settings| source(&root, settings).probe().await;
    probe(json!({ "include": ["/wanted"] })).await.unwrap();
    probe(json!({ "include": ["wanted/file"] })).await.unwrap();
    Backup::of(&root, json!({ "include": ["/wanted"] })).await.unwrap();
    probe(json!({ "exclude": ["secret", "top"] })).await.unwrap();
    for settings in [json!({}), json!({ "include": ["secret/x"] }), json!({ "include": ["wanted"] })] {
        let error = probe(settings).await.unwrap_err();
        assert!(error.to_string().contains("cannot read"), "{error}");
    }
}
