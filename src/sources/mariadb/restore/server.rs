//! The target server: what is there already, and what it takes.

use std::fmt;

use super::super::config::Plan;
use super::super::connect::Session;
use super::super::script::object_name;
use super::super::{catalog, probe, sql};
use super::Error;
use super::contents::Contents;
use super::wanted::Wanted;

/// Settings of every session that restores, before the preamble's own.
const RESTORING: [&str; 2] = [
    "SET SESSION wait_timeout = 2147483, net_write_timeout = 2147483, net_read_timeout = 2147483",
    "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, idle_write_transaction_timeout = 0, \
     sql_select_limit = 18446744073709551615, max_join_size = 18446744073709551615, completion_type = 0, \
     autocommit = 1",
];

/// Something on the target that stands where the package would go.
#[derive(Debug, Clone)]
pub(super) enum Occupied {
    /// A database that is not empty.
    Database(String),
    /// A table, sequence or view.
    Table(String, String, &'static str),
    /// A routine or event, by class.
    Routine(String, String, String),
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(name) => write!(f, "database {}", sql::quoted(name)),
            Self::Table(database, name, _) => f.write_str(&sql::qualified(database, name)),
            Self::Routine(database, name, class) => {
                write!(f, "{} {}", class.to_lowercase(), sql::qualified(database, name))
            }
        }
    }
}

impl Occupied {
    /// The statement that drops it; `None` for a routine, which is replaced as it stands: with the last of its name a server
    /// drops everybody's grants on it.
    fn drop(&self) -> Option<String> {
        match self {
            Self::Database(name) => Some(format!("DROP DATABASE {}", sql::quoted(name))),
            Self::Table(database, name, class) => {
                Some(format!("DROP {class} {}", sql::qualified(database, name)))
            }
            Self::Routine(database, name, class) => {
                (class == "EVENT").then(|| format!("DROP EVENT {}", sql::qualified(database, name)))
            }
        }
    }
}

/// The target and the connection over which definitions go.
pub(super) struct Server {
    /// That connection.
    pub(super) control: Session,
    /// The largest packet that the server takes.
    pub(super) packet: usize,
    /// Its version string.
    pub(super) version: String,
}

impl Server {
    /// Connects and asks the server what it is.
    pub(super) async fn connect(plan: &Plan) -> Result<Self, Error> {
        let mut control = session(plan).await?;
        let version = probe::server(&mut control).await?.version;
        let packet = control.text("cannot read max_allowed_packet", "SELECT @@max_allowed_packet").await?;
        let packet = packet.and_then(|packet| packet.parse().ok()).unwrap_or(1 << 20);
        Ok(Self { control, packet, version })
    }

    /// What stands where the wanted part of the package would go.
    pub(super) async fn occupied(
        &mut self,
        contents: &Contents,
        wanted: &Wanted,
    ) -> Result<Vec<Occupied>, Error> {
        let mut occupied = Vec::new();
        if !wanted.everything() {
            return self.occupied_names(contents, wanted).await;
        }
        for database in &contents.databases {
            let name = wanted.database_name(database);
            let literal = sql::literal(&name);
            let query = format!(
                "SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {literal}) \
                 + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {literal}) \
                 + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {literal})"
            );
            let count = self.control.text("cannot look into the target", &query).await?;
            if count.as_deref() != Some("0") {
                occupied.push(Occupied::Database(name));
            }
        }
        Ok(occupied)
    }

    async fn occupied_names(&mut self, contents: &Contents, wanted: &Wanted) -> Result<Vec<Occupied>, Error> {
        let mut occupied = Vec::new();
        for database in wanted.databases() {
            let name = wanted.database_name(database);
            let literal = sql::literal(&name);
            let query = format!(
                "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {literal}"
            );
            for row in self.control.rows("cannot look into the target", query).await? {
                let mut row = row.into_iter().map(catalog::text);
                let (table, class) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
                let class = match class.as_str() {
                    "VIEW" => "VIEW",
                    "SEQUENCE" => "SEQUENCE",
                    _ => "TABLE",
                };
                let object = object_name(database, &table);
                // What the package does not have is not in its way, whatever the globs match.
                if wanted.name(&object) && contents.has_relation(&object) {
                    occupied.push(Occupied::Table(name.clone(), table, class));
                }
            }
            let query = format!(
                "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {literal} \
                 UNION ALL SELECT EVENT_NAME, 'EVENT' FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {literal}"
            );
            for row in self.control.rows("cannot look into the target", query).await? {
                let mut row = row.into_iter().map(catalog::text);
                let (routine, class) = (row.next().unwrap_or_default(), row.next().unwrap_or_default());
                let object = object_name(database, &routine);
                // A package takes its body along.
                if wanted.name(&object) && contents.has(&class.to_lowercase(), &object) {
                    occupied.push(Occupied::Routine(name.clone(), routine, class));
                }
            }
        }
        Ok(occupied)
    }

    /// Drops what stands in the way.
    pub(super) async fn clear(&mut self, occupied: &[Occupied]) -> Result<(), Error> {
        if occupied.is_empty() {
            return Ok(());
        }
        self.control.run("cannot prepare the session", "SET SESSION foreign_key_checks = 0").await?;
        for thing in occupied {
            if let Some(drop) = thing.drop() {
                self.control.run(&format!("cannot drop {thing}"), drop).await?;
            }
        }
        Ok(())
    }
}

/// A session that restores.
pub(super) async fn session(plan: &Plan) -> Result<Session, Error> {
    let mut session = Session::open(plan).await?;
    for setting in RESTORING {
        session.run("cannot prepare the session", setting).await?;
    }
    let seconds = plan.lock_timeout.as_secs().max(1);
    let wait = format!("SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}");
    session.run("cannot prepare the session", wait).await?;
    Ok(session)
}
