//! Restoring by replication: the target is told to follow us, takes the RDB file as its own, and is let go.
//!
//! Exact, and everything that the target had is gone. Whatever happens, the target is let go at the end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::target::Order;
use super::{functions, unpack};
use crate::package::index::Line;
use crate::package::{self, Package};
use crate::sources::redis::Error;
use crate::sources::redis::config::Address;
use crate::sources::redis::connect::Client;
use crate::sources::redis::probe::{self, Info};
use crate::sources::redis::psync::DEPTH;
use crate::sources::redis::rdb::shown;
use crate::stores::retry::pause;

/// The longest word of a command that a replica sends.
const WORD: u64 = 64 << 10;

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// For how long a target that loads, or is silent meanwhile, is asked again whether it lets go.
const PATIENCE: Duration = Duration::from_mins(10);

/// What is being done while the file is sent.
const TAKES: &str = "the target took the RDB file";

/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// Makes the target take the package's RDB file as its master's.
pub(super) async fn replicate(order: &Order, package: &Package) -> Result<(), Error> {
    let length = length(package).await?;
    let listening = listen(order).await?;
    let (host, port) = (listening.address.ip().to_string(), listening.address.port().to_string());
    let mut client = Client::open(&order.endpoint, 0).await?;
    order.following.store(true, Ordering::Relaxed);
    let followed: Result<(), Error> = client.run("REPLICAOF", &[host.as_bytes(), port.as_bytes()]).await;
    if let Err(Error::Answer { .. } | Error::NotAllowed { .. }) = followed {
        // It said no.
        order.following.store(false, Ordering::Relaxed);
    }
    let served = match followed {
        Ok(()) => serve(order, package, &listening, length).await,
        Err(error) => Err(error),
    };
    drop(listening);
    match served {
        Ok(()) => detach(order).await.map_err(|error| not_let_go(order, String::new(), &error)),
        Err(reason) => Err(let_go(order, reason).await),
    }
}

/// Lets the target go, if it follows us; returns the reason why it must be, and with it that it could not be let go.
pub(super) async fn let_go(order: &Order, reason: Error) -> Error {
    match detach(order).await {
        Ok(()) => reason,
        Err(error) => not_let_go(order, format!("{reason}; and "), &error),
    }
}

fn not_let_go(order: &Order, before: String, error: &Error) -> Error {
    Error::NotLetGo { before, server: order.endpoint.server(), said: error.to_string() }
}

/// Makes the target a master again, if it follows us: as what it was before, it takes writes.
///
/// While it loads it refuses this, or answers nobody; then it is asked again for as long as [`PATIENCE`].
async fn detach(order: &Order) -> Result<(), Error> {
    let begun = Instant::now();
    let mut told = false;
    while order.following.load(Ordering::Relaxed) {
        match ask_to_detach(order).await {
            Ok(()) => order.following.store(false, Ordering::Relaxed),
            Err(error) if is_busy(&error) && begun.elapsed() < PATIENCE => {
                if !told {
                    // Whoever is killed now says nothing more, and the target stays a replica.
                    let server = order.endpoint.server();
                    tracing::warn!(server, %error, "the target is busy and still follows us: it is asked again");
                    told = true;
                }
                pause(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn ask_to_detach(order: &Order) -> Result<(), Error> {
    let mut client = Client::open(&order.endpoint, 0).await?;
    client.run("REPLICAOF", &[b"NO", b"ONE"]).await
}

/// Whether the target will answer otherwise once it has loaded.
fn is_busy(error: &Error) -> bool {
    match error {
        Error::Answer { said, .. } => said.starts_with("LOADING"),
        Error::Silent { .. } => true,
        _ => false,
    }
}

/// Refuses a target that follows nobody, or somebody else, or would lose keys or libraries without leave.
pub(super) async fn refuse(order: &Order, client: &mut Client, info: &Info) -> Result<(), Error> {
    let field = |name: &str| info.get(name).map(String::as_str);
    let server = order.endpoint.server();
    if field("cluster_enabled") == Some("1") {
        return Err(Error::Request(format!("{server} is a node of a cluster, which follows nobody")));
    }
    if field("role") == Some("slave") {
        return Err(Error::Request(format!("{server} is a replica already: restore into its master")));
    }
    if order.replace {
        return Ok(());
    }
    if let Some(database) = probe::sizes(info).into_keys().next() {
        client.select(database).await?;
        // Without an example it is refused all the same.
        let key: Result<Option<Vec<u8>>, Error> = client.run("RANDOMKEY", &[]).await;
        let key = key.unwrap_or_default().map_or("one".to_owned(), |key| format!("`{}`", shown(&key)));
        return Err(Error::Occupied {
            server,
            found: "keys, and would lose all of them".to_owned(),
            example: format!("{key} in database {database}"),
        });
    }
    functions::refuse_lost(client, info).await
}

/// How long the RDB file in the package is.
async fn length(package: &Package) -> Result<u64, Error> {
    let (send, mut receive) = mpsc::unbounded_channel();
    let mut length = 0;
    let visit = move |line| {
        match line {
            Line::Entry(entry) if entry.path.starts_with(b"dump/") => length += entry.size,
            Line::Entry(_) | Line::Object(_) => {}
        }
        send.send(length).map_err(Into::into)
    };
    let count = async {
        let mut last = 0;
        while let Some(length) = receive.recv().await {
            last = length;
        }
        last
    };
    let (read, length) = tokio::join!(package.index(visit), count);
    read?;
    Ok(length)
}

/// Where we wait for the target, and for whom.
struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    /// Nobody else is given the data; unknown over a Unix socket, and not looked at if the user chose the address.
    target: Option<IpAddr>,
}

/// Listens where the target can reach us: on the address from which we reach it, unless another is given. Where that
/// means every address of ours, the target is told the one from which we reach it.
async fn listen(order: &Order) -> Result<Listening, Error> {
    let (own, mut target) = match &order.endpoint.address {
        Address::Unix(_) => (IpAddr::V4(Ipv4Addr::LOCALHOST), None),
        Address::Tcp(host, port) => {
            let stream =
                timeout(order.endpoint.connect_timeout, TcpStream::connect((host.as_str(), *port))).await;
            let reached = stream.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            let ends =
                reached.and_then(|stream| Ok((stream.local_addr()?.ip(), Some(stream.peer_addr()?.ip()))));
            ends.map_err(|source| Error::Unreachable { server: order.endpoint.server(), source })?
        }
    };
    let bind = match &order.listen {
        Some(address) => {
            target = None;
            address.clone()
        }
        None => SocketAddr::new(own, 0).to_string(),
    };
    let bad = |error: std::io::Error| Error::Request(format!("cannot listen on {bind}: {error}"));
    let listener = TcpListener::bind(&bind).await.map_err(bad)?;
    let mut address = listener.local_addr().map_err(bad)?;
    if address.ip().is_unspecified() {
        address.set_ip(own);
    }
    Ok(Listening { listener, address, target })
}

/// Waits for the target. Strangers are sent away, and give it no more time: one may be the target itself, which comes
/// from another address than the one that leads to it and tries again for ever.
async fn accept(order: &Order, listening: &Listening) -> Result<TcpStream, Error> {
    let (server, waited) = (order.endpoint.server(), order.endpoint.timeout);
    let doing = "the target was to connect to us";
    let mut stranger = None;
    let accepted = timeout(waited, async {
        loop {
            let (stream, peer) = listening.listener.accept().await?;
            match listening.target {
                Some(target) if target != peer.ip() => {
                    if stranger.replace((peer.ip(), target)).is_none() {
                        tracing::warn!(%peer, "a stranger connected instead of the target and was sent away");
                    }
                }
                _ => return Ok::<TcpStream, std::io::Error>(stream),
            }
        }
    });
    match (accepted.await, stranger) {
        (Ok(Ok(stream)), _) => Ok(stream),
        (Ok(Err(error)), _) => Err(Error::Ended { server, doing, why: format!(": {error}") }),
        (Err(_), Some((seen, target))) => Err(Error::Stranger { server, seen, target, waited }),
        (Err(_), None) => Err(Error::Silent { server, doing, waited }),
    }
}

/// Sends bytes to the target, and fails if it takes none of them for as long as it may be silent.
async fn hand_over(
    order: &Order,
    stream: &mut TcpStream,
    mut bytes: &[u8],
    doing: &'static str,
) -> Result<(), Error> {
    let (server, waited) = (order.endpoint.server(), order.endpoint.timeout);
    while !bytes.is_empty() {
        match timeout(waited, stream.write(bytes)).await {
            Err(_) => return Err(Error::Silent { server, doing, waited }),
            Ok(Ok(taken @ 1..)) => bytes = &bytes[taken..],
            Ok(Ok(0)) => return Err(Error::Ended { server, doing, why: String::new() }),
            Ok(Err(error)) => return Err(Error::Ended { server, doing, why: format!(": {error}") }),
        }
    }
    Ok(())
}

/// Plays the master for one replica.
async fn serve(order: &Order, package: &Package, listening: &Listening, length: u64) -> Result<(), Error> {
    let server = order.endpoint.server();
    let waited = order.endpoint.timeout;
    let silent = |doing| Error::Silent { server: server.clone(), doing, waited };
    let ended = |doing| Error::Ended { server: server.clone(), doing, why: String::new() };
    let mut stream = BufReader::new(accept(order, listening).await?);
    shake_hands(order, &mut stream).await?;
    let id: String = (0..40).map(|_| HEX[usize::from(rand::random::<u8>() & 15)]).collect();
    let head = format!("+FULLRESYNC {id} 0\r\n${length}\r\n");
    hand_over(order, stream.get_mut(), head.as_bytes(), TAKES).await?;
    send(order, package, stream.get_mut(), length).await?;
    let doing = "the target loaded the RDB file (its log says why)";
    loop {
        // A replica sends empty lines while it loads, and acknowledges its offset every second once it has.
        let command = timeout(waited, command(&mut stream)).await.map_err(|_| silent(doing))?;
        if is_acknowledged(&command.map_err(|_| ended(doing))?) {
            return Ok(());
        }
    }
}

/// Answers until the replica asks for the data.
async fn shake_hands(order: &Order, stream: &mut BufReader<TcpStream>) -> Result<(), Error> {
    let (server, waited, doing) = (order.endpoint.server(), order.endpoint.timeout, "the target shook hands");
    let ended = || Error::Ended { server: server.clone(), doing, why: String::new() };
    loop {
        let silent = |_| Error::Silent { server: server.clone(), doing, waited };
        let command = timeout(waited, command(stream)).await.map_err(silent)?.map_err(|_| ended())?;
        let answer: &[u8] = match command.first().map(|word| word.to_ascii_uppercase()).as_deref() {
            None => continue,
            Some("PING") => b"+PONG\r\n",
            Some("PSYNC" | "SYNC") => return Ok(()),
            Some(_) => b"+OK\r\n",
        };
        hand_over(order, stream.get_mut(), answer, doing).await?;
    }
}

fn is_acknowledged(command: &[String]) -> bool {
    let is = |at: usize, word: &str| command.get(at).is_some_and(|found| found.eq_ignore_ascii_case(word));
    is(0, "REPLCONF") && is(1, "ACK")
}

async fn send(order: &Order, package: &Package, stream: &mut TcpStream, length: u64) -> Result<(), Error> {
    let (pieces, mut receive) = mpsc::channel::<Bytes>(DEPTH);
    let write = async move {
        let mut sent = 0;
        while let Some(piece) = receive.recv().await {
            hand_over(order, stream, &piece, TAKES).await?;
            sent += piece.len() as u64;
        }
        Ok::<u64, Error>(sent)
    };
    let (read, written) = tokio::join!(unpack::read(package, pieces), write);
    match (read, written) {
        (Err(error), _) if !matches!(error, package::Error::Visit(_)) => Err(error.into()),
        (_, Err(error)) => Err(error),
        (_, Ok(sent)) if sent == length => Ok(()),
        (_, Ok(_)) => {
            let why = String::new();
            Err(Error::Ended { server: order.endpoint.server(), doing: TAKES, why })
        }
    }
}

/// Reads a command; empty for an empty line.
async fn command(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<String>> {
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let first = line(stream).await?;
    let Some(count) = first.strip_prefix('*') else {
        return Ok(first.split_whitespace().map(ToOwned::to_owned).collect());
    };
    let mut words = Vec::new();
    for _ in 0..count.parse::<u16>().map_err(|_| bad())? {
        let head = line(stream).await?;
        let size: u64 = head.strip_prefix('$').and_then(|size| size.parse().ok()).ok_or_else(bad)?;
        if size > WORD {
            return Err(bad());
        }
        let mut word = Vec::new();
        (&mut *stream).take(size + 2).read_to_end(&mut word).await?;
        let word = word.strip_suffix(b"\r\n").ok_or_else(bad)?;
        words.push(String::from_utf8_lossy(word).into_owned());
    }
    Ok(words)
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = Vec::new();
    (&mut *stream).take(WORD).read_until(b'\n', &mut line).await?;
    let text = line.strip_suffix(b"\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned())
}
