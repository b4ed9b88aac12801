//! Commands through the `redis` crate.

use std::time::{Duration, Instant};

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo as _};
use ::redis::{ClientTlsConfig, RedisConnectionInfo, RedisError, TlsCertificates, Value};

use super::Endpoint;
use crate::sources::redis::Error;
use crate::sources::redis::config::{Address, Tls};

/// After such a silence a connection is opened again before it is used: the server (`timeout`), or what stands between,
/// may have closed it, and that would only be found out by losing a command.
const IDLE: Duration = Duration::from_secs(1);

/// A connection for commands.
#[derive(Clone)]
pub(in crate::sources::redis) struct Client {
    endpoint: Endpoint,
    connection: MultiplexedConnection,
    database: u64,
    /// A replica of a cluster answers for its master.
    reads_replica: bool,
    /// What is read does not count as used.
    untouching: bool,
    /// When the last answer came.
    used: Instant,
    /// The server knows PEXPIRETIME (7.0 and later); found out when it is first asked.
    pub(in crate::sources::redis) exact_expiry: bool,
}

impl Client {
    /// Connects and logs in, in database `database`.
    pub(in crate::sources::redis) async fn open(endpoint: &Endpoint, database: u64) -> Result<Self, Error> {
        let connection = connect(endpoint, database).await?;
        let (endpoint, used) = (endpoint.clone(), Instant::now());
        let (reads_replica, untouching, exact_expiry) = (false, false, true);
        Ok(Self { endpoint, connection, database, reads_replica, untouching, used, exact_expiry })
    }

    /// Makes a cluster's replica answer for the slots of its master.
    pub(in crate::sources::redis) async fn read_replica(&mut self) -> Result<(), Error> {
        self.reads_replica = true;
        self.run("READONLY", &[]).await
    }

    /// Keeps what is read from counting as used, which decides what a server evicts first: where the server knows how
    /// (Redis from 7.2, Valkey) and lets us.
    pub(in crate::sources::redis) async fn read_untouched(&mut self) -> Result<(), Error> {
        self.untouching = true;
        let answered: Result<(), Error> = self.run("CLIENT NO-TOUCH", &[b"ON"]).await;
        match answered {
            Err(Error::Answer { .. } | Error::NotAllowed { .. }) => Ok(()),
            answered => answered,
        }
    }

    /// Chooses another database.
    pub(in crate::sources::redis) async fn select(&mut self, database: u64) -> Result<(), Error> {
        if database == self.database {
            return Ok(());
        }
        let _: () = self.run("SELECT", &[database.to_string().as_bytes()]).await?;
        self.database = database;
        Ok(())
    }

    /// Opens the connection again if it was silent for long, as it was.
    async fn wake(&mut self) -> Result<(), Error> {
        if self.used.elapsed() < IDLE {
            return Ok(());
        }
        self.connection = connect(&self.endpoint, self.database).await?;
        if self.reads_replica {
            let answered: Result<(), RedisError> =
                ::redis::cmd("READONLY").query_async(&mut self.connection).await;
            answered.map_err(|error| answer(&self.endpoint, "READONLY", &error))?;
        }
        self.used = Instant::now();
        if self.untouching { Box::pin(self.read_untouched()).await } else { Ok(()) }
    }

    pub(in crate::sources::redis) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Runs one command; `words` are its name and first arguments, for messages too.
    pub(in crate::sources::redis) async fn run<T: ::redis::FromRedisValue>(
        &mut self,
        words: &str,
        arguments: &[&[u8]],
    ) -> Result<T, Error> {
        let mut parts = words.split(' ');
        let mut command = ::redis::cmd(parts.next().unwrap_or_default());
        for part in parts {
            command.arg(part);
        }
        for argument in arguments {
            command.arg(*argument);
        }
        self.wake().await?;
        let answered = command.query_async(&mut self.connection).await;
        self.used = Instant::now();
        answered.map_err(|error| answer(&self.endpoint, words, &error))
    }

    /// Runs a pipeline and returns every answer, errors as values.
    pub(in crate::sources::redis) async fn pipe(
        &mut self,
        words: &str,
        pipeline: &::redis::Pipeline,
    ) -> Result<Vec<Value>, Error> {
        self.wake().await?;
        let answered = self.connection.send_packed_commands(pipeline, 0, pipeline.len()).await;
        self.used = Instant::now();
        answered.map_err(|error| answer(&self.endpoint, words, &error))
    }
}

/// Connects and logs in, in database `database`.
async fn connect(endpoint: &Endpoint, database: u64) -> Result<MultiplexedConnection, Error> {
    let mut login = RedisConnectionInfo::default()
        .set_skip_set_lib_name()
        .set_db(i64::try_from(database).unwrap_or(i64::MAX));
    if let Some((username, password)) = endpoint.login() {
        login = login.set_password(password);
        if let Some(username) = username {
            login = login.set_username(username);
        }
    }
    let failed = |error: RedisError| {
        if is_lost(&error) {
            let source = std::io::Error::other(error.to_string());
            return Error::Unreachable { server: endpoint.server(), source };
        }
        answer(endpoint, "auth", &error)
    };
    let info = address(endpoint).into_connection_info().map_err(failed)?.set_redis_settings(login);
    let client = match &endpoint.tls {
        Some(tls) => ::redis::Client::build_with_tls(info, certificates(endpoint, tls)?),
        None => ::redis::Client::open(info),
    };
    // The crate's own limit of 500 ms is too short for large values.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(endpoint.connect_timeout))
        .set_response_timeout(Some(endpoint.timeout));
    let client = client.map_err(failed)?;
    let mut connection =
        client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?;
    refuse_another(endpoint, &mut connection).await?;
    Ok(connection)
}

/// Fails if the endpoint stays with a process and the connection leads to another.
async fn refuse_another(endpoint: &Endpoint, connection: &mut MultiplexedConnection) -> Result<(), Error> {
    let Some(process) = endpoint.process.get() else { return Ok(()) };
    let answered: Result<String, RedisError> =
        ::redis::cmd("INFO").arg("server").query_async(connection).await;
    let text = answered.map_err(|error| answer(endpoint, "INFO", &error))?;
    if text.lines().any(|line| line.strip_prefix("run_id:") == Some(process)) {
        return Ok(());
    }
    Err(Error::Replaced(endpoint.server()))
}

/// Whether an error is the connection's and not an answer.
fn is_lost(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.is_connection_refusal() || error.kind() == ErrorKind::Io
}

/// Names what an error of the crate means, on a connection that was open.
pub(in crate::sources::redis) fn answer(endpoint: &Endpoint, command: &str, error: &RedisError) -> Error {
    let server = endpoint.server();
    if error.is_timeout() {
        return Error::Silent { server, doing: "an answer was awaited", waited: endpoint.timeout };
    }
    if is_lost(error) {
        return Error::Ended { server, doing: "an answer was awaited", why: format!(": {error}") };
    }
    match (error.code(), error.detail()) {
        (Some(code), detail) => endpoint.refused(command, &format!("{code} {}", detail.unwrap_or_default())),
        _ => endpoint.refused(command, &error.to_string()),
    }
}

fn address(endpoint: &Endpoint) -> ConnectionAddr {
    match &endpoint.address {
        Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
        Address::Tcp(host, port) if endpoint.tls.is_some() => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        Address::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
    }
}

fn certificates(endpoint: &Endpoint, tls: &Tls) -> Result<TlsCertificates, Error> {
    let read = |path: &Option<std::path::PathBuf>| match path {
        Some(path) => std::fs::read(path).map(Some).map_err(|error| Error::Tls {
            server: endpoint.server(),
            what: format!("`{}`: {error}", path.display()),
        }),
        None => Ok(None),
    };
    let own = read(&tls.cert_file)?.zip(read(&tls.key_file)?);
    let client_tls = own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    Ok(TlsCertificates { client_tls, root_cert: read(&tls.ca_file)? })
}
