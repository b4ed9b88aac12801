//! Views on tables and on views.

use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(1..7) {
        view(world);
        world.look();
    }
}

fn view(world: &mut World) {
    let Some(of) = world.a_table(true) else { return };
    let (name, text) = (world.name(), world.text());
    let number = world.chance.of(1..5);
    let chosen: Vec<Column> = world.chance.some(&of.columns, number).into_iter().cloned().collect();
    let mut columns = Vec::new();
    let mut list = Vec::new();
    for column in chosen {
        let shown = world.name();
        let value = column.kind.some_value(&mut world.chance);
        list.push(match world.chance.below(8) {
            0 => format!("COALESCE(o.{}, {value}) AS {shown}", column.name),
            1 => format!("CONCAT(o.{}, {text}, _latin1'caf\u{e9}') AS {shown}", column.name),
            2 => format!("CASE WHEN o.{} IS NULL THEN {text} ELSE 'it''s' END AS {shown}", column.name),
            3 => {
                format!("CAST(o.{} AS CHAR CHARACTER SET latin1) COLLATE latin1_bin AS {shown}", column.name)
            }
            4 => format!("o.{} + INTERVAL 1 DAY AS {shown}", column.name),
            _ => format!("o.{} AS {shown}", column.name),
        });
        columns.push(Column { name: shown, ..column });
    }
    let algorithm =
        world.chance.pick(&["", "ALGORITHM=MERGE", "ALGORITHM=TEMPTABLE", "ALGORITHM=UNDEFINED"]).to_owned();
    // The first may read everything: others would see nothing through their views.
    let user = world.users.first().cloned().unwrap_or("CURRENT_USER".to_owned());
    let definer = world.chance.maybe(40, &format!("DEFINER={user}"));
    let security = world.chance.pick(&["", "SQL SECURITY INVOKER", "SQL SECURITY DEFINER"]).to_owned();
    let from = &of.name;
    let first = &of.columns[0].name;
    let body = match world.chance.below(7) {
        0 => format!(
            "SELECT {} FROM {from} o WHERE o.{first} IS NOT NULL OR {text} = 'x' WITH CASCADED CHECK OPTION",
            list.join(", ")
        ),
        1 => format!(
            "SELECT {} FROM {from} o LEFT JOIN {from} p ON o.{first} <=> p.{first} ORDER BY 1 LIMIT 9",
            list.join(", ")
        ),
        2 => format!(
            "WITH RECURSIVE q AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM q WHERE n < 3) SELECT {}, q.n FROM {from} o, q",
            list.join(", ")
        ),
        3 => format!(
            "SELECT {} FROM {from} o UNION ALL SELECT {} FROM {from} o",
            list.join(", "),
            list.join(", ")
        ),
        4 => format!(
            "SELECT {}, COUNT(*) OVER (PARTITION BY o.{first} ORDER BY o.{first}) AS `count` FROM {from} o",
            list.join(", ")
        ),
        5 => format!(
            "SELECT {} FROM (SELECT * FROM {from}) o GROUP BY o.{first} HAVING COUNT(*) > 0",
            list.join(", ")
        ),
        _ => format!("SELECT {} FROM {from} o", list.join(", ")),
    };
    let mode = super::programs::mode(world);
    world.say(format!("SET sql_mode = '{mode}'"));
    world.say(format!("CREATE {algorithm} {definer} {security} VIEW {name} AS {body}"));
    world.say("SET sql_mode = DEFAULT");
    world.tell();
    // The server takes views that nobody can open, of which nothing is promised but to name them.
    let full = format!("{}.{name}", super::world::quoted(&world.database));
    if world.server.try_sql(&format!("SELECT 1 FROM {full} LIMIT 0")).is_err() {
        world.say(format!("DROP VIEW {name}"));
        return;
    }
    world.tables.push(Table { name, columns, engine: "", is_view: true });
}
