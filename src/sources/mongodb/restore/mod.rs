//! Restoring an archive over the wire, without `mongorestore`.
//!
//! Collections with their options first, then documents, then a comparison with the index's fingerprints, then the
//! oplog's slice, and only then indexes and views: a unique index would refuse states in between that the slice
//! repairs, and a TTL index would delete what is about to be compared. Users and roles come last. An index, a
//! view or an option that the target refuses fails the restore, but only when all the rest is done.

mod compare;
mod contents;
mod load;
mod mapping;
mod newest;
mod replay;
mod room;
mod target;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::{info, warn};

use super::archive::{Kind, Namespace};
use super::{Error, Plan};
use crate::package::Package;
use crate::sources::{Request, Restored};
use contents::Contents;
use mapping::{Mapping, Piece};
use replay::State;
use target::Target;

/// How long a target that has failed may take to drop what users and roles waited in.
const CLEARED: Duration = Duration::from_secs(30);

pub(super) async fn restore(plan: &Plan, package: &Package, request: &Request) -> Result<Restored, Error> {
    let contents = Contents::read(package).await?;
    let mapping = Mapping::new(request, &contents)?;
    let pieces = mapping.pieces(&contents)?;
    let target = Target::connect(plan, request.into.as_deref()).await?;
    target.accepts(&contents)?;
    let ahead = replay::look_ahead(package, &contents, &mapping).await?;
    let names: BTreeSet<&Namespace> = pieces.iter().map(|piece| &piece.to).chain(&ahead.made).collect();
    let occupied = target.occupied(&names, &mapping).await?;
    let mut restored = Restored { counts: counts(&pieces), ..Restored::default() };
    if request.dry_run {
        restored.notes.extend(occupied.iter().map(|name| format!("`{name}` is in the way")));
        restored.compared = "nothing: this was a dry run".into();
        return Ok(restored);
    }
    if let (Some(name), false) = (occupied.first(), request.replace) {
        return Err(Error::NotEmpty(name.to_string()));
    }
    target.clear(&names).await?;
    let writing = async {
        let roomy = room::given(&contents, &target);
        for piece in pieces.iter().filter(|piece| piece.kind != Kind::View) {
            target.create(piece, roomy).await?;
        }
        if mapping.users_and_roles() {
            users::make(&target).await?;
        }
        let loaded = load::load(package, &contents, &pieces, &mapping, &target, plan.parallel).await?;
        restored.counts.insert("documents".into(), loaded.documents);
        restored.bytes = loaded.bytes;
        let twice = loaded.twice;
        let compared =
            compare::compare(package, &contents, &pieces, &mapping, &target, &twice, plan.parallel).await?;
        restored.compared = format!("{compared} collections by fingerprint");
        info!(collections = compared, documents = loaded.documents, "documents restored and compared");
        if !contents.has_oplog() {
            restored.notes.extend(twice.notes());
        }
        let mut state = State::new(&pieces, &mapping, roomy, twice.owed);
        if contents.has_oplog() {
            let applied = replay::replay(package, ahead, &target, &mut state).await?;
            restored.counts.insert("oplog_operations".into(), applied);
            restored
                .notes
                .push(format!("{applied} operations of the oplog were replayed after the comparison"));
        }
        let mut refused = target.index(&state).await?;
        refused.extend(target.views(&state).await?);
        refused.extend(target.finish(&state).await?);
        if mapping.users_and_roles() {
            users::merge(&target, request.replace, &mut restored).await?;
        }
        if refused.is_empty() { Ok(restored) } else { Err(Error::TargetRefused(refused.join("; "))) }
    };
    let result = writing.await;
    if mapping.users_and_roles() { clear_up(&target, result).await } else { result }
}

/// Drops what users and roles waited in, however the restore has ended: it would be taken for data.
async fn clear_up(target: &Target, result: Result<Restored, Error>) -> Result<Restored, Error> {
    let clearing = users::clear(target);
    let Err(error) = result else { return clearing.await.and(result) };
    // A target that has failed may answer nothing any more.
    if !matches!(tokio::time::timeout(CLEARED, clearing).await, Ok(Ok(()))) {
        warn!("collections in which users and roles waited may be left in `admin`");
    }
    Err(error)
}

fn counts(pieces: &[Piece]) -> BTreeMap<String, u64> {
    let of = |kind: Kind| pieces.iter().filter(|piece| piece.kind == kind).count() as u64;
    [("collections", of(Kind::Collection)), ("views", of(Kind::View)), ("time_series", of(Kind::TimeSeries))]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}
