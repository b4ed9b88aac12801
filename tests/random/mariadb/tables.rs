//! Tables, their columns, keys, partitions and history.

use super::types::{a_type, plain};
use super::world::{Column, Table, World};

pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(0..3) {
        sequence(world);
    }
    for _ in 0..world.chance.of(4..9) {
        table(world);
    }
    world.look();
    for table in world.tables.clone() {
        columns(world, &table);
        keys(world, &table);
        checks(world, &table);
        match world.chance.below(8) {
            0 | 1 => partitions(world, &table),
            2 => versioned(world, &table),
            3 => period(world, &table),
            _ => {}
        }
    }
    world.look();
}

fn sequence(world: &mut World) {
    let name = world.name();
    let options = world
        .chance
        .pick(&[
            "",
            "START WITH 5 INCREMENT BY -3 MINVALUE -100 MAXVALUE 10 CYCLE",
            "NOCACHE",
            "INCREMENT 0",
            "CACHE 7 MAXVALUE 9",
            "START 9223372036854775806",
        ])
        .to_owned();
    let more = world.chance.pick(&["", "ENGINE=Aria", "COMMENT='it''s a sequence'"]).to_owned();
    world.say(format!("CREATE SEQUENCE {name} {options} {more}"));
    for _ in 0..world.chance.of(0..4) {
        world.say(format!("SELECT NEXT VALUE FOR {name}"));
    }
    if world.chance.percent(25) {
        world.say(format!("SELECT SETVAL({name}, 4, FALSE)"));
    }
    world.sequences.push(name);
}

/// What a column has beside its type.
fn attributes(world: &mut World, column: &Column) -> String {
    let mut attributes = String::new();
    let Column { kind, .. } = column;
    if world.chance.percent(10) {
        attributes.push_str(" NOT NULL");
    }
    if world.chance.percent(30) {
        let value = kind.some_value(&mut world.chance);
        let bare = value.starts_with(['\'', '-']) || value.starts_with(|first: char| first.is_ascii_digit());
        attributes.push_str(&if bare && !kind.is_long() {
            format!(" DEFAULT {value}")
        } else {
            format!(" DEFAULT ({value})")
        });
    } else if kind.sql.starts_with("TIMESTAMP") || kind.sql.starts_with("DATETIME") {
        let digits = kind.sql.split_once('(').map_or("", |(_, rest)| &rest[..1]);
        attributes.push_str(&world.chance.maybe(
            30,
            &format!(" DEFAULT CURRENT_TIMESTAMP({digits}) ON UPDATE CURRENT_TIMESTAMP({digits})"),
        ));
    }
    attributes.push_str(&world.chance.maybe(6, " INVISIBLE"));
    if world.chance.percent(15) {
        attributes.push_str(&format!(" COMMENT {}", world.text()));
    }
    attributes
}

fn table(world: &mut World) {
    let name = world.name();
    let engine = world.chance.pick(&[
        "InnoDB",
        "InnoDB",
        "InnoDB",
        "InnoDB",
        "InnoDB",
        "InnoDB",
        "InnoDB",
        "MyISAM",
        "Aria",
        "MEMORY",
        "CSV",
        "ARCHIVE",
        "BLACKHOLE",
    ]);
    let columns: Vec<Column> =
        (0..world.chance.of(1..8)).map(|_| Column { name: world.name(), kind: a_type(world) }).collect();
    let mut parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let (needed, null) = if engine == "CSV" { (" NOT NULL", "") } else { ("", " NULL") };
            let kind = column.kind.sql.replace(null, "");
            let attributes = if engine == "CSV" { String::new() } else { attributes(world, column) };
            // Only the plain form of a timestamp says that it may be null.
            let null =
                if column.kind.sql.ends_with(null) && !null.is_empty() && !attributes.contains("NOT NULL") {
                    null
                } else {
                    ""
                };
            format!("{} {kind}{null}{needed}{attributes}", column.name)
        })
        .collect();
    let mut all = columns;
    if !["CSV", "BLACKHOLE"].contains(&engine) && world.chance.percent(60) {
        let id = Column { name: world.name(), kind: plain("INT") };
        parts.insert(0, format!("{} INT AUTO_INCREMENT PRIMARY KEY", id.name));
        all.insert(0, id);
    }
    let options = options(world, engine);
    world.say(format!("CREATE TABLE {name} ({}) ENGINE={engine} {options}", parts.join(", ")));
    world.tables.push(Table { name, columns: all, engine, is_view: false });
}

fn options(world: &mut World, engine: &str) -> String {
    let mut options: Vec<String> = Vec::new();
    let mut maybe = |world: &mut World, percent, option: &str| {
        if world.chance.percent(percent) {
            options.push(option.to_owned());
        }
    };
    let charset = world
        .chance
        .pick(&[
            "latin1",
            "utf8mb4 COLLATE utf8mb4_bin",
            "utf8mb3",
            "utf8mb4 COLLATE utf8mb4_uca1400_ai_ci",
            "ucs2",
            "cp1251",
            "binary",
        ])
        .to_owned();
    maybe(world, 35, &format!("CHARACTER SET {charset}"));
    let comment = format!("COMMENT={}", world.text());
    maybe(world, 30, &comment);
    maybe(world, 10, "MIN_ROWS=5 MAX_ROWS=1000000 AVG_ROW_LENGTH=77");
    maybe(world, 10, "CHECKSUM=1");
    maybe(world, 10, "AUTO_INCREMENT=1234");
    match engine {
        "InnoDB" => {
            maybe(world, 10, "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8");
            maybe(world, 10, "ROW_FORMAT=REDUNDANT");
            maybe(world, 10, "STATS_PERSISTENT=1 STATS_AUTO_RECALC=0 STATS_SAMPLE_PAGES=7");
            maybe(world, 8, "PAGE_COMPRESSED=1 PAGE_COMPRESSION_LEVEL=3");
        }
        "MyISAM" => {
            maybe(world, 30, "DELAY_KEY_WRITE=1 PACK_KEYS=1 ROW_FORMAT=DYNAMIC");
            maybe(world, 30, "INSERT_METHOD=LAST");
        }
        "Aria" => maybe(world, 40, "TRANSACTIONAL=0 PAGE_CHECKSUM=0 ROW_FORMAT=DYNAMIC"),
        _ => {}
    }
    options.join(" ")
}

/// Columns that come afterwards: generated ones, and such that call something by default.
fn columns(world: &mut World, table: &Table) {
    let (alter, sequences) = (format!("ALTER TABLE {}", table.name), world.sequences.clone());
    if world.chance.percent(40) {
        let (name, of) = (world.name(), world.chance.one(&table.columns).unwrap().clone());
        let c = &of.name;
        let (kind, expression) = if of.kind.is_text() {
            match world.chance.below(3) {
                0 => ("VARCHAR(300) CHARACTER SET utf8mb4", format!("CONCAT({c}, 'it''s', {c})")),
                1 => ("VARCHAR(100)", format!("SUBSTR(HEX({c}), 1, 100)")),
                _ => ("INT", format!("CHAR_LENGTH({c})")),
            }
        } else if of.kind.is("INT") {
            match world.chance.below(4) {
                0 => ("INT", format!("{c} DIV 2")),
                1 => ("DOUBLE", format!("{c} / 3")),
                2 => ("DECIMAL(30,10)", format!("{c} / 7")),
                _ => ("VARCHAR(60)", format!("CASE WHEN {c} > 0 THEN 'é' ELSE \"q'\" END")),
            }
        } else {
            ("TINYINT", format!("{c} IS NULL"))
        };
        let how = world
            .chance
            .pick(&["VIRTUAL", "PERSISTENT", "VIRTUAL INVISIBLE", "STORED COMMENT 'it''s'"])
            .to_owned();
        // `CHECKSUM TABLE` of a MyISAM or Aria table with a virtual column says another number after `ALTER TABLE FORCE`.
        let how = if table.engine == "InnoDB" { how } else { "PERSISTENT INVISIBLE".to_owned() };
        world.say(format!("{alter} ADD COLUMN {name} {kind} AS ({expression}) {how}"));
    }
    if world.chance.percent(35) {
        let name = world.name();
        let sequence = world
            .chance
            .one(&sequences)
            .map_or("UUID()".to_owned(), |sequence| format!("NEXT VALUE FOR {sequence}"));
        let (kind, default) = world.chance.pick_pair(&[
            ("VARCHAR(90)", "CONCAT(USER(), '''', '\\\\')"),
            ("INT", "1 + 2 * 3"),
            ("DATETIME(3)", "NOW(3) + INTERVAL 1 DAY"),
            ("VARCHAR(40)", ""),
            ("BLOB", "X'00FF27'"),
            ("DATE", "CURDATE()"),
        ]);
        let default = if default.is_empty() { sequence } else { default.to_owned() };
        let place = world.chance.pick(&["", "FIRST"]).to_owned();
        world.say(format!("{alter} ADD COLUMN {name} {kind} DEFAULT ({default}) {place}"));
    }
    if world.chance.percent(20) {
        let (name, kind) = (world.name(), a_type(world));
        world.say(format!("{alter} ADD COLUMN {name} {} FIRST", kind.sql));
        if world.chance.percent(50) {
            world.say(format!("{alter} DROP COLUMN {name}"));
        }
    }
}

fn keys(world: &mut World, table: &Table) {
    for _ in 0..world.chance.of(0..4) {
        let name = world.name();
        let number = world.chance.of(1..4);
        let columns = world.chance.some(&table.columns, number);
        let mut elements = Vec::new();
        for column in columns.into_iter().cloned().collect::<Vec<_>>() {
            let prefix = if column.kind.is_long() { "(10)".to_owned() } else { String::new() };
            let prefix = if column.kind.is_text() { world.chance.maybe(50, "(3)") } else { prefix };
            let prefix = if prefix.is_empty() && column.kind.is_long() { "(10)".to_owned() } else { prefix };
            elements.push(format!(
                "{}{prefix}{}",
                column.name,
                world.chance.pick(&["", "", " DESC", " ASC"])
            ));
        }
        let column = world.chance.one(&table.columns).unwrap().clone();
        let (kind, elements) = match world.chance.below(7) {
            0 => ("UNIQUE KEY", elements.join(", ")),
            1 if column.kind.is_text() => ("FULLTEXT KEY", column.name.clone()),
            2 if column.kind.is_geometry() => ("SPATIAL KEY", column.name.clone()),
            // A long one is kept by its hash.
            3 if column.kind.is_long() => ("UNIQUE KEY", column.name.clone()),
            _ => ("KEY", elements.join(", ")),
        };
        if kind == "SPATIAL KEY" {
            world.say(format!(
                "ALTER TABLE {} MODIFY {} {} NOT NULL",
                table.name, column.name, column.kind.sql
            ));
        }
        let using = if kind.ends_with("L KEY") {
            String::new()
        } else {
            world.chance.pick(&["", "", "USING BTREE", "USING HASH"]).to_owned()
        };
        let comment =
            if world.chance.percent(25) { format!("COMMENT {}", world.text()) } else { String::new() };
        let ignored = world.chance.maybe(12, "IGNORED");
        world.say(format!(
            "ALTER TABLE {} ADD {kind} {name} ({elements}) {using} {comment} {ignored}",
            table.name
        ));
    }
}

fn checks(world: &mut World, table: &Table) {
    for _ in 0..world.chance.of(0..2) {
        let (name, column) = (world.name(), world.chance.one(&table.columns).unwrap().clone());
        let c = &column.name;
        let value = column.kind.some_value(&mut world.chance);
        let condition = match world.chance.below(4) {
            0 => format!("{c} IS NOT NULL OR 1 < 2"),
            1 => format!("{c} IS NULL OR {c} <> {value}"),
            2 => format!("LENGTH({c}) < 100000 AND 'it''s' <> '\\\\'"),
            _ => format!("HEX({c}) NOT LIKE '%\\_é%'"),
        };
        world.say(format!("ALTER TABLE {} ADD CONSTRAINT {name} CHECK ({condition})", table.name));
    }
}

fn partitions(world: &mut World, table: &Table) {
    let column = table
        .columns
        .iter()
        .find(|column| column.kind.is("INT") || column.kind.sql.starts_with("DAT"))
        .cloned();
    let Some(column) = column else {
        world.say(format!("ALTER TABLE {} PARTITION BY KEY () PARTITIONS 3", table.name));
        return;
    };
    let c = &column.name;
    let (first, second, comment) = (world.name(), world.name(), world.text());
    let by = if column.kind.is("INT") {
        match world.chance.below(6) {
            0 => format!("HASH ({c}) PARTITIONS 3"),
            1 => format!("LINEAR KEY ({c}) PARTITIONS 2"),
            2 => format!(
                "LIST ({c}) (PARTITION {first} VALUES IN (0, NULL, -2147483648), PARTITION {second} DEFAULT)"
            ),
            3 => format!(
                "RANGE ({c}) SUBPARTITION BY HASH ({c}) SUBPARTITIONS 2 (PARTITION {first} VALUES LESS THAN (10), PARTITION {second} VALUES LESS THAN MAXVALUE)"
            ),
            4 => format!(
                "RANGE COLUMNS ({c}) (PARTITION {first} VALUES LESS THAN (-5) COMMENT = {comment}, PARTITION {second} VALUES LESS THAN (MAXVALUE))"
            ),
            _ => format!(
                "RANGE ({c} DIV 2) (PARTITION {first} VALUES LESS THAN (0) MAX_ROWS = 7, PARTITION {second} VALUES LESS THAN MAXVALUE)"
            ),
        }
    } else {
        format!(
            "RANGE COLUMNS ({c}) (PARTITION {first} VALUES LESS THAN ('2000-01-01'), PARTITION {second} VALUES LESS THAN (MAXVALUE))"
        )
    };
    world.say(format!("ALTER TABLE {} PARTITION BY {by}", table.name));
}

fn versioned(world: &mut World, table: &Table) {
    let (start, end) = (world.name(), world.name());
    if world.chance.percent(40) {
        let invisible = world.chance.maybe(50, "INVISIBLE");
        world.say(format!(
            "ALTER TABLE {} ADD COLUMN {start} TIMESTAMP(6) GENERATED ALWAYS AS ROW START {invisible}, ADD COLUMN {end} TIMESTAMP(6) GENERATED ALWAYS AS ROW END {invisible}, ADD PERIOD FOR SYSTEM_TIME({start}, {end}), ADD SYSTEM VERSIONING",
            table.name
        ));
    } else {
        world.say(format!("ALTER TABLE {} ADD SYSTEM VERSIONING", table.name));
    }
    if world.chance.percent(30) {
        let column = world.chance.one(&table.columns).unwrap().clone();
        world.say("SET system_versioning_alter_history = KEEP");
        world.say(format!(
            "ALTER TABLE {} MODIFY {} {} WITHOUT SYSTEM VERSIONING",
            table.name, column.name, column.kind.sql
        ));
    }
    if world.chance.percent(30) {
        let (past, now) = (world.name(), world.name());
        world.say(format!("ALTER TABLE {} PARTITION BY SYSTEM_TIME LIMIT 5 (PARTITION {past} HISTORY, PARTITION {now} CURRENT)", table.name));
    }
}

fn period(world: &mut World, table: &Table) {
    let (start, end, name, key) = (world.name(), world.name(), world.name(), world.name());
    world.say(format!(
        "ALTER TABLE {} ADD COLUMN {start} DATE NOT NULL DEFAULT '2000-01-01', ADD COLUMN {end} DATE NOT NULL DEFAULT '2010-01-01', ADD PERIOD FOR {name}({start}, {end})",
        table.name
    ));
    let column = world.chance.one(&table.columns).unwrap().name.clone();
    if world.chance.percent(40) {
        world.say(format!(
            "ALTER TABLE {} ADD UNIQUE KEY {key} ({column}, {name} WITHOUT OVERLAPS)",
            table.name
        ));
    }
}
