//! Reading key by key with SCAN and DUMP, and writing that as an RDB file.
//!
//! For servers that forbid replicas. Each key is sound, but they are read one after the other: what is written
//! meanwhile may be in the dump or not. A key that is deleted or expires between SCAN and DUMP is left out.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::sync::mpsc;

use ::redis::Value;

use super::Error;
use super::connect::{Client, Endpoint};
use super::rdb::types::opcode;
use super::rdb::{self, Format, write};
use crate::sources::Missing;

/// How many keys are asked for at once.
const BATCH: usize = 500;

/// How many bytes of values are asked for at once; a larger value is asked for alone.
const BYTES: u64 = 1 << 20;

/// How many keys are remembered at once, at about 35 bytes each.
const REMEMBERED: u64 = 400_000;

/// Bytes that are collected before they are passed on.
const PIECE: usize = 256 << 10;

/// Writes the stream, and its checksum at the end.
struct Writer {
    pieces: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
    sum: crc_fast::Digest,
}

impl Writer {
    async fn flush(&mut self) {
        let piece = std::mem::take(&mut self.buffer);
        self.sum.update(&piece);
        // The walker has stopped: it has the reason.
        let _ = self.pieces.send(piece.into()).await;
    }

    async fn finish(mut self) {
        self.buffer.push(opcode::END);
        self.flush().await;
        let sum = self.sum.finalize();
        let _ = self.pieces.send(sum.to_le_bytes().to_vec().into()).await;
    }
}

/// What a person should know of a dump that was read key by key.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) notes: Vec<String>,
    pub(super) missing: Vec<Missing>,
}

/// Reads everything and passes it on as an RDB stream.
pub(super) async fn scan(endpoint: &Endpoint, pieces: mpsc::Sender<Bytes>) -> Result<Scanned, Error> {
    let mut client = Client::open(endpoint, 0).await?;
    let mut notes = vec!["read key by key: not at one point in time".to_owned()];
    let missing = modules(&mut client, &mut notes).await?;
    let (format, functions) = functions(&mut client, &mut notes).await?;
    let sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Redis);
    let mut writer = Writer { pieces, buffer: write::header(format), sum };
    write::aux("chupacabra-mode", b"scan", &mut writer.buffer);
    writer.buffer.extend_from_slice(&functions);
    let (mut gone, mut exact) = (0, true);
    for database in databases(&mut client).await? {
        let mut client = Client::open(endpoint, database).await?;
        write::database(database, &mut writer.buffer);
        gone += read_database(&mut client, format, &mut writer).await?;
        exact &= client.exact_expiry;
    }
    if !exact {
        notes.push("expiries are exact to a second only: servers before 7.0 do not tell more".to_owned());
    }
    if gone > 0 {
        notes.push(format!("{gone} keys were deleted or expired while they were read"));
    }
    writer.finish().await;
    Ok(Scanned { notes, missing })
}

/// What modules keep outside of keys is in a snapshot and cannot be read key by key: names the modules, and says what
/// is missing of the one that is known to keep something there.
async fn modules(client: &mut Client, notes: &mut Vec<String>) -> Result<Vec<Missing>, Error> {
    let text: String = client.run("INFO modules", &[]).await?;
    let names = text.lines().filter_map(|line| line.strip_prefix("module:name=")?.split(',').next());
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all = names.join(", ");
    notes.push(format!("what modules keep outside of keys cannot be read key by key; loaded are {all}"));
    let search = names.iter().filter(|name| **name == "search");
    let why = "they are no keys: only `mode: psync` reads them".to_owned();
    Ok(search
        .map(|_| Missing { name: "definitions of search indexes".to_owned(), why: why.clone() })
        .collect())
}

/// The libraries of functions as they stand in an RDB file, and the format that their payload is in.
async fn functions(client: &mut Client, notes: &mut Vec<String>) -> Result<(Format, Vec<u8>), Error> {
    let payload: Vec<u8> = match client.run("FUNCTION DUMP", &[]).await {
        Ok(payload) => payload,
        Err(Error::NotAllowed { .. }) => return Err(client.endpoint().refused("FUNCTION DUMP", "NOPERM")),
        // Functions came with 7.0, whose RDB version is 10; 6.2 writes version 9.
        Err(Error::Answer { .. }) => {
            notes.push("the server knows no functions".to_owned());
            return Ok((Format { valkey: false, version: 9 }, Vec::new()));
        }
        Err(error) => return Err(error),
    };
    let Some((body, footer)) = payload.split_last_chunk::<10>() else {
        let said = "a payload that is too short";
        return Err(client.endpoint().refused("FUNCTION DUMP", said));
    };
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    Ok((Format::of_version(u32::from(version)), body.to_vec()))
}

/// The databases that hold keys. None is passed over because its line looks otherwise.
async fn databases(client: &mut Client) -> Result<Vec<u64>, Error> {
    let text: String = client.run("INFO keyspace", &[]).await?;
    let lines = text.lines().filter(|line| line.starts_with("db"));
    let number = |line: &str| line.strip_prefix("db")?.split(':').next()?.parse().ok();
    lines.map(|line| number(line).ok_or_else(|| client.endpoint().refused("INFO keyspace", line))).collect()
}

/// Reads one database, and returns how many keys vanished meanwhile.
async fn read_database(client: &mut Client, format: Format, writer: &mut Writer) -> Result<u64, Error> {
    let mut cursor = "0".to_owned();
    let mut gone = 0;
    // While a hash table is resized, SCAN may show a key twice, and a server refuses a file in which a key stands
    // twice. So keys are remembered, by their hashes; those of a large database in several passes, each of which
    // takes a part of the keys, so that memory does not depend on their number.
    let keys: u64 = client.run("DBSIZE", &[]).await?;
    let passes = u128::from(keys / REMEMBERED + 1);
    for pass in 0..passes {
        let mut seen: HashSet<u128> = HashSet::new();
        loop {
            let count = BATCH.to_string();
            let (next, mut keys): (String, Vec<Vec<u8>>) =
                client.run("SCAN", &[cursor.as_bytes(), b"COUNT", count.as_bytes()]).await?;
            keys.retain(|key| {
                let hash = xxhash_rust::xxh3::xxh3_128(key);
                hash % passes == pass && seen.insert(hash)
            });
            gone += read_keys(client, format, &keys, writer).await?;
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
    }
    Ok(gone)
}

/// Reads keys, so many at a time that their values fit into memory.
async fn read_keys(
    client: &mut Client,
    format: Format,
    keys: &[Vec<u8>],
    writer: &mut Writer,
) -> Result<u64, Error> {
    let mut pipeline = ::redis::pipe();
    for key in keys {
        pipeline.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let mut sizes = Vec::with_capacity(keys.len());
    if !keys.is_empty() {
        for answer in client.pipe("MEMORY USAGE", &pipeline).await? {
            sizes.push(match answer {
                Value::Int(bytes) => u64::try_from(bytes).unwrap_or(0),
                Value::Nil => 0,
                // Where the size is not told, each key is asked for alone.
                _ => BYTES,
            });
        }
    }
    let (mut gone, mut start, mut sum) = (0, 0, 0);
    for (at, size) in sizes.iter().enumerate() {
        if at > start && sum + size > BYTES {
            gone += read_batch(client, format, &keys[start..at], writer).await?;
            (start, sum) = (at, 0);
        }
        sum += size;
    }
    Ok(gone + read_batch(client, format, &keys[start..], writer).await?)
}

async fn read_batch(
    client: &mut Client,
    format: Format,
    keys: &[Vec<u8>],
    writer: &mut Writer,
) -> Result<u64, Error> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut gone = 0;
    for (name, answers) in keys.iter().zip(fetch(client, keys, true).await?) {
        let Some((payload, expires)) = answers else {
            gone += 1;
            continue;
        };
        // Checks the payload's own checksum and form before it goes into the file.
        let (found, code, _) = rdb::walk::payload(&payload)?;
        if found != format {
            let said = format!("payloads of RDB versions {} and {}", found.version, format.version);
            return Err(client.endpoint().refused("DUMP", &said));
        }
        write::key(name, expires, code, &payload[1..payload.len() - 10], &mut writer.buffer);
        if writer.buffer.len() >= PIECE {
            writer.flush().await;
        }
    }
    Ok(gone)
}

/// The server's clock, in milliseconds since 1970.
async fn server_time(client: &mut Client) -> Result<i64, Error> {
    let (seconds, micros): (i64, i64) = client.run("TIME", &[]).await?;
    Ok(seconds * 1_000 + micros / 1_000)
}

/// A key's payload and absolute expiry; `None` if the key is gone.
pub(super) type Fetched = Option<(Vec<u8>, Option<i64>)>;

/// Fetches payloads and expiries; as one transaction, if somebody may write in between.
pub(super) async fn fetch(
    client: &mut Client,
    keys: &[Vec<u8>],
    transaction: bool,
) -> Result<Vec<Fetched>, Error> {
    let expiry = if client.exact_expiry { "PEXPIRETIME" } else { "PTTL" };
    let mut pipeline = ::redis::pipe();
    // Not the crate's own transaction: version 1.8 panics when MULTI is refused.
    if transaction {
        pipeline.cmd("MULTI");
    }
    for key in keys {
        pipeline.cmd("DUMP").arg(key).cmd(expiry).arg(key);
    }
    if transaction {
        pipeline.cmd("EXEC");
    }
    let mut answers = client.pipe("DUMP", &pipeline).await?;
    let refused = answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    if let Some(error) = refused {
        let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
        if client.exact_expiry && said.contains("nknown command") && said.contains("PEXPIRETIME") {
            client.exact_expiry = false;
            return Box::pin(fetch(client, keys, transaction)).await;
        }
        return Err(client.endpoint().refused("DUMP", &said));
    }
    let base = if client.exact_expiry { 0 } else { server_time(client).await? };
    if transaction {
        answers = match answers.pop() {
            Some(Value::Array(answers)) => answers,
            _ => return Err(client.endpoint().refused("EXEC", "something that is no transaction's answer")),
        };
    }
    let mut fetched = Vec::with_capacity(keys.len());
    let mut answers = answers.into_iter();
    while let (Some(payload), Some(expiry)) = (answers.next(), answers.next()) {
        fetched.push(match (payload, expiry) {
            (Value::BulkString(payload), Value::Int(at)) => Some((payload, (at >= 0).then_some(base + at))),
            (Value::Nil, _) => None,
            (Value::ServerError(error), _) | (_, Value::ServerError(error)) => {
                let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
                return Err(client.endpoint().refused("DUMP", &said));
            }
            _ => return Err(client.endpoint().refused("DUMP", "something that is no payload")),
        });
    }
    if fetched.len() == keys.len() {
        Ok(fetched)
    } else {
        Err(client.endpoint().refused("DUMP", "fewer answers than questions"))
    }
}
