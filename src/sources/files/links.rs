//! Which files have been seen under another name already.

use std::collections::HashMap;

use super::stamp::{Inode, Stamp};

/// What an entry costs besides its path: the key, the value, the map's own overhead.
const OVERHEAD: usize = 128;

/// The names of files with several hard links, until all of their links were seen.
#[derive(Debug)]
pub(super) struct Links {
    seen: HashMap<(u64, u64), Seen>,
    free: usize,
}

#[derive(Debug)]
struct Seen {
    path: Vec<u8>,
    stamp: Stamp,
    remaining: u64,
}

/// The table is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Links {
    /// An empty table that may take `memory` bytes.
    pub(super) fn new(memory: usize) -> Self {
        Self { seen: HashMap::new(), free: memory }
    }

    /// The name under which this file already stands in the archive, or `None` if this is the first.
    ///
    /// A number that now belongs to a different file (deleted and given out again during the dump) is told by the
    /// file's times and size: content is then stored anew rather than linked to something else.
    pub(super) fn first_name(&mut self, inode: &Inode, path: &[u8]) -> Result<Option<Vec<u8>>, Full> {
        if inode.links < 2 {
            return Ok(None);
        }
        let key = (inode.device, inode.number);
        if let Some(seen) = self.seen.get_mut(&key)
            && seen.stamp.same_content(&inode.stamp)
        {
            seen.remaining = seen.remaining.saturating_sub(1);
            let first = seen.path.clone();
            if seen.remaining == 0 {
                self.forget(inode);
            }
            return Ok(Some(first));
        }
        self.forget(inode);
        let cost = path.len() + OVERHEAD;
        self.free = self.free.checked_sub(cost).ok_or(Full)?;
        let seen = Seen { path: path.to_vec(), stamp: inode.stamp, remaining: inode.links - 1 };
        self.seen.insert(key, seen);
        Ok(None)
    }

    /// Forgets a file: the content under its first name does not count after all, so no later name may point there.
    pub(super) fn forget(&mut self, inode: &Inode) {
        if let Some(seen) = self.seen.remove(&(inode.device, inode.number)) {
            self.free += seen.path.len() + OVERHEAD;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(number: u64, links: u64, size: u64) -> Inode {
        Inode { device: 1, number, links, stamp: Stamp { size, ..Stamp::default() } }
    }

    #[test]
    fn later_names_point_to_the_first_and_the_last_one_frees_it() {
        let mut links = Links::new(1_000);
        assert_eq!(links.first_name(&inode(7, 3, 1), b"a"), Ok(None));
        assert_eq!(links.first_name(&inode(7, 3, 1), b"b"), Ok(Some(b"a".to_vec())));
        assert_eq!(links.first_name(&inode(7, 3, 1), b"c"), Ok(Some(b"a".to_vec())));
        assert!(links.seen.is_empty());
        assert_eq!(links.free, 1_000);
    }

    #[test]
    fn a_number_given_out_again_is_another_file() {
        let mut links = Links::new(1_000);
        assert_eq!(links.first_name(&inode(7, 2, 1), b"a"), Ok(None));
        assert_eq!(links.first_name(&inode(7, 2, 9), b"b"), Ok(None));
    }

    #[test]
    fn a_full_table_says_so() {
        let mut links = Links::new(OVERHEAD + 1);
        assert_eq!(links.first_name(&inode(7, 2, 1), b"a"), Ok(None));
        assert_eq!(links.first_name(&inode(8, 2, 1), b"b"), Err(Full));
    }
}
