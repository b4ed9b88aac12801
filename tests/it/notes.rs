//! What becomes known of a package after its record was written: damage, acceptance, a clock that was wrong.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use chupacabra::catalog::key::Part;
use chupacabra::clock::Clock;
use chupacabra::retention::Policy;
use chupacabra::shard;
use chupacabra::stores::Named;
use serde_json::Value;

use crate::support::backups::{Site, noise};
use crate::support::{run, shell};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to the end, for people, and insists on the exit code; returns what was said on both streams.
fn exits(site: &Site, args: &[&str], code: i32) -> String {
    let Output { status, stdout, stderr } =
        site.command(args).env("CHUPACABRA_LOG_FORMAT", "human").stdin(Stdio::null()).output().unwrap();
    let told = format!("{}\n{}", text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(code), "{args:?}: {told}");
    told
}

/// The outcomes that `list` shows, oldest first.
fn outcomes(site: &Site) -> Vec<String> {
    let told = exits(site, &["list"], 0);
    let words =
        ["partial, accepted", "suspicious, accepted", "suspicious", "DAMAGED", "WRONG SIZE", "complete"];
    let word = |line: &str| words.iter().find(|word| line.contains(*word)).map(ToString::to_string);
    told.lines().filter(|line| line.contains("web")).filter_map(word).collect()
}

/// Makes two packages, the newer with another file, and returns the newer one's path.
fn two_packages(site: &Site) -> PathBuf {
    std::fs::write(site.tree().join("old"), noise(200_000, 1)).unwrap();
    site.good(&["backup"]);
    std::fs::write(site.tree().join("new"), noise(200_000, 2)).unwrap();
    site.good(&["backup"]);
    site.newest_package()
}

/// Changes a byte in the middle of a file, or changes it back.
fn flip(path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    shell(&format!("chmod u+w '{}'", path.display()));
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_remembered_until_the_package_is_whole_again() {
    let site = Site::new("");
    let package = two_packages(&site);
    exits(&site, &["verify", "--all"], 0);
    assert_eq!(outcomes(&site), ["complete", "complete"]);
    flip(&package);
    let told = exits(&site, &["verify"], 5);
    assert!(told.contains("MISMATCH"), "{told}");
    assert_eq!(outcomes(&site), ["complete", "DAMAGED"]);

    // A restore takes the package before, and the damaged one only by its key, which it fails on.
    let into = site.dir().join("restored");
    let told = exits(&site, &["restore", "web", "--into", into.to_str().unwrap()], 0);
    assert!(into.join("old").exists() && !into.join("new").exists());
    assert!(told.contains("a newer package is passed over"), "{told}");
    let key = package.strip_prefix(site.store()).unwrap().to_str().unwrap().to_owned();
    let elsewhere = site.dir().join("elsewhere");
    let told = exits(&site, &["restore", "web", "--package", &key, "--into", elsewhere.to_str().unwrap()], 5);
    assert!(told.contains("this package was found damaged"), "{told}");

    // Retention does not count on it, `list --max-age` does not take it for a backup, nobody can accept it.
    let told = exits(&site, &["prune", "--dry-run"], 0);
    assert_eq!(told.matches("frozen").count(), 2, "{told}");
    shell(&format!("rm {}/web/*{}*", site.store().display(), older_stamp(&site)));
    exits(&site, &["list", "--max-age", "1h"], 6);
    let told = exits(&site, &["accept", "web"], 4);
    assert!(told.contains("damaged or not whole"), "{told}");

    // Whole again: bytes alone do not lift what a key has found; the key does.
    flip(&package);
    let config = std::fs::read_to_string(site.config()).unwrap();
    let identity = format!(", identity: {{ file: {} }}", site.key().display());
    std::fs::write(site.config(), config.replace(&identity, "")).unwrap();
    let told = exits(&site, &["verify"], 0);
    assert!(told.contains("verify it with the private key"), "{told}");
    assert_eq!(outcomes(&site), ["DAMAGED"]);
    exits(&site, &["verify", "--identity", site.key().to_str().unwrap()], 0);
    assert_eq!(outcomes(&site), ["complete"]);
    exits(&site, &["list", "--max-age", "1h"], 0);
}

/// Retention may remove a package, its record first, while another run reads it.
#[test]
fn what_is_removed_while_it_is_verified_is_not_damaged() {
    let site = Site::new("");
    let package = two_packages(&site);
    let found = site.scan().packages.pop().unwrap();
    let verify = || {
        let named = Named { name: "here".into(), store: site.open_store() };
        let work = chupacabra::verify::verify(&named, &found, &[], Clock::system().now());
        serde_json::to_value(tokio::runtime::Runtime::new().unwrap().block_on(work)).unwrap()
    };
    let notes = || {
        std::fs::read_dir(site.store().join("web"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains("damaged"))
            .count()
    };
    let record = site.store().join(found.record.key.object(&Part::Record));
    let kept = std::fs::read(&record).unwrap();
    std::fs::remove_file(&package).unwrap();
    std::fs::remove_file(&record).unwrap();
    assert_eq!((verify()["outcome"].as_str(), notes()), (Some("removed"), 0));
    // A package that is gone although its record is there is damage.
    std::fs::write(&record, kept).unwrap();
    assert_eq!((verify()["outcome"].as_str(), notes()), (Some("mismatch"), 1));
}

/// A record that nobody can read, and a package that is not there: neither is passed over in silence.
#[test]
fn what_is_newer_and_cannot_be_taken_is_told() {
    let site = Site::new("");
    let package = two_packages(&site);
    let key = package.strip_prefix(site.store()).unwrap().to_str().unwrap().to_owned();
    let restored = |name: &str, code| {
        let into = site.dir().join(name);
        let told = exits(&site, &["restore", "web", "--into", into.to_str().unwrap()], code);
        assert_eq!(into.join("old").exists(), code == 0);
        told
    };
    assert!(!restored("sound", 0).contains("passed over"));

    // The package is gone.
    let aside = site.dir().join("aside");
    std::fs::rename(&package, &aside).unwrap();
    let told = restored("older", 0);
    assert!(told.contains("a newer package is passed over") && told.contains("is not whole"), "{told}");
    std::fs::rename(&aside, &package).unwrap();

    // The record is of another age.
    let record = PathBuf::from(package.to_str().unwrap().replace(".tar.gz.age", ".json"));
    let sound = std::fs::read(&record).unwrap();
    shell(&format!("chmod u+w '{}'", record.display()));
    std::fs::write(&record, r#"{ "version": 2 }"#).unwrap();
    let told = restored("older-still", 0);
    assert!(told.contains("a newer package is passed over") && told.contains("newer version"), "{told}");
    for verb in ["show", "accept"] {
        let told = exits(&site, &[verb, &key], 4);
        assert!(told.contains("the record of") && told.contains("newer version"), "{verb}: {told}");
    }
    let told = exits(&site, &["verify"], 4);
    assert!(told.contains("unknown") && told.contains("its record cannot be read"), "{told}");
    let told = exits(&site, &["verify", "--all"], 3);
    assert!(told.contains("sound") && told.contains("its record cannot be read"), "{told}");
    // With no other, the reason is told, and not that there is nothing.
    shell(&format!("rm {}/web/*{}*", site.store().display(), older_stamp(&site)));
    let told = restored("nothing", 4);
    assert!(told.contains("cannot be read") && !told.contains("no store has"), "{told}");
    std::fs::write(&record, sound).unwrap();
    exits(&site, &["verify"], 0);
    assert!(!restored("newest", 0).contains("passed over"));
}

/// What the older package's objects have in their names.
fn older_stamp(site: &Site) -> String {
    let key = site.scan().packages.first().unwrap().record.key.to_string();
    key.trim_start_matches("web/web-").trim_end_matches(".tar.gz.age").to_owned()
}

#[test]
fn what_is_suspicious_is_good_once_a_person_accepts_it() {
    let site = Site::new("");
    std::fs::write(site.tree().join("large"), noise(3_000_000, 1)).unwrap();
    site.good(&["backup"]);
    std::fs::write(site.tree().join("large"), b"emptied").unwrap();
    exits(&site, &["backup"], 3);
    exits(&site, &["backup"], 3);
    assert_eq!(outcomes(&site), ["complete", "suspicious", "suspicious"]);
    let told = exits(&site, &["prune", "--dry-run"], 0);
    assert_eq!(told.matches("frozen").count(), 3, "{told}");
    let restored = site.dir().join("restored");
    let told = exits(&site, &["restore", "web", "--into", restored.to_str().unwrap()], 0);
    assert!(told.contains("this package is suspicious"), "{told}");

    let told = exits(&site, &["accept", "web", "--dry-run"], 0);
    assert!(told.contains("would be accepted") && told.contains("bytes of content after"), "{told}");
    exits(&site, &["backup"], 3);
    let told = exits(&site, &["accept", "web"], 0);
    assert!(told.contains(": accepted"), "{told}");
    assert_eq!(outcomes(&site), ["complete", "suspicious", "suspicious", "suspicious, accepted"]);
    let told = exits(&site, &["accept", "web"], 0);
    assert!(told.contains("nothing to accept"), "{told}");
    let told = exits(&site, &["prune", "--dry-run"], 0);
    assert!(!told.contains("frozen"), "{told}");

    // The next one is compared with the accepted one; a fall from there is suspicious again.
    exits(&site, &["backup"], 0);
    std::fs::write(site.tree().join("large"), noise(3_000_000, 2)).unwrap();
    exits(&site, &["backup"], 0);
    std::fs::write(site.tree().join("large"), b"emptied again").unwrap();
    exits(&site, &["backup"], 3);
}

#[test]
fn a_key_and_a_passphrase_open_what_each_has_sealed() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    site.good(&["backup"]);
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let recipients = format!("recipients: [{}]", site.recipient);
    let passphrase = "passphrase: { env: CHUPACABRA_TEST_PASSPHRASE }";
    std::fs::write(site.config(), yaml.replace(&recipients, passphrase)).unwrap();
    let with = |passphrase: &str, args: &[&str]| {
        let mut command = site.command(args);
        command.env("CHUPACABRA_TEST_PASSPHRASE", passphrase).stdin(Stdio::null());
        command.output().unwrap().status.code()
    };
    assert_eq!(with("correct horse", &["backup"]), Some(0));
    assert_eq!(with("correct horse", &["verify", "--all"]), Some(0));
    assert_eq!(with("wrong horse", &["verify", "--all"]), Some(3), "one of the two");
}

/// Shards begin one after the other, and the first to be done applies retention: the last must see what the first saw.
#[test]
fn shards_agree_although_one_of_them_drops_what_is_not_good() {
    let site = Site::new("");
    std::fs::write(site.tree().join("large"), noise(3_000_000, 1)).unwrap();
    site.good(&["backup"]);
    std::fs::write(site.tree().join("large"), b"emptied").unwrap();
    exits(&site, &["backup"], 3);
    let as_of = Clock::system().now();
    let web: chupacabra::catalog::SourceName = "web".parse().unwrap();
    let size = |policy: &Policy| {
        let named = Named { name: "here".to_owned(), store: site.open_store() };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sources = [(web.clone(), named, policy.clone())];
        runtime.block_on(shard::sizes(&sources, as_of)).unwrap().get(&web).copied().unwrap()
    };
    let sizes: Vec<u64> = site.scan().packages.iter().map(|found| found.record.package.size).collect();
    let month = Policy::default();
    let short = Policy { keep_within: std::time::Duration::ZERO, ..Policy::default() };
    let by_hand = Policy { automatic: false, ..short.clone() };
    // What no shard drops counts as it is; what one may have dropped only if it is good.
    assert_eq!([size(&month), size(&by_hand), size(&short)], [sizes[1], sizes[1], sizes[0]]);
    let newest = site.newest_package().display().to_string();
    shell(&format!("rm '{}'*", newest.trim_end_matches(".tar.gz.age")));
    assert_eq!(size(&short), sizes[0]);
}

#[test]
fn a_package_dated_in_the_future_is_nobodys_newest() {
    let site = Site::new("");
    two_packages(&site);
    // The newer package as a clock that is a century ahead would have dated it.
    let newest = site.scan().packages.last().unwrap().record.key.to_string();
    let stem = newest.trim_end_matches(".tar.gz.age").to_owned();
    let (path, ahead) = (site.store().join(&stem), stem.replacen("web-20", "web-21", 1));
    for suffix in ["tar.gz.age", "index.age", "json"] {
        let (from, to) = (format!("{}.{suffix}", path.display()), format!("{ahead}.{suffix}"));
        std::fs::rename(from, site.store().join(to)).unwrap();
    }
    let record = site.store().join(format!("{ahead}.json"));
    let json = std::fs::read_to_string(&record).unwrap().replace(&stem, &ahead);
    shell(&format!("chmod u+w '{}'", record.display()));
    std::fs::write(&record, json).unwrap();
    assert_eq!(site.scan().packages.len(), 2);

    let shown: Value = serde_json::from_str(&first_line(&site.good(&["show", "web", "--json"]))).unwrap();
    let older = site.scan().packages.first().unwrap().record.key.to_string();
    assert_eq!(shown["record"]["key"], older.as_str());
    exits(&site, &["list", "--max-age", "1h"], 0);
    shell(&format!("rm '{}'/web/*{}*", site.store().display(), older_stamp(&site)));
    let told = exits(&site, &["list", "--max-age", "1h"], 6);
    assert!(told.contains("there is no good package of web"), "{told}");
    // It is all there is: taken, and said so.
    let told = exits(&site, &["show", &format!("{ahead}.tar.gz.age")], 5);
    assert!(told.contains("dated in the future"), "{told}");
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Runs with a standard output that nobody reads.
fn unread(site: &Site, args: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command: Command = site.command(args);
    command.env("CHUPACABRA_LOG_FORMAT", "human").stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    command.status().unwrap().code()
}

/// A clock that is ahead for one run dates its package later than the store does: it makes none of the others go.
#[test]
fn a_clock_that_is_ahead_drops_nothing() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), b"content").unwrap();
    for _ in 0..5 {
        site.good(&["backup"]);
    }
    // The store's clock says that the newest was written two hours before its own date.
    let newest = site.scan().packages.last().unwrap().record.key.to_string();
    let record = |key: &str| site.store().join(key.replace(".tar.gz.age", ".json"));
    let config = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), format!("{config}retention: {{ keep_within: 0s, keep_last: 1 }}\n"))
        .unwrap();
    shell(&format!("touch -d '2 hours ago' '{}'", record(&newest).display()));
    let told = exits(&site, &["prune", "--dry-run"], 0);
    assert!(told.contains("dated later than it can have been made"), "{told}");
    assert_eq!(
        told.matches("would drop").count(),
        3,
        "the newest of the others counts as the newest: {told}"
    );
    shell(&format!("touch '{}'", record(&newest).display()));
    let told = exits(&site, &["prune", "--dry-run"], 0);
    assert_eq!(told.matches("would drop").count(), 4, "{told}");
}

#[test]
fn a_reader_that_has_gone_away_changes_no_verdict() {
    let site = Site::new("");
    let package = two_packages(&site);
    assert_eq!(unread(&site, &["verify"]), Some(0));
    assert_eq!(unread(&site, &["list"]), Some(0));
    flip(&package);
    for json in [&["verify", "--json"][..], &["verify"]] {
        assert_eq!(unread(&site, json), Some(5), "{json:?}");
    }
    shell(&format!("rm '{}'/web/*.age", site.store().display()));
    assert_eq!(unread(&site, &["list", "--max-age", "1h"]), Some(6));
    run(Command::new("rm").arg("-r").arg(site.tree()));
    assert_eq!(unread(&site, &["backup", "--json"]), Some(4));
    assert_eq!(unread(&site, &["backup", "--dry-run"]), Some(3));
    // It is still read where it is: the pipe is what differs.
    let (mut reader, writer) = std::io::pipe().unwrap();
    site.command(&["list"]).stdout(writer).status().unwrap();
    let mut told = String::new();
    reader.read_to_string(&mut told).unwrap();
    assert!(told.contains("OBJECTS MISSING"), "{told}");
}

#[test]
fn retention_that_is_not_automatic_waits_for_prune() {
    let site = Site::new("");
    let config = std::fs::read_to_string(site.config()).unwrap();
    let retention = |more: &str| format!("{config}retention: {{ keep_within: 0s, keep_last: 1{more} }}\n");
    std::fs::write(site.config(), retention(", automatic: false")).unwrap();
    std::fs::write(site.tree().join("file"), b"content").unwrap();
    for _ in 0..3 {
        site.good(&["backup"]);
    }
    assert_eq!(site.scan().packages.len(), 3);
    exits(&site, &["prune"], 0);
    assert_eq!(site.scan().packages.len(), 1);
    std::fs::write(site.config(), retention("")).unwrap();
    site.good(&["backup"]);
    assert_eq!(site.scan().packages.len(), 1, "a good backup applies it otherwise");
}
