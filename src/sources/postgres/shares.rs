//! How several connections share tables: whole while all of them have enough to do, and then in ranges.
//!
//! To read a range of a table costs a server a tenth more than to read all of it. And it reads a whole table through a
//! ring of 256 KiB, but a range through all its buffers, where it takes the place of what others use
//! (`table_beginscan_tidrange` of `tableam.h` does not allow a strategy). Whoever reads a whole table may be the last to
//! end, though, while nobody can help.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::data::{Range, Table};
use crate::package::digest::Fingerprint;

/// What a page holds, nearly always. Nothing but a guess depends on it.
const PAGE: u64 = 8192;

/// What is known of a table while it is read.
#[derive(Debug)]
pub(super) struct Progress {
    pub table: Table,
    /// The members handed over so far.
    pub part: AtomicU64,
    /// Bytes of rows read so far.
    read: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Ranges that are not read to their end.
    open: usize,
    fingerprint: Fingerprint,
}

/// A range of a table, and what is known of the table so far.
pub(super) type Job = (Arc<Progress>, Range);

impl Progress {
    /// A table of which nothing is read yet.
    pub(super) fn new(table: Table) -> Self {
        let state = State { open: 1, fingerprint: Fingerprint::default() };
        Self { table, part: AtomicU64::new(0), read: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Notes that so many more bytes of rows are read.
    pub(super) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Takes what a range has, after its end. Returns what the whole table has if that was the last range.
    pub(super) fn end(&self, fingerprint: Fingerprint) -> Option<Fingerprint> {
        self.with(|state| {
            state.fingerprint.merge(fingerprint);
            state.open -= 1;
            (state.open == 0).then_some(state.fingerprint)
        })
    }

    /// About how many pages are still to be read.
    fn left(&self) -> u64 {
        if self.with(|state| state.open) == 0 {
            return 0;
        }
        self.table.pages.saturating_sub(self.read.load(Ordering::Relaxed) / PAGE)
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tables that wait to be read.
pub(super) struct Shares {
    /// How many connections share them.
    jobs: u64,
    waiting: VecDeque<Arc<Progress>>,
    /// The pages of those.
    pages: u64,
    /// What is left of the table that was divided last.
    ranges: VecDeque<Job>,
    /// Tables that somebody reads alone.
    alone: Vec<Arc<Progress>>,
}

impl Shares {
    /// All tables, in the order in which they are taken, for `jobs` connections at most.
    pub(super) fn new(tables: Vec<Table>, jobs: usize) -> Self {
        let parts: usize = tables.iter().map(|table| table.ranges().len()).sum();
        Self {
            jobs: jobs.min(parts) as u64,
            pages: tables.iter().map(|table| table.pages).sum(),
            waiting: tables.into_iter().map(|table| Arc::new(Progress::new(table))).collect(),
            ranges: VecDeque::new(),
            alone: Vec::new(),
        }
    }

    /// How many connections have something to do.
    pub(super) fn jobs(&self) -> u64 {
        self.jobs
    }

    /// What is read next.
    pub(super) fn next(&mut self) -> Option<Job> {
        if let Some(range) = self.ranges.pop_front() {
            return Some(range);
        }
        let next = self.waiting.pop_front()?;
        self.alone.retain(|progress| progress.left() > 0);
        let ranges = if self.is_small(&next.table) { vec![None] } else { next.table.ranges() };
        self.pages -= next.table.pages;
        next.with(|state| state.open = ranges.len());
        if ranges.len() == 1 {
            self.alone.push(Arc::clone(&next));
        }
        self.ranges.extend(ranges.into_iter().map(|range| (Arc::clone(&next), range)));
        self.ranges.pop_front()
    }

    /// Whether the others have enough to do while one reads this table, which still counts as waiting: it is no more
    /// than three quarters of what is there for each of them, because some rows take longer than others.
    fn is_small(&self, table: &Table) -> bool {
        let all = self.pages + self.alone.iter().map(|progress| progress.left()).sum::<u64>();
        self.jobs == 1 || 4 * table.pages * self.jobs <= 3 * all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(pages: &[u64], jobs: usize) -> Shares {
        let table = |(number, pages): (usize, &u64)| Table {
            schema: "public".into(),
            name: format!("t{number}"),
            columns: "a".into(),
            condition: String::new(),
            through_root: false,
            unlogged: false,
            pages: *pages,
            tied: None,
            of_extension: false,
        };
        Shares::new(pages.iter().enumerate().map(table).collect(), jobs)
    }

    fn takes(shares: &mut Shares) -> (String, bool) {
        let (progress, range) = shares.next().unwrap();
        (progress.table.name.clone(), range.is_none())
    }

    #[test]
    fn one_large_table_is_divided_and_one_connection_divides_nothing() {
        assert_eq!(takes(&mut shares(&[100_000], 2)), ("t0".into(), false));
        assert_eq!(takes(&mut shares(&[100_000], 1)), ("t0".into(), true));
        assert_eq!(takes(&mut shares(&[100_000, 40_000], 2)), ("t0".into(), false));
        // Too small to be divided at all.
        assert_eq!(takes(&mut shares(&[4_000], 2)), ("t0".into(), true));
    }

    #[test]
    fn the_last_tables_are_divided_unless_somebody_else_is_busy_for_longer() {
        let mut shares = shares(&[30_000, 30_000, 20_000], 2);
        let (first, range) = shares.next().unwrap();
        assert!(range.is_none());
        assert_eq!(takes(&mut shares), ("t1".into(), true));
        first.read(30_000 * 8192);
        assert_eq!(first.end(Fingerprint::default()), Some(Fingerprint::default()));
        assert_eq!(takes(&mut shares), ("t2".into(), false));
    }

    /// Each page is read once, whoever takes what, and the last to end tells what the table has.
    #[test]
    fn all_is_read_once() {
        for jobs in 1..5 {
            let tables = [90_000, 50_000, 40_000, 12_345, 4_097, 4_096, 1, 0];
            let mut shares = shares(&tables, jobs);
            let (mut pages, mut whole) = ([0; 8], 0);
            while let Some((progress, range)) = shares.next() {
                let number: usize = progress.table.name[1..].parse().unwrap();
                let (from, to) = range.map_or((0, None), |range| range);
                assert_eq!(from, pages[number], "in order and without a gap");
                pages[number] = to.unwrap_or(tables[number]);
                whole += u32::from(range.is_none());
                let row = Fingerprint { rows: 1, ..Fingerprint::default() };
                let ranges = progress.table.ranges().len() as u64;
                if let Some(all) = progress.end(row) {
                    assert_eq!(all.rows, if range.is_none() { 1 } else { ranges });
                    assert_eq!(pages[number], tables[number]);
                }
            }
            assert_eq!(pages, tables);
            assert_eq!(whole == 8, jobs == 1, "{whole} with {jobs}");
        }
    }
}
