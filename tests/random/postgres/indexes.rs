//! Indexes of all access methods, and statistics over several columns.

use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for table in world.tables.clone() {
        if table.columns.is_empty() || !"rpm".contains(table.class) {
            continue;
        }
        for _ in 0..world.chance.of(0..4) {
            index(world, &table);
        }
        if world.chance.percent(20) {
            statistics(world, &table);
        }
        identity(world, &table);
    }
    world.tell();
}

fn index(world: &mut World, table: &Table) {
    let (name, column) = (world.name(), world.chance.one(&table.columns).unwrap().clone());
    let (method, elements) = elements(world, table, &column);
    let unique = if method == "btree" { world.chance.maybe(15, "UNIQUE") } else { String::new() };
    let distinct = if unique.is_empty() { "" } else { "NULLS NOT DISTINCT" };
    let distinct = world.chance.maybe(50, distinct);
    let other = world.chance.one(&table.columns).unwrap().name.clone();
    let include = if "btree gist spgist".contains(&method) {
        world.chance.maybe(20, &format!("INCLUDE ({other})"))
    } else {
        String::new()
    };
    let with = match method.as_str() {
        "btree" => world.chance.maybe(20, "WITH (fillfactor = 33, deduplicate_items = off)"),
        "gin" => world.chance.maybe(50, "WITH (fastupdate = off, gin_pending_list_limit = 64)"),
        "brin" => world.chance.maybe(50, "WITH (pages_per_range = 3, autosummarize = on)"),
        "gist" => world.chance.maybe(50, "WITH (buffering = on)"),
        "hash" => world.chance.maybe(50, "WITH (fillfactor = 60)"),
        _ => String::new(),
    };
    let value = column.kind.some_value(&mut world.chance);
    let condition = match world.chance.below(8) {
        0 => format!("WHERE {other} IS NOT NULL AND 'it''s' = E'it\\'s'"),
        1 => format!("WHERE {} <> {value}", column.name),
        _ => String::new(),
    };
    let only = if table.class == 'p' { world.chance.maybe(30, "ONLY") } else { String::new() };
    world.say(format!("CREATE {unique} INDEX {name} ON {only} {} USING {method} ({elements}) {include} {distinct} {with} {condition}", table.name));
    let schema = table.name.split_once("\".\"").unwrap().0;
    let full = format!("{schema}\".{name}");
    match world.chance.below(8) {
        0 => {
            let text = world.text();
            world.say(format!("COMMENT ON INDEX {full} IS {text}"));
        }
        1 => world.say(format!("ALTER INDEX {full} ALTER COLUMN 1 SET STATISTICS 77")),
        2 => world.say(format!("ALTER TABLE {} CLUSTER ON {name}", table.name)),
        _ => {}
    }
    if !only.is_empty() {
        parts(world, table, &full, &format!("USING {method} ({elements}) {include} {distinct}"));
    }
}

/// Indexes of some partitions, attached to one of the whole table that is valid only once all are.
fn parts(world: &mut World, table: &Table, whole: &str, definition: &str) {
    for part in world.tables.clone() {
        if part.is_partition && part.columns.len() == table.columns.len() && world.chance.percent(60) {
            let name = world.name();
            let schema = part.name.split_once("\".\"").unwrap().0;
            world.say(format!("CREATE INDEX {name} ON {} {definition}", part.name));
            world.say(format!("ALTER INDEX {whole} ATTACH PARTITION {schema}\".{name}"));
        }
    }
}

/// An access method, and what is indexed.
fn elements(world: &mut World, table: &Table, column: &Column) -> (String, String) {
    let (c, kind) = (&column.name, column.kind.sql.as_str());
    let special = match kind {
        "jsonb" => Some(("gin", world.chance.pick(&["", "jsonb_path_ops"]))),
        "text" => Some(world.chance.pick_pair(&[
            ("btree", "text_pattern_ops"),
            ("spgist", "text_ops"),
            ("brin", "text_bloom_ops (false_positive_rate = 0.05)"),
            ("hash", ""),
        ])),
        "integer" => Some(world.chance.pick_pair(&[
            ("brin", "int4_minmax_multi_ops (values_per_range = 16)"),
            ("brin", "int4_bloom_ops"),
            ("hash", ""),
        ])),
        "tsvector" => Some(world.chance.pick_pair(&[("gin", ""), ("gist", "tsvector_ops (siglen = 100)")])),
        "point" => Some(world.chance.pick_pair(&[
            ("gist", ""),
            ("spgist", "kd_point_ops"),
            ("spgist", "quad_point_ops"),
        ])),
        "box" => Some(world.chance.pick_pair(&[("gist", ""), ("spgist", ""), ("brin", "box_inclusion_ops")])),
        "inet" | "cidr" => Some(world.chance.pick_pair(&[
            ("gist", "inet_ops"),
            ("spgist", "inet_ops"),
            ("brin", "inet_inclusion_ops"),
        ])),
        kind if kind.ends_with("range") => {
            Some(world.chance.pick_pair(&[("gist", ""), ("spgist", ""), ("btree", "")]))
        }
        kind if kind.ends_with("[]") => Some(("gin", "")),
        _ => None,
    };
    if let (Some((method, class)), true) = (special, world.chance.percent(70)) {
        return (method.to_owned(), format!("{c} {class}"));
    }
    let method = world.chance.pick(&["btree", "btree", "btree", "hash", "brin", "gist"]).to_owned();
    let functions = world.functions.clone();
    let mut elements = vec![match world.chance.below(6) {
        0 if kind == "text" => format!("lower({c} COLLATE \"C\") DESC"),
        1 => format!("({c} IS NULL)"),
        2 if kind == "integer" => {
            world.chance.one(&functions).map_or(c.clone(), |function| format!("{function}({c})"))
        }
        3 if kind == "text" => format!("({c} || 'it''s') COLLATE \"POSIX\""),
        _ => c.clone(),
    }];
    if method == "btree" {
        elements[0].push_str(world.chance.pick(&["", "", " DESC NULLS LAST", " NULLS FIRST", " DESC"]));
        if world.chance.percent(35) {
            elements.push(world.chance.one(&table.columns).unwrap().name.clone());
        }
    }
    (method, elements.join(", "))
}

fn statistics(world: &mut World, table: &Table) {
    let name = world.object();
    let columns: Vec<String> =
        world.chance.some(&table.columns, 3).into_iter().map(|column| column.name.clone()).collect();
    let kinds = world.chance.pick(&["", "(ndistinct)", "(mcv, dependencies)"]).to_owned();
    let over = if world.chance.percent(40) {
        format!("({} IS NULL), {}", columns[0], columns.join(", "))
    } else {
        columns.join(", ")
    };
    world.say(format!("CREATE STATISTICS {name} {kinds} ON {over} FROM {}", table.name));
    let (target, text) = (world.chance.of(0..500), world.text());
    if world.chance.percent(50) {
        world.say(format!(
            "ALTER STATISTICS {name} SET STATISTICS {target}; COMMENT ON STATISTICS {name} IS {text}"
        ));
    }
}

fn identity(world: &mut World, table: &Table) {
    match world.chance.below(12) {
        0 => world.say(format!("ALTER TABLE {} REPLICA IDENTITY FULL", table.name)),
        1 => world.say(format!("ALTER TABLE {} REPLICA IDENTITY NOTHING", table.name)),
        2 => {
            let (name, column) = (world.name(), table.columns[0].name.clone());
            world.say(format!("ALTER TABLE {} ALTER {column} SET NOT NULL", table.name));
            world.say(format!("CREATE UNIQUE INDEX {name} ON {} ({column})", table.name));
            world.say(format!("ALTER TABLE {} REPLICA IDENTITY USING INDEX {name}", table.name));
        }
        _ => {}
    }
}
