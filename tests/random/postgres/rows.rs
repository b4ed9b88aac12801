//! Rows: nulls, ends of ranges, odd texts, long values.

use super::world::{Table, World};

pub(crate) fn write(world: &mut World) {
    for table in world.tables.clone() {
        if table.is_partition || table.class == 'f' {
            continue;
        }
        for _ in 0..world.chance.of(0..14) {
            row(world, &table);
        }
        if world.chance.percent(25) {
            many(world, &table);
        }
        // Rows that are in the way, and places that they leave.
        if world.chance.percent(30) {
            let first =
                table.columns.first().map_or("true".to_owned(), |column| format!("{} IS NULL", column.name));
            world.say(format!("DELETE FROM {} WHERE {first}", table.name));
        }
    }
    world.tell();
}

/// A value for a column, one that a partition takes where it decides.
fn values(world: &mut World, table: &Table) -> (Vec<String>, Vec<String>) {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for (place, column) in table.columns.iter().enumerate() {
        // A generated value may not be given, and not to give one leaves the default.
        if !column.given || world.chance.percent(10) {
            continue;
        }
        let bound = if place == 0 && world.chance.percent(80) {
            world.chance.one(&table.bounds).cloned()
        } else {
            None
        };
        names.push(column.name.clone());
        values.push(bound.unwrap_or_else(|| column.kind.value(&mut world.chance)));
    }
    (names, values)
}

fn row(world: &mut World, table: &Table) {
    let (names, values) = values(world, table);
    let insert = format!("INSERT INTO {}", table.name);
    if names.is_empty() {
        world.say(format!("{insert} DEFAULT VALUES"));
    } else {
        let overriding = world.chance.maybe(10, "OVERRIDING SYSTEM VALUE");
        world.say(format!("{insert} ({}) {overriding} VALUES ({})", names.join(", "), values.join(", ")));
    }
}

/// The same row often, with one long value that does not compress.
fn many(world: &mut World, table: &Table) {
    let (names, values) = values(world, table);
    if names.is_empty() {
        return;
    }
    let values: Vec<String> = names
        .iter()
        .zip(values)
        .map(|(name, value)| {
            match table
                .columns
                .iter()
                .find(|column| column.name == *name)
                .map(|column| column.kind.sql.as_str())
            {
                Some("integer" | "bigint" | "numeric") => "i".to_owned(),
                Some("text" | "character varying") => "repeat(md5(i::text), i)".to_owned(),
                Some("bytea") => "sha256(i::text::bytea)".to_owned(),
                Some("uuid") => "md5(i::text)::uuid".to_owned(),
                _ => value,
            }
        })
        .collect();
    let number = world.chance.of(20..300);
    world.say(format!(
        "INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {number}) i",
        table.name,
        names.join(", "),
        values.join(", ")
    ));
}
