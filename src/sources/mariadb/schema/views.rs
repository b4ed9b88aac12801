//! Views: first as placeholders, so that they may refer to each other, then as they are.

use super::super::config::Plan;
use super::super::connect::{Session, lossy};
use super::super::dump::Part;
use super::super::script::Label;
use super::super::tally::Tally;
use super::super::{Error, catalog, sql};
use super::program::Program;
use super::{cell, hidden};
use crate::sources::Missing;

/// Writes a placeholder for each view: the same columns, all of them 1.
pub(in super::super) async fn placeholders(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    database: &str,
) -> Result<(), Error> {
    for view in catalog::views(control, plan, database).await? {
        if broken(control, &view).await?.is_some() {
            continue;
        }
        let columns = catalog::columns(control, database, &view).await?;
        let columns: Vec<String> =
            columns.iter().map(|column| format!("1 AS {}", sql::quoted(&column.name))).collect();
        part.script().object(&Label::new("placeholder", database, &view));
        part.script().statement(format!(
            "CREATE VIEW {} AS SELECT {}",
            sql::quoted(&view),
            columns.join(",")
        ));
        part.end_when_full(database).await?;
    }
    Ok(())
}

/// Writes the views as they are, in place of their placeholders. A view that the server itself cannot open is written
/// as a comment and returned as missing.
pub(in super::super) async fn finals(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    database: &str,
    tally: &mut Tally,
) -> Result<Vec<Missing>, Error> {
    let mut missing = Vec::new();
    control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
    let views = catalog::views(control, plan, database).await?;
    if !views.is_empty() && part.script().is_empty() {
        part.script().use_database(database);
    }
    for view in views {
        let doing = format!("cannot read the definition of the view {database}.{view}");
        let rows = control.rows(&doing, format!("SHOW CREATE VIEW {}", sql::quoted(&view))).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = row.get(1).cloned().flatten().ok_or_else(|| hidden(&doing))?;
        if let Some(why) = broken(control, &view).await? {
            let name = format!("{}.{}", catalog::encoded(database), catalog::encoded(&view));
            part.script().comment(&format!("The view {name} could not be opened on the server: {why}"));
            part.script().comment(&lossy(&text));
            missing.push(Missing { name: format!("view {name}"), why });
        } else {
            let text =
                [b"CREATE OR REPLACE".as_slice(), text.strip_prefix(b"CREATE").unwrap_or(&text)].concat();
            part.script().object(&Label::new("view", database, &view));
            let (client, connection) = (cell(&row, 2), cell(&row, 3));
            Program { text, client, connection, ..Program::default() }.write(part.script());
        }
        tally.emit("views");
        part.end_when_full(database).await?;
    }
    Ok(missing)
}

/// Why a view cannot be opened; `None` if it can.
async fn broken(control: &mut Session, view: &str) -> Result<Option<String>, Error> {
    let query = format!("SELECT 1 FROM {} LIMIT 0", sql::quoted(view));
    match control.run("cannot open the view", query).await {
        // A definer that does not exist: the view can be made again all the same.
        Ok(()) | Err(Error::Statement { code: Some(1449), .. }) => Ok(None),
        Err(Error::Statement { code: Some(_), why, .. }) => Ok(Some(why)),
        Err(error) => Err(error),
    }
}
