//! Events in the Elastic Common Schema (elastic.co/guide/en/ecs), one JSON object on a line, keys with dots, as the ECS
//! logging libraries write them. What the schema has no name for stands under `chupacabra.`.

use serde_json::{Map, Value, json};
use tracing::Level;

use super::layer::Told;

/// The version of the schema whose names are used.
const ECS_VERSION: &str = "8.17.0";

/// The line of one event.
pub(super) fn line(told: Told) -> String {
    let mut line = Map::new();
    let mut set = |key: &str, value: Value| line.insert(key.to_owned(), value);
    set("@timestamp", json!(format!("{:.3}", told.at)));
    set("log.level", json!(level(told.level)));
    set("message", json!(told.message));
    set("ecs.version", json!(ECS_VERSION));
    set("service.name", json!("chupacabra"));
    set("service.version", json!(env!("CARGO_PKG_VERSION")));
    set("log.logger", json!(told.target));
    set("event.kind", json!("event"));
    set("event.dataset", json!("chupacabra.log"));
    if let Some(outcome) = outcome(&told) {
        set("event.outcome", json!(outcome));
    }
    for (key, value) in told.fields {
        let (key, value) = field(&key, value);
        set(&key, value);
    }
    Value::Object(line).to_string()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

fn outcome(told: &Told) -> Option<&'static str> {
    if told.level == Level::ERROR {
        return Some("failure");
    }
    let status = told.fields.get("status")?.as_str()?;
    Some(if status.eq_ignore_ascii_case("good") { "success" } else { "failure" })
}

/// The schema's name of a field, and its value in the schema's unit.
fn field(key: &str, value: Value) -> (String, Value) {
    match key {
        "error" => ("error.message".into(), value),
        // Nanoseconds, as whole numbers.
        "seconds" => {
            let nanos =
                value.as_f64().map(|seconds| std::time::Duration::from_secs_f64(seconds.max(0.0)).as_nanos());
            ("event.duration".into(), nanos.and_then(|nanos| u64::try_from(nanos).ok()).into())
        }
        // Words, not the names of Rust's variants.
        "status" | "outcome" => (format!("chupacabra.{key}"), value.as_str().map(str::to_lowercase).into()),
        "action" => ("event.action".into(), value),
        _ => (format!("chupacabra.{key}"), value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(level: Level, fields: &Value) -> Told {
        Told {
            at: "2026-11-21T18:30:00.123456Z".parse().unwrap(),
            level,
            target: "chupacabra::backup".into(),
            message: "backup \"ended\"\nhere".into(),
            fields: fields.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn names_and_units_are_the_schemas() {
        let line =
            line(told(Level::INFO, &json!({"status": "Good", "seconds": 1.5, "bytes": 7, "error": "e"})));
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["@timestamp"], "2026-11-21T18:30:00.123Z");
        assert_eq!(value["log.level"], "info");
        assert_eq!(value["message"], "backup \"ended\"\nhere");
        assert_eq!(value["event.outcome"], "success");
        assert_eq!(value["event.duration"], 1_500_000_000_u64);
        assert_eq!(value["chupacabra.bytes"], 7);
        assert_eq!(value["error.message"], "e");
    }

    #[test]
    fn errors_are_failures_and_plain_events_are_neither() {
        let of = |level, fields| serde_json::from_str::<Value>(&line(told(level, &fields))).unwrap();
        assert_eq!(of(Level::ERROR, json!({}))["event.outcome"], "failure");
        assert_eq!(of(Level::INFO, json!({"status": "Partial"}))["event.outcome"], "failure");
        assert_eq!(of(Level::INFO, json!({})).get("event.outcome"), None);
    }
}
