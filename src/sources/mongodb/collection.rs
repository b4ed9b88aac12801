//! Reading a range of a collection into members.

use std::sync::Mutex as StdMutex;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::Error;
use super::archive::{self, Crc, Namespace, Segment};
use super::connect::Member;
use super::fingerprint::Fingerprinter;
use super::listing::Listed;
use super::split::{Range, Size};
use crate::package::digest::Fingerprint;
use crate::package::member::{Content, Header, Time};
use crate::package::outlet::Outlet;

/// The size from which a segment becomes a member. One document may exceed it, never two.
pub(super) const SEGMENT: usize = 2 << 20;
/// Bytes that a reply of the server should have: more does not make it faster, and every reader holds one.
const REPLY: u64 = 4 << 20;
/// Documents in a reply at most.
const MOST_DOCUMENTS: u64 = 20_000;

/// A namespace being written: the ranges that are read of it share this.
#[derive(Debug)]
pub(super) struct Stream {
    /// The name of the object in the package's index.
    object: String,
    /// The namespace of its segments.
    data: Namespace,
    /// The UUID of the collection that was listed.
    uuid: Option<String>,
    path: String,
    mtime: Time,
    ordered: bool,
    handed: Mutex<Handed>,
    fingerprint: StdMutex<Fingerprinter>,
}

/// What was handed over. The lock is held until a member is in the package's queue, so that the checksum takes the
/// documents in the order in which they stand in the archive.
#[derive(Debug, Default)]
struct Handed {
    crc: Crc,
    members: u32,
}

impl Stream {
    /// A namespace of which nothing has been written yet.
    pub(super) fn new(object: String, data: Namespace, ordered: bool, mtime: Time) -> Self {
        let path = if data.database.is_empty() {
            "oplog".into()
        } else {
            format!("data/{}", escape(&data.to_string()))
        };
        Self {
            object,
            data,
            uuid: None,
            path,
            mtime,
            ordered,
            handed: Mutex::default(),
            fingerprint: StdMutex::new(Fingerprinter::new(ordered)),
        }
    }

    /// A listed namespace of which nothing has been written yet.
    pub(super) fn of(listed: &Listed, mtime: Time) -> Self {
        let stream = Self::new(listed.entry.namespace.to_string(), listed.entry.data(), listed.capped, mtime);
        Self { uuid: listed.uuid.as_ref().map(hex::encode), ..stream }
    }

    /// The name of the object in the package's index.
    pub(super) fn object(&self) -> &str {
        &self.object
    }

    /// A segment for the namespace's documents.
    pub(super) fn segment(&self) -> Segment {
        Segment::new(&self.data, SEGMENT)
    }

    /// Hands a segment over as a member. Waits for memory first: whoever waits for it while holding the lock would
    /// keep those waiting who must give it back.
    pub(super) async fn hand_over(&self, outlet: &Outlet, segment: Segment) -> Result<(), Error> {
        let lease = outlet.budget().take(segment.documents().len()).await;
        let mut handed = self.handed.lock().await;
        handed.crc.update(segment.documents());
        handed.members += 1;
        let header = self.header(handed.members, 0);
        let bytes = Bytes::from(segment.finish());
        let header = Header { size: bytes.len() as u64, ..header };
        outlet.leased(header, Content::Bytes(bytes), Some(lease)).await?;
        Ok(())
    }

    /// Hands the namespace's end over, with its checksum. Nothing may follow.
    pub(super) async fn end(&self, outlet: &Outlet) -> Result<Fingerprint, Error> {
        let handed = self.handed.lock().await;
        let bytes = Bytes::from(archive::end(&self.data, &handed.crc));
        let header = self.header(handed.members + 1, bytes.len());
        outlet.member(header, bytes).await?;
        Ok(self.fingerprinter().value())
    }

    fn header(&self, number: u32, size: usize) -> Header {
        let path = format!("{}.{number:04}.bson", self.path);
        Header::data(path, self.object.as_str(), size as u64, self.mtime)
    }

    fn fingerprinter(&self) -> std::sync::MutexGuard<'_, Fingerprinter> {
        // A fingerprint cannot be left half changed, so a panic elsewhere does not spoil it.
        self.fingerprint.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Sets the fingerprint of a namespace that one task alone writes.
    pub(super) fn fingerprinted(&self, fingerprinter: &Fingerprinter) {
        self.fingerprinter().merge(fingerprinter);
    }

    /// Reads a range and hands it over; of a collection that is dropped meanwhile what was read until then, and says so.
    pub(super) async fn read(
        &self,
        member: &Member,
        range: &Range,
        size: Size,
        outlet: &Outlet,
    ) -> Result<Option<Dropped>, Error> {
        let batch = (REPLY / size.average.max(1)).clamp(1, MOST_DOCUMENTS);
        let batch = i32::try_from(batch).unwrap_or(1);
        let what = format!("read `{}`", self.object);
        let find = range.find(&self.data.collection, batch);
        let opened = member.cursor(&self.data.database, find, batch.unsigned_abs(), what).await;
        let mut batches = match (opened, &self.uuid) {
            (Ok(batches), _) => batches,
            (Err(error), Some(uuid)) if is_of_a_view(&error) => {
                return Ok(Some(Dropped { uuid: uuid.clone(), error }));
            }
            (Err(error), _) => return Err(error),
        };
        let mut fingerprint = Fingerprinter::new(self.ordered);
        let mut segment = self.segment();
        let mut dropped = None;
        loop {
            let batch = match batches.next().await {
                Ok(Some(batch)) => batch,
                Ok(None) => break,
                Err(error) => {
                    dropped = Some(Dropped::of(error)?);
                    break;
                }
            };
            for document in batch.documents()? {
                let document = document?;
                let full = segment.documents().len() + document.as_bytes().len() > SEGMENT;
                if full && !segment.documents().is_empty() {
                    let next = std::mem::replace(&mut segment, self.segment());
                    self.hand_over(outlet, next).await?;
                }
                fingerprint.add(document);
                segment.push(document);
            }
        }
        if !segment.documents().is_empty() {
            self.hand_over(outlet, segment).await?;
        }
        self.fingerprinted(&fingerprint);
        Ok(dropped)
    }
}

/// A collection that was dropped while it was read, or before and a view has its name.
///
/// What was read of it is a part, so it counts for nothing unless the oplog's slice has its end: then a restore loses
/// what it has of it again, as the source has.
#[derive(Debug)]
pub(super) struct Dropped {
    /// The collection's UUID, in hexadecimal digits.
    pub(super) uuid: String,
    /// What the server said.
    pub(super) error: Error,
}

impl Dropped {
    /// Takes what ended a cursor; any other error than that its collection was dropped is one.
    fn of(error: Error) -> Result<Self, Error> {
        const SAID: &str = "collection dropped. UUID ";
        let uuid = match &error {
            // QueryPlanKilled.
            Error::CursorLost { code: 175, why, .. } => {
                why.split_once(SAID).map(|(_, uuid)| uuid.replace('-', ""))
            }
            _ => None,
        };
        match uuid.filter(|uuid| uuid.len() == 32 && uuid.bytes().all(|digit| digit.is_ascii_hexdigit())) {
            Some(uuid) => Ok(Self { uuid, error }),
            None => Err(error),
        }
    }
}

/// Whether a server says that it takes no such `find` of a view: one stands where the collection was.
fn is_of_a_view(error: &Error) -> bool {
    matches!(error, Error::Server { why, .. } if why.starts_with("InvalidPipelineOperator (168)"))
}

/// A name as a path of one step: `/`, `%`, control characters and what is not ASCII as `%XX`.
fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'%' | b'\\');
    name.bytes().fold(String::new(), |path, byte| {
        if plain(byte) {
            path + char::from(byte).encode_utf8(&mut [0; 4])
        } else {
            format!("{path}%{byte:02X}")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_drop_may_end_a_collection() {
        let lost = |code, why: &str| {
            Dropped::of(Error::CursorLost { what: "read `a.b`".into(), code, why: why.into() })
        };
        let said = "collection dropped. UUID 5c2a1a0e-7e63-4375-a3ec-b7c08bbbbc4d";
        assert_eq!(lost(175, said).unwrap().uuid, "5c2a1a0e7e634375a3ecb7c08bbbbc4d");
        for (code, other) in [
            (43, said),
            (175, "collection renamed from 'a.b' to 'a.c'. UUID 5c2a1a0e-7e63-4375-a3ec-b7c08bbbbc4d"),
            (175, "collection dropped. UUID 5c2a1a0e"),
            (175, "index '_id_' dropped"),
        ] {
            assert!(lost(code, other).is_err(), "{code} {other}");
        }
    }

    #[test]
    fn odd_names_become_one_step_of_a_path() {
        assert_eq!(escape("shop.orders"), "shop.orders");
        assert_eq!(escape("a.b/../c%ä\n"), "a.b%2F..%2Fc%25%C3%A4%0A");
    }
}
