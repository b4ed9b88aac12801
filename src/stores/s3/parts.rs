//! How an object is cut into parts: all of one size, chosen before the first byte, so that the number of parts never
//! runs out unannounced. Pure.
//!
//! Equal parts are what every provider takes (Cloudflare R2 refuses others when the upload is completed), so the size
//! cannot grow on the way: it is planned from what is known at the start.

use crate::config::units::ByteSize;
use crate::stores::{Error, Reason};

const MIB: u64 = 1 << 20;
/// The smallest part that is not the last (docs.aws.amazon.com, "Amazon S3 multipart upload limits").
pub(super) const LEAST_PART: u64 = 5 * MIB;
/// The largest part, and the largest object in one request.
pub(super) const LARGEST_PART: u64 = 5 << 30;

/// What the configuration says about parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The size of a part in bytes, unless more is needed.
    pub part_size: u64,
    /// How many parts are sent at once.
    pub at_once: usize,
    /// How many parts an object may have.
    pub max_parts: u64,
    /// How large objects may become, if the configuration says so.
    pub max_object_size: Option<u64>,
}

/// The parts of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// The size of every part but the last, in bytes.
    pub(super) size: usize,
    /// How many are sent at once.
    pub(super) at_once: usize,
    /// How many bytes fit.
    pub(super) capacity: u64,
}

impl Rules {
    /// The memory that the parts of one object may take: those on their way and the one that is being filled.
    pub(super) fn memory(&self) -> u64 {
        self.part_size * (self.at_once as u64 + 1)
    }

    /// The size of the parts that `max_object_size` asks for.
    fn least(&self) -> u64 {
        self.max_object_size.map_or(self.part_size, |size| self.needed(size).max(self.part_size))
    }

    fn needed(&self, size: u64) -> u64 {
        size.div_ceil(self.max_parts).next_multiple_of(MIB)
    }

    /// Plans the parts of an object that may become `estimate` bytes large.
    ///
    /// Without a `max_object_size` parts grow with the estimate as far as the memory allows that the configuration
    /// has set aside. An estimate may be far too high, so it refuses nothing; where not even the object before this
    /// one (`predecessor`, in bytes) would fit, that is said now rather than after hours of uploading.
    pub(super) fn plan(&self, estimate: Option<u64>, predecessor: Option<u64>) -> Result<Parts, Error> {
        let estimate = estimate.max(predecessor);
        let least = self.least();
        let largest = (self.memory() / 2).max(least);
        // Encryption and incompressible data add a little; a database grows while it is dumped.
        let expected = estimate.unwrap_or_default().saturating_add(estimate.unwrap_or_default() / 4);
        let size = self.needed(expected).clamp(least, largest);
        let parts = self.parts(size);
        match predecessor {
            Some(before) if before > parts.capacity && self.max_object_size.is_none() => {
                Err(self.too_large(&parts, &format!("the package before had {}", ByteSize(before))))
            }
            _ => Ok(parts),
        }
    }

    fn parts(&self, size: u64) -> Parts {
        let at_once = usize::try_from(self.memory() / size).unwrap_or(usize::MAX).saturating_sub(1);
        let capacity = size * self.max_parts;
        let capacity = self.max_object_size.map_or(capacity, |most| most.max(1).min(capacity));
        Parts { size: ByteSize(size).as_usize(), at_once: at_once.clamp(1, self.at_once), capacity }
    }

    /// The object does not fit, and why that is known.
    pub(super) fn too_large(&self, parts: &Parts, why: &str) -> Error {
        let message = format!(
            "{why}, but {} parts of {} hold only {}",
            self.max_parts,
            ByteSize(parts.size as u64),
            ByteSize(parts.capacity)
        );
        Error::new(Reason::Rejected, message).help(
            "set `max_object_size` of this store to what one package may become; larger parts take more memory",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: Rules = Rules { part_size: 8 * MIB, at_once: 3, max_parts: 10_000, max_object_size: None };

    #[test]
    fn a_size_that_is_not_known_gets_the_configured_parts() {
        let parts = RULES.plan(None, None).unwrap();
        assert_eq!((parts.size, parts.at_once, parts.capacity), (8 << 20, 3, 80_000 * MIB));
    }

    #[test]
    fn parts_grow_with_the_estimate_within_the_memory() {
        let parts = RULES.plan(Some(100_000 * MIB), None).unwrap();
        assert_eq!((parts.size, parts.at_once), (13 << 20, 1));
        assert!((parts.size * (parts.at_once + 1)) as u64 <= RULES.memory());
        assert_eq!(
            RULES.plan(None, Some(100_000 * MIB)).unwrap(),
            parts,
            "what was before is expected again"
        );
        let most = RULES.plan(Some(200_000 * MIB), Some(150_000 * MIB)).unwrap();
        assert_eq!(most.capacity, 160_000 * MIB, "an estimate refuses nothing");
        let refused = RULES.plan(None, Some(200_000 * MIB)).unwrap_err();
        assert_eq!(refused.reason, Reason::Rejected);
        assert!(
            refused.to_string().contains("before had 195.3 GiB, but 10000 parts of 16.0 MiB"),
            "{refused}"
        );
    }

    #[test]
    fn a_configured_size_decides_whatever_is_estimated() {
        let rules = Rules { max_object_size: Some(1 << 40), ..RULES };
        for estimate in [None, Some(10), Some(1 << 50)] {
            let parts = rules.plan(estimate, estimate).unwrap();
            assert_eq!((parts.size as u64, parts.at_once, parts.capacity), (105 * MIB, 1, 1 << 40));
        }
        let few = Rules { max_parts: 1_000, max_object_size: Some(100 << 30), ..RULES };
        assert_eq!(few.plan(None, None).unwrap().size as u64, 103 * MIB);
    }

    proptest! {
        #[test]
        fn no_plan_runs_out_of_parts(part in 5u64..64, at_once in 1usize..8, max_parts in 1u64..10_001,
            estimate in 0u64..(1 << 44)) {
            let rules = Rules { part_size: part * MIB, at_once, max_parts, max_object_size: None };
            if let Ok(parts) = rules.plan(None, Some(estimate)) {
                prop_assert!(parts.size as u64 * max_parts >= estimate);
                prop_assert!(parts.size as u64 * (parts.at_once as u64 + 1) <= rules.memory().max(2 * part * MIB));
            }
        }
    }
}
