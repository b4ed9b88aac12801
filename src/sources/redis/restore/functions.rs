//! Libraries of functions: none of the target's is lost without leave, and all of the package's are there at the end.

use std::collections::BTreeSet;

use super::target::Order;
use super::unpack::Unpacked;
use crate::sources::redis::connect::Client;
use crate::sources::redis::probe::Info;
use crate::sources::redis::{Error, rdb};

/// The code of each library that a server has; `None` if it does not know the command.
async fn of(client: &mut Client) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let answer: Result<Vec<u8>, Error> = client.run("FUNCTION DUMP", &[]).await;
    match answer {
        Err(Error::Answer { said, .. }) if said.contains("nknown command") => Ok(None),
        answer => Ok(Some(rdb::walk::functions(answer?)?)),
    }
}

/// The name of a library, which its code begins with: `#!lua name=shop`.
fn name(code: &[u8]) -> String {
    let first = code.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(first).into_owned();
    let given = line.split_whitespace().find_map(|word| {
        let (key, value) = word.split_once('=')?;
        key.eq_ignore_ascii_case("name").then(|| value.trim_matches(['"', '\'']).to_owned())
    });
    given.unwrap_or(line)
}

/// Whether the target has libraries.
pub(super) async fn are_there(client: &mut Client) -> Result<bool, Error> {
    Ok(of(client).await?.is_some_and(|libraries| !libraries.is_empty()))
}

/// Refuses a target that has a library of the same name as one in `payload`, which is for FUNCTION RESTORE.
pub(super) async fn refuse_occupied(client: &mut Client, payload: Vec<u8>) -> Result<(), Error> {
    let there: Vec<String> = of(client).await?.iter().flatten().map(|code| name(code)).collect();
    let wanted = rdb::walk::functions(payload)?;
    match wanted.iter().map(|code| name(code)).find(|name| there.contains(name)) {
        Some(name) => Err(Error::Occupied {
            server: client.endpoint().server(),
            found: "libraries of functions of the package".to_owned(),
            example: format!("`{name}`"),
        }),
        None => Ok(()),
    }
}

/// Refuses a target that would lose libraries.
pub(super) async fn refuse_lost(client: &mut Client, info: &Info) -> Result<(), Error> {
    let example = match of(client).await? {
        Some(libraries) => libraries.first().map(|code| format!("`{}`", name(code))),
        // Hidden, and counted all the same since 7.0.
        None => info
            .get("number_of_libraries")
            .filter(|count| *count != "0")
            .map(|count| format!("the {count} that INFO counts")),
    };
    match example {
        Some(example) => Err(Error::Occupied {
            server: client.endpoint().server(),
            found: "libraries of functions, and would lose all of them".to_owned(),
            example,
        }),
        None => Ok(()),
    }
}

/// Fails unless the target has every library of the package, whatever others besides; after a replication no others.
pub(super) async fn check(order: &Order, client: &mut Client, unpacked: &Unpacked) -> Result<(), Error> {
    let wanted = &unpacked.libraries;
    if wanted.is_empty() {
        return Ok(());
    }
    let found = of(client).await?.unwrap_or_default();
    let found: BTreeSet<u128> = found.iter().map(|code| xxhash_rust::xxh3::xxh3_128(code)).collect();
    if found.is_superset(wanted) && (found.len() == wanted.len() || !order.replication) {
        return Ok(());
    }
    let (server, lacking) = (order.endpoint.server(), wanted.difference(&found).count());
    Err(Error::Differs(format!(
        "the functions of {server} are not those of the package: {lacking} of {} libraries are not there as they were, \
         and it has {} in all",
        wanted.len(),
        found.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_says_its_name_first() {
        for (code, expected) in [
            ("#!lua name=shop\nredis.register_function('price', f)", "shop"),
            ("#!js api_version=1.0 NAME=\"shop\"\r\nname=other", "shop"),
            ("#!lua", "#!lua"),
        ] {
            assert_eq!(name(code.as_bytes()), expected);
        }
    }
}
