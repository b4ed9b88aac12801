//! ACL users and settings, saved on request as metadata fields of the RDB file.
//!
//! Servers ignore the fields that they do not know, and `redis-check-rdb` prints them: so the file stays one that any
//! server loads, and needs no second member that would spoil `tar xzO > dump.rdb`.

use super::connect::{Client, Endpoint};
use super::{Error, Plan, rdb};

/// The field that holds `ACL LIST`, one user on each line.
pub(super) const ACL: &str = "chupacabra-acl";

/// The field that holds `CONFIG GET *`, one setting on each line.
pub(super) const CONFIG: &str = "chupacabra-config";

/// Settings that hold passwords.
const SECRETS: [&str; 5] =
    ["requirepass", "masterauth", "primaryauth", "tls-key-file-pass", "tls-client-key-file-pass"];

/// The metadata fields that the plan asks for.
pub(super) async fn collect(plan: &Plan, endpoint: &Endpoint) -> Result<Vec<u8>, Error> {
    let mut fields = Vec::new();
    if !plan.include_acl && !plan.include_config {
        return Ok(fields);
    }
    let mut client = Client::open(endpoint, 0).await?;
    if plan.include_acl {
        let users: Vec<String> = client.run("ACL LIST", &[]).await?;
        rdb::write::aux(ACL, users.join("\n").as_bytes(), &mut fields);
    }
    if plan.include_config {
        let settings: Vec<(String, String)> = client.run("CONFIG GET", &[b"*"]).await?;
        let lines: Vec<String> = settings
            .iter()
            .filter(|(name, _)| !SECRETS.contains(&name.as_str()))
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        rdb::write::aux(CONFIG, lines.join("\n").as_bytes(), &mut fields);
    }
    Ok(fields)
}
