//! The order in which objects are created: what is needed first, and how circles are opened.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::Error;
use super::item::{Item, Phase};

/// Sorts items so that each comes after everything that it needs, all of [`Phase::Pre`] first.
///
/// Circles are opened where SQL allows it: a type is first declared as a shell, a view first created with its columns
/// only. An item that needs one of the later phase moves there itself.
pub(super) fn order(mut items: Vec<Item>) -> Result<Vec<Item>, Error> {
    while let Some(circle) = find_circle(&items) {
        open(&mut items, &circle)?;
    }
    let sorted = sort(&items, |_| Phase::Pre);
    let mut phases: Vec<Phase> = items.iter().map(|item| item.phase).collect();
    for index in &sorted {
        let latest = items[*index].needs.iter().map(|need| phases[*need]).max();
        phases[*index] = phases[*index].max(latest.unwrap_or(Phase::Pre));
        if phases[*index] == Phase::Post && items[*index].label() == "table" {
            return Err(Error::Circle(vec![items[*index].describe()]));
        }
    }
    let sorted = sort(&items, |index| phases[index]);
    let needed: BTreeSet<usize> = items.iter().flat_map(|item| item.needs.iter().copied()).collect();
    let idle = |index: &usize| {
        items[*index].label() == "shell_type" && items[*index].owner.is_none() && !needed.contains(index)
    };
    let sorted: Vec<usize> = sorted.into_iter().filter(|index| !idle(index)).collect();
    let mut slots: Vec<Option<Item>> = items.into_iter().map(Some).collect();
    let mut result = Vec::with_capacity(slots.len());
    for index in sorted {
        if let Some(mut item) = slots[index].take() {
            item.phase = phases[index];
            result.push(item);
        }
    }
    Ok(result)
}

/// Topological order; among those that may come next, by phase, class and name.
fn sort(items: &[Item], phase: impl Fn(usize) -> Phase) -> Vec<usize> {
    let mut waiting: Vec<usize> = items.iter().map(|item| item.needs.len()).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (index, item) in items.iter().enumerate() {
        for need in &item.needs {
            needed_by[*need].push(index);
        }
    }
    let key = |index: usize| {
        let item = &items[index];
        Reverse((phase(index), item.class, item.schema.as_str(), item.name.as_str(), index))
    };
    let mut ready: BinaryHeap<_> = (0..items.len()).filter(|index| waiting[*index] == 0).map(key).collect();
    let mut sorted = Vec::with_capacity(items.len());
    while let Some(Reverse((.., index))) = ready.pop() {
        sorted.push(index);
        for next in &needed_by[index] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push(key(*next));
            }
        }
    }
    sorted
}

/// Some circle of items, each needing the next; none if all can be sorted.
fn find_circle(items: &[Item]) -> Option<Vec<usize>> {
    let sorted: BTreeSet<usize> = sort(items, |_| Phase::Pre).into_iter().collect();
    let start = (0..items.len()).find(|index| !sorted.contains(index))?;
    let mut path: Vec<usize> = Vec::new();
    let mut position: HashMap<usize, usize> = HashMap::new();
    let mut at = start;
    loop {
        if let Some(first) = position.get(&at) {
            return Some(path.split_off(*first));
        }
        position.insert(at, path.len());
        path.push(at);
        // Whatever could not be sorted needs something that could not be sorted either.
        at = items[at].needs.iter().copied().find(|need| !sorted.contains(need))?;
    }
}

/// What a column's type may come from.
const COLUMN_NEEDS: &[&str] =
    &["schema", "extension", "collation", "enum", "composite", "domain", "range", "base_type", "table"];

fn open(items: &mut Vec<Item>, circle: &[usize]) -> Result<(), Error> {
    let is = |index: usize, labels: &[&str]| labels.contains(&items[index].label());
    let edges: Vec<(usize, usize)> =
        circle.iter().copied().zip(circle.iter().copied().cycle().skip(1)).collect();
    // A function that needs a type which needs the function back: the shell is enough for it.
    for (from, to) in &edges {
        if is(*to, &["base_type", "range"]) && !is(*from, &["shell_type"]) {
            let oid = items[*to].address.oid;
            let shell = items.iter().position(|item| item.label() == "shell_type" && item.address.oid == oid);
            if let Some(shell) = shell.filter(|shell| shell != from) {
                items[*from].needs.remove(to);
                items[*from].needs.insert(shell);
                items[*to].needs.insert(shell);
                return Ok(());
            }
        }
    }
    for (from, to) in &edges {
        let Some(placeholder) = items[*to].placeholder.take() else { continue };
        let mut first = items[*to].clone();
        first.sql = placeholder;
        first.owner = None;
        first.notes.clear();
        // The columns' types must exist; what the view reads must not.
        first.needs.retain(|need| !circle.contains(need) && COLUMN_NEEDS.contains(&items[*need].label()));
        let index = items.len();
        items.push(first);
        items[*from].needs.remove(to);
        items[*from].needs.insert(index);
        for member in circle {
            if items[*member].needs.remove(to) {
                items[*member].needs.insert(index);
            }
        }
        items[*to].needs.insert(index);
        items[*to].sql = items[*to].sql.replacen("CREATE VIEW", "CREATE OR REPLACE VIEW", 1);
        return Ok(());
    }
    Err(Error::Circle(circle.iter().map(|index| items[*index].describe()).collect()))
}
