//! Triggers, in the order in which they fire.

use super::super::config::Plan;
use super::super::connect::Session;
use super::super::dump::Part;
use super::super::script::Label;
use super::super::tally::Tally;
use super::super::{Error, sql};
use super::program::Program;
use super::{cell, hidden};

/// Writes the triggers of a database's tables.
pub(in super::super) async fn dump(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    database: &str,
    tally: &mut Tally,
) -> Result<(), Error> {
    control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
    let query = format!(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, UNIX_TIMESTAMP(CREATED) FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA = {} \
         ORDER BY BINARY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        sql::literal(database)
    );
    let triggers = control.rows("cannot list the triggers", query).await?;
    let collation = super::database_collation(control, database).await?;
    for trigger in triggers {
        let (name, table) = (cell(&trigger, 0), cell(&trigger, 1));
        if !plan.wants_table(database, &table) {
            continue;
        }
        tally.expect("triggers", 1);
        let doing = format!("cannot read the definition of the trigger {database}.{name}");
        let rows = control.rows(&doing, format!("SHOW CREATE TRIGGER {}", sql::quoted(&name))).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let program = Program {
            text: row.get(2).cloned().flatten().ok_or_else(|| hidden(&doing))?,
            sql_mode: Some(cell(&row, 1)),
            client: cell(&row, 3),
            connection: cell(&row, 4),
            created: trigger.get(2).cloned().flatten().map(|_| cell(&trigger, 2)),
            ..Program::default()
        };
        let label = Label::new("trigger", database, &name).on(database, &table);
        program.hand_over(part, &label, database, &collation, &cell(&row, 5)).await?;
        tally.emit("triggers");
    }
    Ok(())
}
