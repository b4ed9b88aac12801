//! Views on tables and on views, materialized ones, rules.

use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(3..8) {
        view(world);
        world.look();
    }
    for _ in 0..world.chance.of(0..3) {
        rule(world);
    }
    world.tell();
}

/// Columns of a relation, some as they are and some in expressions, each under a name.
fn shown(world: &mut World, of: &Table) -> (Vec<Column>, String) {
    let number = world.chance.of(1..5);
    let chosen: Vec<Column> = world.chance.some(&of.columns, number).into_iter().cloned().collect();
    let mut columns = Vec::new();
    let mut list = Vec::new();
    for column in chosen {
        let name = world.name();
        let value = column.kind.some_value(&mut world.chance);
        let expression = match world.chance.below(6) {
            0 => format!("CASE WHEN o.{0} IS NULL THEN {value} ELSE o.{0} END", column.name),
            1 => format!("coalesce(o.{}, {value})", column.name),
            2 => format!("(SELECT x.{0} FROM {1} x ORDER BY 1 LIMIT 1)", column.name, of.name),
            _ => format!("o.{}", column.name),
        };
        list.push(format!("{expression} AS {name}"));
        columns.push(Column { name, ..column });
    }
    (columns, list.join(", "))
}

fn view(world: &mut World) {
    let Some(of) = world.a_table("rpvm") else { return };
    if of.columns.is_empty() {
        return;
    }
    let (name, (columns, list), text) = (world.object(), shown(world, &of), world.text());
    let from = &of.name;
    let first = of.columns[0].name.clone();
    let mut class = 'v';
    match world.chance.below(9) {
        0 => {
            let n = world.name();
            world.say(format!("CREATE RECURSIVE VIEW {name} ({n}) AS VALUES (1) UNION ALL SELECT {n} + 1 FROM {} WHERE {n} < 3", name.split_once("\".").unwrap().1));
        }
        1 => {
            let option = world.chance.pick(&["LOCAL", "CASCADED"]).to_owned();
            world.say(format!("CREATE VIEW {name} AS SELECT o.* FROM {from} o WHERE o.{first} IS NOT NULL WITH {option} CHECK OPTION"));
            // Its columns have the names of the table's.
            world.tables.push(Table { name: name.clone(), class, is_partition: false, bounds: Vec::new(), columns: of.columns.clone() });
            world.views.push(name);
            return;
        }
        2 => {
            let options = world.chance.pick(&["security_barrier", "security_barrier = false", "security_invoker = true", "security_barrier, security_invoker"]).to_owned();
            world.say(format!("CREATE VIEW {name} WITH ({options}) AS SELECT {list} FROM {from} o WHERE {text} = {text} OR o.{first} IS NULL"));
        }
        3 | 4 => {
            class = 'm';
            let options = world.chance.maybe(30, "WITH (fillfactor = 90, autovacuum_enabled = off)");
            let data = world.chance.maybe(if world.owned_views { 100 } else { 20 }, "WITH NO DATA");
            world.say(format!("CREATE MATERIALIZED VIEW {name} {options} AS SELECT {list} FROM {from} o {data}"));
        }
        5 => world.say(format!("CREATE VIEW {name} AS SELECT {list}, count(*) OVER w AS n FROM {from} o JOIN {from} p ON o.{first} IS NOT DISTINCT FROM p.{first} WINDOW w AS (PARTITION BY o.{first})")),
        6 => world.say(format!("CREATE VIEW {name} AS WITH q AS MATERIALIZED (SELECT * FROM {from}) SELECT {list} FROM q o LEFT JOIN LATERAL (SELECT {text} AS \"it's\") l ON true TABLESAMPLE system (10)")),
        7 => by_key(world, &name, &of),
        _ => world.say(format!("CREATE VIEW {name} AS SELECT {list} FROM {from} o UNION ALL SELECT {list} FROM ONLY {from} o ORDER BY 1 LIMIT 5 OFFSET 0")),
    }
    world.tables.push(Table {
        name: name.clone(),
        columns: columns.clone(),
        class,
        is_partition: false,
        bounds: Vec::new(),
    });
    world.views.push(name.clone());
    if class == 'v' && world.chance.percent(25) {
        let column = &columns[0];
        let value = column.kind.some_value(&mut world.chance);
        world.say(format!("ALTER VIEW {name} ALTER COLUMN {} SET DEFAULT {value}", column.name));
    }
}

/// A view that is valid only once the table has its key.
fn by_key(world: &mut World, name: &str, of: &Table) {
    let columns: Vec<String> = of.columns.iter().map(|column| format!("o.{}", column.name)).collect();
    world.say(format!(
        "CREATE VIEW {name} AS SELECT {}, count(*) AS \"count\" FROM {} o GROUP BY {}",
        columns.join(", "),
        of.name,
        columns[0]
    ));
}

fn rule(world: &mut World) {
    let (Some(on), Some(other)) = (world.a_table("rv"), world.a_table("r")) else { return };
    let (name, text) = (world.name(), world.text());
    let event = world.chance.pick(&["INSERT", "UPDATE", "DELETE"]).to_owned();
    let condition = on.columns.first().map_or(String::new(), |column| {
        let which = if event == "INSERT" { "new" } else { "old" };
        format!("WHERE {which}.{} IS NULL", column.name)
    });
    let condition = world.chance.maybe(40, &condition);
    let action = match world.chance.below(3) {
        0 => "DO INSTEAD NOTHING".to_owned(),
        1 => format!("DO ALSO (NOTIFY \"it's\"; DELETE FROM {} WHERE {text} IS NULL)", other.name),
        _ => format!("DO ALSO NOTIFY x, {text}"),
    };
    world.say(format!("CREATE RULE {name} AS ON {event} TO {} {condition} {action}", on.name));
    world.say(format!("COMMENT ON RULE {name} ON {} IS {text}", on.name));
    if on.class == 'r' && world.chance.percent(40) {
        let state = world.chance.pick(&["DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"]).to_owned();
        world.say(format!("ALTER TABLE {} {state} RULE {name}", on.name));
    }
}
