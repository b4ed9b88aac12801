//! Files that change while they are read: noticed, read again, then a failure or a note.
//!
//! The change is made by a thread that never pauses, so that it falls into every read.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chupacabra::package::Selection;
use chupacabra::package::index::Line;
use chupacabra::sources::files::Error;
use serde_json::json;

use crate::files_support::{Backup, into};
use crate::support::package::Keep;
use crate::support::scratch;

/// Changes a file without pause until dropped: every read of it meets a change.
struct Restless {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Restless {
    /// Keeps applying `change` to the file at `path`.
    fn start(path: PathBuf, mut change: impl FnMut(&std::fs::File, u64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
            let mut round = 0;
            while !stopped.load(Ordering::Relaxed) {
                change(&file, round);
                round += 1;
                if round == 1 {
                    ready.send(()).unwrap();
                }
            }
        });
        started.recv().unwrap();
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn tree(size: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join("restless");
    let mut bytes = vec![0; size];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    std::fs::write(dir.path().join("steady"), "steady").unwrap();
    (dir, path)
}

fn rewrite(file: &std::fs::File, round: u64) {
    file.write_all_at(&round.to_le_bytes(), 0).unwrap();
}

/// Grows and shrinks around its size.
fn resize(file: &std::fs::File, round: u64) {
    file.set_len(24_000_000 - (round % 7) * 1_000_000).unwrap();
}

fn same_size(file: &std::fs::File, round: u64) {
    let at = round.wrapping_mul(7_919_777) % 20_000_000;
    file.write_all_at(&round.to_le_bytes(), at).unwrap();
}

async fn fails(dir: &Path, path: &Path) {
    let error = Backup::of(dir, json!({})).await.err().expect("a restless file was taken for sound");
    assert!(matches!(&error, Error::Changing(named) if *named == path.display().to_string()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_that_never_rests_fails_the_job_by_name() {
    for change in [rewrite, resize, same_size] {
        let (dir, path) = tree(24_000_000);
        let _restless = Restless::start(path.clone(), change);
        fails(dir.path(), &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_never_rests_can_be_accepted_and_is_named() {
    let (dir, path) = tree(24_000_000);
    let backup = {
        let _restless = Restless::start(path.clone(), resize);
        Backup::of(dir.path(), json!({ "changing_files": "accept" })).await.unwrap()
    };
    assert_eq!(backup.summary.notes, [format!("`{}` changed whenever it was read", path.display())]);
    assert_eq!(backup.summary.counts["changed_accepted"], 1);
    // The superseded tries are in the package, marked, and are not restored; stock tar takes the last one.
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let lines = Arc::clone(&seen);
    let visit = move |line| {
        if let Line::Entry(entry) = line {
            lines.lock().unwrap().push((entry.path.clone(), entry.superseded, entry.size));
        }
        Ok(())
    };
    backup.package().index(visit).await.unwrap();
    let restless: Vec<_> =
        seen.lock().unwrap().iter().filter(|(path, ..)| path == b"restless").cloned().collect();
    assert_eq!(
        restless.iter().map(|(_, superseded, _)| *superseded).collect::<Vec<_>>(),
        [true, true, false]
    );
    backup.package().read(Selection::All, Keep::default()).await.unwrap();

    let own = dir.path().join("own");
    let restored = backup.restore(into(&own)).await.unwrap();
    assert_eq!(restored.counts["files"], 2);
    assert_eq!(std::fs::metadata(own.join("restless")).unwrap().len(), restless[2].2);
    let stock = dir.path().join("stock");
    let (package, key) = backup.export(dir.path());
    std::fs::create_dir(&stock).unwrap();
    crate::support::shell(&format!(
        "cd '{}'; age -d -i '{}' '{}' | tar xz",
        stock.display(),
        key.display(),
        package.display()
    ));
    let own = std::fs::read(own.join("restless")).unwrap();
    assert!(own == std::fs::read(stock.join("restless")).unwrap());
}
