//! Events where no terminal is: every line is JSON with the fields that Filebeat needs, and no line holds a secret.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::backups::Site;

/// What every line has, whatever it tells.
const REQUIRED: [&str; 9] = [
    "@timestamp",
    "log.level",
    "message",
    "ecs.version",
    "service.name",
    "service.version",
    "event.kind",
    "event.dataset",
    "log.logger",
];

/// The groups of fields that the schema and we have; nothing else may appear.
const GROUPS: [&str; 5] = ["event.", "error.", "log.", "service.", "chupacabra."];

/// Runs to the end, whichever, and returns the exit code, the lines of standard error and all output.
fn run(command: &mut Command) -> (i32, Vec<Value>, String) {
    let output = command.env_remove("CHUPACABRA_LOG_FORMAT").stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let lines: Vec<Value> = told.lines().map(parse).collect();
    let all = format!("{told}{}", String::from_utf8(output.stdout).unwrap());
    (output.status.code().unwrap(), lines, all)
}

fn check(lines: &[Value]) {
    assert!(!lines.is_empty(), "nothing was told");
    for line in lines {
        for field in REQUIRED {
            assert!(line[field].is_string(), "{field} is missing: {line}");
        }
        let time: jiff::Timestamp = line["@timestamp"].as_str().unwrap().parse().unwrap();
        assert!(time.as_second() > 1_700_000_000);
        assert!(["error", "warn", "info", "debug", "trace"].contains(&line["log.level"].as_str().unwrap()));
        for key in line.as_object().unwrap().keys() {
            let known = REQUIRED.contains(&key.as_str()) || GROUPS.iter().any(|group| key.starts_with(group));
            assert!(known, "{key} is in no group: {line}");
        }
    }
}

#[test]
fn a_good_run_tells_json_lines() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    let (exit, lines, _) = run(&mut site.command(&["backup"]));
    assert_eq!(exit, 0);
    check(&lines);
    let ended = lines.iter().find(|line| line["message"] == "backup ended").unwrap();
    assert_eq!(ended["event.outcome"], "success");
    assert_eq!(ended["chupacabra.source"], "web");
    assert!(ended["event.duration"].as_u64().unwrap() > 0);
    assert!(ended["chupacabra.bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_failed_run_tells_why_and_what_to_do() {
    let site = Site::new("");
    std::fs::remove_dir(site.tree()).unwrap();
    let (exit, lines, _) = run(&mut site.command(&["backup"]));
    assert_eq!(exit, 4);
    check(&lines);
    let failed = lines.iter().find(|line| line["log.level"] == "error").unwrap();
    assert_eq!(failed["event.outcome"], "failure");
    assert!(failed["error.message"].as_str().unwrap().contains("tree"), "{failed}");

    let (exit, lines, _) = run(&mut site.command(&["backup", "wbe"]));
    assert_eq!(exit, 2);
    check(&lines);
    assert_eq!(lines[0]["error.message"], "there is no source `wbe` in the configuration");
    assert_eq!(lines[0]["chupacabra.help"], "did you mean `web`?");
}

#[test]
fn a_restore_and_what_is_too_old_are_told_in_json_lines() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    site.good(&["backup"]);
    let into = site.dir().join("restored");
    let (exit, lines, _) = run(site.command(&["restore", "web", "--into"]).arg(&into));
    assert_eq!(exit, 0);
    check(&lines);
    let ended = lines.iter().find(|line| line["message"] == "restore ended").unwrap();
    assert_eq!((&ended["event.outcome"], &ended["event.action"]), (&"success".into(), &"restore".into()));
    assert!(ended["event.duration"].as_u64().unwrap() > 0 && ended["chupacabra.bytes"] == 7, "{ended}");
    let (exit, lines, _) = run(&mut site.command(&["list", "--max-age", "0s"]));
    assert_eq!(exit, 6);
    check(&lines);
    assert!(lines[0]["message"].as_str().unwrap().starts_with("stale: the newest good package of web"));
    assert_eq!(lines[0]["event.outcome"], "failure");
}

#[test]
fn no_secret_is_told_however_much_is_asked_for() {
    let site = Site::new("");
    std::fs::write(site.tree().join("file"), "content").unwrap();
    let key = std::fs::read_to_string(site.key()).unwrap();
    let secret = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    for verb in [
        &["backup"][..],
        &["verify"],
        &["show", "web"],
        &["check"],
        &["config", "check"],
        &["list", "--json"],
    ] {
        let (exit, lines, all) = run(site.command(&["-vvv"]).args(verb));
        assert_eq!(exit, 0, "{verb:?}: {all}");
        assert!(!all.contains(secret) && !all.contains("SECRET-KEY"), "{verb:?}: {all}");
        if verb == ["backup"] {
            check(&lines);
        }
    }
    // The same with a passphrase, from the environment.
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let start = yaml.find("encryption").unwrap();
    let end = yaml.find('\n').unwrap();
    let passphrase = "encryption: { passphrase: { env: CHUPACABRA_TEST_PASSPHRASE } }";
    std::fs::write(site.config(), yaml.replace(&yaml[start..end], passphrase)).unwrap();
    for verb in [&["backup"][..], &["config", "check"]] {
        let mut command = site.command(&["-vvv"]);
        let (exit, _, all) = run(command.args(verb).env("CHUPACABRA_TEST_PASSPHRASE", "swordfish-4711"));
        assert_eq!(exit, 0, "{verb:?}: {all}");
        assert!(!all.contains("swordfish"), "{verb:?}: {all}");
    }
}
