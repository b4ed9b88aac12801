//! The restored content against the fingerprints of the dump.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use super::super::catalog::{self, Table, TableKind};
use super::super::config::Plan;
use super::super::connect::Session;
use super::super::history::Ends;
use super::super::{fingerprint, ranges, select, sql};
use super::Error;
use super::wanted::{Wanted, split};
use crate::package::digest::Fingerprint;

/// An object of the index: its encoded name, its kind and its fingerprint.
type Object<'a> = (&'a String, &'a (String, Fingerprint));

/// How a server keeps names of databases and tables: 1 means in lower case, whatever they were given as.
const FOLDS: &str = "SELECT @@lower_case_table_names";

/// The queries that read one object's rows.
struct Reading {
    doing: String,
    queries: Vec<String>,
    columns: usize,
}

/// One query of one object; the number says of which.
struct Piece {
    object: usize,
    doing: String,
    query: String,
    columns: usize,
}

/// What a comparison found, if it found no difference.
pub(super) struct Compared {
    /// How many objects are as they were.
    pub(super) alike: usize,
    /// Whether the server keeps all names in lower case.
    pub(super) folds: bool,
    /// Sessions with the settings under which dumps read.
    pub(super) sessions: Vec<Session>,
}

/// Reads every wanted object again and compares.
///
/// The sessions are those that loaded: since then the user that they belong to may have another password.
pub(super) async fn compare(
    plan: &Plan,
    mut sessions: Vec<Session>,
    wanted: &Wanted,
    objects: &[Object<'_>],
) -> Result<Compared, Error> {
    for session in &mut sessions {
        session.read(plan).await?;
    }
    let control = sessions.first_mut().ok_or(Error::Stopped)?;
    let folds = control.count("cannot read lower_case_table_names", FOLDS).await? == 1;
    let mut pieces = VecDeque::new();
    for (object, (name, (kind, _))) in objects.iter().enumerate() {
        let (database, table) = split(name);
        let database = wanted.database_name(&database);
        let (database, table) =
            if folds { (database.to_lowercase(), table.to_lowercase()) } else { (database, table) };
        let reading = queries(control, &database, &table, kind).await?;
        let Reading { doing, queries, columns } = reading;
        pieces.extend(queries.into_iter().map(|query| Piece {
            object,
            doing: doing.clone(),
            query,
            columns,
        }));
    }
    let (found, sessions) = read(sessions, pieces, objects.len()).await?;
    let differing: Vec<String> = objects
        .iter()
        .zip(&found)
        .filter(|((_, (_, expected)), found)| expected != *found)
        .map(|((name, (_, expected)), found)| format!("{name} has {found} instead of {expected}"))
        .collect();
    if differing.is_empty() {
        Ok(Compared { alike: objects.len(), folds, sessions })
    } else {
        Err(Error::Mismatch(differing.join("; ")))
    }
}

/// The queries that read an object's rows, and what they are for.
async fn queries(control: &mut Session, database: &str, name: &str, kind: &str) -> Result<Reading, Error> {
    let doing = format!("cannot compare {database}.{name}");
    if kind == "sequence" {
        let queries = vec![format!("SELECT * FROM {}", sql::qualified(database, name))];
        return Ok(Reading { doing, queries, columns: usize::MAX });
    }
    let ends = Ends::of(control, kind).await?;
    let history = ends.is_some();
    let query = format!(
        "SELECT TABLE_NAME, COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        sql::literal(database),
        sql::literal(name)
    );
    let rows = control.rows(&doing, query).await?;
    let bytes = rows.into_iter().find(|row| catalog::text(row[0].clone()) == name);
    let Some(bytes) = bytes.map(|row| catalog::text(row[1].clone())) else {
        return Err(Error::Mismatch(format!("{database}.{name} is not there")));
    };
    let table = Table {
        database: database.to_owned(),
        name: name.to_owned(),
        kind: TableKind::Base,
        engine: String::new(),
        transactional: true,
        bytes: bytes.parse().unwrap_or(0),
    };
    let columns = catalog::columns(control, database, name).await?;
    let conditions = ranges::of(control, &table, &columns, history).await?;
    let columns = select::selected(&table, &columns, ends)?;
    let queries = conditions.iter().map(|condition| select::query(&table, &columns, history, condition));
    Ok(Reading { doing, queries: queries.collect(), columns: columns.len() })
}

/// Reads all pieces over all sessions; the fingerprints in the order of the objects.
async fn read(
    sessions: Vec<Session>,
    pieces: VecDeque<Piece>,
    objects: usize,
) -> Result<(Vec<Fingerprint>, Vec<Session>), Error> {
    let queue = Arc::new(Mutex::new(pieces));
    let mut tasks = JoinSet::<Result<(Vec<(usize, Fingerprint)>, Session), Error>>::new();
    for mut session in sessions {
        let queue = Arc::clone(&queue);
        tasks.spawn(async move {
            let mut found = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(Piece { object, doing, query, columns }) = next else { break };
                found.push((object, fingerprint::read(&mut session, &doing, &query, columns).await?));
            }
            Ok((found, session))
        });
    }
    let (mut all, mut sessions) = (vec![Fingerprint::default(); objects], Vec::new());
    while let Some(done) = tasks.join_next().await {
        let (found, session) = done.map_err(|_| Error::Stopped)??;
        for (at, part) in found {
            all[at].merge(part);
        }
        sessions.push(session);
    }
    Ok((all, sessions))
}
