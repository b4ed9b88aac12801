//! Dumping: a snapshot by replication, or key by key.

use std::collections::BTreeMap;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::config::{Fallback, Mode};
use super::connect::{Client, Endpoint, locate};
use super::fingerprint::Tally;
use super::psync::{self, DEPTH};
use super::rdb::{self, Format, Item, Walker};
use super::scan::Scanned;
use super::slices::Slices;
use super::{Error, Plan, extras, probe, scan};
use crate::clock::Clock;
use crate::package::outlet::{Closed, Outlet};
use crate::sources::{Consistency, ConsistencyKind, Summary};

/// Dumps the server as the plan says.
pub(super) async fn dump(plan: &Plan, outlet: Outlet, stop: &CancellationToken) -> Result<Summary, Error> {
    let endpoint = locate(plan).await?;
    let mut coordinates = BTreeMap::from([("server".to_owned(), endpoint.server())]);
    let mut client = probe::coordinates(plan, &endpoint, &mut coordinates).await?;
    let fields = extras::collect(plan, &mut client).await?;
    let mut replicated = None;
    if plan.mode == Mode::Psync {
        let alone = !plan.cluster_node;
        match by_replication(&endpoint, alone, &outlet, fields.clone(), coordinates.clone(), stop).await {
            Err(error) if plan.fallback == Fallback::Scan && is_forbidden(&error) => {
                tracing::info!(%error, "replicas are forbidden, reading key by key");
            }
            other => replicated = Some(other?),
        }
    }
    let mut summary = match replicated {
        Some(summary) => summary,
        None => by_scan(plan, &mut client, &outlet, fields, coordinates, stop).await?,
    };
    if plan.cluster_node {
        probe::compare_slots(&mut client, &mut summary).await?;
    }
    Ok(summary)
}

/// Whether the server forbids replicas, and another way is worth a try.
pub(super) fn is_forbidden(error: &Error) -> bool {
    match error {
        Error::NoReplicas { .. } => true,
        Error::NotAllowed { command, .. } => matches!(command.as_str(), "psync" | "replconf"),
        _ => false,
    }
}

async fn by_replication(
    endpoint: &Endpoint,
    alone: bool,
    outlet: &Outlet,
    fields: Vec<u8>,
    mut coordinates: BTreeMap<String, String>,
    stop: &CancellationToken,
) -> Result<Summary, Error> {
    let (send, receive) = mpsc::channel(DEPTH);
    let (begun, begins) = oneshot::channel();
    let of_cluster = alone.then(|| Error::ClusterNode(endpoint.server()));
    let (endpoint, pulse, stop) = (endpoint.clone(), outlet.pulse().clone(), stop.clone());
    let receiving =
        tokio::task::spawn_blocking(move || psync::receive(&endpoint, begun, send, &pulse, &stop));
    let lost = |_| Error::Stopped;
    let Ok(begun) = begins.await else {
        // It ended before it began, and has the reason.
        return Err(receiving.await.map_err(lost)?.err().unwrap_or(Error::Stopped));
    };
    coordinates.insert("replication_id".to_owned(), begun.id);
    coordinates.insert("replication_offset".to_owned(), begun.offset);
    let (received, walked) = tokio::join!(receiving, walk(outlet.clone(), receive, fields, of_cluster));
    // What broke off at the server's end is the reason for what the walker then misses.
    received.map_err(lost)??;
    summarize(outlet, walked?, coordinates, ConsistencyKind::Snapshot, Vec::new()).await
}

async fn by_scan(
    plan: &Plan,
    client: &mut Client,
    outlet: &Outlet,
    fields: Vec<u8>,
    coordinates: BTreeMap<String, String>,
    stop: &CancellationToken,
) -> Result<Summary, Error> {
    let (send, receive) = mpsc::channel(DEPTH);
    let walk = walk(outlet.clone(), receive, fields, None);
    let read = async {
        tokio::select! {
            () = stop.cancelled() => Err(Error::Stopped),
            result = scan::scan(plan, client, send) => result,
        }
    };
    let (read, walked) = tokio::join!(read, walk);
    let Scanned { notes, missing } = match read {
        // Whoever reads ends when the walker has stopped: the walker has the reason.
        Err(Error::Closed(closed)) => return Err(walked.err().unwrap_or(Error::Closed(closed))),
        read => read?,
    };
    let summary = summarize(outlet, walked?, coordinates, ConsistencyKind::Fuzzy, notes).await?;
    Ok(Summary { missing, ..summary })
}

/// What the walker saw.
struct Walked {
    tally: Tally,
    format: Format,
    members: u64,
    /// Whether slots were on their way in.
    imports: bool,
}

/// Walks over the stream on a thread of its own while it is handed over.
///
/// Fails with `of_cluster`, if there is one, once the stream turns out to be that of a node of a cluster.
async fn walk(
    outlet: Outlet,
    pieces: mpsc::Receiver<Bytes>,
    fields: Vec<u8>,
    mut of_cluster: Option<Error>,
) -> Result<Walked, Error> {
    let mtime = Clock::system().now().into();
    let work = move || -> Result<Walked, Error> {
        let mut walker = Walker::new(Slices::new(pieces, outlet, mtime, fields))?;
        let format = walker.format();
        let mut tally = Tally::default();
        while let Some(item) = walker.item()? {
            tally.add(&item);
            if let Some(error) = of_cluster.take_if(|_| walker.has_slots()) {
                return Err(error);
            }
            if matches!(item, Item::End { .. }) {
                break;
            }
        }
        let imports = walker.has_imports();
        let members = walker.into_feed().finish(tally.checked)?;
        Ok(Walked { tally, format, members, imports })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Err(Error::Rdb(rdb::Error::Stopped(why)))) if why.is::<Closed>() => Err(Error::Closed(Closed)),
        Ok(result) => result,
        Err(_) => Err(Error::Stopped),
    }
}

async fn summarize(
    outlet: &Outlet,
    walked: Walked,
    mut coordinates: BTreeMap<String, String>,
    kind: ConsistencyKind,
    mut notes: Vec<String>,
) -> Result<Summary, Error> {
    for object in walked.tally.objects() {
        outlet.object(object).await?;
    }
    let magic = String::from_utf8(walked.format.magic()).unwrap_or_default();
    coordinates.insert("rdb".to_owned(), magic);
    for (field, name) in [("redis-ver", "version"), ("valkey-ver", "version"), ("ctime", "snapshot_time")] {
        if let Some(value) = walked.tally.aux.get(field) {
            coordinates.insert(name.to_owned(), value.clone());
        }
    }
    if !walked.tally.checked {
        notes.push("the server writes no RDB checksums (`rdbchecksum no`)".to_owned());
    }
    if walked.imports {
        let uncertain = probe::UNCERTAIN;
        notes.push(format!("slots were on their way to this node when the snapshot was taken: {uncertain}"));
    }
    let mut counts = walked.tally.counts();
    counts.insert("members".to_owned(), walked.members);
    let consistency = Consistency { kind, coordinates };
    Ok(Summary { consistency, missing: Vec::new(), notes, counts })
}
