//! Memory as something that is taken and given back.
//!
//! Whoever wants to hold bytes takes a [`Lease`] first and keeps it with the bytes, through every queue, until they
//! are gone. So the memory of a run is what the configuration says, however many rows or files there are.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A number of bytes that may be held at once.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total: usize,
    state: Mutex<State>,
    freed: Condvar,
    notify: Notify,
    /// Whose turn it is to wait for memory, of the tasks.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Threads that wait for memory. Without any, nobody is notified: that would be a system call for every small file.
    waiting: usize,
}

/// A part of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Budget,
    size: usize,
}

impl Budget {
    /// A budget of `total` bytes.
    pub fn new(total: usize) -> Self {
        let state = Mutex::new(State { free: total, waiting: 0 });
        let turn = tokio::sync::Mutex::new(());
        Self(Arc::new(Shared { total, state, freed: Condvar::new(), notify: Notify::new(), turn }))
    }

    /// How many bytes may be held at once.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Takes `size` bytes, waiting until they are free.
    ///
    /// A request above the whole budget gets the whole budget: one value larger than the memory set aside still
    /// passes, alone. Tasks are served in the order in which they came: a large value would wait for as long as others
    /// have small ones, and a server does not wait that long for whoever reads from it. So a task must not wait here
    /// while it holds a lease that it has not handed on.
    pub async fn take(&self, size: usize) -> Lease {
        let _turn = self.0.turn.lock().await;
        loop {
            let freed = self.0.notify.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(lease) = self.try_take(size) {
                return lease;
            }
            freed.await;
        }
    }

    /// As [`take`](Self::take), for threads that may block.
    pub fn take_blocking(&self, size: usize) -> Lease {
        let wanted = size.min(self.0.total);
        let mut state = self.state();
        while state.free < wanted {
            state.waiting += 1;
            state = self.0.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        state.free -= wanted;
        Lease { budget: self.clone(), size: wanted }
    }

    /// Takes `size` bytes if they are free now.
    pub fn try_take(&self, size: usize) -> Option<Lease> {
        let wanted = size.min(self.0.total);
        let mut state = self.state();
        if state.free < wanted {
            return None;
        }
        state.free -= wanted;
        Some(Lease { budget: self.clone(), size: wanted })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A count cannot be left half changed, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Takes what is missing up to `size` if it is free now.
    pub fn grow(&mut self, size: usize) -> bool {
        let Some(mut more) = self.budget.try_take(size.saturating_sub(self.size)) else { return false };
        self.size += std::mem::take(&mut more.size);
        true
    }

    /// Gives back what exceeds `size`: the bytes turned out to be fewer than was feared.
    pub fn shrink(&mut self, size: usize) {
        let spare = self.size.saturating_sub(size);
        self.size -= spare;
        self.budget.give(spare);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.give(self.size);
    }
}

impl Budget {
    fn give(&self, size: usize) {
        let mut state = self.state();
        state.free += size;
        let awaited = state.waiting > 0;
        drop(state);
        if awaited {
            self.0.freed.notify_all();
        }
        self.0.notify.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_missing_until_it_comes_back() {
        let budget = Budget::new(10);
        let lease = budget.try_take(6).unwrap();
        assert!(budget.try_take(5).is_none());
        drop(lease);
        assert!(budget.try_take(10).is_some());
    }

    #[test]
    fn more_than_everything_is_everything() {
        let budget = Budget::new(10);
        let lease = budget.take_blocking(1_000);
        assert!(budget.try_take(1).is_none());
        drop(lease);
        assert!(budget.try_take(1).is_some());
    }

    #[test]
    fn threads_that_wait_are_woken() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::sync::mpsc::channel;
        use std::time::Duration;

        const SIZES: [usize; 8] = [1, 2, 3, 4, 4, 3, 2, 1];
        let (budget, held) = (Budget::new(4), Arc::new(AtomicUsize::new(0)));
        let (done, finished) = channel();
        for size in SIZES {
            let (budget, held, done) = (budget.clone(), Arc::clone(&held), done.clone());
            std::thread::spawn(move || {
                let mut most = 0;
                for _ in 0..200 {
                    let lease = budget.take_blocking(size);
                    most = most.max(held.fetch_add(size, Ordering::SeqCst) + size);
                    std::thread::yield_now();
                    held.fetch_sub(size, Ordering::SeqCst);
                    drop(lease);
                }
                done.send(most).unwrap();
            });
        }
        for _ in SIZES {
            let most = finished.recv_timeout(Duration::from_mins(1)).expect("a thread was not woken");
            assert!(most <= budget.total());
        }
    }

    #[tokio::test]
    async fn a_large_value_is_not_passed_by_small_ones_for_ever() {
        use futures_util::poll;

        let budget = Budget::new(10);
        let (one, other) = (budget.take(4).await, budget.take(4).await);
        let mut large = Box::pin(budget.take(10));
        assert!(poll!(&mut large).is_pending());
        // There is room for it, but it came later.
        let mut small = Box::pin(budget.take(2));
        assert!(poll!(&mut small).is_pending());
        drop(one);
        assert!(poll!(&mut small).is_pending());
        drop(other);
        drop(large.await);
        assert_eq!(small.await.size, 2);
        // Whoever gives up while it waits gives up its turn.
        let all = budget.take(10).await;
        let mut large = Box::pin(budget.take(10));
        assert!(poll!(&mut large).is_pending());
        drop((large, all));
        assert_eq!(budget.take(2).await.size, 2);
    }

    #[tokio::test]
    async fn a_waiter_wakes() {
        let budget = Budget::new(1);
        let lease = budget.take(1).await;
        let waiter = tokio::spawn({
            let budget = budget.clone();
            async move { budget.take(1).await }
        });
        tokio::task::yield_now().await;
        drop(lease);
        waiter.await.unwrap();
    }
}
