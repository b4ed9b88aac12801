//! Cutting a large collection into ranges of `_id`, so that it is not the last one that everything waits for.

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBson, RawDocumentBuf, rawdoc};

use super::archive::Namespace;
use super::connect::Member;
use super::listing::Listed;
use super::{Error, element};

/// A part of a collection.
///
/// Bounds are index bounds, not query conditions: those would see only one type of `_id`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    /// All of it, in its natural order: by the `_id` index it takes four times as long where `_id`s are random.
    ///
    /// A document that is deleted, and inserted again with the same `_id`, can be met twice. A package with a slice of
    /// the oplog has both its deletion and its insertion, so a restore takes either.
    Whole,
    /// All of it by the `_id` index, which meets every `_id` once at most: what is inserted anew stands where the old
    /// one stood. For a dump without a slice, which nothing could put right.
    ById,
    /// From `min` (included) to `max` (excluded) in the order of the `_id` index. Without a `max` it ends before
    /// `MaxKey`: the server takes an absent bound for that, and excludes it too.
    ///
    /// A bound is a document with nothing but the `_id`, as the server has sent it: an `_id` need not be UTF-8.
    Between { min: Option<RawDocumentBuf>, max: Option<RawDocumentBuf> },
    /// The document whose `_id` is `MaxKey`, if there is one.
    Last,
}

/// How large a collection is about, from its count and a few documents.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) documents: u64,
    /// Bytes of one document, on average.
    pub(super) average: u64,
}

impl Size {
    /// Bytes of all documents.
    pub(super) fn bytes(self) -> u64 {
        self.documents.saturating_mul(self.average)
    }
}

/// Documents that are looked at to tell the average size.
const LOOK: i32 = 32;

/// Estimates a collection's size by its namespace's data.
pub(super) async fn size(member: &Member, data: &Namespace) -> Result<Size, Error> {
    let what = format!("estimate the size of `{data}`");
    let database = member.database(&data.database);
    let count = mongodb::bson::doc! { "count": &data.collection };
    let reply = database.run_command(count).await.map_err(|error| Error::driver(what.as_str(), error))?;
    let n = reply.get_i32("n").map(i64::from).or_else(|_| reply.get_i64("n"));
    let documents = u64::try_from(n.map_err(|error| Error::reply(what.as_str(), error))?).unwrap_or(0);
    let find = rawdoc! { "find": data.collection.as_str(), "limit": LOOK, "batchSize": LOOK };
    let mut batches = member.cursor(&data.database, find, 1, what).await?;
    let (mut seen, mut bytes) = (0_u64, 0_u64);
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            seen += 1;
            bytes += document?.as_bytes().len() as u64;
        }
    }
    Ok(Size { documents, average: bytes / seen.max(1) })
}

/// Into how many ranges a collection is cut: none below `split_above`, else as many as its share of all bytes would
/// keep busy of `parallel` readers.
pub(super) fn ranges_for(own: u64, all: u64, parallel: usize, split_above: u64) -> usize {
    if own <= split_above || all == 0 {
        return 1;
    }
    let share = u128::from(own) * parallel as u128 / u128::from(all);
    usize::try_from(share).unwrap_or(parallel).clamp(1, parallel)
}

/// Cuts a collection into about `count` ranges at the `_id` of documents taken at random. Together the ranges cover
/// every `_id` there can be.
pub(super) async fn cut(member: &Member, listed: &Listed, count: usize) -> Result<Vec<Range>, Error> {
    let whole = if member.hello.set.is_none() && listed.by_id { Range::ById } else { Range::Whole };
    if count < 2 || !listed.divisible {
        return Ok(vec![whole]);
    }
    let data = listed.entry.data();
    // Twenty for each range make the ranges about equal.
    let sample = i32::try_from(count * 20).unwrap_or(i32::MAX);
    let pipeline = rawdoc! {
        "aggregate": data.collection.as_str(),
        "pipeline": [
            { "$sample": { "size": sample } },
            { "$project": { "_id": 1_i32 } },
            { "$sort": { "_id": 1_i32 } },
        ],
        "cursor": {},
    };
    let what = format!("cut `{data}` into ranges");
    let mut batches = match member.cursor(&data.database, pipeline, 10_000, what.as_str()).await {
        // It finds too few documents: after a crash a server counts many that are not there.
        Err(Error::Server { why, .. }) if why.contains("(28799)") => return Ok(vec![whole]),
        other => other?,
    };
    let mut ids: Vec<RawDocumentBuf> = Vec::new();
    while let Some(batch) = batches.next().await? {
        for document in batch.documents()? {
            let document = document?;
            if !element::elements(document).flatten().map(|element| element.key).eq([b"_id"]) {
                return Err(Error::reply(what.as_str(), "a document without `_id`"));
            }
            ids.push(document.to_owned());
        }
    }
    ids.dedup();
    let bounds: Vec<RawDocumentBuf> =
        (1..count).filter_map(|i| ids.get(i * ids.len() / count)).cloned().collect();
    Ok(between(bounds, whole))
}

/// The ranges between bounds that ascend: together they have every `_id` there can be. Without bounds it is the `whole`.
fn between(mut bounds: Vec<RawDocumentBuf>, whole: Range) -> Vec<Range> {
    bounds.dedup();
    if bounds.is_empty() {
        return vec![whole];
    }
    let starts = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
    let ends = bounds.iter().cloned().map(Some).chain(std::iter::once(None));
    let inner = starts.zip(ends).map(|(min, max)| Range::Between { min, max });
    inner.chain(std::iter::once(Range::Last)).collect()
}

impl Range {
    /// The `find` command that reads the range.
    pub(super) fn find(&self, collection: &str, batch: i32) -> RawDocumentBuf {
        let mut command = rawdoc! { "find": collection, "batchSize": batch, "noCursorTimeout": true };
        match self {
            Self::Whole => {}
            Self::ById => command.append(cstr!("hint"), rawdoc! { "_id": 1_i32 }),
            Self::Last => command.append(cstr!("filter"), rawdoc! { "_id": RawBson::MaxKey }),
            Self::Between { min, max } => {
                command.append(cstr!("hint"), rawdoc! { "_id": 1_i32 });
                for (name, id) in [(cstr!("min"), min), (cstr!("max"), max)] {
                    if let Some(id) = id {
                        command.append(name, id.clone());
                    }
                }
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_touch_and_leave_nothing_out() {
        let bounds = [1_i32, 5, 5].map(|id| rawdoc! { "_id": id }).to_vec();
        let ranges = between(bounds, Range::Whole);
        let bounds: Vec<_> = ranges
            .iter()
            .filter_map(|range| match range {
                Range::Between { min, max } => Some((min, max)),
                _ => None,
            })
            .collect();
        assert_eq!((ranges.len(), bounds.len()), (4, 3));
        assert_eq!((bounds[0].0, bounds[2].1, &ranges[3]), (&None, &None, &Range::Last));
        assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].1.is_some()));
        assert_eq!(between(Vec::new(), Range::ById), vec![Range::ById]);
    }

    #[test]
    fn only_what_would_end_last_is_cut() {
        const MIB: u64 = 1 << 20;
        assert_eq!(ranges_for(100 * MIB, 100 * MIB, 4, 256 * MIB), 1, "small");
        assert_eq!(ranges_for(300 * MIB, 1200 * MIB, 4, 256 * MIB), 1, "one of four equals");
        assert_eq!(ranges_for(1000 * MIB, 1000 * MIB, 4, 256 * MIB), 4, "the only one");
        assert_eq!(ranges_for(600 * MIB, 1200 * MIB, 4, 256 * MIB), 2, "half of everything");
    }
}
