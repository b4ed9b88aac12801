//! Checks, keys, foreign keys in circles, exclusions.

use super::world::{Table, World};

/// What holds before there are rows.
pub(crate) fn write(world: &mut World) {
    for table in world.tables.clone() {
        if table.is_partition && world.chance.percent(70) || table.columns.is_empty() {
            continue;
        }
        if world.chance.percent(50) {
            check(world, &table);
        }
        if world.chance.percent(60) {
            key(world, &table);
        }
        if world.chance.percent(25) && table.class == 'r' {
            exclusion(world, &table);
        }
    }
    world.tell();
}

fn check(world: &mut World, table: &Table) {
    let (name, column) = (world.name(), world.chance.one(&table.columns).unwrap().clone());
    let c = &column.name;
    let functions = world.functions.clone();
    let condition = match world.chance.below(6) {
        0 => format!("({c} IS NOT NULL) OR (1 = 1)"),
        1 => format!("num_nulls({c}) < 2 AND 'it''s' <> E'\\\\'"),
        2 => format!("pg_column_size({c}) < 1000000"),
        3 => world
            .chance
            .one(&functions)
            .map_or("true".to_owned(), |function| format!("{function}(3) IS NOT NULL")),
        4 => format!("{c} IS DISTINCT FROM {}", column.kind.some_value(&mut world.chance)),
        _ => format!("({c})::text <> ALL (ARRAY['a b', '$$', 'x\"y'])"),
    };
    let options = world.chance.pick(&["", "", "NO INHERIT", "NOT VALID"]).to_owned();
    world.say(format!("ALTER TABLE {} ADD CONSTRAINT {name} CHECK ({condition}) {options}", table.name));
    comment(world, &name, &table.name);
}

fn comment(world: &mut World, constraint: &str, table: &str) {
    if world.chance.percent(40) {
        let text = world.text();
        world.say(format!("COMMENT ON CONSTRAINT {constraint} ON {table} IS {text}"));
    }
}

fn key(world: &mut World, table: &Table) {
    let name = world.name();
    let number = world.chance.of(1..3);
    let mut columns: Vec<String> =
        world.chance.some(&table.columns, number).into_iter().map(|column| column.name.clone()).collect();
    // A key of a partitioned table has what its partitions are made by.
    if table.class == 'p' && !columns.contains(&table.columns[0].name) {
        columns.push(table.columns[0].name.clone());
    }
    let kind =
        world.chance.pick(&["PRIMARY KEY", "UNIQUE", "UNIQUE NULLS NOT DISTINCT", "UNIQUE"]).to_owned();
    let include = world.chance.one(&table.columns).unwrap().name.clone();
    let include = world.chance.maybe(20, &format!("INCLUDE ({include})"));
    let with = world.chance.maybe(15, "WITH (fillfactor = 50)");
    let deferrable = deferrable(world);
    let columns = columns.join(", ");
    if table.class == 'r' && world.chance.percent(20) {
        let schema = table.name.split_once("\".\"").unwrap().0;
        world.say(format!("CREATE UNIQUE INDEX {name} ON {} ({columns})", table.name));
        world.say(format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} UNIQUE USING INDEX {name} {deferrable}",
            table.name
        ));
        world.say(format!("COMMENT ON INDEX {schema}\".{name} IS 'of a key'"));
        return;
    }
    world.say(format!(
        "ALTER TABLE {} ADD CONSTRAINT {name} {kind} ({columns}) {include} {with} {deferrable}",
        table.name
    ));
    comment(world, &name, &table.name);
}

fn deferrable(world: &mut World) -> String {
    world.chance.pick(&["", "", "", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"]).to_owned()
}

fn exclusion(world: &mut World, table: &Table) {
    let name = world.name();
    let column = world.chance.one(&table.columns).unwrap().clone();
    let element = match column.kind.sql.as_str() {
        kind if kind.ends_with("range") && !kind.contains("multi") => {
            format!("USING gist ({} WITH &&)", column.name)
        }
        "box" | "circle" => format!("USING gist ({} WITH &&)", column.name),
        "inet" => format!("USING gist ({} inet_ops WITH &&)", column.name),
        _ => format!("({} WITH =)", column.name),
    };
    let (condition, deferrable) = (world.chance.maybe(30, "WHERE (1 > 2)"), deferrable(world));
    world.say(format!(
        "ALTER TABLE {} ADD CONSTRAINT {name} EXCLUDE {element} {condition} {deferrable}",
        table.name
    ));
    comment(world, &name, &table.name);
}

/// Foreign keys, each over a column of its own whose rows refer to something. In circles, as chance has it.
pub(crate) fn foreign_keys(world: &mut World) {
    for _ in 0..world.chance.of(2..6) {
        let (Some(child), Some(parent)) = (world.a_table("rp"), world.a_table("rp")) else { return };
        if parent.columns.is_empty() || child.is_partition || parent.is_partition {
            continue;
        }
        let (name, own, target) = (world.name(), world.name(), world.name());
        let kind = world.chance.pick(&["integer", "text", "uuid", "bytea"]).to_owned();
        let value = match kind.as_str() {
            "integer" => "(random() * 1e9)::integer",
            "text" => "md5(random()::text) || ' it''s'",
            "uuid" => "gen_random_uuid()",
            _ => "sha256(random()::text::bytea)",
        };
        // Random values would not follow from the seed: the rows have their numbers.
        let value = value.replace("random()", "s.n").replace("gen_random_uuid()", "md5(s.n::text)::uuid");
        world.say(format!("ALTER TABLE {} ADD COLUMN {target} {kind}", parent.name));
        world.say(format!(
            "UPDATE {0} t SET {target} = {value} FROM (SELECT ctid, tableoid, row_number() OVER (ORDER BY tableoid::regclass::text, ctid)::integer AS n FROM {0}) s WHERE s.ctid = t.ctid AND s.tableoid = t.tableoid",
            parent.name
        ).replace("(s.n * 1e9)", "(s.n * 1000)"));
        let mut key = target.clone();
        let mut own_key = own.clone();
        world.say(format!("ALTER TABLE {} ADD COLUMN {own} {kind}", child.name));
        if parent.class == 'p' {
            let by = &parent.columns[0];
            let other = world.name();
            world.say(format!("ALTER TABLE {} ADD COLUMN {other} {}", child.name, by.kind.sql));
            world.say(format!(
                "UPDATE {} SET ({other}, {own}) = (SELECT {}, {target} FROM {} ORDER BY {target} LIMIT 1)",
                child.name, by.name, parent.name
            ));
            key = format!("{}, {key}", by.name);
            own_key = format!("{other}, {own_key}");
        } else {
            world.say(format!(
                "UPDATE {} SET {own} = (SELECT {target} FROM ONLY {} ORDER BY {target} LIMIT 1)",
                child.name, parent.name
            ));
        }
        world.say(format!("ALTER TABLE {} ADD UNIQUE ({key})", parent.name));
        let matching = world.chance.pick(&["", "MATCH FULL", "MATCH SIMPLE"]).to_owned();
        let deleting = world
            .chance
            .pick(&["", "ON DELETE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET DEFAULT"])
            .to_owned();
        let deleting =
            if world.chance.percent(20) { format!("ON DELETE SET NULL ({own})") } else { deleting };
        let updating = world.chance.pick(&["", "ON UPDATE CASCADE", "ON UPDATE SET NULL"]).to_owned();
        let deferrable = deferrable(world);
        let valid = world.chance.maybe(20, "NOT VALID");
        world.say(format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} FOREIGN KEY ({own_key}) REFERENCES {} ({key}) {matching} {deleting} {updating} {deferrable} {valid}",
            child.name, parent.name
        ));
        comment(world, &name, &child.name);
    }
    world.look();
}
