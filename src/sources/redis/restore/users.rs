//! Restoring ACL users: last, because with them ends what whoever restores may do.

use super::target::Order;
use crate::sources::redis::Error;
use crate::sources::redis::connect::Client;

/// Restores users, each a line of `ACL LIST`: `user NAME RULES…`; the one who restores after all others. Returns how many.
pub(super) async fn restore(order: &Order, client: &mut Client, lines: &[Vec<u8>]) -> Result<u64, Error> {
    let own = order.endpoint.user();
    let mut users: Vec<Vec<&[u8]>> =
        lines.iter().map(|line| line.split(|byte| *byte == b' ').collect()).collect();
    users.retain(|words| words.len() > 1);
    users.sort_by_key(|words| words[1] == own.as_bytes());
    for words in &users {
        let arguments = [&[words[1], b"reset"][..], &words[2..]].concat();
        let _: () = client.run("ACL SETUSER", &arguments).await?;
    }
    Ok(users.len() as u64)
}
