//! Whether a target can load a whole RDB file, asked before it throws its own data away for it.
//!
//! A server that meets what it cannot load ends, and finds the same file where it starts from again. Nothing that it
//! has is changed here, but for keys of a name of our own, which are deleted at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::BATCHES;
use super::target::Order;
use super::unpack::{self, Batch, Unpacked, unpack};
use crate::package::{self, Package};
use crate::sources::redis::Error;
use crate::sources::redis::connect::Client;
use crate::sources::redis::psync::DEPTH;
use crate::sources::redis::rdb::{Format, shown, write};

/// Modules that servers bring along, which keep nothing outside of keys.
const BUILT_IN: [&str; 2] = ["lua", "vectorset"];

/// Types with data outside of keys that are known, and the module that reads them.
const OUTSIDE: [(&str, &str); 2] = [("ft_index0", "search"), ("scdtype00", "search")];

/// The smallest value of each module's type, and its key.
pub(super) type Samples = BTreeMap<String, (Vec<u8>, Vec<u8>)>;

/// Reads the package once without restoring anything.
pub(super) async fn survey(order: &Arc<Order>, package: &Package) -> Result<(Unpacked, Samples), Error> {
    let (pieces, receive_pieces) = mpsc::channel(DEPTH);
    let (batches, receive_batches) = mpsc::channel(BATCHES);
    let (read, unpacked, samples) = tokio::join!(
        unpack::read(package, pieces),
        unpack(receive_pieces, batches, Arc::clone(order)),
        samples(receive_batches)
    );
    match read {
        Err(error) if !matches!(error, package::Error::Visit(_)) => Err(error.into()),
        read => {
            let unpacked = unpacked?;
            read?;
            Ok((unpacked, samples))
        }
    }
}

async fn samples(mut batches: mpsc::Receiver<Batch>) -> Samples {
    let mut samples = Samples::new();
    while let Some(batch) = batches.recv().await {
        let Batch::Keys(_, parcels, _lease) = batch else { continue };
        for parcel in parcels {
            let Some(module) = parcel.key.content.module else { continue };
            let smaller = |(_, sample): &(Vec<u8>, Vec<u8>)| parcel.payload.len() < sample.len();
            if samples.get(&module).is_none_or(smaller) {
                samples.insert(module, (parcel.key.name, parcel.payload));
            }
        }
    }
    samples
}

/// Refuses a target that would not load the file: for its version, its number of databases or its modules.
pub(super) async fn refuse_unfit(
    databases: impl Iterator<Item = u64>,
    unpacked: &Unpacked,
    samples: &Samples,
    client: &mut Client,
) -> Result<(), Error> {
    refuse_version(unpacked.format, client).await?;
    for database in databases.filter(|database| *database > 0) {
        client.select(database).await.map_err(|error| no_database(client, database, error))?;
    }
    refuse_modules(&unpacked.modules, client).await?;
    for (module, (key, payload)) in samples {
        refuse_module(module, key, payload, client).await?;
    }
    Ok(())
}

/// Restores no libraries of functions in the file's version: a server that reads it does nothing, any other says so.
async fn refuse_version(format: Format, client: &mut Client) -> Result<(), Error> {
    let mut none = Vec::new();
    write::footer(format, &mut none);
    let answer: Result<(), Error> = client.run("FUNCTION RESTORE", &[&none, b"APPEND"]).await;
    let too_new = match answer {
        Err(Error::Answer { said, .. }) if super::keys::is_too_new(&said) => true,
        // A server that is full takes nothing that could be more, and still has to make room for the file.
        Err(Error::Answer { said, .. }) if said.starts_with("OOM") => {
            !reads(version_of(client).await?, format)
        }
        // Servers before 7.0 know no functions and read versions up to 9.
        Err(Error::Answer { said, .. }) if said.contains("nknown command") => format.version > 9,
        other => return other,
    };
    let (version, target) = (format.version, client.endpoint().server());
    if too_new { Err(Error::TooNew { from: "a file".to_owned(), version, target }) } else { Ok(()) }
}

/// The version that a server writes.
async fn version_of(client: &mut Client) -> Result<u32, Error> {
    let payload: Vec<u8> = client.run("FUNCTION DUMP", &[]).await?;
    let Some(footer) = payload.last_chunk::<10>() else {
        return Err(client.endpoint().refused("FUNCTION DUMP", "a payload that is too short"));
    };
    Ok(u32::from(u16::from_le_bytes([footer[0], footer[1]])))
}

/// Whether a server that writes `version` reads a file: none that is newer, and Valkey none of what Redis made of the
/// format since they parted.
fn reads(version: u32, file: Format) -> bool {
    let parted = Format::of_version(version).valkey && !file.valkey && file.version > 11;
    file.version <= version && !parted
}

fn no_database(client: &Client, database: u64, error: Error) -> Error {
    match error {
        Error::Answer { said, .. } if said.contains("out of range") => Error::Request(format!(
            "{} has no database {database}, of which the package has keys: raise `databases` there",
            client.endpoint().server()
        )),
        other => other,
    }
}

/// Fails if a module's data outside of keys has no module to go to.
async fn refuse_modules(outside: &BTreeSet<String>, client: &mut Client) -> Result<(), Error> {
    if outside.is_empty() {
        return Ok(());
    }
    let text: String = client.run("INFO modules", &[]).await?;
    let names = text.lines().filter_map(|line| line.strip_prefix("module:name=")?.split(',').next());
    let loaded: BTreeSet<&str> = names.filter(|name| !BUILT_IN.contains(name)).collect();
    for module in outside {
        let known = OUTSIDE.iter().find(|(of, _)| of == module);
        if known.map_or(loaded.is_empty(), |(_, reader)| !loaded.contains(reader)) {
            return Err(Error::ModuleAbsent { server: client.endpoint().server(), module: module.clone() });
        }
    }
    Ok(())
}

/// Restores a module's value under a name of our own and deletes it again: a server without the module refuses it.
async fn refuse_module(module: &str, key: &[u8], payload: &[u8], client: &mut Client) -> Result<(), Error> {
    let name = format!("chupacabra-{:032x}", rand::random::<u128>());
    let answer: Result<(), Error> = client.run("RESTORE", &[name.as_bytes(), b"0", payload]).await;
    match answer {
        Ok(()) => client.run::<u64>("DEL", &[name.as_bytes()]).await.map(drop),
        Err(Error::Answer { said, .. }) if said.contains("Bad data format") => Err(Error::ModuleMissing {
            server: client.endpoint().server(),
            module: module.to_owned(),
            key: shown(key),
        }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_what() {
        let file = |version| Format::of_version(version);
        for (server, version, is_read) in [
            (10, 9, true),
            (10, 10, true),
            (10, 11, false),
            (12, 80, false),
            (80, 11, true),
            (80, 12, false),
            (80, 80, true),
            (80, 81, false),
        ] {
            assert_eq!(reads(server, file(version)), is_read, "{version} by {server}");
        }
    }
}
