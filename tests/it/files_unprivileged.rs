//! Restores by a user without root's rights: what that user may not change or read is no false failure.

use std::path::Path;
use std::process::Command;

use crate::support::backups::Site;
use crate::support::{run, shell, tool};
use crate::unprivileged::{NOBODY, nobody};

/// A package of a tree with files and directories that shut their owner out, and what each of its entries is.
fn site() -> Option<Site> {
    if !rustix::process::geteuid().is_root() {
        println!("not root: restores by another user are not covered by this run");
        return None;
    }
    let site = Site::new("");
    shell(&format!(
        "cd '{0}'; mkdir -p open shut/inner unlisted; echo 1 > open/secret; echo 2 > open/write-only; echo 3 > shut/a
         head -c 3000000 /dev/urandom > open/large; ln shut/a shut/inner/b; ln shut/a unlisted/c; echo 4 > unlisted/d
         truncate -s 1M open/sparse; echo 5 >> open/sparse; ln -s x shut/link
         chmod 000 open/secret open/large; chmod 200 open/write-only open/sparse; chmod 000 shut; chmod 300 unlisted
         chmod 050 shut/inner; chmod 755 .; touch -d 2020-01-01 open shut/inner shut unlisted .
         cd ..; chmod a+r key.txt chupacabra.yaml",
        site.tree().display()
    ));
    run(&mut site.command(&["backup"]));
    shell(&format!("chmod -R a+rX '{}'", site.store().display()));
    Some(site)
}

/// What `find` says of a tree, but for owners and sizes of directories.
fn listing(root: &Path) -> String {
    let find = "find . -printf '%y %m %n %T@ %p %l\\n' | sort; find . -type f -exec sha256sum {} + | sort";
    String::from_utf8(shell(&format!("cd '{}'; {find}", root.display()))).unwrap()
}

fn restore(site: &Site, target: &Path) -> (bool, String) {
    let mut command = nobody(Path::new(env!("CARGO_BIN_EXE_chupacabra")), site.dir());
    command.arg("--config").arg(site.config()).args(["restore", "web", "--into"]).arg(target);
    let output = command.env("CHUPACABRA_LOG_FORMAT", "human").current_dir("/").output().unwrap();
    let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    (output.status.success(), told)
}

#[test]
fn files_and_directories_that_shut_their_owner_out_are_restored_and_compared() {
    let Some(site) = site() else { return };
    let place = site.dir().join("place");
    crate::unprivileged::nobodys(&place);
    let (good, told) = restore(&site, &place.join("target"));
    assert!(good, "{told}");
    assert!(told.contains("files of them by digest"), "{told}");
    assert_eq!(listing(&place.join("target")), listing(&site.tree()));
}

#[test]
fn a_target_of_someone_else_that_may_be_written_keeps_its_own_mode_and_time() {
    let Some(site) = site() else { return };
    let target = site.dir().join("volume");
    // As a volume with `fsGroup` is: of root, writable by the group.
    shell(&format!("mkdir '{0}'; chown 0:{NOBODY} '{0}'; chmod 2775 '{0}'", target.display()));
    let (good, told) = restore(&site, &target);
    assert!(good, "{told}");
    assert!(told.contains("mode and times of a directory of another owner"), "{told}");
    let inside = |root: &Path| {
        let listing = listing(root);
        let other = listing.lines().filter(|line| !line.ends_with(" . ")).map(str::to_owned);
        other.collect::<Vec<_>>()
    };
    assert_eq!(inside(&target), inside(&site.tree()));
    assert_eq!(shell(&format!("stat -c %a '{}'", target.display())), b"2775\n");
}

/// A directory that may not be written keeps what belongs into it out, and nothing else.
#[test]
fn a_directory_that_may_not_be_written_costs_only_what_is_in_it() {
    let Some(site) = site() else { return };
    shell(&format!(
        "cd '{}'; mkdir -p locked/inner/deep; touch locked/inner/deep/1 locked/2; echo 3 > z",
        site.tree().display()
    ));
    run(&mut site.command(&["backup"]));
    shell(&format!("chmod -R a+rX '{}'", site.store().display()));
    let target = site.dir().join("target");
    crate::unprivileged::nobodys(&target);
    shell(&format!("mkdir '{0}/locked'; chmod 755 '{0}/locked'", target.display()));
    let mut command = nobody(Path::new(env!("CARGO_BIN_EXE_chupacabra")), site.dir());
    command.arg("--config").arg(site.config()).args(["restore", "web", "--replace", "--into"]).arg(&target);
    let output = command.env("CHUPACABRA_LOG_FORMAT", "human").current_dir("/").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{told}");
    // The directory that cannot be made stands for what is in it.
    assert_eq!(told.matches("not restored").count(), 2, "{told}");
    assert!(told.contains("2 entries could not be restored") && told.contains("locked/inner`"), "{told}");
    assert_eq!(std::fs::read_to_string(target.join("z")).unwrap(), "3\n");
    assert_eq!(shell(&format!("ls '{}/locked'", target.display())), b"");
}

/// Root in name only: without capabilities, as in a container that dropped them, or on a file server that squashes it.
fn restore_as_powerless_root(site: &Site, target: &Path, flags: &str) -> (bool, String) {
    let restore = format!(
        "CHUPACABRA_LOG_FORMAT=human '{}' --config '{}' restore web {flags} --into '{}'",
        env!("CARGO_BIN_EXE_chupacabra"),
        site.config().display(),
        target.display()
    );
    let all = "--drop=cap_chown,cap_dac_override,cap_dac_read_search,cap_fowner,cap_fsetid,cap_mknod";
    let output = Command::new(tool("capsh")).args([all, "--", "-c", &restore]).output().unwrap();
    let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    (output.status.success(), told)
}

#[test]
fn root_without_its_capabilities_restores_as_any_other_user() {
    let Some(site) = site() else { return };
    let target = site.dir().join("target");
    let (good, told) = restore_as_powerless_root(&site, &target, "--no-owner");
    assert!(good, "{told}");
    assert_eq!(listing(&target), listing(&site.tree()));
}

/// Root of a container of its own, whose users are some of the system's only.
#[test]
fn an_acl_for_a_user_whom_the_container_does_not_have_costs_the_acl_only() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: restores in a container of root's are not covered by this run");
        return;
    }
    let site = Site::new("");
    shell(&format!(
        "cd '{}'; echo 1 > file; chmod 600 file; setfacl -m u:1234:rw,g::r-- file; touch -d 2020-01-01 file",
        site.tree().display()
    ));
    run(&mut site.command(&["backup"]));
    let target = site.dir().join("target");
    let mut command = Command::new(tool("unshare"));
    command.args(["--user", "--map-root-user", env!("CARGO_BIN_EXE_chupacabra"), "--config"]);
    command.arg(site.config()).args(["restore", "web", "--into"]).arg(&target);
    let output = command.env("CHUPACABRA_LOG_FORMAT", "human").output().unwrap();
    let told = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat();
    assert!(output.status.success() && told.contains("`system.posix_acl_access`"), "{told}");
    let modes = |root: &Path| shell(&format!("stat -c '%a %Y' '{}/file'", root.display()));
    assert!(modes(&site.tree()).starts_with(b"660 ") && modes(&target).starts_with(b"640 "));
    assert_eq!(modes(&site.tree())[3..], modes(&target)[3..]);
}

#[test]
fn who_may_not_set_owners_is_told_how_to_restore_without() {
    let Some(site) = site() else { return };
    shell(&format!("chown -R 1234:1234 '{}'", site.tree().display()));
    run(&mut site.command(&["backup"]));
    let (good, told) = restore_as_powerless_root(&site, &site.dir().join("target"), "");
    assert!(!good && told.contains("--no-owner") && !told.contains("exclude"), "{told}");
    // Whoever is no root at all is not told to leave owners alone, but devices.
    shell(&format!("mknod '{}' c 1 3", site.tree().join("open/device").display()));
    run(&mut site.command(&["backup"]));
    shell(&format!("chmod -R a+rX '{}'", site.store().display()));
    let place = site.dir().join("place");
    crate::unprivileged::nobodys(&place);
    let (good, told) = restore(&site, &place.join("target"));
    assert!(!good && told.contains("--switch no-devices"), "{told}");
}

#[test]
fn set_gid_bits_are_not_given_to_the_group_of_the_directory() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: restores by another user are not covered by this run");
        return;
    }
    let site = Site::new("");
    shell(&format!(
        "cd '{0}'; cp /bin/true shared; cp /bin/true own; chown -R {NOBODY}:{NOBODY} .; chmod 2755 shared own
         cd ..; chmod a+r key.txt chupacabra.yaml",
        site.tree().display()
    ));
    run(&mut site.command(&["backup"]));
    shell(&format!("chmod -R a+rX '{}'", site.store().display()));
    // Files in such a directory get its group.
    let volume = site.dir().join("volume");
    shell(&format!("mkdir '{0}'; chown {NOBODY}:0 '{0}'; chmod 2775 '{0}'", volume.display()));
    let (good, told) = restore(&site, &volume);
    assert!(good && told.contains("set-gid"), "{told}");
    assert_eq!(shell(&format!("stat -c '%a %g' '{}'", volume.join("shared").display())), b"755 0\n");
    // Where they get the recorded group, they keep the bit.
    let place = site.dir().join("place");
    crate::unprivileged::nobodys(&place);
    let (good, told) = restore(&site, &place.join("target"));
    assert!(good, "{told}");
    let own = format!("stat -c '%a %g' '{}'", place.join("target/own").display());
    assert_eq!(shell(&own), format!("2755 {NOBODY}\n").as_bytes());
}
