//! Restoring an archive over the wire, without `mongorestore`.
//!
//! Collections with their options first, then documents, then a comparison with the index's fingerprints, then the
//! oplog's slice, and only then indexes and views: a unique index would refuse states in between that the slice
//! repairs, and a TTL index would delete what is about to be compared. Users and roles come last. An index that cannot
//! be built fails the restore, but only when all the rest is done.

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

use tracing::info;

use super::archive::{Kind, Namespace};
use super::{Error, Plan};
use crate::package::Package;
use crate::sources::{Request, Restored};
use contents::Contents;
use mapping::{Mapping, Piece};
use replay::State;
use target::Target;

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
    match occupied.first() {
        Some(name) if !request.replace => return Err(Error::NotEmpty(name.to_string())),
        _ => target.clear(&names, &mapping).await?,
    }
    let roomy = room::given(&contents, &target);
    for piece in pieces.iter().filter(|piece| piece.kind != Kind::View) {
        target.create(piece, roomy).await?;
    }
    let loaded = load::load(package, &contents, &pieces, &mapping, &target, plan.parallel).await?;
    restored.counts.insert("documents".into(), loaded.documents);
    restored.bytes = loaded.bytes;
    let twice = loaded.twice;
    let compared =
        compare::compare(package, &contents, &pieces, &mapping, &target, &twice, plan.parallel).await?;
    restored.compared = format!("{compared} collections by fingerprint");
    info!(collections = compared, documents = loaded.documents, "documents restored and compared");
    let mut state = State::new(&pieces, &mapping, roomy, twice.owed);
    if contents.has_oplog() {
        let applied = replay::replay(package, ahead, &target, &mut state).await?;
        restored.counts.insert("oplog_operations".into(), applied);
        restored.notes.push(format!("{applied} operations of the oplog were replayed after the comparison"));
    }
    let failed = target.index(&state).await?;
    target.views(&state).await?;
    target.finish(&state).await?;
    if mapping.users_and_roles() {
        users::merge(&target, request.replace, &mut restored).await?;
    }
    if failed.is_empty() { Ok(restored) } else { Err(Error::Indexes(failed.join("; "))) }
}

fn counts(pieces: &[Piece]) -> BTreeMap<String, u64> {
    let of = |kind: Kind| pieces.iter().filter(|piece| piece.kind == kind).count() as u64;
    [("collections", of(Kind::Collection)), ("views", of(Kind::View)), ("time_series", of(Kind::TimeSeries))]
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect()
}
