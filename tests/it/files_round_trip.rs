//! A tree comes back as it was: by this program, and by stock tools.

use std::path::Path;

use serde_json::json;

use crate::files_support::{Backup, assert_same, difference, into, manifest, torture};
use crate::support::{scratch, shell, tool};

/// `age -d | tar xz` as a person without this program would run it.
fn extract_with_stock_tools(backup: &Backup, dir: &Path, target: &Path) {
    tool("age");
    let (package, key) = backup.export(dir);
    std::fs::create_dir(target).unwrap();
    shell(&format!(
        "cd '{}'; age -d -i '{}' '{}' | tar xz --xattrs --xattrs-include='*' --numeric-owner",
        target.display(),
        key.display(),
        package.display()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_comes_back_by_this_program_and_by_stock_tools() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    torture(&tree, &[]);
    if !rustix::process::geteuid().is_root() {
        println!("not root: device nodes, owners and trusted attributes are not covered by this run");
    }
    let source = manifest(&tree);
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    assert_same(&source, &manifest(&tree));
    assert!(backup.record.package.size < 20 << 20, "holes were stored: {}", backup.record.package.size);

    let own = dir.path().join("own");
    let restored = backup.restore(into(&own)).await.unwrap();
    assert_eq!(restored.notes, Vec::<String>::new());
    assert_eq!(restored.counts, backup.summary.counts);
    assert_same(&source, &manifest(&own));

    let stock = dir.path().join("stock");
    extract_with_stock_tools(&backup, dir.path(), &stock);
    assert_same(&source, &manifest(&stock));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_beyond_what_a_system_call_takes_come_back() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    torture(&tree, &["--beyond-path-max"]);
    let source = manifest(&tree);
    assert!(source.lines().any(|line| line.find(" 0o").unwrap() > 4_500));
    let backup = Backup::of(&tree, json!({})).await.unwrap();
    let own = dir.path().join("own");
    backup.restore(into(&own)).await.unwrap();
    assert_same(&source, &manifest(&own));
}

/// The comparison itself: each of these changes must be seen by the manifest.
#[test]
fn the_manifest_sees_every_kind_of_change() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    torture(&tree, &[]);
    let before = manifest(&tree);
    assert_eq!(difference(&before, &manifest(&tree)), Vec::<String>::new());
    let changes = [
        "m=$(stat -c %y big); printf x | dd of=big bs=1 seek=1234567 conv=notrunc status=none; touch -d \"$m\" big",
        "touch -d '2009-02-13 23:31:30.123456788' text",
        "chmod 4754 set-uid",
        "chown 1235 owned",
        "chgrp 1 owned",
        "setfattr -n user.binary -v x attributes",
        "setfattr -x user.empty attributes",
        "setfacl -m u:1234:r attributes",
        "setfacl -d -m u:1234:rx empty-dir",
        "ln -sfn elsewhere links/relative",
        "cp --remove-destination --preserve=all links/second links/copy && mv links/copy links/second",
        "cp --sparse=never --preserve=all all-hole x && mv x all-hole",
        "rm empty",
        "mkdir sticky/new",
        "touch -d '1980-01-01' empty-dir",
        "rm null && mknod -m 666 null c 1 5",
    ];
    for change in changes {
        let last = manifest(&tree);
        shell(&format!("cd '{}'; {change}", tree.display()));
        assert!(!difference(&last, &manifest(&tree)).is_empty(), "not seen: {change}");
    }
}
