//! The members of a package on their way into the target.
//!
//! A member of rows goes to whichever connection is free. Every other member waits until all rows before it are in,
//! and goes over the one connection that keeps the order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::config::Plan;
use super::super::connect::Session;
use super::super::schema::DEFAULTS;
use super::super::script::{self, Label, Statement};
use super::super::sql;
use super::replace::replacing;
use super::server::{self, Server};
use super::target::decoded;
use super::wanted::{Wanted, split};
use super::{Error, packet};
use crate::package::Visitor;
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::open::VisitError;
use crate::report::chain;

/// The charset of scripts, as their preamble sets it, and the one under which those that are ASCII are read.
const AS_WRITTEN: &str = "SET NAMES utf8mb4";
const ONE_BYTE_EACH: &str = "SET NAMES latin1";

/// Server errors that mean: something that a statement names is not there.
const ABSENT: [u16; 6] = [
    1049, // ER_BAD_DB_ERROR
    1054, // ER_BAD_FIELD_ERROR
    1146, // ER_NO_SUCH_TABLE
    1305, // ER_SP_DOES_NOT_EXIST
    1356, // ER_VIEW_INVALID
    4091, // ER_UNKNOWN_SEQUENCES
];

/// What the definition of a table has whose engine takes rows in the order of their unique numbers only.
const ARCHIVE: &[u8] = b"\n) ENGINE=ARCHIVE";

/// How much is told of a grant that the server refuses, in characters.
const TOLD: usize = 120;

/// The labels of statements that make nothing of their own.
const UNCOUNTED: [&str; 2] = ["placeholder", DEFAULTS];

/// A member out of the package.
pub(super) struct Member {
    /// Its path.
    pub(super) path: String,
    object: String,
    data: Vec<u8>,
}

/// Takes members from the package's thread.
pub(super) struct Members(mpsc::Sender<Member>);

impl Members {
    /// The two ends; as many members wait as there are connections to take them.
    pub(super) fn new(connections: usize) -> (Self, mpsc::Receiver<Member>) {
        let (send, receive) = mpsc::channel(connections.max(1));
        (Self(send), receive)
    }
}

impl Visitor for Members {
    fn member(&mut self, entry: &Entry, header: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        let mut data = Vec::with_capacity(usize::try_from(header.size).unwrap_or(0));
        content.read_to_end(&mut data)?;
        let path = String::from_utf8_lossy(&header.path).into_owned();
        let member = Member { path, object: entry.object.clone(), data };
        self.0.blocking_send(member).map_err(|_| "the restore has ended".into())
    }
}

/// Loads members.
pub(super) struct Loader {
    control: Session,
    free: Vec<Session>,
    busy: JoinSet<Result<(Session, u64), Error>>,
    shared: Arc<Shared>,
    counts: BTreeMap<String, u64>,
    bytes: u64,
    /// What could not be made because the server refused it, and what that said.
    unmade: Vec<(Option<Label>, String)>,
    /// The tables that take rows in their order only, by encoded name.
    ordered: BTreeSet<String>,
    /// The statement that gives a database in use its own collation back, while it has that of an object being made.
    lent: Option<String>,
}

struct Shared {
    wanted: Arc<Wanted>,
    packet: usize,
}

impl Loader {
    /// Opens the connections, all of them now: a restored user may have another password.
    pub(super) async fn new(plan: &Plan, server: Server, wanted: Arc<Wanted>) -> Result<Self, Error> {
        let mut free = Vec::new();
        for _ in 0..plan.connections {
            free.push(server::session(plan).await?);
        }
        let shared = Arc::new(Shared { wanted, packet: server.packet });
        Ok(Self {
            control: server.control,
            free,
            busy: JoinSet::new(),
            shared,
            counts: BTreeMap::new(),
            bytes: 0,
            unmade: Vec::new(),
            ordered: BTreeSet::new(),
            lent: None,
        })
    }

    /// Loads members until the last has arrived and is in. Events only if it is their turn: they may change rows.
    pub(super) async fn run(
        &mut self,
        mut members: mpsc::Receiver<Member>,
        events: bool,
    ) -> Result<(), Error> {
        while let Some(member) = members.recv().await {
            if is_of_events(&member.path) && !events {
                continue;
            }
            if member.path.contains("/2-data/") {
                if self.ordered.contains(&member.object) {
                    self.settle().await?;
                }
                let session = self.session().await?;
                let shared = Arc::clone(&self.shared);
                self.busy.spawn(shared.rows(session, member));
            } else {
                self.settle().await?;
                self.definitions(&member).await?;
            }
        }
        self.settle().await
    }

    /// How many connections wait for rows.
    pub(super) fn connections(&self) -> usize {
        self.free.len()
    }

    /// The connections that loaded rows, all of them: nothing is being loaded.
    pub(super) fn sessions(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.free)
    }

    /// What could not be made because the server refused it, and what that said.
    pub(super) fn unmade(&mut self) -> Vec<(Option<Label>, String)> {
        std::mem::take(&mut self.unmade)
    }

    /// Ends the connections. Returns how many objects of each class were made, and the bytes of statements.
    pub(super) async fn close(self) -> (BTreeMap<String, u64>, u64) {
        for session in self.free {
            session.close().await;
        }
        self.control.close().await;
        (self.counts, self.bytes)
    }

    async fn session(&mut self) -> Result<Session, Error> {
        match self.free.pop() {
            Some(session) => Ok(session),
            None => self.returned().await?.ok_or(Error::Stopped),
        }
    }

    async fn returned(&mut self) -> Result<Option<Session>, Error> {
        let Some(done) = self.busy.join_next().await else { return Ok(None) };
        let (session, bytes) = done.map_err(|_| Error::Stopped)??;
        self.bytes += bytes;
        Ok(Some(session))
    }

    /// Waits until all rows are in.
    async fn settle(&mut self) -> Result<(), Error> {
        while let Some(session) = self.returned().await? {
            self.free.push(session);
        }
        Ok(())
    }

    /// Goes on without what a statement makes. A view's placeholder goes: it would show rows of NULLs.
    async fn leave(&mut self, statement: &Statement<'_>, error: &super::super::Error) -> Result<(), Error> {
        if let Some(label) = statement.label.as_ref().filter(|label| label.kind == "view") {
            let (_, view) = split(&label.name);
            let drop = format!("DROP VIEW IF EXISTS {}", sql::quoted(&view));
            self.control.run("cannot drop the placeholder of a view", drop).await?;
        }
        self.unmade.push((statement.label.clone(), error.to_string()));
        Ok(())
    }

    /// A statement of definitions as it is restored.
    async fn meant(&mut self, statement: &Statement<'_>, database: Option<&str>) -> Result<Bytes, Error> {
        let wanted = Arc::clone(&self.shared.wanted);
        let sql = wanted.named(statement, database)?;
        let Some(label) = &statement.label else { return Ok(sql) };
        if label.kind == "table" && sql.windows(ARCHIVE.len()).any(|window| window == ARCHIVE) {
            self.ordered.insert(label.name.clone());
        }
        // What was made under another collation than its database has now stands between two of these. The second is about
        // the database that was dumped: one in use, which gets a part of a package, keeps its own.
        if !wanted.everything() && label.kind != DEFAULTS && sql.starts_with(b"ALTER DATABASE ") {
            if let Some(back) = self.lent.take() {
                return Ok(back.into());
            }
            self.lent = self.own_collation(database).await?;
            return Ok(sql);
        }
        Ok(if wanted.replace { replacing(sql, label) } else { sql })
    }

    /// The statement that gives the session's database, one of the package, the collation that it has.
    async fn own_collation(&mut self, database: Option<&str>) -> Result<Option<String>, Error> {
        let doing = "cannot read the database's collation";
        let own = self.control.text(doing, "SELECT @@collation_database").await?;
        let name = database.map(|database| sql::quoted(&self.shared.wanted.database_name(database)));
        Ok(own.zip(name).map(|(own, name)| format!("ALTER DATABASE {name} COLLATE {own}")))
    }

    /// Gives a database its own collation back where an object could not be made. The restore ends with why that was; if
    /// this fails too, an event says what is left to do.
    async fn give_back(&mut self) {
        let Some(back) = self.lent.take() else { return };
        if let Err(error) = self.control.run("cannot give the database its collation back", &back).await {
            tracing::error!(
                error = chain(&error).join(": "),
                help = format!("run {back}"),
                "a database in use has another collation"
            );
        }
    }

    async fn definitions(&mut self, member: &Member) -> Result<(), Error> {
        let doing = format!("cannot restore {}", member.path);
        let database = database_of(&member.path);
        let (mut last, everywhere) = (None, member.path == "preamble.sql");
        let grants = member.path.starts_with("system/2-grants");
        for statement in taken_apart(member)? {
            let statement = Statement { label: label(&statement, database.as_deref()), ..statement };
            if statement.label.as_ref().is_some_and(|label| !self.shared.wanted.label(label)) {
                continue;
            }
            let sql = self.meant(&statement, database.as_deref()).await?;
            self.bytes += sql.len() as u64;
            let doing = match &statement.label {
                Some(label) => format!("cannot restore the {label}"),
                None if grants => format!("{doing}, {}", told(&sql)),
                None => doing.clone(),
            };
            match self.control.run(&doing, &sql).await {
                Err(error) if may_be_left(&error, &statement, grants) => {
                    self.leave(&statement, &error).await?;
                    last.clone_from(&statement.label);
                    continue;
                }
                Err(error) => {
                    self.give_back().await;
                    return Err(error.into());
                }
                Ok(()) => {}
            }
            if everywhere {
                for session in &mut self.free {
                    session.run(&doing, &sql).await?;
                }
            }
            if statement.label != last {
                last.clone_from(&statement.label);
                if let Some(label) = statement.label.filter(|label| !UNCOUNTED.contains(&label.kind.as_str()))
                {
                    *self.counts.entry(label.kind).or_default() += 1;
                }
            }
        }
        Ok(())
    }
}

/// Whether the server refused because something is not there.
pub(super) fn is_of_what_is_absent(error: &super::super::Error) -> bool {
    matches!(error, super::super::Error::Statement { code: Some(code), .. } if ABSENT.contains(code))
}

/// Whether a restore goes on without what the server refused to make: a view may name what the package does not have, and
/// a grant may be about that, or not be for whoever restores to give.
fn may_be_left(error: &super::super::Error, statement: &Statement<'_>, grants: bool) -> bool {
    let view = statement.label.as_ref().is_some_and(|label| label.kind == "view");
    let refused = matches!(error, super::super::Error::Statement { code: Some(_), .. });
    (grants && refused) || (view && is_of_what_is_absent(error))
}

/// A grant for messages: its beginning, without passwords.
fn told(sql: &[u8]) -> String {
    let text = String::from_utf8_lossy(sql);
    let plain = text.split(" IDENTIFIED ").next().unwrap_or_default();
    let told: String = plain.chars().take(TOLD).collect();
    if told.len() < text.len() { format!("«{told} …»") } else { format!("«{told}»") }
}

impl Shared {
    async fn rows(self: Arc<Self>, mut session: Session, member: Member) -> Result<(Session, u64), Error> {
        let (database, table) = split(&member.object);
        let doing = format!("cannot load rows of {database}.{table}");
        let mut bytes = 0;
        // In ASCII both mean the same, and the server reads literals of a charset with one byte for each character in
        // a fraction of the time: under the other it looks for a longer character at every byte.
        let ascii =
            member.data.is_ascii() && self.wanted.renamed.as_ref().is_none_or(|(_, to)| to.is_ascii());
        if ascii {
            session.run(&doing, ONE_BYTE_EACH).await?;
        }
        // One commit for a member: each may cost the server a write that waits for the disk.
        session.run(&doing, "START TRANSACTION").await?;
        for statement in taken_apart(&member)? {
            let sql = self.wanted.named(&statement, Some(&database))?;
            bytes += sql.len() as u64;
            // One byte of a packet is the command's.
            for sql in packet::cut(&sql, self.packet.saturating_sub(1)).map_err(|row| Error::TooLarge {
                table: format!("{database}.{table}"),
                bytes: row.bytes + 1,
                limit: self.packet,
                row: row.row,
            })? {
                session.run(&doing, &sql).await?;
            }
        }
        session.run(&doing, "COMMIT").await?;
        if ascii {
            session.run(&doing, AS_WRITTEN).await?;
        }
        Ok((session, bytes))
    }
}

/// The statements of a member.
pub(super) fn taken_apart(member: &Member) -> Result<Vec<Statement<'_>>, Error> {
    script::statements(&member.data)
        .map_err(|error| Error::Malformed { path: member.path.clone(), why: error.to_string() })
}

/// What a statement makes. Older packages have placeholders of views below the label of whatever came before them.
pub(super) fn label(statement: &Statement<'_>, database: Option<&str>) -> Option<Label> {
    let given = statement.label.clone().filter(|label| label.kind == "placeholder" || label.kind == "view");
    let placeholder = || {
        let rest = statement.sql.strip_prefix(b"CREATE VIEW `")?;
        let end = rest.windows(11).position(|window| window == b"` AS SELECT")?;
        let name = String::from_utf8_lossy(&rest[..end]).replace("``", "`");
        Some(Label::new("placeholder", database?, &name))
    };
    given.or_else(placeholder).or_else(|| statement.label.clone())
}

/// Whether a member holds events.
pub(super) fn is_of_events(path: &str) -> bool {
    path.strip_prefix("db/")
        .and_then(|rest| rest.split('/').nth(1))
        .is_some_and(|kind| kind.starts_with("5-events"))
}

/// The database that a member of definitions belongs to, decoded.
pub(super) fn database_of(path: &str) -> Option<String> {
    path.strip_prefix("db/").and_then(|rest| rest.split('/').next()).map(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_older_packages_are_their_own() {
        let table = Label::new("table", "shop", "t");
        let sql = b"CREATE VIEW `a``b.c` AS SELECT 1 AS `x`".as_slice();
        let placeholder = Some(Label::new("placeholder", "shop", "a`b.c"));
        for before in [None, Some(table.clone())] {
            assert_eq!(label(&Statement { label: before, sql }, Some("shop")), placeholder);
        }
        let own = Statement { label: Some(table.clone()), sql: b"CREATE TABLE `t` (`CREATE VIEW ` int)" };
        assert_eq!(label(&own, Some("shop")), Some(table));
    }
}
