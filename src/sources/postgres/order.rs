//! The order in which objects are created: what is needed first, and how circles are opened.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use super::Error;
use super::item::{Item, Phase};

/// Sorts items so that each comes after everything that it needs, all of [`Phase::Pre`] first.
///
/// Circles are opened where SQL allows it: a type is first declared as a shell, a view first created with its columns
/// only, a function without its body. An item that needs one of the later phase moves there itself.
pub(super) fn order(mut items: Vec<Item>) -> Result<Vec<Item>, Error> {
    while let Some(circle) = find_circle(&items) {
        open(&mut items, &circle)?;
    }
    let phases = loop {
        let phases = phases(&items);
        let late = |index: &usize| phases[*index] == Phase::Post && items[*index].label() == "table";
        let Some(table) = (0..items.len()).find(late) else { break phases };
        advance(&mut items, &phases, table)?;
    };
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

/// The phase of each item: that of the latest thing that it needs.
fn phases(items: &[Item]) -> Vec<Phase> {
    let mut phases: Vec<Phase> = items.iter().map(|item| item.phase).collect();
    for index in sort(items, |_| Phase::Pre) {
        let latest = items[index].needs.iter().map(|need| phases[*need]).max();
        phases[index] = phases[index].max(latest.unwrap_or(Phase::Pre));
    }
    phases
}

/// Lets a table be created before the rows although it needs what comes after them: rows of a view, as a type, which
/// groups by a primary key. The view's columns are enough for it.
fn advance(items: &mut Vec<Item>, phases: &[Phase], table: usize) -> Result<(), Error> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![table]);
    while let Some(index) = open.pop() {
        let view = items[index].label() == "view";
        let Some(first) = view.then(|| stand_in(items, index, &[])).flatten() else {
            let late = items[index].needs.iter().copied().filter(|need| phases[*need] == Phase::Post);
            open.extend(late.filter(|need| seen.insert(*need)));
            continue;
        };
        for (other, item) in items.iter_mut().enumerate() {
            if other != index && item.needs.remove(&index) {
                item.needs.insert(first);
            }
        }
        return Ok(());
    }
    Err(Error::Circle(vec![items[table].describe()]))
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

/// What may stand in a circle that is opened at a function: nothing of its signature can be among these.
const BODY_NEEDS: &[&str] = &["function", "aggregate", "operator", "cast"];

fn open(items: &mut Vec<Item>, circle: &[usize]) -> Result<(), Error> {
    let is = |index: usize, labels: &[&str]| labels.contains(&items[index].label());
    let edges: Vec<(usize, usize)> =
        circle.iter().copied().zip(circle.iter().copied().cycle().skip(1)).collect();
    // What somebody tied to an extension's part later is nothing that the extension itself needs to be created.
    let tied =
        edges.iter().find(|(from, to)| is(*from, &["extension"]) && !is(*to, &["extension", "schema"]));
    if let Some((from, to)) = tied {
        items[*from].needs.remove(to);
        return Ok(());
    }
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
    let bodies = circle.iter().all(|index| is(*index, BODY_NEEDS));
    let views = |index: usize| items[index].label() == "view" || bodies;
    let edges: Vec<(usize, usize)> = edges.into_iter().filter(|(_, to)| views(*to)).collect();
    for (from, to) in &edges {
        let Some(first) = stand_in(items, *to, circle) else { continue };
        for member in circle.iter().chain([from]).filter(|member| *member != to) {
            if items[*member].needs.remove(to) {
                items[*member].needs.insert(first);
            }
        }
        return Ok(());
    }
    Err(Error::Circle(circle.iter().map(|index| items[*index].describe()).collect()))
}

/// Adds what stands for a view or a function until that can be created itself, once. It needs nothing of the circle.
fn stand_in(items: &mut Vec<Item>, index: usize, circle: &[usize]) -> Option<usize> {
    let mut first = items[index].clone();
    first.sql = items[index].placeholder.take()?;
    first.placeholder = None;
    first.owner = None;
    first.notes.clear();
    // The columns' and arguments' types must exist; what is read must not. A function may return rows of a view.
    let of_function = first.label() == "function";
    first.needs.retain(|need| {
        let label = items[*need].label();
        !circle.contains(need) && (COLUMN_NEEDS.contains(&label) || of_function && label == "view")
    });
    let at = items.len();
    items.push(first);
    items[index].needs.insert(at);
    // A function's own statement replaces one that is there.
    if let Some(rest) = items[index].sql.strip_prefix("CREATE VIEW") {
        items[index].sql = format!("CREATE OR REPLACE VIEW{rest}");
    }
    Some(at)
}
