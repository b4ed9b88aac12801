//! The replication handshake, up to and including one snapshot: the part that a replica plays.
//!
//! The server forks and streams its memory as an RDB file, as it was at one instant. Nothing is written to the source
//! and none of its settings are changed.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::connect::{Connection, Endpoint, Reply};
use crate::gather::gather;
use crate::package::pulse::Pulse;

/// How many pieces of the snapshot may wait for the walker.
pub(super) const DEPTH: usize = 4;

/// How many bytes are enough for a piece.
const ENOUGH: usize = 192 << 10;

const MARK: usize = 40;

/// The port that we give as ours, who listen to nobody: servers take any number, sentinels only ports.
const NO_PORT: &str = "65536";

/// The instant of a snapshot.
#[derive(Debug)]
pub(super) struct Begun {
    /// The replication id: which history the offset counts in.
    pub(super) id: String,
    /// The replication offset.
    pub(super) offset: String,
}

/// A snapshot that the server has begun to send.
struct Snapshot {
    connection: Connection,
    framing: Framing,
}

/// How the end of the snapshot is told.
enum Framing {
    /// The server knows the length beforehand.
    Length(u64),
    /// The stream ends with these bytes.
    Mark(Vec<u8>),
}

impl Framing {
    /// How many of the bytes that have arrived are the snapshot's, after `passed` others, and whether its last is one.
    fn settled(&self, arrived: &[u8], passed: u64) -> (usize, bool) {
        match self {
            Self::Length(length) => {
                let left = usize::try_from(length - passed).unwrap_or(usize::MAX);
                (arrived.len().min(left), arrived.len() >= left)
            }
            // The last bytes may turn out to be the mark.
            Self::Mark(mark) => (arrived.len().saturating_sub(mark.len()), arrived.ends_with(mark)),
        }
    }
}

/// Receives one snapshot: says when it begins, sends its bytes on, and fails unless it came to its end.
///
/// For a thread that may block. The connection has a runtime of its own on it, so that nothing waits at the socket while
/// the thread sleeps.
pub(super) fn receive(
    endpoint: &Endpoint,
    begun: oneshot::Sender<Begun>,
    pieces: mpsc::Sender<Bytes>,
    pulse: &Pulse,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let unreachable = |source| Error::Unreachable { server: endpoint.server(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unreachable)?;
    runtime.block_on(async {
        let received = async {
            let (instant, snapshot) = Snapshot::begin(endpoint, pulse).await?;
            // Nobody waits for it any more only if the dump was given up; then the pieces find that out.
            let _ = begun.send(instant);
            snapshot.forward(pieces).await
        };
        tokio::select! {
            () = stop.cancelled() => Err(Error::Stopped),
            result = received => result,
        }
    })
}

impl Snapshot {
    /// Shakes hands and waits until the snapshot begins.
    async fn begin(endpoint: &Endpoint, pulse: &Pulse) -> Result<(Begun, Self), Error> {
        let mut connection = Connection::open(endpoint).await?;
        greet(&mut connection).await?;
        connection.send(&["PSYNC", "?", "-1"]).await?;
        let (id, offset) = match connection.reply("a snapshot was awaited").await? {
            Reply::Text(said) => resynced(endpoint, &said)?,
            Reply::Error(said) => return Err(forbidden(endpoint, "psync", &said)),
        };
        let framing = loop {
            let line = connection.line("a snapshot was awaited").await?;
            // The server sends empty lines while it prepares: `repl-diskless-sync-delay` is 5 s by default, and a
            // snapshot that is written to a disk first takes as long as that takes.
            if line.is_empty() {
                pulse.beat();
                continue;
            }
            break framing(endpoint, &line)?;
        };
        Ok((Begun { id, offset }, Self { connection, framing }))
    }

    /// Passes the bytes on in pieces of [`ENOUGH`], and fails unless the snapshot came to its end.
    async fn forward(mut self, pieces: mpsc::Sender<Bytes>) -> Result<(), Error> {
        let mut bytes = 0;
        loop {
            let arrived = self.connection.arrived();
            let (free, ended) = self.framing.settled(arrived, bytes);
            if free > 0 && (ended || free >= ENOUGH) {
                bytes += free as u64;
                // The walker has stopped: it has the reason.
                if pieces.send(self.connection.take(free)).await.is_err() {
                    return Ok(());
                }
            }
            if ended {
                return Ok(());
            }
            if self.connection.arrived().len() < ENOUGH / 2 {
                // A server sends 16 KiB at a time, and to wake this side for each costs it more than sending.
                gather();
            }
            if !self.connection.more("a snapshot was received").await? {
                let bytes = bytes + self.connection.arrived().len() as u64;
                return Err(Error::BrokeOff { server: self.connection.endpoint().server(), bytes });
            }
        }
    }
}

async fn greet(connection: &mut Connection) -> Result<(), Error> {
    let endpoint = connection.endpoint().clone();
    if let Reply::Error(said) = connection.ask(&["PING"]).await? {
        return Err(endpoint.refused("ping", &said));
    }
    if let Reply::Error(said) = connection.ask(&["REPLCONF", "capa", "eof", "capa", "psync2"]).await? {
        return Err(forbidden(&endpoint, "replconf", &said));
    }
    // A sentinel that finds us among the master's replicas would keep us as one of them for ever, at the port 0 that a
    // server assumes, and each run's address anew. It takes no port that cannot be.
    connection.ask(&["REPLCONF", "listening-port", NO_PORT]).await?;
    // Valkey 9 sends RDB version 80 only to those who say that they know it; Redis does not know the option. With
    // `rdb-only` (6.2 and later) nothing is fed to us that is written meanwhile, so no output buffer fills.
    connection.ask(&["REPLCONF", "version", "9.0.0"]).await?;
    connection.ask(&["REPLCONF", "rdb-only", "1"]).await?;
    Ok(())
}

/// Whether the server lets us in as a replica, as far as can be told without asking for a snapshot.
pub(super) async fn knock(endpoint: &Endpoint) -> Result<(), Error> {
    let mut connection = Connection::open(endpoint).await?;
    greet(&mut connection).await
}

/// Names why the server does not want a replica.
fn forbidden(endpoint: &Endpoint, command: &str, said: &str) -> Error {
    let lower = said.to_lowercase();
    if lower.contains("unknown command") || lower.contains("not supported") || lower.contains("not allowed") {
        return Error::NoReplicas { server: endpoint.server(), said: said.to_owned() };
    }
    endpoint.refused(command, said)
}

/// Reads `FULLRESYNC <id> <offset>`.
fn resynced(endpoint: &Endpoint, said: &str) -> Result<(String, String), Error> {
    let mut words = said.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("FULLRESYNC"), Some(id), Some(offset)) => Ok((id.to_owned(), offset.to_owned())),
        _ => Err(endpoint.refused("psync", said)),
    }
}

/// Reads `$<length>` or `$EOF:<mark>`.
fn framing(endpoint: &Endpoint, line: &str) -> Result<Framing, Error> {
    let refused = || endpoint.refused("psync", line.strip_prefix('-').unwrap_or(line));
    let rest = line.strip_prefix('$').ok_or_else(refused)?;
    match rest.strip_prefix("EOF:") {
        Some(mark) if mark.len() == MARK => Ok(Framing::Mark(mark.as_bytes().to_vec())),
        Some(_) => Err(refused()),
        None => rest.parse().map(Framing::Length).map_err(|_| refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_arrive() {
        let content: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let mark = vec![7; MARK];
        let marked = [&content[..], &mark].concat();
        let length = Framing::Length(content.len() as u64);
        for (framing, stream) in [(Framing::Mark(mark), marked), (length, content.clone())] {
            for step in [1, 7, 39, 40, 41, 100, 999, 1_000, 1_040] {
                let (mut arrived, mut out, mut ends) = (Vec::new(), Vec::new(), 0);
                for piece in stream.chunks(step) {
                    arrived.extend_from_slice(piece);
                    let (free, ended) = framing.settled(&arrived, out.len() as u64);
                    out.extend(arrived.drain(..free));
                    ends += usize::from(ended);
                }
                assert_eq!((out, ends), (content.clone(), 1), "step {step}");
            }
        }
    }
}
