//! Packages that mean harm are refused, and nothing outside the target is touched.

use chupacabra::package::member::Kind;
use chupacabra::sources::Request;
use serde_json::json;

use crate::files_support::{Backup, assert_same, into, manifest, restore};
use crate::support::package::{Step, empty, file, keys, member, package, sealed};
use crate::support::{scratch, shell};

/// Restores a package of these steps beside a directory with a file that must not change. Returns the error.
async fn refused(name: &str, steps: Vec<Step>, prepare: &str, replace: bool) -> String {
    let dir = scratch();
    shell(&format!(
        "cd '{0}'; mkdir outside target; echo precious > outside/file; {prepare}",
        dir.path().display()
    ));
    let outside = dir.path().join("outside");
    let before = manifest(&outside);
    let keys = keys();
    let (store, record) = sealed(&keys, "web", steps).await;
    let mut request = into(&dir.path().join("target"));
    request.replace = replace;
    let error = restore(&package(&store, &record, &keys), request).await;
    assert_eq!(before, manifest(&outside), "{name} touched what is outside");
    error.err().unwrap_or_else(|| panic!("{name} was not refused")).to_string()
}

fn link(path: &str, target: &str) -> Step {
    member(empty(path, Kind::Symlink(target.into())), "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writing_through_a_link_of_the_archive_is_refused() {
    let through = |target: &str| vec![link("way", target), member(file("way/file", 4), "evil")];
    for target in ["../outside", "/tmp", ".", "..", "../outside/file"] {
        let error = refused(target, through(target), "true", false).await;
        assert!(error.contains("symbolic link"), "{error}");
        // With `replace` a link that the package itself brings is no way out either.
        refused(target, through(target), "true", true).await;
    }
    let steps = vec![link("file", "../outside/file"), member(file("file", 4), "evil")];
    let error = refused("a file over a link", steps, "true", false).await;
    assert!(error.contains("already"), "{error}");
    let steps = vec![link("way", "../outside"), member(empty("way/dir", Kind::Directory), "")];
    refused("a directory through a link", steps, "true", false).await;
    let steps = vec![link("way", "../outside"), member(empty("way/fifo", Kind::Fifo), "")];
    refused("a fifo through a link", steps, "true", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_links_to_the_outside_are_refused() {
    let steps =
        vec![link("way", "../outside"), member(empty("file", Kind::HardLink(b"way/file".to_vec())), "")];
    let error = refused("a hard link through a link", steps, "true", false).await;
    assert!(error.contains("symbolic link"), "{error}");
    // A hard link to a symbolic link links the link, not what it points to; writing over it is refused.
    let steps = vec![
        link("way", "../outside/file"),
        member(empty("hard", Kind::HardLink(b"way".to_vec())), ""),
        member(file("hard", 4), "evil"),
    ];
    refused("a file over a hard link to a link", steps, "true", false).await;
    let steps = vec![member(empty("file", Kind::HardLink(b"absent".to_vec())), "")];
    refused("a hard link to nothing", steps, "true", false).await;
}

/// A link that is wanted alone gets the content of its first name, and must not pass for restored where there is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hard_links_that_are_wanted_alone_and_lead_nowhere_are_refused() {
    let link = |path: &str, first: &str| member(empty(path, Kind::HardLink(first.into())), "");
    for steps in [
        vec![link("file", "absent")],
        vec![link("a", "absent"), link("file", "a")],
        vec![link("a", "file"), link("file", "a")],
        vec![member(empty("a", Kind::Directory), ""), link("file", "a")],
    ] {
        let dir = scratch();
        let keys = keys();
        let (store, record) = sealed(&keys, "web", steps).await;
        let request = Request { only: vec!["file".to_owned()], ..into(&dir.path().join("target")) };
        restore(&package(&store, &record, &keys), request).await.unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_were_there_before_are_removed_and_not_followed() {
    let dir = scratch();
    let (tree, target) = (dir.path().join("tree"), dir.path().join("target"));
    shell(&format!(
        "cd '{}'; mkdir -p outside tree/dir target/other; echo precious > outside/file; echo new > tree/dir/file
         echo new > tree/file; ln -s ../outside target/dir; ln -s ../outside/file target/file; echo kept > target/other/x
         mkdir -p target/plain; echo plain > tree/plain",
        dir.path().display()
    ));
    let outside = manifest(&dir.path().join("outside"));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    let error = backup.restore(into(&target)).await.unwrap_err();
    assert!(error.help().unwrap().contains("--replace"), "{error}");
    let mut request = into(&target);
    request.replace = true;
    backup.restore(request).await.unwrap();
    assert_eq!(outside, manifest(&dir.path().join("outside")));
    let read = |path: &str| std::fs::read_to_string(target.join(path)).unwrap();
    assert_eq!(
        (read("dir/file"), read("file"), read("plain")),
        ("new\n".into(), "new\n".into(), "plain\n".into())
    );
    assert_eq!(read("other/x"), "kept\n");
    assert!(!target.join("dir").is_symlink());
}

/// `--replace` is for what was asked for, not for what is in its way higher up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_where_a_directory_only_leads_to_what_is_wanted_stays() {
    let dir = scratch();
    for (name, make) in [("link", "ln -s ../big target/data"), ("file", "echo precious > target/data")] {
        shell(&format!(
            "cd '{}'; rm -rf tree target big; mkdir -p tree/data/in target big; echo new > tree/data/in/x; echo z > tree/z
             echo precious > big/x; {make}",
            dir.path().display()
        ));
        let (target, big) = (dir.path().join("target"), dir.path().join("big"));
        let before = manifest(&big);
        let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
        let only = |only: &[&str]| Request {
            replace: true,
            only: only.iter().map(|glob| (*glob).to_owned()).collect(),
            ..into(&target)
        };
        let error = backup.restore(only(&["data/in", "z"])).await.unwrap_err();
        assert!(error.to_string().contains("target/data` is no directory"), "{name}: {error}");
        assert!(error.help().unwrap().contains("--only"), "{name}: {error}");
        // Everything else is restored.
        assert_eq!(std::fs::read_to_string(target.join("z")).unwrap(), "z\n", "{name}");
        let there = std::fs::read_to_string(target.join("data"));
        assert_eq!(there.is_ok_and(|text| text == "precious\n"), name == "file");
        assert_eq!(target.join("data").is_symlink(), name == "link");
        assert_eq!(before, manifest(&big), "{name}");
        // Whoever asks for it gets it.
        backup.restore(only(&["data"])).await.unwrap();
        assert_eq!(std::fs::read_to_string(target.join("data/in/x")).unwrap(), "new\n", "{name}");
        assert_eq!(before, manifest(&big), "{name}");
    }
}

/// What the package does not name stays, also where the package has something else in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_something_in_it_is_not_removed_for_a_file() {
    let dir = scratch();
    for (name, make) in [("file", "echo new > tree/data"), ("link", "ln -s elsewhere tree/data")] {
        shell(&format!(
            "cd '{}'; rm -rf tree target; mkdir -p tree target/data/inner; echo precious > target/data/inner/x; {make}",
            dir.path().display()
        ));
        let target = dir.path().join("target");
        let data = manifest(&target.join("data"));
        let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
        let mut request = into(&target);
        request.replace = true;
        let error = backup.restore(request).await.unwrap_err();
        assert!(error.to_string().contains("not empty"), "{name}: {error}");
        assert!(error.help().unwrap().contains("move it away"), "{name}: {error}");
        assert_eq!(data, manifest(&target.join("data")), "{name}");
    }
}

/// What one entry meets keeps no other from being restored; all are told, and it is no success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_else_is_restored_where_some_entries_cannot_be() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p tree/m/n target/b/inner target/m/n/file/inner; echo a > tree/a; echo b > tree/b
         echo f > tree/m/n/file; ln tree/b tree/c; ln tree/m/n/file tree/y; echo z > tree/z",
        dir.path().display()
    ));
    let target = dir.path().join("target");
    let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
    let request = || Request { replace: true, ..into(&target) };
    let error = backup.restore(request()).await.unwrap_err();
    let told = chupacabra::report::chain(&error).join(": ");
    assert!(
        told.starts_with("4 entries could not be restored; the first: ") && told.contains("not empty"),
        "{told}"
    );
    assert!(error.help().unwrap().contains("move it away"), "{error}");
    for name in ["a", "z"] {
        let differences = shell(&format!(
            "cd '{}'; diff tree/{name} target/{name}; stat -c '%a %Y' tree/{name} target/{name} | uniq | wc -l",
            dir.path().display()
        ));
        assert_eq!(differences, b"1\n", "{name}");
    }
    // What is in place now is compared as ever, and once nothing is in the way everything is good.
    shell(&format!("cd '{}'; rmdir target/b/inner target/m/n/file/inner", dir.path().display()));
    backup.restore(request()).await.unwrap();
    assert_same(&manifest(&dir.path().join("tree")), &manifest(&target));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_cannot_hold_is_an_error_and_not_a_success() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot mount, the full disk is not covered by this run");
        return;
    }
    let dir = scratch();
    let (tree, disk) = (dir.path().join("tree"), dir.path().join("disk"));
    shell(&format!(
        "mkdir '{0}' '{1}'; mount -t tmpfs -o size=256k tmpfs '{1}'; head -c 200000 /dev/urandom > '{0}/1'; cp '{0}/1' '{0}/2'",
        tree.display(),
        disk.display()
    ));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    let result = backup.restore(into(&disk)).await;
    shell(&format!("umount '{}'", disk.display()));
    let error = result.unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
}

/// A volume that promises more than there is behind it takes everything, and loses it when it is written back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_on_the_way_to_the_disk_is_an_error_and_not_a_success() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot mount, the lost writes are not covered by this run");
        return;
    }
    let dir = scratch();
    let tree = dir.path().join("tree");
    shell(&format!(
        "cd '{}'; mkdir tree thin disk; head -c 40000000 /dev/urandom > tree/large; mount -t tmpfs -o size=12m tmpfs thin
         truncate -s 200M thin/image; mkfs.ext4 -q thin/image; mount -o loop thin/image disk",
        dir.path().display()
    ));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    let result = backup.restore(into(&dir.path().join("disk/target"))).await;
    // With room behind it the same volume is good.
    shell(&format!(
        "cd '{}'; umount disk; mount -o remount,size=300m thin; mkfs.ext4 -q -F thin/image; mount -o loop thin/image disk",
        dir.path().display()
    ));
    let good = backup.restore(into(&dir.path().join("disk/target"))).await;
    shell(&format!("cd '{}'; umount disk; umount thin", dir.path().display()));
    good.unwrap();
    let error = result.unwrap_err();
    assert!(error.to_string().contains("cannot write back"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_switches_are_refused() {
    let dir = scratch();
    let backup = Backup::of(dir.path(), json!({})).await.unwrap();
    let mut request = into(&dir.path().join("target"));
    request.switches = vec!["no-acl".to_owned()];
    let error = backup.restore(request).await.unwrap_err();
    assert!(error.to_string().contains("no-acl"), "{error}");
}
