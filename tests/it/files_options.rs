//! What is left out, and only that.

use std::process::Command;

use serde_json::json;

use crate::files_support::{Backup, into};
use crate::support::{scratch, shell};

/// The paths of a package, sorted.
async fn paths(backup: &Backup) -> Vec<String> {
    let keep = crate::support::package::Keep::default();
    let keep = backup.package().read(chupacabra::package::Selection::All, keep).await.unwrap();
    let path =
        |(_, header, _): (_, chupacabra::package::member::Header, _)| String::from_utf8(header.path).unwrap();
    let mut paths: Vec<String> = keep.take().into_iter().map(path).collect();
    paths.sort();
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excluded_paths_are_counted_and_the_rest_is_there() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p a/cache/x b/cache; touch a/1 a/cache/x/2 b/3.tmp b/cache/4",
        dir.path().display()
    ));
    let backup = Backup::of(dir.path(), json!({ "exclude": ["a/cache/", "*.tmp"] })).await.unwrap();
    assert_eq!(paths(&backup).await, [".", "a", "a/1", "b", "b/cache", "b/cache/4"]);
    assert_eq!(backup.summary.counts["excluded"], 2);
}

/// A typing error in `include` must not make an empty package of a full tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_glob_of_include_must_match_something() {
    let dir = scratch();
    shell(&format!("cd '{}'; mkdir -p etc/nginx srv; touch etc/nginx/conf etc/hosts", dir.path().display()));
    let of = async |settings| Backup::of(dir.path(), settings).await;
    for missing in ["etc/ngimx", "/nginx", "hosts/", "srv/*"] {
        let error = of(json!({ "include": ["etc/hosts", missing] })).await.err().expect("a pointless glob");
        assert!(error.to_string().contains(&format!("`{missing}`")), "{error}");
        assert!(error.help().unwrap().contains("below `path`"), "{error}");
    }
    let error = of(json!({ "include": ["etc/hosts"], "exclude": ["hosts"] })).await.err().unwrap();
    assert!(error.to_string().contains("`etc/hosts`"), "{error}");
    let backup = of(json!({ "include": ["/etc/nginx/", "hosts", "etc/nginx/conf", "srv"] })).await.unwrap();
    assert_eq!(paths(&backup).await, [".", "etc", "etc/hosts", "etc/nginx", "etc/nginx/conf", "srv"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_directories_keep_their_tag_only() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir cache false; touch cache/{{1,2}} false/1
         printf 'Signature: 8a477f597d28d172789f06886806bc55\\n# a comment' > cache/CACHEDIR.TAG
         printf 'Signature: 8a477f597d28d172789f06886806bc56' > false/CACHEDIR.TAG",
        dir.path().display()
    ));
    let backup = Backup::of(dir.path(), json!({ "exclude_caches": true })).await.unwrap();
    assert_eq!(
        paths(&backup).await,
        [".", "cache", "cache/CACHEDIR.TAG", "false", "false/1", "false/CACHEDIR.TAG"]
    );
    let backup = Backup::of(dir.path(), json!({})).await.unwrap();
    assert_eq!(paths(&backup).await.len(), 8);
}

/// Needs root for the mount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_file_systems_are_left_out_on_demand_and_their_mount_points_kept() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot mount, `one_file_system` is not covered by this run");
        return;
    }
    let dir = scratch();
    let mount = dir.path().join("mount");
    shell(&format!(
        "mkdir '{0}' && mount -t tmpfs -o size=1m tmpfs '{0}' && touch '{0}/inside'",
        mount.display()
    ));
    let without = Backup::of(dir.path(), json!({ "one_file_system": true })).await;
    let with = Backup::of(dir.path(), json!({})).await;
    shell(&format!("umount '{}'", mount.display()));
    assert_eq!(paths(&without.unwrap()).await, [".", "mount"]);
    assert_eq!(paths(&with.unwrap()).await, [".", "mount", "mount/inside"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_skipped_and_counted() {
    let dir = scratch();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let backup = Backup::of(dir.path(), json!({})).await.unwrap();
    assert_eq!(backup.summary.counts["sockets_skipped"], 1);
    assert_eq!(paths(&backup).await, ["."]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_table_of_hard_links_fails_and_says_which_key_raises_it() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; for i in 1 2 3 4 5 6 7 8 9; do touch a$i; ln a$i z$i; done",
        dir.path().display()
    ));
    let error = Backup::of(dir.path(), json!({ "hard_link_memory": "500B" })).await.err().unwrap();
    assert!(error.help().unwrap().contains("hard_link_memory"), "{error}");
    Backup::of(dir.path(), json!({ "hard_link_memory": "4KiB" })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_brings_what_matches_with_its_directories_and_nothing_else() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    shell(&format!(
        "mkdir -p '{0}/a/b' '{0}/c'; cd '{0}'; echo 1 > a/b/1.txt; echo 2 > a/2; echo 3 > c/3
         ln c/3 z-link; chmod 700 a; touch -d 2001-01-01 a",
        tree.display()
    ));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    let list = |dir: &std::path::Path| {
        let output = shell(&format!("cd '{}'; find . | sort", dir.display()));
        String::from_utf8(output).unwrap()
    };
    let restore = |name: &str, only: &str| {
        let mut request = into(&dir.path().join(name));
        request.only = vec![only.to_owned()];
        request
    };
    backup.restore(restore("one", "*.txt")).await.unwrap();
    let one = dir.path().join("one");
    assert_eq!(list(&one), ".\n./a\n./a/b\n./a/b/1.txt\n");
    assert_eq!(shell(&format!("stat -c '%a %Y' '{}/a'", one.display())), b"700 978307200\n");
    backup.restore(restore("two", "z-link")).await.unwrap();
    assert_eq!(list(&dir.path().join("two")), ".\n./z-link\n");
    let error = backup.restore(restore("three", "nothing")).await.unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
    // A typing error beside a glob that is right must not leave half of what was asked for.
    let mut half = restore("three", "a/b/");
    half.only.extend(["a/2".to_owned(), "c/33".to_owned()]);
    let error = backup.restore(half.clone()).await.unwrap_err();
    assert!(error.to_string().contains("`c/33`"), "{error}");
    assert!(!dir.path().join("three").exists());
    half.only.pop();
    backup.restore(half).await.unwrap();
    assert_eq!(list(&dir.path().join("three")), ".\n./a\n./a/2\n./a/b\n./a/b/1.txt\n");

    let mut dry = restore("four", "a/b/");
    dry.dry_run = true;
    let said = backup.restore(dry).await.unwrap();
    assert_eq!(said.counts["files"], 1);
    assert!(said.notes.contains(&"would write `a/b/1.txt`".to_owned()), "{:?}", said.notes);
    assert!(!dir.path().join("four").exists());
}

/// The name under which a package has the content is one of several, and not the one that was asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_names_of_a_file_are_restored_without_touching_the_first() {
    let dir = scratch();
    for size in [5, 3_000_000] {
        shell(&format!(
            "cd '{}'; rm -rf tree target; mkdir -p tree/a tree/d/b target/a; head -c {size} /dev/urandom > tree/a/first
             echo z > tree/a/z; for name in d/b/in d/c e; do ln tree/a/first tree/$name; done
             echo today > target/a/first; ln target/a/first target/e; chmod 640 tree/e; chmod 555 tree/d/b
             touch -d 2001-01-01 tree/d/b tree/d tree/a",
            dir.path().display()
        ));
        let (tree, target) = (dir.path().join("tree"), dir.path().join("target"));
        let backup = Backup::of(&tree, json!({})).await.unwrap();
        let mut request = into(&target);
        request.replace = true;
        request.only = ["a/z", "in", "c"].map(str::to_owned).to_vec();
        let dry = backup.restore(chupacabra::sources::Request { dry_run: true, ..request.clone() }).await;
        let told = dry.unwrap().notes;
        let would = |path: &str| told.contains(&format!("would write `{path}`"));
        assert!(would("d/b/in") && would("d/c") && !would("a/first"), "{told:?}");
        let restored = backup.restore(request.clone()).await.unwrap();
        assert_eq!((restored.counts["files"], restored.counts["hard_links"]), (2, 1));
        let said = |root: &str, what: &str| {
            let said = shell(&format!("cd '{}/{root}'; {what}", dir.path().display()));
            String::from_utf8(said).unwrap()
        };
        assert_eq!(said("target", "cat a/first e; stat -c %h a/first d/c"), "today\ntoday\n2\n2\n");
        assert_eq!(
            said("target", "find d -printf '%p %m %T@\n' | sort"),
            said("tree", "find d -printf '%p %m %T@\n' | sort")
        );
        assert_eq!(said("target", "sha256sum d/b/in d/c a/z"), said("tree", "sha256sum d/b/in d/c a/z"));
        // A single further name, over the file that is there under both.
        request.only = vec!["e".to_owned()];
        backup.restore(request).await.unwrap();
        assert_eq!(said("target", "cat a/first; stat -c %h a/first e"), "today\n1\n1\n");
        assert_eq!(
            said("target", "sha256sum e; stat -c '%a %Y' e"),
            said("tree", "sha256sum e; stat -c '%a %Y' e")
        );
    }
}

/// Needs root for the device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn further_names_of_a_device_are_left_out_with_it() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot make devices, `no-devices` is not covered by this run");
        return;
    }
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir tree; mknod tree/a c 1 3; ln tree/a tree/b; ln tree/a tree/c; echo x > tree/x; ln tree/x tree/y",
        dir.path().display()
    ));
    let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
    for only in [vec![], vec!["b", "c", "x", "y"]] {
        let mut request = into(&dir.path().join(format!("target-{}", only.len())));
        request.switches = vec!["no-devices".to_owned()];
        request.only = only.into_iter().map(str::to_owned).collect();
        let restored = backup.restore(request).await.unwrap();
        assert!(
            !restored.counts.contains_key("devices") && restored.counts["hard_links"] == 1,
            "{restored:?}"
        );
    }
}

/// One file back into a directory that is there: `/tmp` must not become what the tree's root was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directories_that_only_lead_to_what_is_wanted_keep_their_own_modes_if_they_were_there() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p tree/a/b/c target/a; echo 1 > tree/a/b/1.txt; echo 2 > tree/a/b/c/2.txt; chmod 640 tree/a/b/1.txt
         chmod 700 tree tree/a tree/a/b; chmod 711 tree/a/b/c; touch -d 2001-01-01 tree/a/b tree/a tree
         chmod 1777 target; chmod 750 target/a; setfacl -m u:1234:rwx,d:u:1234:rwx target target/a",
        dir.path().display()
    ));
    let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
    let target = dir.path().join("target");
    let mut request = into(&target);
    (request.replace, request.only) = (true, vec!["*.txt".to_owned()]);
    backup.restore(request.clone()).await.unwrap();
    let told = |what: &str, paths: &str| {
        String::from_utf8(shell(&format!("cd '{}'; {what} {paths}", target.display()))).unwrap()
    };
    // With an ACL the group's part of a mode is the mask.
    assert_eq!(told("stat -c %a", ". a a/b a/b/c a/b/1.txt"), "1777\n770\n700\n711\n640\n");
    assert_eq!(told("stat -c %Y", "a/b"), "978307200\n");
    let acl = |path: &str| told("getfacl -nc", path).lines().filter(|line| line.contains("1234")).count();
    assert_eq!([".", "a", "a/b", "a/b/c", "a/b/1.txt"].map(acl), [2, 2, 0, 0, 0]);
    // What is wanted itself is as it was backed up, and so is everything when everything is wanted.
    request.only = vec!["/a".to_owned()];
    backup.restore(request.clone()).await.unwrap();
    assert_eq!((told("stat -c %a", ". a"), acl("a")), ("1777\n700\n".to_owned(), 0));
    request.only.clear();
    backup.restore(request).await.unwrap();
    assert_eq!((told("stat -c %a", "."), acl(".")), ("700\n".to_owned(), 0));
}

/// A new volume of the ext family is empty but for this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_system_counts_as_empty() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p tree/lost+found target/lost+found; touch tree/file",
        dir.path().display()
    ));
    let (tree, target) = (dir.path().join("tree"), dir.path().join("target"));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    backup.restore(into(&target)).await.unwrap();
    assert!(target.join("file").exists());
    // Once somebody's file is there, it is not.
    for (name, make) in [
        ("found", "mkdir -p found/lost+found; touch found/lost+found/1234"),
        ("file", "mkdir file; touch file/lost+found"),
        ("link", "mkdir link; ln -s /var link/lost+found"),
        ("more", "mkdir -p more/lost+found; touch more/x"),
    ] {
        shell(&format!("cd '{}'; {make}", dir.path().display()));
        let error = backup.restore(into(&dir.path().join(name))).await.unwrap_err();
        assert!(error.to_string().contains("not empty"), "{name}: {error}");
    }
}

/// Needs root for the mount: a tmpfs takes attributes of any size, ext4 those that fit a block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attribute_that_is_too_large_for_the_target_costs_the_attribute_only() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot mount, attributes that are too large are not covered by this run");
        return;
    }
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir tree disk; mount -t tmpfs tmpfs tree; truncate -s 20M image; mkfs.ext4 -q image; mount -o loop image disk
         echo content > tree/file; python3 -c 'import os; os.setxattr(\"tree/file\", \"user.large\", b\"x\" * 20000)
os.setxattr(\"tree/file\", \"user.small\", b\"x\")'",
        dir.path().display()
    ));
    let (tree, target) = (dir.path().join("tree"), dir.path().join("disk/target"));
    let backup = Backup::of(&tree, json!({})).await;
    let restored = match &backup {
        Ok(backup) => Some(backup.restore(into(&target)).await),
        Err(_) => None,
    };
    let small = Command::new("getfattr").args(["-n", "user.small"]).arg(target.join("file")).output();
    shell(&format!("cd '{}'; umount tree; umount disk", dir.path().display()));
    backup.unwrap();
    let notes = restored.unwrap().unwrap().notes;
    assert!(notes.len() == 1 && notes[0].contains("`user.large` could not be restored"), "{notes:?}");
    assert!(small.unwrap().status.success());
}

/// Needs root for the mount: a ramfs has no ACLs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_acls_cannot_be_restored_the_group_gets_no_more_than_they_gave_it() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: cannot mount, targets without ACLs are not covered by this run");
        return;
    }
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p tree/dir disk; mount -t ramfs ramfs disk; touch tree/file tree/plain tree/run; chmod 640 tree/plain
         chmod 4755 tree/run; chmod 600 tree/file; setfacl -m u:1234:rwx,g::- tree/file tree/dir; setfacl -m g::r-x,u:7:rwx tree/run",
        dir.path().display()
    ));
    let backup = Backup::of(&dir.path().join("tree"), json!({})).await.unwrap();
    let restored = backup.restore(into(&dir.path().join("disk/target"))).await;
    let stat = |root: &str| {
        let modes = shell(&format!("cd '{}/{root}'; stat -c %a file dir plain run", dir.path().display()));
        String::from_utf8(modes).unwrap()
    };
    let there = stat("disk/target");
    shell(&format!("cd '{}'; umount disk", dir.path().display()));
    let notes = restored.unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("`system.posix_acl_access`")), "{notes:?}");
    assert_eq!(stat("tree"), "670\n775\n640\n4775\n");
    assert_eq!(there, "600\n705\n640\n4755\n");
}
