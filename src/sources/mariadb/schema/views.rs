//! Views: first as placeholders, then as they are, each after those that it refers to.

use std::collections::{BTreeMap, BTreeSet};

use super::super::config::Plan;
use super::super::connect::{Cell, Session, lossy};
use super::super::dump::Part;
use super::super::names::{self, Place};
use super::super::script::{Label, Script, object_name};
use super::super::tally::Tally;
use super::super::{Error, catalog, privileges, sql};
use super::program::Program;
use super::{Emitter, cell, hidden};
use crate::sources::Missing;

/// `ER_NO_SUCH_USER`, and `ER_ACCESS_DENIED_ERROR`, as which it is told to a user without SET USER: a definer that does
/// not exist. The view can be made again all the same.
const WITHOUT_DEFINER: [u16; 2] = [1449, 1045];

/// `ER_VIEW_INVALID`: it refers to what is not there, or its definer may not see it.
const INVALID: u16 = 1356;

/// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION` and `ER_CANT_UPDATE_WITH_READLOCK`: whoever opens the view writes, as with
/// NEXTVAL, or with a function that does. That the dump's transaction may not says nothing about the view.
const WRITES: [u16; 2] = [1792, 1223];

/// A view by database and name.
pub(in super::super) type View = (String, String);

/// Writes a placeholder for each view: the same columns, all of them NULL, which goes with every type. Returns the views
/// that have none: those that cannot be opened, and those that the user may not see, where that is allowed.
pub(in super::super) async fn placeholders(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    database: &str,
) -> Result<BTreeSet<View>, Error> {
    let mut without = BTreeSet::new();
    for view in catalog::views(control, plan, database).await? {
        let closed = plan.allow_missing_privileges && is_closed(control, plan, database, &view).await?;
        if closed || broken(control, plan, database, &view).await?.is_some() {
            without.insert((database.to_owned(), view));
            continue;
        }
        let mut columns = catalog::columns(control, database, &view).await?;
        if columns.is_empty() {
            // The server opens a view to tell its columns, and tells none where it may not.
            let mut other = Session::reading(plan).await?;
            columns = catalog::columns(&mut other, database, &view).await?;
            other.close().await;
        }
        let columns: Vec<String> =
            columns.iter().map(|column| format!("NULL AS {}", sql::quoted(&column.name))).collect();
        part.script().object(&Label::new("placeholder", database, &view));
        part.script().statement(format!(
            "CREATE VIEW {} AS SELECT {}",
            sql::quoted(&view),
            columns.join(",")
        ));
        part.end_when_full(database).await?;
    }
    Ok(without)
}

/// What became of views that the server itself cannot open. The definition of each stands in the dump as a comment, where
/// the user may see it.
#[derive(Debug, Default)]
pub(in super::super) struct Broken {
    /// Those that nobody can open: nothing is lost.
    pub(in super::super) notes: Vec<String>,
    /// Those that others may be able to open.
    pub(in super::super) missing: Vec<Missing>,
}

/// Writes the views of all databases as they are, in place of their placeholders, each after those that it refers to: a
/// server checks some of a view, `WITH CHECK OPTION` for one, against what it refers to at that time. So it does with the
/// rights of the definers of views that it refers to, which come before.
pub(in super::super) async fn finals(
    control: &mut Session,
    plan: &Plan,
    emitter: &Emitter,
    databases: &[String],
    tally: &mut Tally,
) -> Result<Broken, Error> {
    let mut broken = Broken::default();
    let all_is_open = privileges::may_read_and_execute_all(control).await?;
    let mut open: Option<(String, Part)> = None;
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for (database, view) in in_order(control, plan, databases, &mut broken, tally).await? {
        let mut part = match open.take() {
            Some((of, part)) if of == database => part,
            other => {
                if let Some((of, part)) = other {
                    numbers.insert(of, part.end().await?);
                }
                let number = numbers.get(&database).copied().unwrap_or(0);
                let mut part =
                    emitter.part(format!("db/{}/4-views", catalog::encoded(&database))).after(number);
                part.script().use_database(&database);
                part
            }
        };
        write(control, plan, &mut part, (&database, &view), all_is_open, &mut broken).await?;
        tally.emit("views");
        part.end_when_full(&database).await?;
        open = Some((database, part));
    }
    if let Some((_, part)) = open {
        part.end().await?;
    }
    Ok(broken)
}

async fn write(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    (database, view): (&str, &str),
    all_is_open: bool,
    found: &mut Broken,
) -> Result<(), Error> {
    let row = shown(control, plan, database, view).await?;
    let Some((code, why)) = broken(control, plan, database, view).await? else {
        define(part.script(), database, view, &row);
        return Ok(());
    };
    let text = row.get(1).cloned().flatten().unwrap_or_default();
    let name = format!("view {}.{}", catalog::encoded(database), catalog::encoded(view));
    part.script().comment(&format!("The {name} could not be opened on the server: {why}"));
    part.script().comment(&lossy(&text));
    // What a view without rights of its own lets its reader see is up to the reader.
    let for_all = code == INVALID && (all_is_open || !invoked(control, database, view).await?);
    if for_all {
        found.notes.push(format!("the {name} cannot be opened, its definition is a comment: {why}"));
    } else {
        found.missing.push(Missing { name, why });
    }
    Ok(())
}

/// Writes one view as it is, whether or not it can be opened, and enters its database.
pub(super) async fn one(
    control: &mut Session,
    script: &mut Script,
    database: &str,
    view: &str,
) -> Result<(), Error> {
    let row = definition(control, database, view).await?;
    define(script, database, view, &row);
    Ok(())
}

/// Writes a view of which this is the row that shows it.
fn define(script: &mut Script, database: &str, view: &str, row: &[Cell]) {
    let text = row.get(1).cloned().flatten().unwrap_or_default();
    let text = [b"CREATE OR REPLACE".as_slice(), text.strip_prefix(b"CREATE").unwrap_or(&text)].concat();
    script.object(&Label::new("view", database, view));
    Program { text, client: cell(row, 2), connection: cell(row, 3), ..Program::default() }.write(script);
}

/// The row that shows a view, with its definition.
async fn shown(control: &mut Session, plan: &Plan, database: &str, view: &str) -> Result<Vec<Cell>, Error> {
    match definition(control, database, view).await {
        // It stands on a view of this kind, which the server opens to show this one.
        Err(Error::Statement { code: Some(code), .. }) if WRITES.contains(&code) => {
            let mut other = Session::reading(plan).await?;
            let row = definition(&mut other, database, view).await;
            other.close().await;
            row
        }
        row => row,
    }
}

/// The row that shows a view, as this session gets it. `USE` keeps the names of its own database out of it where the server
/// can do without them.
async fn definition(control: &mut Session, database: &str, view: &str) -> Result<Vec<Cell>, Error> {
    let doing = format!("cannot read the definition of the view {database}.{view}");
    control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
    let rows = control.rows(&doing, format!("SHOW CREATE VIEW {}", sql::quoted(view))).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    if row.get(1).cloned().flatten().is_none() {
        return Err(hidden(&doing));
    }
    Ok(row)
}

/// Whether the user may not see a view's definition.
async fn is_closed(control: &mut Session, plan: &Plan, database: &str, view: &str) -> Result<bool, Error> {
    match shown(control, plan, database, view).await {
        Err(error) if privileges::is_denied(&error) => Ok(true),
        row => row.map(|_| false),
    }
}

/// All views, each after those that its text refers to; without those whose definition the user may not see, where that
/// is allowed.
async fn in_order(
    control: &mut Session,
    plan: &Plan,
    databases: &[String],
    found: &mut Broken,
    tally: &mut Tally,
) -> Result<Vec<View>, Error> {
    let mut views: BTreeMap<View, BTreeSet<View>> = BTreeMap::new();
    let mut order = Vec::new();
    for database in databases {
        for view in catalog::views(control, plan, database).await? {
            let key = (database.clone(), view);
            let row = match shown(control, plan, database, &key.1).await {
                Err(error) if plan.allow_missing_privileges && privileges::is_denied(&error) => {
                    let name = format!("view {}", object_name(database, &key.1));
                    found.missing.push(Missing { name, why: error.to_string() });
                    tally.emit("views");
                    continue;
                }
                row => row?,
            };
            let text = row.get(1).cloned().flatten().unwrap_or_default();
            views.insert(key.clone(), tables(&text, database));
            order.push(key);
        }
    }
    Ok(sorted(order, &views))
}

/// What a view's text has after FROM and JOIN.
fn tables(text: &[u8], database: &str) -> BTreeSet<View> {
    let chains = names::chains(text).into_iter().filter(|chain| chain.place == Place::Table);
    let table = |chain: names::Chain| match chain.names.as_slice() {
        [table] => Some((database.to_owned(), names::name(text, table))),
        [database, table] => Some((names::name(text, database), names::name(text, table))),
        _ => None,
    };
    chains.filter_map(table).collect()
}

/// Puts each view after those that it refers to, and keeps the order otherwise.
fn sorted(views: Vec<View>, uses: &BTreeMap<View, BTreeSet<View>>) -> Vec<View> {
    let (mut done, mut begun) = (Vec::with_capacity(views.len()), BTreeSet::new());
    let mut path: Vec<(View, Vec<View>)> = Vec::new();
    for view in views {
        if !begun.insert(view.clone()) {
            continue;
        }
        let before = |view: &View| {
            uses[view].iter().rev().filter(|other| uses.contains_key(*other)).cloned().collect()
        };
        let first = before(&view);
        path.push((view, first));
        while let Some((_, rest)) = path.last_mut() {
            match rest.pop() {
                Some(next) if begun.insert(next.clone()) => {
                    let first = before(&next);
                    path.push((next, first));
                }
                Some(_) => {}
                None => done.extend(path.pop().map(|(view, _)| view)),
            }
        }
    }
    done
}

/// Whether a view shows its reader what the reader may see, and not what its definer may.
async fn invoked(control: &mut Session, database: &str, view: &str) -> Result<bool, Error> {
    let query = format!(
        "SELECT SECURITY_TYPE FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        sql::literal(database),
        sql::literal(view)
    );
    let security = control.text("cannot read whose rights a view has", &query).await?;
    Ok(security.as_deref() != Some("DEFINER"))
}

/// Why a view cannot be opened; `None` if it can.
async fn broken(
    control: &mut Session,
    plan: &Plan,
    database: &str,
    view: &str,
) -> Result<Option<(u16, String)>, Error> {
    let query = format!("SELECT 1 FROM {} LIMIT 0", sql::qualified(database, view));
    match why_refused(control, &query).await? {
        Some((code, _)) if WRITES.contains(&code) => {
            // Outside of the dump's transaction, and only prepared, so that nothing is written and no lock waited for.
            let mut other = Session::reading(plan).await?;
            let prepare = format!("PREPARE chupacabra FROM {}", sql::literal(&query));
            let refused = why_refused(&mut other, &prepare).await;
            other.close().await;
            refused
        }
        refused => Ok(refused),
    }
}

/// Why the server refuses a query that opens a view; `None` if that is no fault of the view's.
async fn why_refused(session: &mut Session, query: &str) -> Result<Option<(u16, String)>, Error> {
    match session.run("cannot open the view", query).await {
        Ok(()) => Ok(None),
        Err(Error::Statement { code: Some(code), .. }) if WITHOUT_DEFINER.contains(&code) => Ok(None),
        Err(Error::Statement { code: Some(code), why, .. }) => Ok(Some((code, why))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_come_after_those_that_they_refer_to() {
        let view = |name: &str| ("d".to_owned(), name.to_owned());
        let of = |names: &[&str]| names.iter().map(|name| view(name)).collect::<Vec<_>>();
        let uses = |pairs: &[(&str, &[&str])]| {
            pairs.iter().map(|(name, uses)| (view(name), of(uses).into_iter().collect())).collect()
        };
        let chain = uses(&[("a", &["c", "t"]), ("b", &[]), ("c", &["d", "b"]), ("d", &[])]);
        assert_eq!(sorted(of(&["a", "b", "c", "d"]), &chain), of(&["b", "d", "c", "a"]));
        let circle = uses(&[("a", &["b"]), ("b", &["a"])]);
        assert_eq!(sorted(of(&["a", "b"]), &circle), of(&["b", "a"]), "each comes once in any case");
        let text = b"CREATE VIEW `v` AS select `z`.`id` AS `x` from (`y` join `o`.`w`)";
        assert_eq!(tables(text, "d"), [view("y"), ("o".to_owned(), "w".to_owned())].into());
    }
}
