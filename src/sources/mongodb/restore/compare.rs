//! Reading back what was restored, and comparing it with the fingerprints that were taken in the dump.

use futures_util::StreamExt as _;
use futures_util::stream;

use super::super::archive::Namespace;
use super::super::fingerprint::Fingerprinter;
use super::contents::Contents;
use super::load::Twice;
use super::mapping::{Mapping, Piece};
use super::target::Target;
use super::{Error, newest};
use crate::package::Package;
use crate::package::digest::Fingerprint;

/// Documents of a reply. The server cuts a reply at 16 MiB anyway.
const BATCH: i32 = 5_000;

/// Compares every collection that was loaded, users and roles where they wait to be merged; says how many. Of an `_id`
/// that the package has twice, one was left out. Of a capped collection the oldest may have given way.
pub(super) async fn compare(
    package: &Package,
    contents: &Contents,
    pieces: &[Piece],
    mapping: &Mapping,
    target: &Target,
    twice: &Twice,
    parallel: usize,
) -> Result<usize, Error> {
    let ordered = |name: &Namespace| pieces.iter().find(|piece| piece.from == *name && piece.ordered());
    let loaded = contents.entries.iter().filter_map(|entry| {
        let to = mapping.documents(&entry.data())?;
        let view = entry.kind == super::super::archive::Kind::View;
        (!view).then(|| (entry.namespace.clone(), to, ordered(&entry.namespace)))
    });
    let comparing = loaded.map(|(from, to, ordered)| async move {
        let expected = contents.object(&from)?.fingerprint;
        let expected = twice.expected(&to, expected);
        let found = fingerprint(target, &to, ordered.is_some()).await?;
        if found == expected {
            return Ok(());
        }
        if let (Some(piece), Some(skip @ 1..)) = (ordered, expected.rows.checked_sub(found.rows)) {
            let newest = newest::newest(package, &from, skip).await?;
            if newest.fingerprint == found && newest.fill(&piece.options) {
                return Ok(());
            }
        }
        Err(Error::Differs { name: from.to_string(), expected, found })
    });
    let mut comparing = stream::iter(comparing.collect::<Vec<_>>()).buffer_unordered(parallel.max(1));
    let mut compared = 0;
    while let Some(result) = comparing.next().await {
        result?;
        compared += 1;
    }
    Ok(compared)
}

/// The fingerprint of a collection as the target has it.
async fn fingerprint(target: &Target, namespace: &Namespace, ordered: bool) -> Result<Fingerprint, Error> {
    let find = mongodb::bson::rawdoc! {
        "find": namespace.collection.as_str(),
        "batchSize": BATCH,
        "noCursorTimeout": true,
    };
    let what = format!("read `{namespace}` back");
    let mut batches = target.member.cursor(&namespace.database, find, BATCH.unsigned_abs(), what).await?;
    let mut fingerprint = Fingerprinter::new(ordered);
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            fingerprint.add(document?);
        }
    }
    Ok(fingerprint.value())
}
