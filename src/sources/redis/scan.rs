//! Reading key by key with SCAN and DUMP, and writing that as an RDB file.
//!
//! For servers that forbid replicas. Each key is sound, but they are read one after the other: what is written
//! meanwhile may be in the dump or not. A key that is deleted or expires between SCAN and DUMP is left out.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::sync::mpsc;

use ::redis::Value;

use super::connect::Client;
use super::probe::{self, Info};
use super::rdb::types::opcode;
use super::rdb::{self, Format, write};
use super::{Error, Plan};
use crate::package::outlet::Closed;
use crate::sources::Missing;

/// How many keys are asked for at once.
const BATCH: u64 = 500;

/// How many times as many names are asked for where most of them are passed over.
const AHEAD: u64 = 10;

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
    /// Passes on what was collected; fails once the walker has stopped, which has the reason.
    async fn flush(&mut self) -> Result<(), Error> {
        let piece = std::mem::take(&mut self.buffer);
        self.sum.update(&piece);
        self.pieces.send(piece.into()).await.map_err(|_| Error::Closed(Closed))
    }

    async fn finish(mut self) -> Result<(), Error> {
        self.buffer.push(opcode::END);
        self.flush().await?;
        self.buffer = self.sum.finalize().to_le_bytes().to_vec();
        self.flush().await
    }
}

/// What a person should know of a dump that was read key by key.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) notes: Vec<String>,
    pub(super) missing: Vec<Missing>,
}

/// Reads everything and passes it on as an RDB stream.
///
/// All over one connection: an address may lead to several servers. Where it has to be opened again the server must be
/// the one that it was, or this fails: to another, the cursors of the first mean other keys.
pub(super) async fn scan(
    plan: &Plan,
    client: &mut Client,
    pieces: mpsc::Sender<Bytes>,
) -> Result<Scanned, Error> {
    let info = probe::info(client).await?;
    let mut notes = vec!["read key by key: not at one point in time".to_owned()];
    if !client.endpoint().stays() {
        notes.push(
            "the server does not tell its `run_id`: had another taken its place while it was read, nobody would know"
                .to_owned(),
        );
    }
    if plan.cluster_node && info.get("role").is_some_and(|role| role == "slave") {
        client.read_replica().await?;
    }
    client.read_untouched().await?;
    let together = if plan.cluster_node { Together::Each } else { Together::All };
    let mut missing = modules(client, &mut notes).await?;
    let databases = databases(client).await?;
    let (format, functions) = if let Some(found) = functions(client).await? {
        found
    } else {
        let format = format_of_keys(client, &databases).await?;
        hidden_libraries(format, &info, &mut notes, &mut missing);
        (format, Vec::new())
    };
    let sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Redis);
    let mut writer = Writer { pieces, buffer: write::header(format), sum };
    write::aux("chupacabra-mode", b"scan", &mut writer.buffer);
    writer.buffer.extend_from_slice(&functions);
    let mut gone = 0;
    for database in databases {
        client.select(database).await?;
        write::database(database, &mut writer.buffer);
        gone += read_database(client, together, format, &mut writer).await?;
    }
    // A replica that has lost its master meanwhile has shown what was once there.
    let info = probe::info(client).await?;
    probe::check_link(client.endpoint(), &info)?;
    if !client.exact_expiry {
        notes.push("expiries are exact to a second only: servers before 7.0 do not tell more".to_owned());
    }
    if gone > 0 {
        notes.push(format!("{gone} keys were deleted or expired while they were read"));
    }
    writer.finish().await?;
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

/// The libraries of functions as they stand in an RDB file, and the format that their payload is in; `None` if the
/// server does not know the command.
async fn functions(client: &mut Client) -> Result<Option<(Format, Vec<u8>)>, Error> {
    let payload: Vec<u8> = match client.run("FUNCTION DUMP", &[]).await {
        Ok(payload) => payload,
        Err(Error::NotAllowed { .. }) => return Err(client.endpoint().refused("FUNCTION DUMP", "NOPERM")),
        // A server that is loading or busy answers with another word.
        Err(Error::Answer { said, .. }) if said.starts_with("ERR ") => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some((body, footer)) = payload.split_last_chunk::<10>() else {
        let said = "a payload that is too short";
        return Err(client.endpoint().refused("FUNCTION DUMP", said));
    };
    let version = u16::from_le_bytes([footer[0], footer[1]]);
    Ok(Some((Format::of_version(u32::from(version)), body.to_vec())))
}

/// The format of a server that does not know FUNCTION, as the first key that is there has it: services hide the command
/// of newer servers too.
async fn format_of_keys(client: &mut Client, databases: &[u64]) -> Result<Format, Error> {
    for database in databases {
        client.select(*database).await?;
        if let Some(found) = first_format(client).await? {
            return Ok(found);
        }
    }
    // Functions came with 7.0, whose RDB version is 10; 6.2 writes version 9.
    Ok(Format { valkey: false, version: 9 })
}

/// Says what is known of the libraries of a server that does not know FUNCTION: since 7.0, INFO has how many there are.
fn hidden_libraries(format: Format, info: &Info, notes: &mut Vec<String>, missing: &mut Vec<Missing>) {
    match info.get("number_of_libraries").map(String::as_str) {
        Some("0") => {}
        Some(count) => missing.push(Missing {
            name: format!("{count} libraries of functions"),
            why: "the server does not know `FUNCTION DUMP`: only `mode: psync` reads them".to_owned(),
        }),
        None if format.version == 9 => notes.push("the server knows no functions".to_owned()),
        None => notes.push(
            "the server does not know `FUNCTION DUMP`: libraries of functions, if there are any, are missing"
                .to_owned(),
        ),
    }
}

/// The format of the first key of a database that is still there when it is read.
async fn first_format(client: &mut Client) -> Result<Option<Format>, Error> {
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys): (String, Vec<Vec<u8>>) = client.run("SCAN", &[cursor.as_bytes()]).await?;
        for key in keys {
            let payload: Option<Vec<u8>> = client.run("DUMP", &[&key]).await?;
            if let Some(payload) = payload {
                return Ok(Some(rdb::walk::payload(&payload)?.0));
            }
        }
        cursor = next;
        if cursor == "0" {
            return Ok(None);
        }
    }
}

/// The databases that hold keys. None is passed over because its line looks otherwise.
async fn databases(client: &mut Client) -> Result<Vec<u64>, Error> {
    let text: String = client.run("INFO keyspace", &[]).await?;
    let lines = text.lines().filter(|line| line.starts_with("db"));
    let number = |line: &str| line.strip_prefix("db")?.split(':').next()?.parse().ok();
    lines.map(|line| number(line).ok_or_else(|| client.endpoint().refused("INFO keyspace", line))).collect()
}

/// Reads one database, and returns how many keys vanished meanwhile.
async fn read_database(
    client: &mut Client,
    together: Together,
    format: Format,
    writer: &mut Writer,
) -> Result<u64, Error> {
    let mut cursor = "0".to_owned();
    let mut gone = 0;
    // While a hash table is resized, SCAN may show a key twice, and a server refuses a file in which a key stands
    // twice. So keys are remembered, by their hashes; those of a large database in several passes, each of which
    // takes a part of the keys, so that memory does not depend on their number.
    let keys: u64 = client.run("DBSIZE", &[]).await?;
    let passes = keys / REMEMBERED + 1;
    let count = (BATCH * passes.min(AHEAD)).to_string();
    let passes = u128::from(passes);
    for pass in 0..passes {
        let mut seen: HashSet<u128> = HashSet::new();
        loop {
            let (next, mut keys): (String, Vec<Vec<u8>>) =
                client.run("SCAN", &[cursor.as_bytes(), b"COUNT", count.as_bytes()]).await?;
            keys.retain(|key| {
                let hash = xxhash_rust::xxh3::xxh3_128(key);
                hash % passes == pass && seen.insert(hash)
            });
            gone += read_keys(client, together, format, &keys, writer).await?;
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
    together: Together,
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
            gone += read_batch(client, together, format, &keys[start..at], writer).await?;
            (start, sum) = (at, 0);
        }
        sum += size;
    }
    Ok(gone + read_batch(client, together, format, &keys[start..], writer).await?)
}

async fn read_batch(
    client: &mut Client,
    together: Together,
    format: Format,
    keys: &[Vec<u8>],
    writer: &mut Writer,
) -> Result<u64, Error> {
    if keys.is_empty() {
        return Ok(0);
    }
    let mut gone = 0;
    for (name, answers) in keys.iter().zip(fetch(client, keys, together).await?) {
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
            writer.flush().await?;
        }
    }
    Ok(gone)
}

/// The server's clock, in milliseconds since 1970.
pub(super) async fn server_time(client: &mut Client) -> Result<i64, Error> {
    let time: Value = client.run("TIME", &[]).await?;
    milliseconds(client, Some(time))
}

fn milliseconds(client: &Client, time: Option<Value>) -> Result<i64, Error> {
    let parts = time.and_then(|time| ::redis::from_redis_value::<(i64, i64)>(time).ok());
    let (seconds, micros) =
        parts.ok_or_else(|| client.endpoint().refused("TIME", "something that is no time"))?;
    Ok(seconds * 1_000 + micros / 1_000)
}

/// A key's payload and absolute expiry; `None` if the key is gone.
pub(super) type Fetched = Option<(Vec<u8>, Option<i64>)>;

/// Which of the keys that are fetched are read at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    /// None, not even a key's value and expiry: nobody writes.
    None,
    /// Each for itself: a cluster's node takes no transaction over keys of several slots.
    Each,
    /// All of them.
    All,
}

/// Fetches payloads and expiries.
pub(super) async fn fetch(
    client: &mut Client,
    keys: &[Vec<u8>],
    together: Together,
) -> Result<Vec<Fetched>, Error> {
    let answers = client.pipe("DUMP", &questions(keys, together, client.exact_expiry)).await?;
    let refused = answers.iter().find_map(|answer| match answer {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    if let Some(error) = refused {
        let said = format!("{} {}", error.code(), error.details().unwrap_or_default());
        if client.exact_expiry && said.contains("nknown command") && said.contains("PEXPIRETIME") {
            client.exact_expiry = false;
            return Box::pin(fetch(client, keys, together)).await;
        }
        return Err(client.endpoint().refused("DUMP", &said));
    }
    let mut answers = flat(answers, together, client.exact_expiry);
    let base = if client.exact_expiry { 0 } else { milliseconds(client, answers.pop())? };
    let mut fetched = Vec::with_capacity(keys.len());
    let mut answers = answers.into_iter();
    while let (Some(payload), Some(expiry)) = (answers.next(), answers.next()) {
        fetched.push(match (payload, expiry) {
            // That a key is not there may be found out between the two questions.
            (Value::Nil, _) | (Value::BulkString(_), Value::Int(-2)) => None,
            (Value::BulkString(payload), Value::Int(at)) => Some((payload, (at >= 0).then_some(base + at))),
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

/// What is asked for keys: payload and expiry of each; and, of a server that tells how long a key still lives, from when.
fn questions(keys: &[Vec<u8>], together: Together, exact_expiry: bool) -> ::redis::Pipeline {
    // Not the crate's own transaction: version 1.8 panics when MULTI is refused.
    let mut pipeline = ::redis::pipe();
    if together == Together::All {
        pipeline.cmd("MULTI");
    }
    for key in keys {
        if together == Together::Each {
            pipeline.cmd("MULTI");
        }
        pipeline.cmd("DUMP").arg(key).cmd(if exact_expiry { "PEXPIRETIME" } else { "PTTL" }).arg(key);
        if together == Together::Each {
            pipeline.cmd("EXEC");
        }
    }
    // In the same breath: the answers before it may be large, and take their time to arrive.
    if !exact_expiry {
        pipeline.cmd("TIME");
    }
    if together == Together::All {
        pipeline.cmd("EXEC");
    }
    pipeline
}

/// The answers to [`questions`] one by one, without those of transactions.
fn flat(mut answers: Vec<Value>, together: Together, exact_expiry: bool) -> Vec<Value> {
    let of_transaction = |answer| match answer {
        Value::Array(answers) => answers,
        _ => Vec::new(),
    };
    match together {
        Together::None => answers,
        Together::All => answers.pop().map(of_transaction).unwrap_or_default(),
        Together::Each => {
            let time = if exact_expiry { None } else { answers.pop() };
            answers.into_iter().flat_map(of_transaction).chain(time).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody reads a server to its end for a package that is no more.
    #[tokio::test]
    async fn whoever_reads_ends_with_the_walker() {
        let (pieces, mut walker) = mpsc::channel(2);
        let sum = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Redis);
        let mut writer = Writer { pieces, buffer: vec![1], sum };
        assert!(writer.flush().await.is_ok());
        assert_eq!(walker.recv().await.as_deref(), Some(&[1][..]));
        drop(walker);
        assert!(matches!(writer.flush().await, Err(Error::Closed(_))));
        assert!(matches!(writer.finish().await, Err(Error::Closed(_))));
    }

    #[test]
    fn libraries_that_are_hidden_are_missing_if_the_server_counts_them() {
        let said = |version, count: Option<&str>| {
            let (mut notes, mut missing) = (Vec::new(), Vec::new());
            let count = count.map(|count| ("number_of_libraries".to_owned(), count.to_owned()));
            let info = Info::from_iter(count);
            hidden_libraries(Format { valkey: false, version }, &info, &mut notes, &mut missing);
            (notes.concat(), missing.iter().map(|missing| missing.name.clone()).collect::<String>())
        };
        let unknown =
            "the server does not know `FUNCTION DUMP`: libraries of functions, if there are any, are missing";
        assert_eq!(said(10, None), (unknown.to_owned(), String::new()));
        assert_eq!(said(9, None), ("the server knows no functions".to_owned(), String::new()));
        assert_eq!(said(10, Some("0")), (String::new(), String::new()));
        assert_eq!(said(10, Some("2")), (String::new(), "2 libraries of functions".to_owned()));
    }

    #[test]
    fn answers_come_one_by_one_from_whatever_transactions() {
        let pair = || vec![Value::BulkString(b"v".to_vec()), Value::Int(5)];
        let time = || Value::Array(vec![Value::BulkString(b"7".to_vec()), Value::BulkString(b"8".to_vec())]);
        let each = |exact: bool| {
            let one = [Value::Okay, Value::Okay, Value::Okay, Value::Array(pair())];
            let time = (!exact).then(time);
            [one.clone(), one].concat().into_iter().chain(time).collect::<Vec<Value>>()
        };
        for exact in [true, false] {
            let expected: Vec<Value> =
                [pair(), pair()].concat().into_iter().chain((!exact).then(time)).collect();
            assert_eq!(flat(expected.clone(), Together::None, exact), expected);
            let all = vec![Value::Okay, Value::Array(expected.clone())];
            assert_eq!(flat(all, Together::All, exact), expected);
            assert_eq!(flat(each(exact), Together::Each, exact), expected);
        }
        let keys = [b"a".to_vec(), b"b".to_vec()];
        assert_eq!(questions(&keys, Together::Each, true).len(), 8);
        assert_eq!(questions(&keys, Together::All, false).len(), 7);
    }
}
