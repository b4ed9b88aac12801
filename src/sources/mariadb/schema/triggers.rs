//! Triggers, in the order in which they fire.

use super::super::config::Plan;
use super::super::connect::{Cell, Session};
use super::super::dump::Part;
use super::super::script::{Label, Script};
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
    let triggers = list(control, database, "").await?;
    let collation = super::database_collation(control, database).await?;
    for trigger in triggers {
        let (name, table) = (cell(&trigger, 0), cell(&trigger, 1));
        if !plan.wants_table(database, &table) {
            continue;
        }
        tally.expect("triggers", 1);
        let program = program(control, database, &trigger).await?;
        let label = Label::new("trigger", database, &name).on(database, &table);
        program.hand_over(part, &label, database, &collation).await?;
        tally.emit("triggers");
    }
    Ok(())
}

/// Writes one trigger of the session's database. Returns whether it is there.
pub(super) async fn one(
    control: &mut Session,
    script: &mut Script,
    database: &str,
    table: &str,
    name: &str,
) -> Result<bool, Error> {
    let of_table = format!("AND EVENT_OBJECT_TABLE = {}", sql::literal(table));
    let triggers = list(control, database, &of_table).await?;
    let Some(trigger) = triggers.iter().find(|trigger| cell(trigger, 0) == name && cell(trigger, 1) == table)
    else {
        return Ok(false);
    };
    let collation = super::database_collation(control, database).await?;
    let program = program(control, database, trigger).await?;
    let label = Label::new("trigger", database, name).on(database, table);
    program.labelled(script, &label, database, &collation);
    Ok(true)
}

/// The names of triggers, their tables, and when they were made; in the order in which they fire.
async fn list(control: &mut Session, database: &str, which: &str) -> Result<Vec<Vec<Cell>>, Error> {
    let query = format!(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, UNIX_TIMESTAMP(CREATED) FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA = {} {which} \
         ORDER BY BINARY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        sql::literal(database)
    );
    control.rows("cannot list the triggers", query).await
}

/// A trigger's statement.
async fn program(control: &mut Session, database: &str, trigger: &[Cell]) -> Result<Program, Error> {
    let name = cell(trigger, 0);
    let doing = format!("cannot read the definition of the trigger {database}.{name}");
    let rows = control.rows(&doing, format!("SHOW CREATE TRIGGER {}", sql::quoted(&name))).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    Ok(Program {
        text: row.get(2).cloned().flatten().ok_or_else(|| hidden(&doing))?,
        sql_mode: Some(cell(&row, 1)),
        client: cell(&row, 3),
        connection: cell(&row, 4),
        created: trigger.get(2).cloned().flatten().map(|_| cell(trigger, 2)),
        database_collation: cell(&row, 5),
        ..Program::default()
    })
}
