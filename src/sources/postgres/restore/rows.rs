//! Loads rows: members go to whichever connection is free.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::super::script::{self, Kind};
use super::super::session::Session;
use super::super::{Error, paths};
use super::{Task, load};
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::package::{Package, Selection, Visitor};

/// Rows are sent in pieces of this many bytes.
const PIECE: usize = 256 << 10;

type Member = (String, Vec<u8>);

/// The statement that loaded each table, by the table's name in blocks.
pub(in crate::sources::postgres) type Loaded = BTreeMap<String, String>;

/// Loads the rows of one database over several connections.
pub(super) async fn load(
    package: &Package,
    task: &Task,
    options: &PgConnectOptions,
    database: &str,
) -> Result<Loaded, Error> {
    let (send, receive) = mpsc::channel::<Member>(1);
    let receive = Arc::new(Mutex::new(receive));
    let mut workers = JoinSet::new();
    for _ in 0..task.jobs {
        workers.spawn(worker(options.clone(), task.clone(), Arc::clone(&receive)));
    }
    // The workers hold the only receivers, so that the reader ends when they have failed.
    drop(receive);
    let prefix = format!("db/{}/2-data/", paths::component(database));
    let wanted = task.clone();
    let selection = Selection::Where(Box::new(move |entry: &Entry| takes(&wanted, &prefix, &entry.path)));
    let read = async {
        let result = package.read(selection, Hand(send)).await.map(drop);
        result.map_err(Error::from)
    };
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
    // A failed connection makes the reader fail too; the connection's error is the one to tell.
    let (read, work) = tokio::join!(read, work);
    let loaded = work?;
    read.map(|()| loaded)
}

/// Whether a member's rows are wanted. Sequences and large objects stand in members of their own.
fn takes(task: &Task, prefix: &str, path: &[u8]) -> bool {
    let Some(name) = std::str::from_utf8(path).ok().and_then(|path| path.strip_prefix(prefix)) else {
        return false;
    };
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
    members: Arc<Mutex<mpsc::Receiver<Member>>>,
) -> Result<Loaded, Error> {
    let mut session = Session::open(&options).await?;
    // A server that crashes now costs the whole restore in any case. The statistics at the end are committed
    // synchronously, and with them everything before.
    session.execute("SET synchronous_commit = off").await?;
    let mut loaded = Loaded::new();
    loop {
        let Some((path, bytes)) = members.lock().await.recv().await else { break };
        if let Err(error) = member(&mut session, &task, &path, &bytes, &mut loaded).await {
            session.abandon().await;
            return Err(error.at(path));
        }
    }
    session.close().await;
    Ok(loaded)
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
