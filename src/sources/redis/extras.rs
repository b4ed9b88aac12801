//! ACL users and settings, saved on request as metadata fields of the RDB file.
//!
//! Servers ignore the fields that they do not know, and `redis-check-rdb` prints them: so the file stays one that any
//! server loads, and needs no second member that would spoil `tar xzO > dump.rdb`.

use super::connect::Client;
use super::{Error, Plan, rdb};

/// The fields that hold `ACL LIST`, one user each.
pub(super) const ACL: &str = "chupacabra-acl";

/// The fields that hold `CONFIG GET *`, one setting each.
pub(super) const CONFIG: &str = "chupacabra-config";

/// Settings that hold passwords, besides those whose names say so: modules have settings of their own.
const SECRETS: [&str; 2] = ["masterauth", "primaryauth"];

/// The metadata fields that the plan asks for.
pub(super) async fn collect(plan: &Plan, client: &mut Client) -> Result<Vec<u8>, Error> {
    let mut fields = Vec::new();
    if plan.include_acl {
        let users: Vec<String> = client.run("ACL LIST", &[]).await?;
        for user in &users {
            rdb::write::aux(ACL, user.as_bytes(), &mut fields);
        }
    }
    if plan.include_config {
        let settings: Vec<(String, String)> = client.run("CONFIG GET", &[b"*"]).await?;
        for (name, value) in settings.iter().filter(|(name, _)| !is_secret(name)) {
            rdb::write::aux(CONFIG, format!("{name} {value}").as_bytes(), &mut fields);
        }
    }
    Ok(fields)
}

fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name) || name.contains("pass") || name.contains("secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_known_by_their_names() {
        for name in
            ["requirepass", "masterauth", "primaryauth", "tls-key-file-pass", "search-oss-global-password"]
        {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("maxmemory-policy") && !is_secret("masteruser"));
    }
}
