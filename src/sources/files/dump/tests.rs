//! Trees on their way through a dump, taken as a package would take them.

use super::*;
use crate::config::context::Context;
use crate::package::budget::Budget;
use crate::package::outlet::Parcel;
use crate::sources::files::Config;

type Members = Vec<(Header, Vec<u8>)>;

/// Dumps a tree within `memory` and takes the members as a package would.
async fn dumped(config: &str, memory: usize) -> (Result<Summary, Error>, Members) {
    dumped_while(config, memory, |_| ()).await
}

/// As above, with something that happens as each member arrives, before its content is read.
async fn dumped_while(
    config: &str,
    memory: usize,
    meanwhile: impl FnMut(&[u8]) + Send + 'static,
) -> (Result<Summary, Error>, Members) {
    let plan = plan(config);
    let (outlet, parcels) = Outlet::new(Budget::new(memory), 4);
    let packer = packer(parcels, meanwhile);
    let summary = dump(&plan, outlet, &CancellationToken::new()).await;
    (summary, packer.join().unwrap())
}

fn plan(config: &str) -> Plan {
    let config: Config = serde_json::from_str(config).unwrap();
    config.plan(&mut Context::default()).unwrap()
}

fn packer(
    mut parcels: tokio::sync::mpsc::Receiver<Parcel>,
    mut meanwhile: impl FnMut(&[u8]) + Send + 'static,
) -> std::thread::JoinHandle<Members> {
    std::thread::spawn(move || {
        let mut members = Vec::new();
        while let Some(parcel) = parcels.blocking_recv() {
            let Parcel::Member(header, content, _lease) = parcel else { panic!("an object") };
            meanwhile(&header.path);
            let content = match content {
                Content::Bytes(bytes) => bytes.to_vec(),
                Content::Hashed(bytes, hash) => {
                    assert_eq!(blake3::hash(&bytes), hash);
                    bytes.to_vec()
                }
                Content::Reader(mut large) => {
                    let mut bytes = Vec::new();
                    std::io::Read::read_to_end(&mut large, &mut bytes).unwrap();
                    large.settle().unwrap();
                    bytes
                }
            };
            assert_eq!(content.len() as u64, header.stored());
            members.push((header, content));
        }
        members
    })
}

fn tree(files: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..files {
        let parent = dir.path().join(format!("d{:02}/e{}", i % 37, i % 3));
        std::fs::create_dir_all(&parent).unwrap();
        std::fs::write(parent.join(format!("f{i}")), vec![b'x'; i * 17 % 5_000]).unwrap();
    }
    std::fs::write(dir.path().join("large"), vec![7; 3 << 20]).unwrap();
    dir
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_comes_once_after_its_directory_whatever_the_memory() {
    let dir = tree(2_000);
    let config = format!(r#"{{ "path": {:?} }}"#, dir.path());
    for memory in [1 << 12, 1 << 16, 1 << 25] {
        let (summary, members) = dumped(&config, memory).await;
        let counts = summary.unwrap().counts;
        assert_eq!(counts["files"], 2_001);
        assert_eq!(counts["directories"], 1 + 37 + 37 * 3);
        assert_eq!(members.len(), 2_001 + 1 + 37 + 37 * 3);
        let mut open: Vec<Vec<u8>> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (header, content) in &members {
            let path = String::from_utf8(header.path.clone()).unwrap();
            assert!(seen.insert(path.clone()), "{path} twice");
            if path == "." {
                continue;
            }
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).as_bytes().to_vec();
            while open.last().is_some_and(|last| *last != parent) {
                open.pop();
            }
            assert!(parent.is_empty() || open.last() == Some(&parent), "{path} outside its directory");
            match header.kind {
                Kind::Directory => open.push(header.path.clone()),
                _ => assert_eq!(*content, std::fs::read(dir.path().join(&path)).unwrap()),
            }
        }
        assert_eq!(members.last().unwrap().0.path, b".");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn include_brings_the_directories_that_lead_there() {
    let dir = tree(200);
    let config =
        format!(r#"{{ "path": {:?}, "include": ["d01/*/f1*"], "exclude": ["f112", "f186"] }}"#, dir.path());
    let (summary, members) = dumped(&config, 1 << 20).await;
    let paths: Vec<String> =
        members.into_iter().map(|(header, _)| String::from_utf8(header.path).unwrap()).collect();
    assert_eq!(paths, ["d01", "d01/e1", "d01/e1/f1", "d01/e2", "d01/e2/f149", "."]);
    assert!(summary.unwrap().counts["excluded"] > 0);
}

/// A tree with a large file of three names, and its content.
fn linked() -> (tempfile::TempDir, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    std::fs::write(dir.path().join("tree/a"), &content).unwrap();
    for name in ["b", "c"] {
        std::fs::hard_link(dir.path().join("tree/a"), dir.path().join("tree").join(name)).unwrap();
    }
    (dir, content)
}

/// What extracting makes of the members: the content behind every name.
fn extracted(members: &Members) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::<String, Vec<u8>>::new();
    for (header, content) in members {
        let path = String::from_utf8(header.path.clone()).unwrap();
        match &header.kind {
            Kind::File => _ = files.insert(path, content.clone()),
            Kind::HardLink(first) => {
                let first = files[std::str::from_utf8(first).unwrap()].clone();
                files.insert(path, first);
            }
            _ => {}
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_a_file_whose_first_name_was_replaced_while_it_was_read_keep_their_content() {
    let (dir, content) = linked();
    let root = dir.path().join("tree");
    let (name, new) = (root.join("a"), dir.path().join("new"));
    std::fs::write(&new, "new").unwrap();
    let mut once = true;
    let replace = move |path: &[u8]| {
        if path == b"a" && std::mem::take(&mut once) {
            std::fs::rename(&new, &name).unwrap();
        }
    };
    let (summary, members) = dumped_while(&format!(r#"{{ "path": {root:?} }}"#), 1 << 20, replace).await;
    assert_eq!(summary.unwrap().counts["changed_retried"], 1);
    let files = extracted(&members);
    assert!(files["a"] == b"new", "{} bytes", files["a"].len());
    assert!(files["b"] == content && files["c"] == content, "{} bytes", files["b"].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_a_file_whose_first_name_is_gone_do_not_point_there() {
    let (dir, content) = linked();
    let root = dir.path().join("tree");
    let (name, new) = (root.join("a"), dir.path().join("elsewhere"));
    let mut once = true;
    let take_away = move |path: &[u8]| {
        if path == b"a" && std::mem::take(&mut once) {
            std::fs::rename(&name, &new).unwrap();
        }
    };
    let config = format!(r#"{{ "path": {root:?}, "changing_files": "accept" }}"#);
    let (summary, members) = dumped_while(&config, 1 << 20, take_away).await;
    let summary = summary.unwrap();
    assert_eq!(summary.counts["vanished"], 1);
    // Whoever reads the record learns why nothing follows.
    assert!(
        summary.notes[0].contains("/a` was deleted before it could be read again"),
        "{:?}",
        summary.notes
    );
    let kinds: Vec<_> = members.iter().map(|(header, _)| (&*header.path, &header.kind)).collect();
    let link = Kind::HardLink(b"b".to_vec());
    let directory = Kind::Directory;
    // The first `a` is superseded.
    let expected: [(&[u8], &Kind); 4] =
        [(b"a", &Kind::File), (b"b", &Kind::File), (b"c", &link), (b".", &directory)];
    assert_eq!(kinds, expected);
    assert!(extracted(&members)["c"] == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_name_that_changed_once_stays_the_first_name() {
    let (dir, _) = linked();
    let root = dir.path().join("tree");
    let name = root.join("a");
    let mut once = true;
    let change = move |path: &[u8]| {
        if path == b"a" && std::mem::take(&mut once) {
            std::fs::write(&name, vec![1; 2_000_000]).unwrap();
        }
    };
    let (summary, members) = dumped_while(&format!(r#"{{ "path": {root:?} }}"#), 1 << 20, change).await;
    assert_eq!(summary.unwrap().counts["hard_links"], 2);
    assert!(extracted(&members)["c"] == vec![1; 2_000_000]);
}

/// What is found while too many files are open is opened when its turn comes, and may be another file by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_replaced_before_its_turn_is_no_first_name_of_the_old_one() {
    let (dir, content) = linked();
    let root = dir.path().join("tree");
    let (outlet, parcels) = Outlet::new(Budget::new(1 << 20), 4);
    let packer = packer(parcels, |_| ());
    let plan = plan(&format!(r#"{{ "path": {root:?} }}"#));
    let summary = tokio::task::spawn_blocking(move || {
        let mut dump = Dump::begin(plan, outlet, CancellationToken::new()).unwrap();
        while let Some(mut found) = dump.walk.next().unwrap() {
            if let Found::Large { name, opened, .. } = &mut found {
                opened.fd = None;
                if **name == *b"a" {
                    std::fs::write(dir.path().join("new"), "new").unwrap();
                    std::fs::rename(dir.path().join("new"), root.join("a")).unwrap();
                }
            }
            dump.found(found).unwrap();
        }
        dump.finish().unwrap()
    });
    assert_eq!(summary.await.unwrap().counts["files"], 2);
    let files = extracted(&packer.join().unwrap());
    assert!(files["a"] == b"new");
    assert!(files["b"] == content && files["c"] == content, "{} bytes", files["b"].len());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_renamed_in_a_large_directory_are_not_left_out() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..5_000 {
        std::fs::write(dir.path().join(format!("old-{number}")), "").unwrap();
    }
    let root = dir.path().to_owned();
    // Those that the system lists last: nothing has seen them when the first file arrives.
    let listed: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut last: Vec<_> = listed.into_iter().rev().take(2_000).collect();
    let rename = move |_: &[u8]| {
        for name in std::mem::take(&mut last) {
            let mut new = std::ffi::OsString::from("new-");
            new.push(&name);
            std::fs::rename(root.join(name), root.join(new)).unwrap();
        }
    };
    let (summary, members) =
        dumped_while(&format!(r#"{{ "path": {:?} }}"#, dir.path()), 1 << 20, rename).await;
    assert_eq!(summary.unwrap().counts["files"], 5_000);
    assert_eq!(members.iter().filter(|(header, _)| header.path.starts_with(b"new-")).count(), 2_000);
}

/// `rm -r` beside a dump: what is gone when its turn comes was deleted, a directory that is half listed too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_before_it_is_read_is_noted_if_that_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), vec![7; 3 << 20]).unwrap();
    std::fs::write(dir.path().join("b"), "").unwrap();
    std::fs::create_dir(dir.path().join("c")).unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::os::unix::fs::symlink("x", dir.path().join("e")).unwrap();
    std::fs::create_dir(dir.path().join("half")).unwrap();
    for number in 0..5_000 {
        std::fs::write(dir.path().join(format!("half/{number:0100}")), "").unwrap();
    }
    let root = dir.path().to_owned();
    let (outlet, parcels) = Outlet::new(Budget::new(1 << 20), 4);
    let packer = packer(parcels, |_| ());
    let plan = plan(&format!(r#"{{ "path": {root:?}, "changing_files": "accept" }}"#));
    let dumped = tokio::task::spawn_blocking(move || {
        let mut dump = Dump::begin(plan, outlet, CancellationToken::new()).unwrap();
        while let Some(found) = dump.walk.next().unwrap() {
            match &found {
                Found::Large { name, .. } if **name == *b"a" => {
                    std::fs::remove_file(root.join("b")).unwrap();
                    std::fs::remove_dir(root.join("c")).unwrap();
                    std::fs::remove_file(root.join("e")).unwrap();
                }
                Found::Directory { header, .. } if header.path == b"half" => {
                    std::fs::remove_dir_all(root.join("half")).unwrap();
                }
                _ => {}
            }
            dump.found(found).unwrap();
        }
        dump.finish().unwrap()
    });
    let summary = dumped.await.unwrap();
    let members = packer.join().unwrap();
    for gone in ["b", "c", "e", "half"] {
        let note = format!("`{}` was deleted before it was read", dir.path().join(gone).display());
        assert!(summary.notes.contains(&note), "{gone}: {:?}", &summary.notes[..4]);
    }
    let paths: Vec<_> =
        members.iter().map(|(header, _)| &*header.path).filter(|path| path.len() == 1).collect();
    assert_eq!(paths, [b"a", b"d", b"."]);
}
