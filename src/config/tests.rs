//! What a wrong configuration is told, word for word, and that the reference and the schema agree.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::document::{self, Content, Node};
use super::load::{self, Error};
use super::{Plan, REFERENCE, schema, shape};

const GOOD: &str = "\
encryption:
  recipients: [age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup]
stores:
  nas:
    local: { path: /mnt/nas }
sources:
  web:
    files: { path: /srv/web }
";

fn plan(text: &str) -> Result<Plan, Error> {
    load::plan(text, Path::new("c.yaml"))
}

/// Everything that is told about a text: a problem line and a help line each.
fn told(text: &str) -> Vec<String> {
    let Err(Error::Wrong(located)) = plan(text) else { panic!("this should be wrong:\n{text}") };
    located.iter().flat_map(|one| [one.to_string(), format!("help: {}", one.problem.help)]).collect()
}

#[test]
fn the_smallest_configuration_has_defaults() {
    let plan = plan(GOOD).unwrap();
    assert_eq!(plan.package.memory, 32 << 20);
    assert!(plan.package.threads >= 1);
    let web = plan.sources.values().next().unwrap();
    assert_eq!(web.stores, [("nas".to_owned(), crate::retention::Policy::default())]);
}

/// What a thread holds is not to grow with a machine that the container happens to run on.
#[test]
fn threads_that_nobody_asked_for_are_few() {
    let usual = |processors| super::plan::usual_threads(processors);
    assert_eq!([0, 1, 4, 8, 192].map(usual), [1, 1, 4, 8, 8]);
    let asked = plan(&format!("{GOOD}package: {{ threads: 192 }}\n")).unwrap();
    assert_eq!(asked.package.threads, 192);
}

#[test]
fn nearer_retention_wins() {
    let text = format!("{GOOD}retention: {{ keep_last: 5 }}\n");
    let keep = |text: &str| plan(text).unwrap().sources.values().next().unwrap().stores[0].1.keep_last;
    assert_eq!(keep(&text), 5);
    let store = text.replace("/mnt/nas }", "/mnt/nas }\n    retention: { keep_last: 6 }");
    assert_eq!(keep(&store), 6);
    let source = store.replace("/srv/web }", "/srv/web }\n    retention: { keep_last: 7 }");
    assert_eq!(keep(&source), 7);
}

#[test]
fn a_source_may_be_silent_for_an_hour_unless_it_says_otherwise() {
    let patience = |text: &str| plan(text).unwrap().sources.values().next().unwrap().stall_timeout;
    assert_eq!(patience(GOOD), std::time::Duration::from_hours(1));
    let own = GOOD.replace("/srv/web }", "/srv/web }\n    stall_timeout: 90m");
    assert_eq!(patience(&own), std::time::Duration::from_mins(90));
    let none = own.replace("90m", "0s");
    assert!(
        told(&none)[0].contains("sources.web.stall_timeout: every source is silent"),
        "{:?}",
        told(&none)
    );
}

#[test]
fn a_source_that_waits_for_locks_may_be_silent_for_longer() {
    for (kind, wait) in [("postgres", "5m"), ("mariadb", "1m")] {
        let with = |keys: &str, patience: &str| {
            let source =
                format!("{kind}: {{ host: db, user: a, password: {{ env: PATH }}{keys} }}\n    {patience}");
            GOOD.replace("files: { path: /srv/web }", &source)
        };
        assert!(plan(&with("", "")).is_ok(), "{kind}: the defaults fit");
        assert!(plan(&with(", lock_timeout: 59s", "stall_timeout: 1m")).is_ok(), "{kind}");
        let short = told(&with("", "stall_timeout: 1m"));
        let what =
            format!("sources.web.stall_timeout: the source may wait {wait} for a lock (`lock_timeout`)");
        assert!(short[0].contains(&what), "{kind}: {short:?}");
        assert!(plan(&with(", lock_timeout: 1h", "")).is_err(), "{kind}: the default is too short then");
    }
}

#[test]
fn all_misspelt_and_missing_keys_are_told_at_once() {
    let text = "\
encrption: {}
stores:
  nas:
    lokal: { path: /mnt/nas }
sources:
  web:
    files: { exclude: [x], one_file_system: maybe }
    require: every
package: { colour: red }
retention: { keep_within: 30, keep_last: -1 }
";
    assert_eq!(
        told(text),
        [
            "c.yaml:1:1: encrption: unknown key `encrption`",
            "help: did you mean `encryption`?",
            "c.yaml:4:5: stores.nas.lokal: unknown key `lokal`",
            "help: did you mean `local`?",
            "c.yaml:7:5: sources.web.files: the key `path` is missing",
            "help: add `path:` — the directory to back up",
            "c.yaml:7:28: sources.web.files.one_file_system: `maybe` is neither `true` nor `false`",
            "help: write `true` or `false`",
            "c.yaml:8:5: sources.web.require: `every` is not known here",
            "help: write `all` or `any`",
            "c.yaml:9:12: package.colour: unknown key `colour`",
            "help: known here: `compression_level`, `threads` or `memory`",
            "c.yaml:10:14: retention.keep_within: `30` has no unit, write for example `30d`",
            "help: write a duration with its unit: `90s`, `26h`, `30d`",
            "c.yaml:10:31: retention.keep_last: -1 is out of range",
            "help: write a whole number, 0 or more",
        ]
    );
}

#[test]
fn wrong_types_are_told_without_their_values() {
    let secret = GOOD.replace("recipients: [age", "passphrase: hunter2 #");
    assert_eq!(
        told(&secret),
        [
            "c.yaml:2:3: encryption.passphrase: a secret never stands in the configuration itself",
            "help: write `{ env: NAME }` or `{ file: PATH }`",
        ]
    );
    let list = GOOD.replace("recipients: [", "recipients: ").replace(']', "");
    assert_eq!(
        told(&list),
        [
            "c.yaml:2:3: encryption.recipients: a list is expected here, there is a single value",
            "help: write `[one, two]`, or each on its own line after `- `",
        ]
    );
    let null = "encryption: { recipients: [x] }\nstores:\nsources: {}\npackage:\n";
    assert_eq!(
        told(null),
        [
            "c.yaml:2:1: stores: names are expected here, there is nothing",
            "help: write below it, indented, a name of your choice, a colon, and its settings",
            "c.yaml:4:1: package: keys are expected here, there is nothing",
            "help: write below it, indented, `compression_level`, `threads` or `memory`",
        ]
    );
}

#[test]
fn contradictions_are_told_at_once() {
    let text = "\
encryption:
  recipients: [age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup]
  identity: { env: CHUPACABRA_TEST_NOT_SET }
package: { compression_level: 13 }
stores:
  nas: { local: { path: /mnt/nas } }
  twin: { local: { path: /mnt/nas/ } }
  bare: {}
sources:
  Web:
    files: { path: /srv/web }
    stores: [nas, nsa, nas]
  none:
    files: { path: /srv/none }
    stores: []
retention: { keep_last: 0 }
";
    let told = told(text);
    let lines: Vec<&str> = told.iter().step_by(2).map(String::as_str).collect();
    assert_eq!(
        lines,
        [
            "c.yaml:3:3: encryption.identity: the environment variable `CHUPACABRA_TEST_NOT_SET` is not set",
            "c.yaml:4:12: package.compression_level: 13 is not a level",
            "c.yaml:7:11: stores.twin.local: this is the same place as that of `nas`",
            "c.yaml:8:3: stores.bare: the kind is missing",
            "c.yaml:10:3: sources.Web: `Web` is not a name: use lowercase letters, digits and inner hyphens, at most 63",
            "c.yaml:12:19: sources.Web.stores[1]: there is no store `nsa`",
            "c.yaml:12:24: sources.Web.stores[2]: `nas` is listed twice",
            "c.yaml:15:5: sources.none.stores: the list is empty: its packages would go nowhere",
            "c.yaml:16:14: retention.keep_last: 0 would let retention remove the last good package",
        ]
    );
    assert!(told.contains(&"help: did you mean `nas`?".to_owned()), "{told:#?}");
}

#[test]
fn a_store_in_its_own_source_is_refused_unless_it_is_left_out() {
    let inside = GOOD.replace("/mnt/nas", "/srv/web/backups/nas");
    let told = told(&inside);
    let problem = "c.yaml:8:14: sources.web.files.path: the store `nas` lies in this directory: every package would hold \
                   all before it";
    assert_eq!(told, [problem, "help: add `/backups/nas` to `exclude`, or move the store elsewhere"]);
    for exclude in ["/backups", "/backups/nas", "nas/"] {
        let left_out = inside.replace("/srv/web }", &format!("/srv/web, exclude: [{exclude}] }}"));
        assert!(plan(&left_out).is_ok(), "{exclude}");
    }
}

#[test]
fn nothing_to_do_is_a_problem() {
    let text = "encryption: {}\nstores: {}\nsources: {}\n";
    let told = told(text);
    assert_eq!(
        told.iter().step_by(2).collect::<Vec<_>>(),
        [
            "c.yaml:1:1: encryption: no recipient is given: nobody could ever open the packages",
            "c.yaml:2:1: stores: no store is given: packages would go nowhere",
            "c.yaml:3:1: sources: no source is given: nothing would be backed up",
        ]
    );
    assert!(told[1].contains("chupacabra keygen"), "{told:#?}");
}

#[test]
fn a_private_key_among_the_recipients_is_told_sharply_and_never_printed() {
    let private = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ";
    let start = GOOD.find("age1").unwrap();
    let end = GOOD.find(']').unwrap();
    for key in [private.to_owned(), private.to_lowercase()] {
        let mut text = GOOD.to_owned();
        text.replace_range(start..end, &key);
        let told = told(&text);
        assert_eq!(
            told[0],
            "c.yaml:2:16: encryption.recipients[0]: this is a PRIVATE key; it must not stand here"
        );
        assert!(!told.join("\n").contains(&key), "{told:#?}");
    }
}

#[test]
fn passphrase_and_recipients_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("passphrase");
    std::fs::write(&file, "correct horse battery staple").unwrap();
    let passphrase = format!("encryption:\n  passphrase: {{ file: {} }}\n", file.display());
    let told = told(&GOOD.replacen("encryption:\n", &passphrase, 1));
    assert_eq!(told[0], "c.yaml:2:3: encryption.passphrase: a passphrase and recipients exclude each other");
    assert!(!told.join("\n").contains("horse"));
}

/// The reference with its commented-out keys written in.
fn everything() -> String {
    let uncomment = |line: &str| {
        let start = line.len() - line.trim_start().len();
        let key = line.trim_start().strip_prefix("# ").and_then(|rest| Some((rest, rest.split_once(':')?.0)));
        match key {
            Some((rest, key)) if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => {
                format!("{}{rest}", &line[..start])
            }
            _ => line.to_owned(),
        }
    };
    REFERENCE.lines().map(|line| uncomment(line) + "\n").collect()
}

#[test]
fn the_reference_parses_and_every_key_in_it_exists() {
    let (text, schema) = (everything(), schema());
    assert_ne!(text, REFERENCE);
    for text in [REFERENCE, text.as_str()] {
        let document = document::scan(text).map_err(|malformed| malformed.what).unwrap();
        assert_eq!(shape::problems(&document, &schema), []);
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_reference() {
    let schema = schema();
    let mut wanted = BTreeSet::new();
    let mut found = BTreeSet::new();
    let defs = schema["$defs"].as_object().unwrap().iter().map(|(name, def)| (name.as_str(), def));
    for (name, def) in defs.chain([("", &schema)]) {
        let keys = def.get("properties").and_then(Value::as_object).into_iter().flat_map(|keys| keys.keys());
        wanted.extend(keys.map(|key| (name.to_owned(), key.clone())));
    }
    let document = document::scan(&everything()).map_err(|malformed| malformed.what).unwrap();
    walk(&document, &schema, &schema, &mut found);
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "not in reference.yaml: {missing:?}");
}

/// Collects which key of which type stands in a document.
fn walk(node: &Node, root: &Value, schema: &Value, found: &mut BTreeSet<(String, String)>) {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let schema = choices.and_then(|any| any.iter().find(|one| one.get("$ref").is_some())).unwrap_or(schema);
    let reference = schema.get("$ref").and_then(Value::as_str);
    let name = reference.and_then(|to| to.rsplit('/').next()).unwrap_or_default();
    let schema = reference.map_or(schema, |to| root.pointer(to.trim_start_matches('#')).unwrap());
    let Content::Mapping(entries) = &node.content else {
        if let (Content::Sequence(items), Some(each)) = (&node.content, schema.get("items")) {
            for item in items {
                walk(item, root, each, found);
            }
        }
        return;
    };
    for entry in entries {
        let known = schema.get("properties").and_then(|keys| keys.get(&entry.key));
        if known.is_some() {
            found.insert((name.to_owned(), entry.key.clone()));
        }
        if let Some(inner) = known.or_else(|| schema.get("additionalProperties")) {
            walk(&entry.value, root, inner, found);
        }
    }
}
