//! What the chart tells its users: the values in its manual, and the notes after an installation.

use std::process::Command;

use serde_json::Value;

use crate::chart::judged;
use crate::rendered::{BASE, chart, manifests};
use crate::support::{run, scratch, tool};

/// A recipient in place of the one that the manuals leave out.
const RECIPIENT: &str = "age1dngfaa5x6e6x8wcsawueaknus2pgev74mndeymk9pu6awrg4y9mqhp2sup";

fn read(file: &str) -> String {
    std::fs::read_to_string(chart().join(file)).unwrap()
}

/// The YAML of a manual, block by block.
fn blocks(manual: &str) -> Vec<String> {
    let text = read(manual).replace("age1…", RECIPIENT);
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_examples_of_the_manuals_render_and_the_program_accepts_them() {
    let own = blocks("README.md");
    let [values, schedules] = own.as_slice() else { panic!("{own:?}") };
    let runbook = blocks("../README.md");
    let block = |key: &str| runbook.iter().find(|block| block.starts_with(key)).unwrap();
    let notifications = format!("config:\n  {}", block("notifications:").replace('\n', "\n  "));
    // The variables of notifications come with the others; lists are replaced.
    let more = "    - { name: HEALTHCHECKS_URL, secret: x, key: x }\n    - { name: TELEGRAM_TOKEN, secret: x, key: x }\n";
    let all = values.replacen("volumes:\n", &format!("{more}volumes:\n"), 1);
    let rendered = manifests(&[&all, schedules, block("restore:"), &notifications]);
    let (code, told) = judged(&rendered, "");
    assert_eq!(code, Some(0), "{told}");
    // The command that judges a configuration names all the variables of the example.
    let (code, told) = judged(&rendered, "S3_ID");
    assert!(code == Some(2) && told.contains("S3_ID"), "{told}");
    let judge = "S3_ID=x S3_SECRET=x SHOP_PASSWORD=x chupacabra --config config.yaml config check";
    assert!(read("README.md").contains(judge));
    assert_eq!(values.matches("{ env: ").count(), judge.matches("=x ").count());
}

/// The rows of the manual's table of values: key and default.
fn rows() -> Vec<(String, String)> {
    let manual = read("README.md");
    let table =
        manual.split("## Values").nth(1).unwrap().lines().skip_while(|line| !line.starts_with("|---"));
    let cells = table.skip(1).map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells.filter(|cells| cells.len() > 3).map(|cells| (cells[1].to_owned(), cells[2].to_owned())).collect()
}

#[test]
fn the_defaults_of_the_manual_are_those_of_the_chart() {
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let mut compared = 0;
    for (key, told) in rows() {
        let Some(told) = told.strip_prefix('`').and_then(|told| told.strip_suffix('`')) else { continue };
        let value = values.pointer(&format!("/{}", key.replace('.', "/")));
        let value = value.unwrap_or_else(|| panic!("{key} is not in values.yaml"));
        // An empty text may stand for a name that is made of others; of schedules the name is told.
        if key != "schedules" && (value != "" || told == "\"\"") {
            assert_eq!(&serde_saphyr::from_str::<Value>(told).unwrap(), value, "{key}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

/// The schema knows what the manual names, and the manual names what the schema knows.
#[test]
fn the_manual_and_the_schema_know_the_same_values() {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let manual = read("README.md");
    let mut rows: Vec<String> = rows().into_iter().map(|(key, _)| key).collect();
    let mut known = Vec::new();
    for (key, value) in schema["properties"].as_object().unwrap() {
        match value["properties"].as_object() {
            // Theirs are Kubernetes's.
            Some(inner) if key != "resources" => {
                known.extend(inner.keys().map(|inner| format!("{key}.{inner}")));
            }
            _ if key == "global" => {}
            _ => known.push(key.clone()),
        }
    }
    rows.sort();
    known.sort();
    assert_eq!(rows, known);
    let schedules = manual.lines().find(|line| line.starts_with("| schedules |")).unwrap();
    let schedules = schedules.split("by name: ").nth(1).unwrap();
    let mut named: Vec<&str> = schedules.split('`').skip(1).step_by(2).collect();
    named.sort_unstable();
    let keys = schema["properties"]["schedules"]["additionalProperties"]["properties"].as_object().unwrap();
    let mut keys: Vec<&str> = keys.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(named, keys);
}

/// Where the schema describes keys, but takes others too.
fn open(schema: &Value, place: &str, found: &mut Vec<String>) {
    let Some(object) = schema.as_object() else { return };
    if object.contains_key("properties") && object.get("additionalProperties") != Some(&Value::Bool(false)) {
        found.push(place.to_owned());
    }
    for key in ["items", "additionalProperties"] {
        open(&schema[key], &format!("{place}.{key}"), found);
    }
    for (key, inner) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
        open(inner, &format!("{place}.{key}"), found);
    }
}

#[test]
fn a_key_that_is_not_known_is_refused_at_every_depth() {
    let mut schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let found = |schema: &Value| {
        let mut found = Vec::new();
        open(schema, "", &mut found);
        found
    };
    assert_eq!(found(&schema), Vec::<String>::new());
    // The negative control.
    let items = &mut schema["properties"]["restore"]["properties"]["volumes"]["items"];
    items.as_object_mut().unwrap().remove("additionalProperties");
    assert_eq!(found(&schema), [".restore.volumes.items"]);
}

#[test]
fn the_notes_name_a_schedule_that_there_is() {
    let dir = scratch();
    let notes = |values: &str| {
        let file = dir.path().join("values.yaml");
        std::fs::write(&file, values).unwrap();
        let base = dir.path().join("base.yaml");
        std::fs::write(&base, BASE).unwrap();
        let mut helm = Command::new(tool("helm4"));
        helm.env("KUBECONFIG", "/dev/null").env("HOME", dir.path());
        helm.args(["install", "shop", "--namespace", "shop", "--dry-run=client"]);
        let output = run(helm.arg(chart()).arg("--values").arg(&base).arg("--values").arg(&file));
        let told = String::from_utf8(output.stdout).unwrap();
        told.split("NOTES:").nth(1).unwrap().to_owned()
    };
    let told = notes("{}");
    assert!(told.contains("  shop-chupacabra-nightly  30 2 * * *"), "{told}");
    assert!(told.contains("create job by-hand --from=cronjob/shop-chupacabra-nightly\n"), "{told}");
    // One that was taken away comes before it.
    let told = notes("schedules: { hourly: null }");
    assert!(told.contains("--from=cronjob/shop-chupacabra-nightly\n") && !told.contains("hourly"), "{told}");
}
