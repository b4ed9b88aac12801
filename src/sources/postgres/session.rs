//! A connection, with results as text in which no byte is lost.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, ValueRef as _};
use tokio::time::timeout;

use super::Error;

/// A connection to one database.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    /// The server's major version.
    pub major: u32,
    /// The server's version as it writes it.
    pub version: String,
    /// The connected database.
    pub database: String,
    /// Whether text comes as the bytes that the database holds, because it does not say which encoding they have.
    raw: bool,
    /// How long a statement waits for a lock; zero: without end.
    pub lock_timeout: Duration,
    /// Whether several blocks are one transaction.
    transaction: bool,
}

/// A row of a result.
#[derive(Debug, Clone)]
pub(super) struct Row(Vec<Option<String>>);

/// How long a login may take: a server itself gives one up after so long (`authentication_timeout`).
const LOGIN: Duration = Duration::from_mins(1);

/// Settings that decide how the server prints what it has and reads what it is given, that nothing ends the session
/// while it waits, and that nothing it makes goes elsewhere. A database or a role may have others for its sessions, and
/// a restore gives them to the database before it has loaded it. Those that only superusers may set are left alone:
/// none of them decides what a statement of a package means. To compile a query of the catalog takes the server longer
/// than to run it.
const SETTINGS: &str =
    "SET search_path = ''; SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = UTC;
SET extra_float_digits = 3; SET lc_monetary = 'C'; SET bytea_output = hex; SET xmloption = content;
SET synchronize_seqscans = off;
SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off;
SET quote_all_identifiers = off; SET check_function_bodies = off; SET standard_conforming_strings = on;
SET client_min_messages = warning; SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;
SET default_tablespace = ''; SET default_table_access_method = heap;
SET array_nulls = on; SET transform_null_equals = off; SET jit = off;
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;";

/// A database may give its sessions a role, and that of an application may not do what a superuser may.
const ROLE: &str = "SELECT set_config('role', 'none', false) FROM pg_db_role_setting x JOIN pg_database d ON d.oid = x.setdatabase
WHERE d.datname = current_database() AND x.setrole = 0 AND EXISTS (SELECT FROM unnest(x.setconfig) s WHERE s ILIKE 'role=%')
AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = session_user AND r.rolsuper)";

/// Whether the role may read what the server's files set.
const MAY_READ_FILES: &str = "SELECT has_function_privilege('pg_show_all_file_settings()', 'EXECUTE')::text";
/// What the server's files set.
const OF_FILES: &str =
    "UNION ALL SELECT setting, -1 FROM pg_show_all_file_settings() WHERE name ILIKE '<name>' AND applied";
/// Takes a setting that the database's sessions have.
const OWN: &str = "SELECT set_config('<name>', value, false) FROM (
  SELECT substr(s.value, strpos(s.value, '=') + 1), x.setdatabase::int8 FROM pg_db_role_setting x CROSS JOIN unnest(x.setconfig) s(value)
  WHERE x.setrole = 0 AND x.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND s.value ILIKE '<name>=%'
  <more> ORDER BY 2 DESC LIMIT 1) own(value)";

impl Session {
    /// Connects and makes the session's settings independent of the server's.
    pub(super) async fn open(options: &PgConnectOptions) -> Result<Self, Error> {
        let silent =
            |_| sqlx::Error::Io(std::io::Error::new(ErrorKind::TimedOut, "no answer within a minute"));
        let connection = timeout(LOGIN, PgConnection::connect_with(options))
            .await
            .map_err(silent)
            .flatten()
            .map_err(|source| Error::Connect { target: super::connect::target(options), source })?;
        let mut session = Self {
            connection,
            major: 0,
            version: String::new(),
            database: String::new(),
            raw: false,
            lock_timeout: Duration::ZERO,
            transaction: false,
        };
        session.execute(SETTINGS).await?;
        let facts = session
            .rows("SELECT current_setting('server_version_num'), current_setting('server_version'), current_database(), pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()")
            .await?;
        let facts = facts.first().ok_or(Error::Answer("no row for the connected database"))?;
        let number: u32 = facts.number(0)?;
        session.major = number / 10_000;
        facts.text(1).clone_into(&mut session.version);
        facts.text(2).clone_into(&mut session.database);
        session.raw = facts.text(3) == "SQL_ASCII";
        session.settle().await?;
        Ok(session)
    }

    /// Makes the settings that decide what is read, again: a transaction that has begun keeps its server's process,
    /// whatever a pooler did before.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        let mut settings = SETTINGS.to_owned();
        if self.raw {
            settings.push_str(" SET client_encoding = SQL_ASCII;");
        }
        if self.major >= 14 {
            settings.push_str(" SET idle_session_timeout = 0;");
        }
        if self.major >= 16 {
            settings.push_str(" SET createrole_self_grant = ''; SET icu_validation_level = warning;");
        }
        if self.major >= 17 {
            settings.push_str(" SET transaction_timeout = 0;");
        }
        if !self.lock_timeout.is_zero() {
            settings.push_str(&format!(" SET lock_timeout = {};", self.lock_timeout.as_millis()));
        }
        self.execute(&settings).await?;
        self.execute(ROLE).await
    }

    /// Gives the session the time zone and the style of dates of the database's own sessions, as far as this role can
    /// read them: a check or a materialized view may depend on them. Rows are no others for that, because their dates are
    /// written year first, and with their zone. The driver sends settings of its own when it connects, so that the
    /// server's cannot be had by a RESET.
    pub(super) async fn own_times(&mut self) -> Result<(), Error> {
        let files = if self.value(MAY_READ_FILES).await? == "true" { OF_FILES } else { "" };
        for name in ["TimeZone", "DateStyle"] {
            self.execute(&OWN.replace("<more>", files).replace("<name>", name)).await?;
        }
        Ok(())
    }

    /// Lets names without a schema be found where the database's own sessions find them, also if the database was told
    /// so after this session had begun.
    pub(super) async fn own_names(&mut self) -> Result<(), Error> {
        let default = "UNION ALL SELECT reset_val, -1 FROM pg_settings WHERE name = 'search_path'";
        self.execute(&OWN.replace("<more>", default).replace("<name>", "search_path")).await
    }

    /// Lets names without a schema be found nowhere, as at the beginning.
    pub(super) async fn no_names(&mut self) -> Result<(), Error> {
        self.execute("SET search_path = ''").await
    }

    /// Lets no statement wait longer than this for a lock.
    pub(super) async fn wait_for_locks(&mut self, at_most: Duration) -> Result<(), Error> {
        self.lock_timeout = at_most;
        self.settle().await
    }

    /// The encoding in which scripts of this database are written.
    pub(super) fn encoding(&self) -> &'static str {
        if self.raw { "SQL_ASCII" } else { "UTF8" }
    }

    /// Text of this session as the bytes that belong into a script.
    pub(super) fn bytes(&self, text: &str) -> Vec<u8> {
        if self.raw {
            text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        } else {
            text.into()
        }
    }

    /// Text that another session read, as this one would have read it.
    pub(super) fn own(&self, text: &str) -> String {
        if self.raw { text.bytes().map(char::from).collect() } else { text.to_owned() }
    }

    /// Text of this session as the driver must send it.
    pub(super) fn sendable(&self, text: &str) -> Result<String, Error> {
        String::from_utf8(self.bytes(text))
            .map_err(|_| Error::Unsendable { name: text.chars().take(200).collect() })
    }

    /// Runs statements that return nothing of interest.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), Error> {
        let sql = self.sendable(sql)?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Runs statements that came out of a script, where text is already what the server must get.
    pub(super) async fn execute_sent(&mut self, sql: &str) -> Result<(), Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Runs a query and returns its rows.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let sql = self.sendable(sql)?;
        let mut rows = Vec::new();
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(&mut self.connection);
        while let Some(row) = stream.next().await {
            rows.push(Row::read(&row?, self.raw)?);
        }
        Ok(rows)
    }

    /// Runs a query that yields one value.
    pub(super) async fn value(&mut self, sql: &str) -> Result<String, Error> {
        let rows = self.rows(sql).await?;
        Ok(rows.first().ok_or(Error::Answer("no row"))?.text(0).to_owned())
    }

    /// The connection itself, for COPY.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Begins a transaction of blocks, of which one that fails undoes only itself.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        self.execute("BEGIN").await?;
        self.transaction = true;
        Ok(())
    }

    /// Ends the transaction that was begun, if one was.
    pub(super) async fn commit(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.transaction) { self.execute("COMMIT").await } else { Ok(()) }
    }

    /// Whether a transaction of blocks was begun.
    pub(super) fn in_transaction(&self) -> bool {
        self.transaction
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let _ = self.connection.close().await;
    }

    /// Drops the connection without a word: after a COPY that did not end well its answers are out of step.
    pub(super) async fn abandon(self) {
        let _ = self.connection.close_hard().await;
    }
}

/// The server's error code, if it is the server that refused.
pub(super) fn code(error: &Error) -> Option<String> {
    match error {
        Error::Server(sqlx::Error::Database(error)) => error.code().map(std::borrow::Cow::into_owned),
        Error::At { source, .. } => code(source),
        _ => None,
    }
}

/// Whether the server did not find a table, a function or something else of this name.
pub(super) fn is_unknown(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("42P01" | "42883" | "42704"))
}

/// What the server added to the error, in one line.
pub(super) fn detail(error: &Error) -> Option<String> {
    let Error::Server(sqlx::Error::Database(error)) = error else { return None };
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(error.detail()?.replace('\n', "; "))
}

impl Row {
    fn read(row: &PgRow, raw: bool) -> Result<Self, Error> {
        (0..row.len())
            .map(|index| {
                let value = row.try_get_raw(index)?;
                if value.is_null() {
                    return Ok(None);
                }
                let bytes = value.as_bytes().map_err(|_| Error::Answer("a value without bytes"))?;
                if raw {
                    return Ok(Some(bytes.iter().map(|byte| char::from(*byte)).collect()));
                }
                let text = std::str::from_utf8(bytes).map_err(|_| Error::Answer("text that is not UTF-8"))?;
                Ok(Some(text.to_owned()))
            })
            .collect::<Result<Vec<_>, Error>>()
            .map(Self)
    }

    /// A value that the query never leaves NULL; NULL or a missing column reads as empty.
    pub(super) fn text(&self, index: usize) -> &str {
        self.optional(index).unwrap_or_default()
    }

    /// A value that may be NULL.
    pub(super) fn optional(&self, index: usize) -> Option<&str> {
        self.0.get(index).and_then(Option::as_deref)
    }

    /// Whether a value is NULL or the column missing.
    pub(super) fn is_null(&self, index: usize) -> bool {
        self.optional(index).is_none()
    }

    /// A number.
    pub(super) fn number<T: std::str::FromStr>(&self, index: usize) -> Result<T, Error> {
        self.text(index).parse().map_err(|_| Error::Answer("a number that is none"))
    }
}
