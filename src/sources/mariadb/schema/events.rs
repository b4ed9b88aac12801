//! Events. They come last of all, so that none fires while the rest is still being restored.

use super::super::connect::Session;
use super::super::dump::Part;
use super::super::script::Label;
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
    let query = format!(
        "SELECT EVENT_NAME, UNIX_TIMESTAMP(CREATED), EVENT_COMMENT \
         FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {} \
         ORDER BY BINARY EVENT_NAME",
        sql::literal(database)
    );
    let events = control.rows("cannot list the events", query).await?;
    let collation = super::database_collation(control, database).await?;
    for event in events {
        let name = cell(&event, 0);
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
            created: event.get(1).cloned().flatten().map(|_| cell(&event, 1)),
        };
        translated::event(control, &doing, &mut program, &cell(&event, 2)).await?;
        let label = Label::new("event", database, &name);
        program.hand_over(part, &label, database, &collation, &cell(&row, 6)).await?;
        tally.emit("events");
    }
    Ok(())
}
