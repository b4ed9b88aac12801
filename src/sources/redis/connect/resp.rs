//! A connection that can turn from commands into a stream of bytes: what the replication protocol needs.
//!
//! One command at a time: a server refuses PSYNC while replies are pending.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::{Endpoint, tls};
use crate::sources::redis::Error;
use crate::sources::redis::config::Address;

/// How much is read at once.
const READ: usize = 256 << 10;

/// The longest line that a server may answer with.
const LINE: usize = 64 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection of our own.
pub(in crate::sources::redis) struct Connection {
    endpoint: Endpoint,
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    /// What the system said when the connection ended.
    why: String,
}

/// An answer of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources::redis) enum Reply {
    /// `+…`, `:…` or the content of a short bulk string.
    Text(String),
    /// `-…`
    Error(String),
}

impl Connection {
    /// Connects and logs in.
    pub(in crate::sources::redis) async fn open(endpoint: &Endpoint) -> Result<Self, Error> {
        let unreachable = |source| Error::Unreachable { server: endpoint.server(), source };
        let limit = endpoint.connect_timeout;
        let stream = timeout(limit, connect(endpoint))
            .await
            .map_err(|_| unreachable(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")))??;
        let mut connection =
            Self { endpoint: endpoint.clone(), stream, buffer: BytesMut::new(), why: String::new() };
        if let Some((username, password)) = endpoint.login() {
            let mut arguments = vec!["AUTH"];
            arguments.extend(username);
            arguments.push(password);
            if let Reply::Error(said) = connection.ask(&arguments).await? {
                return Err(endpoint.refused("auth", &said));
            }
        }
        Ok(connection)
    }

    pub(in crate::sources::redis) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one command.
    pub(in crate::sources::redis) async fn send(&mut self, arguments: &[&str]) -> Result<(), Error> {
        let mut command = format!("*{}\r\n", arguments.len());
        for argument in arguments {
            // Writing into a string does not fail.
            let _ = write!(command, "${}\r\n{argument}\r\n", argument.len());
        }
        let sent = self.stream.write_all(command.as_bytes()).await;
        // A server in protected mode says so and hangs up before it reads anything: its answer is still to be had.
        let doing = "a command was sent";
        if sent.is_err() && self.buffer.is_empty() && self.read(doing).await? == 0 {
            return Err(self.ended(doing));
        }
        Ok(())
    }

    /// Sends one command and waits for its answer.
    pub(in crate::sources::redis) async fn ask(&mut self, arguments: &[&str]) -> Result<Reply, Error> {
        self.send(arguments).await?;
        self.reply("an answer was awaited").await
    }

    /// Waits for an answer, through the empty lines that a server sends while it prepares a snapshot.
    pub(in crate::sources::redis) async fn reply(&mut self, doing: &'static str) -> Result<Reply, Error> {
        loop {
            let line = self.line(doing).await?;
            match line.as_bytes().first() {
                None => {}
                Some(b'-') => return Ok(Reply::Error(line[1..].to_owned())),
                Some(b'+' | b':') => return Ok(Reply::Text(line[1..].to_owned())),
                _ => return Ok(Reply::Text(line)),
            }
        }
    }

    /// Reads a line, without its end.
    pub(in crate::sources::redis) async fn line(&mut self, doing: &'static str) -> Result<String, Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let line = line.strip_suffix(b"\r\n").unwrap_or(&line[..end]);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            if self.buffer.len() > LINE || self.read(doing).await? == 0 {
                return Err(self.ended(doing));
            }
        }
    }

    /// The bytes that have arrived and were not taken.
    pub(in crate::sources::redis) fn arrived(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the first `count` bytes of those that have arrived.
    pub(in crate::sources::redis) fn take(&mut self, count: usize) -> Bytes {
        self.buffer.split_to(count).freeze()
    }

    /// Waits for more bytes; `false` once the server has hung up.
    pub(in crate::sources::redis) async fn more(&mut self, doing: &'static str) -> Result<bool, Error> {
        Ok(self.read(doing).await? > 0)
    }

    async fn read(&mut self, doing: &'static str) -> Result<usize, Error> {
        if self.buffer.capacity() - self.buffer.len() < READ / 4 {
            self.buffer.reserve(READ);
        }
        let waited: Duration = self.endpoint.timeout;
        match timeout(waited, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(count)) => Ok(count),
            // A reset and an end are the same to the caller: there is nothing more.
            Ok(Err(error)) => {
                self.why = format!(": {error}");
                Ok(0)
            }
            Err(_) => Err(Error::Silent { server: self.endpoint.server(), doing, waited }),
        }
    }

    fn ended(&self, doing: &'static str) -> Error {
        Error::Ended { server: self.endpoint.server(), doing, why: self.why.clone() }
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Box<dyn Stream>, Error> {
    let unreachable = |source| Error::Unreachable { server: endpoint.server(), source };
    let (host, port) = match &endpoint.address {
        Address::Unix(path) => {
            return Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?));
        }
        Address::Tcp(host, port) => (host, *port),
    };
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    let Some(wanted) = &endpoint.tls else { return Ok(Box::new(stream)) };
    let bad = |what: String| Error::Tls { server: endpoint.server(), what };
    let name = ServerName::try_from(host.clone()).map_err(|error| bad(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(tls::settings(endpoint, wanted)?);
    let stream = connector.connect(name, stream).await.map_err(|error| bad(error.to_string()))?;
    Ok(Box::new(stream))
}
