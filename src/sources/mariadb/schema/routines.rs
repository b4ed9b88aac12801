//! Stored procedures, functions and packages.

use super::super::config::Plan;
use super::super::connect::{Cell, Session};
use super::super::dump::Part;
use super::super::script::{Label, Script, object_name};
use super::super::tally::Tally;
use super::super::{Error, privileges, sql};
use super::program::Program;
use super::{cell, hidden, translated};
use crate::sources::Missing;

/// Writes a database's routines: packages before their bodies, the rest in the order of their names. Returns those that
/// the server does not show, where that is allowed.
pub(in super::super) async fn dump(
    control: &mut Session,
    plan: &Plan,
    part: &mut Part,
    database: &str,
    tally: &mut Tally,
) -> Result<Vec<Missing>, Error> {
    let mut missing = Vec::new();
    control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
    let routines = list(control, database).await?;
    let collation = super::database_collation(control, database).await?;
    for routine in routines {
        let (class, name) = (cell(&routine, 0), cell(&routine, 1));
        if !["FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY"].contains(&class.as_str()) {
            return Err(Error::UnknownClass { name: format!("{database}.{name}"), class });
        }
        let Some(program) = program(control, database, &routine).await? else {
            let hidden = hidden(&doing(database, &routine));
            if !plan.allow_missing_privileges {
                return Err(hidden);
            }
            let name = format!("{} {}", class.to_lowercase(), object_name(database, &name));
            missing.push(Missing { name, why: hidden.to_string() });
            tally.emit("routines");
            continue;
        };
        program.hand_over(part, &label(database, &routine), database, &collation).await?;
        tally.emit("routines");
    }
    Ok(missing)
}

/// Writes one routine of the session's database, which is one of those `listed`. Returns whether it is there.
pub(super) async fn one(
    control: &mut Session,
    script: &mut Script,
    listed: &[Vec<Cell>],
    class: &str,
    (database, name): (&str, &str),
) -> Result<bool, Error> {
    let is_it = |routine: &&Vec<Cell>| cell(routine, 0) == class && cell(routine, 1) == name;
    let Some(routine) = listed.iter().find(is_it) else { return Ok(false) };
    let collation = super::database_collation(control, database).await?;
    let program = program(control, database, routine).await?;
    let program = program.ok_or_else(|| hidden(&doing(database, routine)))?;
    program.labelled(script, &label(database, routine), database, &collation);
    Ok(true)
}

/// The classes of routines, their names and comments.
pub(super) async fn list(control: &mut Session, database: &str) -> Result<Vec<Vec<Cell>>, Error> {
    let query = format!(
        "SELECT ROUTINE_TYPE, ROUTINE_NAME, ROUTINE_COMMENT \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {} \
         ORDER BY ROUTINE_TYPE, BINARY ROUTINE_NAME",
        sql::literal(database)
    );
    control.rows("cannot list the routines", query).await
}

/// A routine's statement; `None` if the server does not show it, or not all that it takes to write it.
async fn program(control: &mut Session, database: &str, routine: &[Cell]) -> Result<Option<Program>, Error> {
    let (class, name) = (cell(routine, 0), cell(routine, 1));
    let doing = doing(database, routine);
    let rows = control.rows(&doing, format!("SHOW CREATE {class} {}", sql::quoted(&name))).await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let Some(text) = row.get(2).cloned().flatten() else { return Ok(None) };
    let mut program = Program {
        text,
        sql_mode: Some(cell(&row, 1)),
        client: cell(&row, 3),
        connection: cell(&row, 4),
        database_collation: cell(&row, 5),
        ..Program::default()
    };
    translated::routine(control, &doing, &mut program, &cell(routine, 2)).await?;
    if class == "FUNCTION" {
        match translated::returned(control, &doing, &mut program, (database, &name)).await {
            Err(error) if privileges::is_denied(&error) => return Ok(None),
            done => done?,
        }
    }
    Ok(Some(program))
}

fn doing(database: &str, routine: &[Cell]) -> String {
    let (class, name) = (cell(routine, 0).to_lowercase(), cell(routine, 1));
    format!("cannot read the definition of the {class} {database}.{name}")
}

fn label(database: &str, routine: &[Cell]) -> Label {
    Label::new(&cell(routine, 0).to_lowercase().replace(' ', "_"), database, &cell(routine, 1))
}
