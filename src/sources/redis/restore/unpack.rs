//! From a package to keys with payloads that a server takes.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::target::Order;
use crate::package::budget::{Budget, Lease};
use crate::package::index::Entry;
use crate::package::member::Header;
use crate::package::{self, Package, Selection, VisitError, Visitor};
use crate::sources::redis::fingerprint::Tally;
use crate::sources::redis::rdb::types::opcode;
use crate::sources::redis::rdb::{self, Feed, Format, Item, Key, Walker, write};
use crate::sources::redis::{Error, extras};

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// How many keys, and bytes of payloads, make a batch.
const KEYS: usize = 512;
const BYTES: usize = 1 << 20;

/// Bytes of payloads that may wait; a larger value passes alone.
pub(super) const MEMORY: usize = 12 << 20;

/// Passes the members' bytes on.
struct Pump(mpsc::Sender<Bytes>);

impl Visitor for Pump {
    fn member(&mut self, entry: &Entry, _: Header, content: &mut dyn Read) -> Result<(), VisitError> {
        if !entry.path.starts_with(b"dump/") {
            return Ok(());
        }
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            content.take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                return Ok(());
            }
            self.0.blocking_send(piece.into())?;
        }
    }
}

/// Reads the RDB file in a package, in pieces.
pub(super) async fn read(package: &Package, pieces: mpsc::Sender<Bytes>) -> Result<(), package::Error> {
    package.read(Selection::All, Pump(pieces)).await.map(drop)
}

/// Something to restore.
pub(super) struct Parcel {
    pub(super) key: Key,
    /// What RESTORE takes.
    pub(super) payload: Vec<u8>,
}

/// Things to restore together.
pub(super) enum Batch {
    /// Keys of one database of the package.
    Keys(u64, Vec<Parcel>, Lease),
    /// A library of functions, as FUNCTION RESTORE takes it.
    Function(Vec<u8>),
}

/// What the walk over a package's RDB file saw.
pub(super) struct Unpacked {
    /// Everything in the package.
    pub(super) tally: Tally,
    /// What of it was asked for.
    pub(super) wanted: Tally,
    pub(super) bytes: u64,
    /// The hashes of the libraries of functions that were asked for.
    pub(super) libraries: BTreeSet<u128>,
    pub(super) format: Format,
    /// Types of modules that keep data outside of the keyspace.
    pub(super) modules: BTreeSet<String>,
    /// ACL users, as `ACL LIST` writes them, if they are asked for.
    pub(super) users: Vec<Vec<u8>>,
}

/// Cuts payloads out of the stream.
struct Cut {
    pieces: mpsc::Receiver<Bytes>,
    payload: Vec<u8>,
    taking: bool,
}

impl Feed for Cut {
    const MARKS: bool = true;

    fn next(&mut self) -> Result<Option<Bytes>, rdb::Error> {
        Ok(self.pieces.blocking_recv())
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), rdb::Error> {
        if self.taking {
            self.payload.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn begins(&mut self, code: u8) {
        self.payload.clear();
        self.payload.push(code);
        self.taking = true;
    }

    fn ends(&mut self) {
        self.taking = false;
    }
}

/// Walks over the stream on a thread of its own and sends what is to be restored.
pub(super) async fn unpack(
    pieces: mpsc::Receiver<Bytes>,
    batches: mpsc::Sender<Batch>,
    order: Arc<Order>,
) -> Result<Unpacked, Error> {
    let work = move || {
        let walker = Walker::new(Cut { pieces, payload: Vec::new(), taking: false })?;
        let sender =
            Sender { batches, budget: Budget::new(MEMORY), database: 0, parcels: Vec::new(), size: 0 };
        sender.run(walker, &order)
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Stopped)?
}

struct Sender {
    batches: mpsc::Sender<Batch>,
    budget: Budget,
    database: u64,
    parcels: Vec<Parcel>,
    size: usize,
}

impl Sender {
    fn run(mut self, mut walker: Walker<Cut>, order: &Order) -> Result<Unpacked, Error> {
        let format = walker.format();
        let (mut tally, mut wanted, mut bytes) = (Tally::default(), Tally::default(), 0);
        let (mut modules, mut users, mut libraries) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        while let Some(item) = walker.item()? {
            tally.add(&item);
            refuse_no_users(order, &users, &item)?;
            match item {
                Item::Key(key) if order.wants(&key.name) => {
                    wanted.add_key(&key);
                    bytes += key.name.len() as u64 + key.content.bytes;
                    let payload = take_payload(&mut walker, format);
                    self.key(key, payload)?;
                }
                Item::Function(hash, length) if order.is_whole() => {
                    wanted.add(&Item::Function(hash, length));
                    libraries.insert(hash);
                    self.send(Batch::Function(take_payload(&mut walker, format)))?;
                }
                Item::Aux(name, value) if order.acl && name == extras::ACL.as_bytes() => {
                    users.push(value);
                }
                Item::ModuleAux(module) if order.is_whole() && !order.replication => {
                    return Err(Error::ModuleData(module));
                }
                Item::ModuleAux(module) => {
                    modules.insert(module);
                }
                Item::End { .. } => break,
                _ => {}
            }
        }
        self.flush()?;
        Ok(Unpacked { tally, wanted, bytes, libraries, format, modules, users })
    }

    fn key(&mut self, key: Key, payload: Vec<u8>) -> Result<(), Error> {
        if key.database != self.database || self.parcels.len() >= KEYS || self.size + payload.len() > BYTES {
            self.flush()?;
            self.database = key.database;
        }
        self.size += payload.len();
        self.parcels.push(Parcel { key, payload });
        if self.size > BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let parcels = std::mem::take(&mut self.parcels);
        if parcels.is_empty() {
            return Ok(());
        }
        let lease = self.budget.take_blocking(self.size);
        self.size = 0;
        self.send(Batch::Keys(self.database, parcels, lease))
    }

    fn send(&mut self, batch: Batch) -> Result<(), Error> {
        // The workers have stopped: they have the reason.
        self.batches.blocking_send(batch).map_err(|_| Error::Stopped)
    }
}

/// Fails if users are asked for and there are none: they stand before everything else, so nothing is restored yet.
fn refuse_no_users(order: &Order, users: &[Vec<u8>], item: &Item) -> Result<(), Error> {
    if !order.acl || !users.is_empty() || matches!(item, Item::Aux(..)) {
        return Ok(());
    }
    Err(Error::Request(
        "the package has no ACL users: a backup saves them with `include_acl`; leave `acl` out".to_owned(),
    ))
}

fn take_payload(walker: &mut Walker<Cut>, format: Format) -> Vec<u8> {
    let mut payload = std::mem::take(&mut walker.feed().payload);
    debug_assert!(payload.first().is_some_and(|code| *code < opcode::SLOT_INFO || *code == opcode::FUNCTION));
    write::footer(format, &mut payload);
    payload
}
