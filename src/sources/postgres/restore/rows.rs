//! Loads rows: members go to whichever connection is free, if possible one of another table than those of the others.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use futures_util::future;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::super::script::{self, Kind};
use super::super::session::{Session, is_unknown};
use super::super::{Error, paths};
use super::{Task, load};
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// Rows are sent in pieces of this many bytes.
const PIECE: usize = 256 << 10;
/// The package is read from so many places at once. Connections that load the same table wait for each other whenever
/// the server makes it longer, and two halves of a package seldom hold the same table.
const PARTS: usize = 2;

type Member = (String, Vec<u8>);

/// What each reading of the package hands over.
type Queues = Arc<Vec<Mutex<mpsc::Receiver<Member>>>>;

/// The statement that loaded each table, by the table's name in blocks.
pub(in crate::sources::postgres) type Loaded = BTreeMap<String, String>;

/// Loads the rows of one database, of which the package has so many bytes, over several connections.
pub(super) async fn load(
    package: &Package,
    task: &Task,
    options: &PgConnectOptions,
    database: &str,
    bytes: u64,
) -> Result<Loaded, Error> {
    let parts = PARTS.min(task.jobs);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..parts).map(|_| mpsc::channel::<Member>(1)).unzip();
    let queues: Queues = Arc::new(receivers.into_iter().map(Mutex::new).collect());
    let mut workers = JoinSet::new();
    for number in 0..task.jobs {
        workers.spawn(worker(options.clone(), task.clone(), Arc::clone(&queues), number % parts));
    }
    // The workers hold the only receivers, so that the readers end when they have failed.
    drop(queues);
    let size = (bytes / parts as u64).max(1);
    let reads = senders.into_iter().enumerate().map(|(part, send)| {
        let selection = Selection::Where(part_of(task, database, part as u64, parts as u64, size));
        async { package.read(selection, Hand(send)).await.map(drop).map_err(Error::from) }
    });
    let read = future::try_join_all(reads);
    let work = async {
        let mut loaded = Loaded::new();
        while let Some(done) = workers.join_next().await {
            match done.map_err(|_| Error::Stopped).and_then(|done| done) {
                Ok(part) => loaded.extend(part),
                Err(error) => {
                    workers.shutdown().await;
                    return Err(error);
                }
            }
        }
        Ok(loaded)
    };
    // A failed connection makes the readers fail too; the connection's error is the one to tell.
    let (read, work) = tokio::join!(read, work);
    let loaded = work?;
    read.map(|_| loaded)
}

/// Picks the wanted members among those that begin in one part of a database's rows. The last part has no end.
fn part_of(
    task: &Task,
    database: &str,
    part: u64,
    parts: u64,
    size: u64,
) -> Box<dyn FnMut(&Entry) -> bool + Send> {
    let (task, prefix, mut passed) = (task.clone(), paths::rows(database), 0);
    Box::new(move |entry| {
        let Some(name) = std::str::from_utf8(&entry.path).ok().and_then(|path| path.strip_prefix(&prefix))
        else {
            return false;
        };
        let here = (passed / size).min(parts - 1) == part;
        passed += entry.size;
        here && takes(&task, name)
    })
}

/// Whether a member's rows are wanted. Sequences and large objects stand in members of their own.
fn takes(task: &Task, name: &str) -> bool {
    let mut parts = name.split('.');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(schema), Some(table), Some(_), Some("sql")) => task.takes(&format!("{schema}.{table}")),
        (Some("sequences"), ..) => true,
        _ => task.only.is_empty(),
    }
}

/// Passes members on.
struct Hand(mpsc::Sender<Member>);

impl Visitor for Hand {
    fn member(&mut self, entry: &Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut bytes = Vec::with_capacity(usize::try_from(entry.size).unwrap_or(0));
        content.read_to_end(&mut bytes)?;
        self.0.blocking_send((String::from_utf8_lossy(&entry.path).into_owned(), bytes))?;
        Ok(())
    }
}

async fn worker(
    options: PgConnectOptions,
    task: Task,
    queues: Queues,
    first: usize,
) -> Result<Loaded, Error> {
    let mut session = open(&options).await?;
    let mut loaded = Loaded::new();
    loop {
        let Some((path, bytes)) = next(&queues, first).await else { break };
        let mut done = member(&mut session, &task, &path, &bytes, &mut loaded).await;
        if done.as_ref().is_err_and(is_unknown) {
            // A check or a generated column calls a function which names others without a schema. Nothing of the member
            // is there yet, because its rows are one statement.
            session.abandon().await;
            session = open(&options).await?;
            session.own_names().await?;
            tracing::info!(member = path, "rows call functions that need the database's own search_path");
            done = member(&mut session, &task, &path, &bytes, &mut loaded).await;
        }
        if let Err(error) = done {
            session.abandon().await;
            return Err(error.at(path));
        }
    }
    session.close().await;
    Ok(loaded)
}

/// A connection that loads rows.
async fn open(options: &PgConnectOptions) -> Result<Session, Error> {
    let mut session = Session::open(options).await?;
    session.own_times().await?;
    // A server that crashes now costs the whole restore in any case. The statistics at the end are committed
    // synchronously, and with them everything before.
    session.execute("SET synchronous_commit = off").await?;
    Ok(session)
}

/// The next member of a worker's own part of the package or, when that is done, of another's.
async fn next(queues: &Queues, first: usize) -> Option<Member> {
    for queue in queues[first..].iter().chain(&queues[..first]) {
        if let Some(member) = queue.lock().await.recv().await {
            return Some(member);
        }
    }
    None
}

async fn member(
    session: &mut Session,
    task: &Task,
    path: &str,
    bytes: &[u8],
    loaded: &mut Loaded,
) -> Result<(), Error> {
    for block in script::blocks(bytes) {
        let block =
            block.map_err(|error| Error::Member { member: path.to_owned(), why: error.to_string() })?;
        match block.kind {
            Kind::Copy => {
                copy(session, path, block.statements, block.data).await?;
                loaded.insert(block.relation, String::from_utf8_lossy(block.statements).into_owned());
            }
            Kind::Value if task.takes(&block.relation) => load::run(session, block.statements).await?,
            Kind::Set => load::run(session, block.statements).await?,
            _ => {}
        }
    }
    Ok(())
}

/// Sends the rows of one block. After an error the session must not be used again.
async fn copy(session: &mut Session, path: &str, statement: &[u8], data: &[u8]) -> Result<(), Error> {
    let broken = |why: &str| Error::Member { member: path.to_owned(), why: why.to_owned() };
    let statement = std::str::from_utf8(statement).map_err(|_| broken("the table's name is not UTF-8"))?;
    let rows = data.strip_suffix(b"\\.\n").ok_or_else(|| broken("the rows have no end"))?;
    let mut stream = session.connection().copy_in_raw(statement).await?;
    for piece in rows.chunks(PIECE) {
        stream.send(piece).await?;
    }
    let loaded = stream.finish().await?;
    let sent = lines(rows);
    if loaded == sent { Ok(()) } else { Err(broken(&format!("{sent} rows sent, {loaded} loaded"))) }
}

/// How many lines end in these bytes.
fn lines(rows: &[u8]) -> u64 {
    // Within one byte the sum of a short piece cannot overflow, and so it is added up for many bytes at once.
    let of = |piece: &[u8]| u64::from(piece.iter().map(|byte| u8::from(*byte == b'\n')).sum::<u8>());
    rows.chunks(128).map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        assert_eq!(lines(b""), 0);
        assert_eq!(lines(b"a\nb\n\n"), 3);
        assert_eq!(lines(&[b'\n'; 1_000]), 1_000);
        assert_eq!(lines(&[b'x'; 1_000]), 0);
    }
}
