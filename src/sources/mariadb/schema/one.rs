//! One object, in the words in which a dump of this server would have it.

use super::super::catalog::{Table, TableKind, text};
use super::super::connect::{Cell, Session};
use super::super::script::Script;
use super::super::{Error, sql};
use super::{DEFAULTS, database_defaults, events, routines, sequence, table, triggers, views};

/// Writes objects one by one.
pub(in super::super) struct Objects<'a> {
    control: &'a mut Session,
    /// The routines of the last database that had any wanted: a server looks through all of them to find one.
    routines: Option<(String, Vec<Vec<Cell>>)>,
}

impl<'a> Objects<'a> {
    /// Reads over a session with the settings under which dumps read.
    pub(in super::super) fn new(control: &'a mut Session) -> Self {
        Self { control, routines: None }
    }

    /// Writes an object of this kind of label and enters its database; `on` is the table of a trigger. Returns whether the
    /// object is there. Fails if the server does not show it to this user.
    pub(in super::super) async fn write(
        &mut self,
        script: &mut Script,
        kind: &str,
        (database, name): (&str, &str),
        on: &str,
    ) -> Result<bool, Error> {
        let control = &mut *self.control;
        control.run("cannot enter the database", format!("USE {}", sql::quoted(database))).await?;
        match kind {
            DEFAULTS => database_defaults(control, script, database).await?,
            "table" => {
                let Some(found) = relation(control, database, name, TableKind::Base).await? else {
                    return Ok(false);
                };
                table(control, script, &found).await?;
            }
            "sequence" => {
                let Some(found) = relation(control, database, name, TableKind::Sequence).await? else {
                    return Ok(false);
                };
                sequence(control, script, &found).await?;
            }
            "view" => views::one(control, script, database, name).await?,
            "trigger" => return triggers::one(control, script, database, on, name).await,
            "event" => return events::one(control, script, database, name).await,
            routine => {
                let class = routine.to_uppercase().replace('_', " ");
                return self.routine(script, &class, (database, name)).await;
            }
        }
        Ok(true)
    }

    async fn routine(
        &mut self,
        script: &mut Script,
        class: &str,
        (database, name): (&str, &str),
    ) -> Result<bool, Error> {
        let listed = match self.routines.take() {
            Some((of, listed)) if of == database => listed,
            _ => routines::list(self.control, database).await?,
        };
        let is_there = routines::one(self.control, script, &listed, class, (database, name)).await;
        self.routines = Some((database.to_owned(), listed));
        is_there
    }
}

/// A table or sequence with its engine. Its size is not asked for: a table may show the rows of another server, which would
/// be asked then.
async fn relation(
    control: &mut Session,
    database: &str,
    name: &str,
    kind: TableKind,
) -> Result<Option<Table>, Error> {
    let query = format!(
        "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        sql::literal(database),
        sql::literal(name)
    );
    let rows = control.rows("cannot look for a table", query).await?;
    let row = rows.into_iter().find(|row| text(row[0].clone()) == name);
    Ok(row.map(|row| Table {
        database: database.to_owned(),
        name: name.to_owned(),
        kind,
        engine: text(row[1].clone()),
        transactional: true,
        bytes: 0,
    }))
}
