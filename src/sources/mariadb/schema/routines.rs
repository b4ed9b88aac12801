//! Stored procedures, functions and packages.

use super::super::config::Plan;
use super::super::connect::Session;
use super::super::dump::Part;
use super::super::script::{Label, object_name};
use super::super::tally::Tally;
use super::super::{Error, sql};
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
    let query = format!(
        "SELECT ROUTINE_TYPE, ROUTINE_NAME, ROUTINE_COMMENT \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {} \
         ORDER BY ROUTINE_TYPE, BINARY ROUTINE_NAME",
        sql::literal(database)
    );
    let routines = control.rows("cannot list the routines", query).await?;
    let collation = super::database_collation(control, database).await?;
    for routine in routines {
        let (class, name) = (cell(&routine, 0), cell(&routine, 1));
        if !["FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY"].contains(&class.as_str()) {
            return Err(Error::UnknownClass { name: format!("{database}.{name}"), class });
        }
        let doing = format!("cannot read the definition of the {} {database}.{name}", class.to_lowercase());
        let rows = control.rows(&doing, format!("SHOW CREATE {class} {}", sql::quoted(&name))).await?;
        let row = rows.into_iter().next().unwrap_or_default();
        let text = match row.get(2).cloned().flatten().ok_or_else(|| hidden(&doing)) {
            Err(error) if plan.allow_missing_privileges => {
                let name = object_name(database, &name);
                let name = format!("{} {name}", class.to_lowercase());
                missing.push(Missing { name, why: error.to_string() });
                tally.emit("routines");
                continue;
            }
            text => text?,
        };
        let mut program = Program {
            text,
            sql_mode: Some(cell(&row, 1)),
            client: cell(&row, 3),
            connection: cell(&row, 4),
            ..Program::default()
        };
        translated::routine(control, &doing, &mut program, &cell(&routine, 2)).await?;
        let label = Label::new(&class.to_lowercase().replace(' ', "_"), database, &name);
        program.hand_over(part, &label, database, &collation, &cell(&row, 5)).await?;
        tally.emit("routines");
    }
    Ok(missing)
}
