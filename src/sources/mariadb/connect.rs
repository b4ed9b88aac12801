//! Connections: how they are opened, and the settings under which everything is read.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, DriverError, Opts, OptsBuilder, QueryResult, Row, SslOpts, TextProtocol, Value};

use super::Error;
use super::config::{Plan, Tls};

/// Settings of every session that reads. They make the server's answers the same on source and target, whatever the
/// server's own defaults are: no charset conversion, UTC, no `sql_mode` that changes how things are shown.
const READING: [&str; 7] = [
    "SET NAMES utf8mb4",
    "SET SESSION character_set_results = NULL",
    "SET SESSION sql_mode = '', time_zone = '+00:00', sql_quote_show_create = 1, sql_notes = 0",
    "SET SESSION wait_timeout = 2147483, net_write_timeout = 2147483, net_read_timeout = 2147483",
    "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
     idle_write_transaction_timeout = 0, sql_select_limit = 18446744073709551615, \
     max_join_size = 18446744073709551615",
    // A server may show everybody the rows of another time than now.
    "SET SESSION system_versioning_asof = DEFAULT, completion_type = 0",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
];

/// The largest packet that the protocol knows: a row is never refused on our side.
const LARGEST_PACKET: usize = 1 << 30;

/// A value of a row in the text protocol: bytes, or NULL.
pub(super) type Cell = Option<Vec<u8>>;

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    conn: Conn,
}

impl Session {
    /// Connects without changing any setting.
    pub(super) async fn open(plan: &Plan) -> Result<Self, Error> {
        let connect = Conn::new(options(plan));
        let limit = plan.connect_timeout;
        let failed = |why: String| Error::Connect { server: plan.server(), why };
        match tokio::time::timeout(limit, connect).await {
            Ok(Ok(conn)) => Ok(Self { conn }),
            Ok(Err(error)) => Err(failed(refusal(&error))),
            Err(_) => Err(failed(format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// Connects and makes the settings under which a dump and its comparison read.
    pub(super) async fn reading(plan: &Plan) -> Result<Self, Error> {
        let mut session = Self::open(plan).await?;
        session.read(plan).await?;
        Ok(session)
    }

    /// Makes the settings under which a dump and its comparison read, whatever the session did before.
    pub(super) async fn read(&mut self, plan: &Plan) -> Result<(), Error> {
        for setting in READING {
            self.run("cannot prepare the session", setting).await?;
        }
        let seconds = plan.lock_timeout.as_secs().max(1);
        let wait = format!("SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}");
        self.run("cannot prepare the session", &wait).await
    }

    /// Runs a statement for its effect.
    pub(super) async fn run(&mut self, doing: &str, sql: impl AsRef<[u8]> + Send) -> Result<(), Error> {
        let result = self.conn.query_iter(sql.as_ref()).await.map_err(|error| failed(doing, &error))?;
        result.drop_result().await.map_err(|error| failed(doing, &error))
    }

    /// Runs a query whose result is known to be small.
    pub(super) async fn rows(
        &mut self,
        doing: &str,
        sql: impl AsRef<[u8]> + Send,
    ) -> Result<Vec<Vec<Cell>>, Error> {
        let mut rows = Vec::new();
        let mut reader = self.stream(doing, sql).await?;
        while let Some(row) = reader.next().await? {
            rows.push(row.unwrap_raw().into_iter().map(|value| value.and_then(bytes)).collect());
        }
        Ok(rows)
    }

    /// The first column of the first row as text; `None` for no row and for NULL.
    pub(super) async fn text(&mut self, doing: &str, sql: &str) -> Result<Option<String>, Error> {
        let first = self.rows(doing, sql).await?.into_iter().next();
        Ok(first.and_then(|row| row.into_iter().next().flatten()).map(lossy))
    }

    /// The number that a query yields.
    pub(super) async fn count(&mut self, doing: &str, sql: &str) -> Result<u64, Error> {
        let text = self.text(doing, sql).await?;
        text.as_deref().and_then(|text| text.parse().ok()).ok_or_else(|| Error::Statement {
            doing: doing.to_owned(),
            why: format!("the server answered {text:?} instead of a number"),
            code: None,
        })
    }

    /// Runs a query and hands over the rows as they come, as slowly as they are taken.
    pub(super) async fn stream<'a>(
        &'a mut self,
        doing: &'a str,
        sql: impl AsRef<[u8]> + Send,
    ) -> Result<Rows<'a>, Error> {
        let sql = sql.as_ref().to_vec();
        let result = self.conn.query_iter(sql).await.map_err(|error| failed(doing, &error))?;
        Ok(Rows { result, doing })
    }

    /// Says good-bye. Not needed for anything but tidiness on the server.
    pub(super) async fn close(self) {
        let _ = self.conn.disconnect().await;
    }
}

/// The rows of a query that is still running.
pub(super) struct Rows<'a> {
    result: QueryResult<'a, 'static, TextProtocol>,
    doing: &'a str,
}

impl Rows<'_> {
    /// The next row. A connection lost half way is an error, never an end.
    pub(super) async fn next(&mut self) -> Result<Option<Row>, Error> {
        self.result.next().await.map_err(|error| failed(self.doing, &error))
    }
}

/// The bytes of a value. The text protocol has nothing but bytes and NULL.
pub(super) fn bytes(value: Value) -> Cell {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// Text for messages and for names that the server keeps in UTF-8.
pub(super) fn lossy(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

fn options(plan: &Plan) -> Opts {
    let builder = OptsBuilder::default()
        .user(Some(plan.user.clone()))
        .pass(plan.password.as_ref().map(|password| password.expose().to_owned()))
        .max_allowed_packet(Some(LARGEST_PACKET))
        .wait_timeout(Some(28_800))
        .stmt_cache_size(0)
        .prefer_socket(false)
        // A NAT or a load balancer must not forget a connection that only holds its snapshot.
        .tcp_keepalive(Some(Duration::from_mins(1)))
        .ssl_opts(tls(plan));
    match &plan.socket {
        Some(socket) => builder.socket(Some(socket.display().to_string())).into(),
        None => builder.ip_or_hostname(plan.host.clone()).tcp_port(plan.port).into(),
    }
}

fn tls(plan: &Plan) -> Option<SslOpts> {
    let roots = |options: SslOpts| match &plan.ca {
        Some(path) => options.with_root_certs(vec![path.clone().into()]).with_disable_built_in_roots(true),
        None => options,
    };
    match plan.tls {
        Tls::Disabled => None,
        Tls::Required => Some(
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        Tls::VerifyCa => Some(roots(SslOpts::default().with_danger_skip_domain_validation(true))),
        Tls::VerifyIdentity => Some(roots(SslOpts::default())),
    }
}

fn failed(doing: &str, error: &mysql_async::Error) -> Error {
    let code = match error {
        mysql_async::Error::Server(server) => Some(server.code),
        _ => None,
    };
    Error::Statement { doing: doing.to_owned(), why: refusal(error), code }
}

/// What went wrong, in the server's words where they are the server's.
fn refusal(error: &mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(server) => format!("{} (error {})", server.message, server.code),
        mysql_async::Error::Driver(DriverError::UnknownAuthPlugin { name }) => {
            format!("the user logs in with the plugin `{name}`, which this program does not know")
        }
        mysql_async::Error::Driver(DriverError::ConnectionClosed) => "the connection was closed".to_owned(),
        mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            "TLS is asked for and the server offers none".to_owned()
        }
        mysql_async::Error::Io(error) => format!("{error}"),
        // `Debug` of a driver error can hold the bytes of rows; its `Display` does not.
        other => format!("{other}"),
    }
}
