//! Rows, their history, and foreign keys over them.

use super::types::plain;
use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for table in world.tables.clone() {
        let mode = world
            .chance
            .pick(&[
                "",
                "",
                "NO_AUTO_VALUE_ON_ZERO",
                "ALLOW_INVALID_DATES",
                "STRICT_TRANS_TABLES,NO_ZERO_DATE",
            ])
            .to_owned();
        world.say(format!("SET sql_mode = '{mode}', time_zone = '+00:00', foreign_key_checks = 1"));
        // When a row began is a value too, and so follows from the seed.
        let mut now = 1_600_000_000 + world.chance.below(1_000_000);
        for _ in 0..world.chance.of(0..14) {
            now += world.chance.below(1000);
            world.say(format!("SET timestamp = {now}.25"));
            row(world, &table);
        }
        change(world, &table, now + 5000);
        world.say("SET sql_mode = DEFAULT, timestamp = DEFAULT");
    }
    world.tell();
}

fn row(world: &mut World, table: &Table) {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for column in &table.columns {
        if world.chance.percent(88) {
            names.push(column.name.clone());
            values.push(column.kind.value(&mut world.chance));
        }
    }
    let ignore = world.chance.maybe(30, "IGNORE");
    world.say(format!(
        "INSERT {ignore} INTO {} ({}) VALUES ({})",
        table.name,
        names.join(", "),
        values.join(", ")
    ));
}

/// Some rows become others, and some go.
fn change(world: &mut World, table: &Table, now: usize) {
    let Some(column) = world.chance.one(&table.columns).cloned() else { return };
    world.say(format!("SET timestamp = {now}"));
    if world.chance.percent(40) {
        let value = column.kind.value(&mut world.chance);
        world.say(format!("UPDATE IGNORE {} SET {} = {value} LIMIT 2", table.name, column.name));
    }
    world.say(format!("SET timestamp = {}", now + 7));
    if world.chance.percent(30) {
        world.say(format!("DELETE FROM {} LIMIT 1", table.name));
    }
    if world.chance.percent(15) {
        let number = world.chance.of(50..400);
        let value = column.kind.some_value(&mut world.chance);
        world.say(format!(
            "INSERT IGNORE INTO {} ({}) SELECT {value} FROM seq_1_to_{number}",
            table.name, column.name
        ));
    }
}

/// Foreign keys, each over a column of its own whose rows refer to something. In circles, as chance has it.
pub(crate) fn foreign_keys(world: &mut World) {
    for _ in 0..world.chance.of(1..5) {
        let inner: Vec<Table> =
            world.tables.iter().filter(|table| table.engine == "InnoDB" && !table.is_view).cloned().collect();
        let (Some(child), Some(parent)) =
            (world.chance.one(&inner).cloned(), world.chance.one(&inner).cloned())
        else {
            return;
        };
        let (name, own, target) = (world.name(), world.name(), world.name());
        world.say(format!("ALTER TABLE {} ADD COLUMN {target} INT, ADD KEY ({target})", parent.name));
        world.say("SET @n = 0");
        world.say(format!("UPDATE {} SET {target} = (@n := @n + 1)", parent.name));
        world.say(format!("SET @n = (SELECT MIN({target}) FROM {})", parent.name));
        world.say(format!("ALTER TABLE {} ADD COLUMN {own} INT", child.name));
        world.say(format!("UPDATE {} SET {own} = @n", child.name));
        let actions = world
            .chance
            .pick(&[
                "",
                "ON DELETE CASCADE",
                "ON DELETE SET NULL ON UPDATE CASCADE",
                "ON DELETE RESTRICT ON UPDATE SET NULL",
                "ON DELETE NO ACTION",
            ])
            .to_owned();
        world.say(format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} FOREIGN KEY ({own}) REFERENCES {} ({target}) {actions}",
            child.name, parent.name
        ));
        let key = Column { name: own, kind: plain("INT") };
        if let Some(table) = world.tables.iter_mut().find(|table| table.name == child.name) {
            table.columns.push(key);
        }
    }
    world.look();
}
