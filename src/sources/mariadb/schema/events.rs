//! Events. They come last of all, so that none fires while the rest is still being restored.

use super::super::connect::{Cell, Session};
use super::super::dump::Part;
use super::super::script::{Label, Script};
use super::super::tally::Tally;
use super::super::{Error, sql};
use super::program::Program;
use super::{cell, hidden, translated};

/// Writes a database's events.
pub(in super::super) async fn dump(
    control: &mut Session,
    part: &mut Part,
    database: &str,
    tally: &mut Tally,
) -> Result<(), Error> {
    control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
    let events = list(control, database, "").await?;
    let collation = super::database_collation(control, database).await?;
    for event in events {
        let program = program(control, database, &event).await?;
        let label = Label::new("event", database, &cell(&event, 0));
        program.hand_over(part, &label, database, &collation).await?;
        tally.emit("events");
    }
    Ok(())
}

/// Writes one event of the session's database. Returns whether it is there.
pub(super) async fn one(
    control: &mut Session,
    script: &mut Script,
    database: &str,
    name: &str,
) -> Result<bool, Error> {
    let of_name = format!("AND EVENT_NAME = {}", sql::literal(name));
    let Some(event) = list(control, database, &of_name).await?.into_iter().next() else { return Ok(false) };
    let collation = super::database_collation(control, database).await?;
    let program = program(control, database, &event).await?;
    program.labelled(script, &Label::new("event", database, name), database, &collation);
    Ok(true)
}

/// The names of events, when they were made, their comments and definers.
async fn list(control: &mut Session, database: &str, which: &str) -> Result<Vec<Vec<Cell>>, Error> {
    let query = format!(
        "SELECT EVENT_NAME, UNIX_TIMESTAMP(CREATED), EVENT_COMMENT, DEFINER \
         FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {} {which} \
         ORDER BY BINARY EVENT_NAME",
        sql::literal(database)
    );
    control.rows("cannot list the events", query).await
}

/// An event's statement.
async fn program(control: &mut Session, database: &str, event: &[Cell]) -> Result<Program, Error> {
    let name = cell(event, 0);
    let doing = format!("cannot read the definition of the event {database}.{name}");
    let rows = control.rows(&doing, format!("SHOW CREATE EVENT {}", sql::quoted(&name))).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let mut program = Program {
        text: row.get(3).cloned().flatten().ok_or_else(|| hidden(&doing))?,
        sql_mode: Some(cell(&row, 1)),
        time_zone: Some(cell(&row, 2)),
        client: cell(&row, 4),
        connection: cell(&row, 5),
        // At its own time of creation a one-time event of the past is not yet past, and is not dropped at once.
        created: event.get(1).cloned().flatten().map(|_| cell(event, 1)),
        database_collation: cell(&row, 6),
    };
    translated::definer(&mut program, &cell(event, 3));
    translated::event(control, &doing, &mut program, &cell(event, 2)).await?;
    Ok(program)
}
