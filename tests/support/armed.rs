//! Which requests go wrong: a plan decides when a request is first seen, and it goes wrong as often as the plan says.
//!
//! A request is known by its name: the first time it is seen it gets the next index. So "the fault at index 7" hits
//! the same request whatever was repeated before it.

use std::collections::HashMap;

/// Decides what goes wrong with a request, from its index and kind, and how often.
pub type Plan<K, F> = Box<dyn Fn(usize, K) -> Option<(F, u32)> + Send + Sync>;

/// A plan, and what came of it.
pub struct Armed<K, F> {
    plan: Option<Plan<K, F>>,
    seen: HashMap<String, Seen>,
    injected: Vec<(usize, K, F)>,
}

struct Seen {
    index: usize,
    left: u32,
}

impl<K, F> Default for Armed<K, F> {
    fn default() -> Self {
        Self { plan: None, seen: HashMap::new(), injected: Vec::new() }
    }
}

impl<K: Copy, F: Copy> Armed<K, F> {
    /// From now on, this goes wrong. Indices start at 0 again.
    pub fn new(plan: impl Fn(usize, K) -> Option<(F, u32)> + Send + Sync + 'static) -> Self {
        Self { plan: Some(Box::new(plan)), ..Self::default() }
    }

    /// Whether there is a plan at all.
    pub fn is_armed(&self) -> bool {
        self.plan.is_some()
    }

    /// What has gone wrong so far.
    pub fn injected(&self) -> &[(usize, K, F)] {
        &self.injected
    }

    /// What goes wrong with this request now.
    pub fn fault(&mut self, name: String, kind: K) -> Option<F> {
        let plan = self.plan.as_ref()?;
        let next = self.seen.len();
        let seen = self.seen.entry(name).or_insert_with(|| {
            let left = plan(next, kind).map_or(0, |(_, times)| times);
            Seen { index: next, left }
        });
        if seen.left == 0 {
            return None;
        }
        seen.left -= 1;
        let (fault, _) = plan(seen.index, kind)?;
        self.injected.push((seen.index, kind, fault));
        Some(fault)
    }
}
