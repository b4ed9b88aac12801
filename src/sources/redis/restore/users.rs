//! Restoring ACL users: last, because with them ends what whoever restores may do.
//!
//! They are in the target's memory then. Nothing is written into its files: what else would be written with them, nobody
//! has asked for.

use std::collections::BTreeMap;

use super::target::Order;
use crate::sources::redis::Error;
use crate::sources::redis::connect::Client;

/// What became of users.
#[derive(Default)]
pub(super) struct Users {
    /// How many were restored.
    pub(super) count: u64,
    /// How the target keeps them, if there are any.
    pub(super) note: Option<String>,
}

/// Restores users, each a line of `ACL LIST`: `user NAME RULES…`; the one who restores after all others.
pub(super) async fn restore(order: &Order, client: &mut Client, lines: &[Vec<u8>]) -> Result<Users, Error> {
    if lines.is_empty() {
        return Ok(Users::default());
    }
    // Whoever restores may not be allowed to ask afterwards.
    let note = Some(how_to_keep(client).await);
    let own = order.endpoint.user();
    let mut users: Vec<Vec<&[u8]>> =
        lines.iter().map(|line| line.split(|byte| *byte == b' ').collect()).collect();
    users.retain(|words| words.len() > 1);
    users.sort_by_key(|words| words[1] == own.as_bytes());
    for words in &users {
        let arguments = [&[words[1], b"reset"][..], &words[2..]].concat();
        let _: () = client.run("ACL SETUSER", &arguments).await?;
    }
    Ok(Users { count: users.len() as u64, note })
}

/// Says how the target keeps its users when it starts again.
async fn how_to_keep(client: &mut Client) -> String {
    let told: Result<BTreeMap<String, String>, Error> = client.run("CONFIG GET", &[b"aclfile"]).await;
    let file = told.ok().map(|told| told.into_values().next().unwrap_or_default());
    let how = match file.as_deref() {
        Some("") => "`CONFIG REWRITE` there writes them into its configuration file".to_owned(),
        Some(file) => format!("`ACL SAVE` there writes them into `{file}`"),
        None => "`ACL SAVE` there writes them into its ACL file, or else `CONFIG REWRITE` into its configuration file"
            .to_owned(),
    };
    format!("users are in the target's memory only, and gone when it starts again: {how}")
}
