//! Tables of all kinds, and what columns have.

use super::types::Type;
use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(4..8) {
        let name = world.object();
        match world.chance.below(10) {
            0 | 1 => inherits(world, name),
            2 => of_a_type(world, name),
            3 => like(world, name),
            _ => alone(world, name),
        }
    }
    for _ in 0..world.chance.of(0..3) {
        partitioned(world);
    }
    world.look();
    for table in world.tables.clone() {
        if !table.is_partition && table.class != 'f' {
            columns_of(world, &table);
        }
    }
    world.look();
}

/// New columns, and how a definition has them.
fn columns(world: &mut World, number: usize) -> (Vec<Column>, Vec<String>) {
    let columns: Vec<Column> =
        (0..number).map(|_| Column { name: world.name(), kind: world.a_type(), given: true }).collect();
    let definitions = columns.iter().map(|column| definition(world, column)).collect();
    (columns, definitions)
}

fn definition(world: &mut World, column: &Column) -> String {
    let Column { name, kind, .. } = column;
    let mut definition = format!("{name} {}", kind.sql);
    if kind.is_text() && world.chance.percent(30) {
        let collations = ["\"C\"", "\"POSIX\"", "\"en-US-x-icu\"", "\"C.UTF-8\"", "\"ucs_basic\""];
        let own = world.collations.clone();
        let collation = world.chance.one(&own).map_or("\"C\"", String::as_str);
        let collation = if world.chance.percent(40) { collation } else { world.chance.pick(&collations) };
        definition.push_str(&format!(" COLLATE {collation}"));
    }
    if world.chance.percent(25) {
        definition.push_str(&format!(" DEFAULT {}", kind.value(&mut world.chance)));
    }
    definition.push_str(&world.chance.maybe(8, " NOT NULL"));
    definition
}

fn parameters(world: &mut World) -> String {
    world
        .chance
        .pick(&[
            "",
            "",
            "",
            "",
            "WITH (fillfactor = 70)",
            "WITH (autovacuum_enabled = false, toast.autovacuum_enabled = off)",
            "WITH (parallel_workers = 3, toast_tuple_target = 256)",
            "WITH (user_catalog_table = true)",
            "WITH (autovacuum_vacuum_scale_factor = 0.05)",
            "USING heap",
        ])
        .to_owned()
}

fn keep(world: &mut World, name: String, columns: Vec<Column>) {
    world.tables.push(Table { name, columns, class: 'r', is_partition: false, bounds: Vec::new() });
}

fn alone(world: &mut World, name: String) {
    let number = if world.chance.percent(4) { 0 } else { world.chance.of(1..9) };
    let (columns, definitions) = columns(world, number);
    let (unlogged, parameters) = (world.chance.maybe(12, "UNLOGGED"), parameters(world));
    world.say(format!("CREATE {unlogged} TABLE {name} ({}) {parameters}", definitions.join(", ")));
    keep(world, name, columns);
}

/// A child of one or two tables, with a column of theirs declared again.
fn inherits(world: &mut World, name: String) {
    world.look();
    let Some(parent) = world.a_table("r") else { return alone(world, name) };
    let mut parents = vec![parent.name.clone()];
    let mut all = parent.columns.clone();
    if let (true, Some(second)) = (world.chance.percent(30), world.a_table("r"))
        && second.name != parent.name
        // What two parents say of one column may be in conflict afterwards, and then nobody's script makes the child.
        && !second.columns.iter().any(|column| parent.columns.iter().any(|other| other.name == column.name))
    {
        parents.push(second.name);
        all.extend(second.columns);
    }
    let own = world.chance.below(4);
    let (own, mut definitions) = columns(world, own);
    if let (true, Some(again)) = (world.chance.percent(50), parent.columns.first()) {
        definitions.push(format!("{} {}", again.name, again.kind.sql));
        if world.chance.percent(50) {
            let value = again.kind.some_value(&mut world.chance);
            definitions.last_mut().unwrap().push_str(&format!(" DEFAULT {value}"));
        }
    }
    world.say(format!("CREATE TABLE {name} ({}) INHERITS ({})", definitions.join(", "), parents.join(", ")));
    all.extend(own);
    if world.chance.percent(20) {
        world.say(format!("ALTER TABLE {name} NO INHERIT {}", parents[0]));
    }
    keep(world, name, all);
}

fn of_a_type(world: &mut World, name: String) {
    let kind = world.object();
    let (columns, _) = columns(world, 3);
    let fields: Vec<String> =
        columns.iter().map(|column| format!("{} {}", column.name, column.kind.sql)).collect();
    world.say(format!("CREATE TYPE {kind} AS ({})", fields.join(", ")));
    let value = columns[1].kind.some_value(&mut world.chance);
    let options =
        world.chance.maybe(60, &format!("({} WITH OPTIONS NOT NULL DEFAULT {value})", columns[1].name));
    world.say(format!("CREATE TABLE {name} OF {kind} {options}"));
    keep(world, name, columns);
}

fn like(world: &mut World, name: String) {
    world.look();
    let Some(other) = world.a_table("rp") else { return alone(world, name) };
    let (own, definitions) = columns(world, 1);
    world.say(format!("CREATE TABLE {name} ({}, LIKE {} INCLUDING ALL)", definitions[0], other.name));
    let all = [own, other.columns].concat();
    keep(world, name, all);
}

/// What partitions are made by, each with a type whose hash is the same in every database.
///
/// Where a hash of an enum puts a row depends on the OIDs of its labels, so `pg_dump`'s script cannot be restored.
const KEYS: &[(&str, &[&str])] = &[
    ("integer", &["-5", "0", "10", "20", "1000"]),
    ("text", &["''", "'a'", "'it''s'", "'naïve'", "'z'"]),
    ("date", &["'2000-01-01'", "'2001-01-01'", "'2002-02-28'", "'2010-12-31'", "'2030-01-01'"]),
    (
        "timestamp with time zone",
        &[
            "'2000-01-01 00:00+00'",
            "'2001-01-01 00:00+00'",
            "'2002-02-28 12:00+00'",
            "'2010-12-31 00:00+00'",
            "'2030-01-01 00:00+00'",
        ],
    ),
    ("numeric", &["-1.50", "0", "1.1", "1.11", "1e30"]),
    (
        "uuid",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'11111111-0000-0000-0000-000000000000'",
            "'22222222-0000-0000-0000-000000000000'",
            "'33333333-0000-0000-0000-000000000000'",
            "'ffffffff-0000-0000-0000-000000000000'",
        ],
    ),
    ("boolean", &["false", "true", "false", "true", "true"]),
];

fn partitioned(world: &mut World) {
    let key = KEYS[world.chance.below(KEYS.len())];
    let kind = super::types::plain().into_iter().find(|kind| kind.is(key.0)).expect("a plain type");
    let (mut columns, mut definitions) = columns(world, 4);
    columns[0].kind = kind;
    definitions[0] = format!("{} {}", columns[0].name, key.0);
    let name = world.object();
    let bounds: Vec<String> = key.1.iter().map(|value| format!("{value}::{}", key.0)).collect();
    let table = Table { name: name.clone(), columns, class: 'p', is_partition: false, bounds };
    let way = world.chance.pick(&["LIST", "RANGE", "RANGE", "HASH"]).to_owned();
    let by = by(world, &way, &table);
    world.say(format!("CREATE TABLE {name} ({}) PARTITION BY {way} ({by})", definitions.join(", ")));
    world.tables.push(table.clone());
    partitions(world, &table, &way, key.1, 0);
}

fn by(world: &mut World, way: &str, table: &Table) -> String {
    let column = &table.columns[0];
    match world.chance.below(4) {
        0 if way == "LIST" && column.kind.is_text() => format!("lower({})", column.name),
        0 if way == "HASH" => format!("{0}, {0}", column.name),
        _ => column.name.clone(),
    }
}

/// Partitions of a table, one of them perhaps with partitions of its own.
fn partitions(world: &mut World, table: &Table, way: &str, values: &[&str], depth: usize) {
    let mut bounds: Vec<String> = match way {
        "LIST" => vec![
            format!("IN ({}, NULL)", values[0]),
            format!("IN ({})", values[1]),
            format!("IN ({}, {})", values[3], values[4]),
        ],
        "RANGE" => {
            let mut edges = vec!["MINVALUE"];
            edges.extend(&values[1..]);
            edges.push("MAXVALUE");
            edges.windows(2).map(|pair| format!("FROM ({}) TO ({})", pair[0], pair[1])).collect()
        }
        _ => (0..3).map(|n| format!("WITH (MODULUS 3, REMAINDER {n})")).collect(),
    };
    if way != "HASH" {
        bounds.truncate(world.chance.of(1..bounds.len() + 1));
        if world.chance.percent(80) {
            bounds.push(String::new());
        }
    }
    for bound in bounds {
        let name = world.object();
        let values_of = if bound.is_empty() { "DEFAULT".to_owned() } else { format!("FOR VALUES {bound}") };
        let mut part = Table { name: name.clone(), is_partition: true, ..table.clone() };
        if depth == 0 && world.chance.percent(20) {
            let way = world.chance.pick(&["LIST", "HASH", "RANGE"]).to_owned();
            let by = by(world, &way, table);
            world.say(format!(
                "CREATE TABLE {name} PARTITION OF {} {values_of} PARTITION BY {way} ({by})",
                table.name
            ));
            part.class = 'p';
            world.tables.push(part.clone());
            partitions(world, &part, &way, values, 1);
        } else if world.chance.percent(35) {
            attached(world, &part, table, &values_of);
        } else {
            let (column, parameters) = (part.columns[1].clone(), parameters(world));
            let value = column.kind.some_value(&mut world.chance);
            let options = world.chance.maybe(20, &format!("({} DEFAULT {value})", column.name));
            world.say(format!(
                "CREATE TABLE {name} PARTITION OF {} {options} {values_of} {parameters}",
                table.name
            ));
            world.tables.push(part);
        }
    }
}

/// A table with the columns in another order, and one that was dropped before them.
fn attached(world: &mut World, part: &Table, parent: &Table, values_of: &str) {
    let name = &part.name;
    world.say(format!("CREATE TABLE {name} (LIKE {} INCLUDING DEFAULTS)", parent.name));
    // Dropped and added again, a column is the last.
    let column = &part.columns[1];
    world.say(format!("ALTER TABLE {name} DROP COLUMN {}", column.name));
    world.say(format!(
        "DO $do$ DECLARE c text; BEGIN
           SELECT format('ALTER TABLE {} ADD COLUMN %I %s %s %s', attname, format_type(atttypid, atttypmod),
             CASE WHEN attcollation <> 0 THEN 'COLLATE ' || attcollation::regcollation ELSE '' END, CASE WHEN attnotnull THEN 'NOT NULL' ELSE '' END) INTO c
           FROM pg_attribute WHERE attrelid = {}::regclass AND attname = {}; EXECUTE c; END $do$",
        name.replace('\'', "''").replace('%', "%%"),
        super::world::literal(&parent.name),
        super::world::literal(&column.name[1..column.name.len() - 1].replace("\"\"", "\"")),
    ));
    world.say(format!("ALTER TABLE {} ATTACH PARTITION {name} {values_of}", parent.name));
    world.tables.push(part.clone());
}

/// What is given to columns afterwards: generated ones, identities, defaults that call something, columns that go.
fn columns_of(world: &mut World, table: &Table) {
    let name = table.name.clone();
    let alter = format!("ALTER TABLE {name}");
    if world.chance.percent(40) {
        let gone = world.name();
        let kind = world.a_type();
        world.say(format!("{alter} ADD COLUMN {gone} {} ; {alter} DROP COLUMN {gone}", kind.sql));
    }
    for column in &table.columns {
        let column_name = &column.name;
        match world.chance.below(14) {
            0 => {
                let target = world.chance.below(1000);
                world.say(format!("{alter} ALTER {column_name} SET STATISTICS {target}"));
            },
            1 => world.say(format!("{alter} ALTER {column_name} SET STORAGE EXTERNAL")),
            2 => world.say(format!("{alter} ALTER {column_name} SET COMPRESSION pglz")),
            3 => world.say(format!("{alter} ALTER {column_name} SET (n_distinct = -0.5, n_distinct_inherited = 7)")),
            4 => calls(world, &alter, column),
            5 => world.say(format!("{alter} ALTER {column_name} SET COMPRESSION lz4; {alter} ALTER {column_name} SET STORAGE MAIN")),
            _ => {}
        }
    }
    let mut added = Vec::new();
    if world.chance.percent(45) {
        added.push(generated(world, &alter, table));
    }
    if world.chance.percent(45) {
        let (name, kind) = (world.name(), world.chance.pick(&["smallint", "integer", "bigint"]).to_owned());
        let way = world.chance.pick(&["ALWAYS", "BY DEFAULT"]).to_owned();
        let options = world
            .chance
            .pick(&[
                "",
                "(START 7 INCREMENT -3 MINVALUE -1000 MAXVALUE 10 CYCLE CACHE 5)",
                "(START WITH 100)",
                "(SEQUENCE NAME public.\"named 'seq\" RESTART)",
            ])
            .to_owned();
        world.say(format!("{alter} ADD COLUMN {name} {kind} GENERATED {way} AS IDENTITY {options}"));
        added.push((name, kind));
    } else if world.chance.percent(30) {
        let (name, kind) =
            (world.name(), world.chance.pick(&["smallserial", "serial", "bigserial"]).to_owned());
        world.say(format!("{alter} ADD COLUMN {name} {kind}"));
        added.push((name, "integer".to_owned()));
    }
    let plain = super::types::plain();
    let added = added.into_iter().filter_map(|(name, kind)| {
        let kind: Type = plain.iter().find(|plain| plain.is(&kind))?.clone();
        Some(Column { name, kind, given: true })
    });
    let added: Vec<Column> = added.collect();
    let this = world.tables.iter_mut().find(|other| other.name == name).unwrap();
    this.columns.extend(added);
}

/// A default that calls something.
fn calls(world: &mut World, alter: &str, column: &Column) {
    let sequences = world.sequences.clone();
    let call = match column.kind.sql.as_str() {
        "integer" | "bigint" | "numeric" => {
            let functions = world.functions.clone();
            match (world.chance.one(&sequences), world.chance.one(&functions)) {
                (Some(sequence), _) if world.chance.percent(60) => {
                    format!("nextval({}::regclass)", super::world::literal(sequence))
                }
                (_, Some(function)) => format!("{function}(7)"),
                _ => "abs(-7)".to_owned(),
            }
        }
        "text" | "character varying" => world
            .chance
            .pick(&[
                "CURRENT_USER",
                "concat_ws('''', 'a', E'\\n', now())",
                "md5(random()::text)",
                "to_char(now(), 'YYYY\"it''s\"')",
            ])
            .to_owned(),
        "uuid" => "gen_random_uuid()".to_owned(),
        "timestamp with time zone" => "CURRENT_TIMESTAMP - '1 day'::interval".to_owned(),
        "date" => "'today'::date".to_owned(),
        "jsonb" => "jsonb_build_object('a', ARRAY[1, 2], 'it''s', NULL)".to_owned(),
        "boolean" => "random() > 2 OR pg_is_in_recovery()".to_owned(),
        _ => return,
    };
    world.say(format!("{alter} ALTER {} SET DEFAULT {call}", column.name));
}

fn generated(world: &mut World, alter: &str, table: &Table) -> (String, String) {
    let name = world.name();
    let functions = world.functions.clone();
    let of = world.chance.one(&table.columns).map_or("1".to_owned(), |column| column.name.clone());
    let typed =
        table.columns.iter().find(|column| ["integer", "text", "jsonb"].contains(&column.kind.sql.as_str()));
    let (kind, expression) = match (typed, world.chance.below(3)) {
        (Some(column), 0 | 1) if column.kind.is("integer") => match world.chance.one(&functions) {
            Some(function) => ("integer", format!("{function}({} / 2)", column.name)),
            None => ("integer", format!("{} / 2", column.name)),
        },
        (Some(column), 0 | 1) if column.kind.is("text") => {
            ("text", format!("upper(({} || 'it''s') COLLATE \"C\")", column.name))
        }
        (Some(column), 0 | 1) => ("text", format!("({} ->> 'a')", column.name)),
        _ => ("boolean", format!("{of} IS NOT NULL")),
    };
    world.say(format!("{alter} ADD COLUMN {name} {kind} GENERATED ALWAYS AS ({expression}) STORED"));
    (name, kind.to_owned())
}
