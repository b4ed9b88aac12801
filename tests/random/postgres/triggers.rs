//! Triggers on tables, views and events; policies.

use super::rights::role;
use super::world::{Table, World, literal};

pub(crate) fn write(world: &mut World) {
    let function = world.object();
    let text = world.text();
    world.say(format!(
        "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {}",
        literal(&format!("BEGIN PERFORM {text}; RETURN coalesce(new, old); END"))
    ));
    for _ in 0..world.chance.of(1..6) {
        if let Some(table) = world.a_table("rpv") {
            trigger(world, &table, &function);
        }
    }
    for _ in 0..world.chance.of(0..4) {
        if let Some(table) = world.a_table("rp") {
            policy(world, &table);
        }
    }
    if world.chance.percent(30) {
        event_trigger(world);
    }
    world.tell();
}

fn trigger(world: &mut World, table: &Table, function: &str) {
    let (name, on, column) = (
        world.name(),
        &table.name,
        table.columns.first().map_or("x".to_owned(), |column| column.name.clone()),
    );
    let argument = world.text();
    let arguments = world.chance.pick(&["", "1, two, 'it''s'", "'%', ''"]).to_owned();
    let arguments = if world.chance.percent(30) { argument } else { arguments };
    let condition = match world.chance.below(5) {
        0 => format!("WHEN (new.{column} IS NOT NULL AND 'it''s' <> E'\\\\')"),
        1 => "WHEN (new.* IS DISTINCT FROM old.*)".to_owned(),
        _ => String::new(),
    };
    let trigger = match world.chance.below(7) {
        _ if table.class == 'v' => format!("CREATE TRIGGER {name} INSTEAD OF UPDATE ON {on} FOR EACH ROW"),
        0 => format!(
            "CREATE CONSTRAINT TRIGGER {name} AFTER UPDATE ON {on} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW {condition}"
        ),
        1 => format!(
            "CREATE TRIGGER {name} AFTER UPDATE ON {on} REFERENCING OLD TABLE AS \"it's old\" NEW TABLE AS newest FOR EACH STATEMENT"
        ),
        2 => format!("CREATE TRIGGER {name} BEFORE TRUNCATE ON {on} FOR EACH STATEMENT"),
        3 => {
            format!("CREATE TRIGGER {name} AFTER INSERT OR UPDATE OF {column} OR DELETE ON {on} FOR EACH ROW")
        }
        4 => format!(
            "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT ON {on} FROM {on} NOT DEFERRABLE FOR EACH ROW"
        ),
        _ => format!("CREATE TRIGGER {name} BEFORE UPDATE OF {column} ON {on} FOR EACH ROW {condition}"),
    };
    world.say(format!("{trigger} EXECUTE FUNCTION {function}({arguments})"));
    if world.chance.percent(40) && table.class != 'v' {
        let state = world.chance.pick(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"]).to_owned();
        let on = if world.chance.percent(20) { parts(world, table) } else { on.clone() };
        world.say(format!("ALTER TABLE {on} {state} TRIGGER {name}"));
    }
    let text = world.text();
    world.say(format!("COMMENT ON TRIGGER {name} ON {on} IS {text}"));
}

/// A partition, whose triggers come from above and may be in another state.
fn parts(world: &mut World, table: &Table) -> String {
    let parts: Vec<String> =
        world.tables.iter().filter(|part| part.is_partition).map(|part| part.name.clone()).collect();
    world.chance.one(&parts).unwrap_or(&table.name).clone()
}

fn policy(world: &mut World, table: &Table) {
    let (name, on, role, text) = (world.name(), &table.name, role(world), world.text());
    let command = world
        .chance
        .pick(&[
            "",
            "FOR SELECT",
            "FOR INSERT",
            "FOR UPDATE",
            "FOR DELETE",
            "AS RESTRICTIVE FOR ALL",
            "AS PERMISSIVE",
        ])
        .to_owned();
    let to = world.chance.pick(&["", "TO PUBLIC", "TO CURRENT_USER"]).to_owned();
    let to = if world.chance.percent(50) { format!("TO {role}") } else { to };
    let using = if command.contains("INSERT") {
        String::new()
    } else {
        format!("USING (CURRENT_USER <> {text} OR (SELECT count(*) FROM {on}) < 5)")
    };
    let check = if command.contains("SELECT") || command.contains("DELETE") {
        String::new()
    } else {
        format!("WITH CHECK ({text} IS NOT NULL)")
    };
    world.say(format!("CREATE POLICY {name} ON {on} {command} {to} {using} {check}"));
    world.say(format!("COMMENT ON POLICY {name} ON {on} IS {text}"));
    for what in ["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"] {
        if world.chance.percent(50) {
            world.say(format!("ALTER TABLE {on} {what}"));
        }
    }
}

fn event_trigger(world: &mut World) {
    let (function, name, text) = (world.object(), world.name(), world.text());
    world.say(format!(
        "CREATE FUNCTION {function}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'"
    ));
    let event = world
        .chance
        .pick(&[
            "ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')",
            "ddl_command_end",
            "sql_drop",
            "table_rewrite",
        ])
        .to_owned();
    world.say(format!("CREATE EVENT TRIGGER {name} ON {event} EXECUTE FUNCTION {function}()"));
    world.say(format!("COMMENT ON EVENT TRIGGER {name} IS {text}"));
    let state = world.chance.pick(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA", "ENABLE"]).to_owned();
    world.say(format!("ALTER EVENT TRIGGER {name} {state}"));
}
