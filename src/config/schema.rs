//! The JSON Schema of the configuration, made from the same types that read it.

use serde_json::Value;

use super::Config;

/// The schema, for editors and for `check-jsonschema`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".into(), "ChupaCabra configuration".into());
    schema.to_value()
}
