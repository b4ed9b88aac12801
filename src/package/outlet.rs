//! The source's end of a package: where members and objects are handed over.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::budget::{Budget, Lease};
use super::member::{Content, Header, Object};
use super::pulse::Pulse;

/// What passes from a source to the thread that frames the archive.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are members; a box for each would cost more than it saves"
)]
pub(crate) enum Parcel {
    Member(Header, Content, Option<Lease>),
    Object(Object),
    /// The dump is complete (or given up): nothing may follow.
    End,
}

/// The package has stopped taking members: it failed, or the run was told to stop.
///
/// The reason is with the package; the source just ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the package stopped taking members")]
pub struct Closed;

/// Takes members from a source, in the order in which they will stand in the archive.
///
/// May be cloned: members handed over by several tasks interleave, each as a whole. A phase (before data, data, after
/// data) is ordered by waiting for its members to be handed over before the next phase begins.
#[derive(Debug, Clone)]
pub struct Outlet {
    parcels: mpsc::Sender<Parcel>,
    budget: Budget,
    pulse: Pulse,
}

impl Outlet {
    /// An outlet whose members in memory stay within `budget`.
    pub(crate) fn new(budget: Budget, depth: usize) -> (Self, mpsc::Receiver<Parcel>) {
        let (parcels, receive) = mpsc::channel(depth);
        (Self { parcels, budget, pulse: Pulse::default() }, receive)
    }

    /// The way on which the package's owner sends the end.
    pub(super) fn parcels(&self) -> mpsc::Sender<Parcel> {
        self.parcels.clone()
    }

    /// The memory that members may hold while they wait, shared with the source's own read-ahead.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Where the source gives signs of life while it hands nothing over.
    pub fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Hands over a member whose content is in memory, waiting while the package is behind.
    pub async fn member(&self, header: Header, data: Bytes) -> Result<(), Closed> {
        let lease = self.budget.take(data.len()).await;
        self.send(Parcel::Member(header, Content::Bytes(data), Some(lease))).await
    }

    /// Hands over a member whose content already has its lease.
    pub async fn leased(&self, header: Header, content: Content, lease: Option<Lease>) -> Result<(), Closed> {
        self.send(Parcel::Member(header, content, lease)).await
    }

    /// As [`leased`](Self::leased), for threads that may block.
    pub fn leased_blocking(
        &self,
        header: Header,
        content: Content,
        lease: Option<Lease>,
    ) -> Result<(), Closed> {
        self.parcels.blocking_send(Parcel::Member(header, content, lease)).map_err(|_| Closed)
    }

    /// Notes an object and its fingerprint in the index.
    pub async fn object(&self, object: Object) -> Result<(), Closed> {
        self.send(Parcel::Object(object)).await
    }

    async fn send(&self, parcel: Parcel) -> Result<(), Closed> {
        self.parcels.send(parcel).await.map_err(|_| Closed)
    }
}
