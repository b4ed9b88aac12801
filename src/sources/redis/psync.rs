//! The replication handshake, up to and including one snapshot: the part that a replica plays.
//!
//! The server forks and streams its memory as an RDB file, as it was at one instant. Nothing is written to the source
//! and none of its settings are changed.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::connect::{Connection, Endpoint, Reply};

/// How many pieces of the snapshot may wait for the walker.
pub(super) const DEPTH: usize = 4;

const MARK: usize = 40;

/// A snapshot that the server has begun to send.
pub(super) struct Snapshot {
    connection: Connection,
    /// The replication id: which history the offset counts in.
    pub(super) id: String,
    /// The replication offset at the instant of the snapshot.
    pub(super) offset: String,
    framing: Framing,
}

/// How the end of the snapshot is told.
enum Framing {
    /// The server knows the length beforehand.
    Length(u64),
    /// The stream ends with these bytes.
    Mark(Vec<u8>),
}

impl Snapshot {
    /// Shakes hands and waits until the snapshot begins.
    pub(super) async fn begin(endpoint: &Endpoint) -> Result<Self, Error> {
        let mut connection = Connection::open(endpoint).await?;
        greet(&mut connection).await?;
        connection.send(&["PSYNC", "?", "-1"]).await?;
        let (id, offset) = match connection.reply("a snapshot was awaited").await? {
            Reply::Text(said) => resynced(endpoint, &said)?,
            Reply::Error(said) => return Err(forbidden(endpoint, "psync", &said)),
        };
        let framing = loop {
            let line = connection.line("a snapshot was awaited").await?;
            // The server sends empty lines while it prepares: `repl-diskless-sync-delay` is 5 s by default.
            if line.is_empty() {
                continue;
            }
            break framing(endpoint, &line)?;
        };
        Ok(Self { connection, id, offset, framing })
    }

    /// Sends the snapshot's bytes on, and fails unless it came to its end. Returns how many there were.
    pub(super) async fn stream(
        self,
        pieces: mpsc::Sender<Bytes>,
        stop: &CancellationToken,
    ) -> Result<u64, Error> {
        tokio::select! {
            () = stop.cancelled() => Err(Error::Stopped),
            result = self.forward(pieces) => result,
        }
    }

    async fn forward(mut self, pieces: mpsc::Sender<Bytes>) -> Result<u64, Error> {
        let server = self.connection.endpoint().server();
        let doing = "a snapshot was received";
        let mut bytes = 0;
        match self.framing {
            Framing::Length(length) => {
                while bytes < length {
                    let Some(mut piece) = self.connection.chunk(doing).await? else {
                        return Err(Error::BrokeOff { server, bytes });
                    };
                    piece.truncate(usize::try_from(length - bytes).unwrap_or(usize::MAX));
                    bytes += piece.len() as u64;
                    if pieces.send(piece).await.is_err() {
                        return Ok(bytes);
                    }
                }
            }
            Framing::Mark(mark) => {
                let mut tail = Tail::default();
                while tail.0 != mark {
                    let Some(piece) = self.connection.chunk(doing).await? else {
                        return Err(Error::BrokeOff { server, bytes });
                    };
                    for piece in tail.push(piece).into_iter().filter(|piece| !piece.is_empty()) {
                        bytes += piece.len() as u64;
                        // The walker has stopped: it has the reason.
                        if pieces.send(piece).await.is_err() {
                            return Ok(bytes);
                        }
                    }
                }
            }
        }
        Ok(bytes)
    }
}

/// The last bytes of a stream that may turn out to be the mark of its end.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    /// Takes the next bytes and lets go of those that cannot belong to the mark any more.
    fn push(&mut self, mut piece: Bytes) -> [Bytes; 2] {
        let free = (self.0.len() + piece.len()).saturating_sub(MARK);
        let old: Vec<u8> = self.0.drain(..free.min(self.0.len())).collect();
        let new = piece.split_to(free - old.len());
        self.0.extend_from_slice(&piece);
        [old.into(), new]
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
    fn the_tail_keeps_forty_bytes_however_they_arrive() {
        let stream: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for step in [1, 7, 39, 40, 41, 100, 999, 1_000] {
            let (mut tail, mut out) = (Tail::default(), Vec::new());
            for piece in stream.chunks(step) {
                tail.push(Bytes::copy_from_slice(piece))
                    .iter()
                    .for_each(|piece| out.extend_from_slice(piece));
            }
            assert_eq!(out, stream[..960], "step {step}");
            assert_eq!(tail.0, stream[960..], "step {step}");
        }
    }
}
