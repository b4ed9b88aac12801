//! Everything that is neither a table nor a program: sequences, collations, text search, foreign data, publications,
//! large objects, extensions, settings of the database.

use super::rights::role;
use super::world::{World, literal};

/// Schemas, and what types and tables are made with.
pub(crate) fn first(world: &mut World) {
    world.schemas = vec!["\"public\"".to_owned()];
    for _ in 0..world.chance.of(1..4) {
        let (name, role) = (world.name(), role(world));
        let owner = world.chance.maybe(40, &format!("AUTHORIZATION {role}"));
        world.say(format!("CREATE SCHEMA {name} {owner}"));
        world.schemas.push(name);
    }
    for extension in [
        "hstore",
        "citext",
        "btree_gist",
        "pg_trgm",
        "intarray",
        "ltree",
        "\"uuid-ossp\"",
        "postgres_fdw",
        "file_fdw",
        "tablefunc",
    ] {
        if world.chance.percent(12) {
            let schema = world.chance.one(&world.schemas).unwrap().clone();
            world.say(format!("CREATE EXTENSION {extension} WITH SCHEMA {schema}"));
        }
    }
    collations(world);
    for _ in 0..world.chance.of(1..4) {
        sequence(world);
    }
    world.tell();
}

fn collations(world: &mut World) {
    for _ in 0..world.chance.of(0..3) {
        let name = world.object();
        let definition = world
            .chance
            .pick(&[
                "FROM \"C\"",
                "(provider = icu, locale = 'und', deterministic = false)",
                "(provider = icu, locale = 'de-u-co-phonebk')",
                "(lc_collate = 'C', lc_ctype = 'POSIX')",
                "(locale = 'C.UTF-8')",
            ])
            .to_owned();
        world.say(format!("CREATE COLLATION {name} {definition}"));
        world.collations.push(name);
    }
}

fn sequence(world: &mut World) {
    let name = world.object();
    let kind = world.chance.pick(&["", "AS smallint", "AS integer", "AS bigint"]).to_owned();
    let options = world
        .chance
        .pick(&[
            "",
            "INCREMENT -5 MAXVALUE 100 MINVALUE -100 START 50",
            "CYCLE CACHE 10",
            "START 32767",
            "MINVALUE 0 START 0",
            "INCREMENT 2 MAXVALUE 11 CYCLE",
        ])
        .to_owned();
    let unlogged = world.chance.maybe(15, "UNLOGGED");
    world.say(format!("CREATE {unlogged} SEQUENCE {name} {kind} {options}"));
    match world.chance.below(3) {
        0 => world.say(format!("SELECT setval({}, 7, false)", literal(&name))),
        1 => world.say(format!("SELECT nextval({0}), nextval({0})", literal(&name))),
        _ => {}
    }
    world.sequences.push(name);
}

/// What refers to tables, or to nothing.
pub(crate) fn last(world: &mut World) {
    for sequence in world.sequences.clone() {
        if let (true, Some(table)) = (world.chance.percent(30), world.a_table("r"))
            && let Some(column) = table.columns.first()
        {
            world.say(format!("ALTER SEQUENCE {sequence} OWNED BY {}.{}", table.name, column.name));
        }
    }
    text_search(world);
    if world.chance.percent(50) {
        foreign(world);
    }
    for _ in 0..world.chance.of(0..3) {
        publication(world);
    }
    large_objects(world);
    rarities(world);
    settings(world);
    world.tell();
}

fn text_search(world: &mut World) {
    if world.chance.percent(60) {
        return;
    }
    let (dictionary, configuration) = (world.object(), world.object());
    let options = world
        .chance
        .pick(&[
            "TEMPLATE = pg_catalog.simple, STOPWORDS = 'english', ACCEPT = false",
            "TEMPLATE = pg_catalog.snowball, LANGUAGE = 'german'",
            "TEMPLATE = simple",
        ])
        .to_owned();
    world.say(format!("CREATE TEXT SEARCH DICTIONARY {dictionary} ({options})"));
    let from = world.chance.pick(&["PARSER = \"default\"", "COPY = english"]).to_owned();
    world.say(format!("CREATE TEXT SEARCH CONFIGURATION {configuration} ({from})"));
    world.say(format!("ALTER TEXT SEARCH CONFIGURATION {configuration} ADD MAPPING FOR asciiword, word WITH {dictionary}, pg_catalog.simple"));
    world.say(format!(
        "ALTER TEXT SEARCH CONFIGURATION {configuration} ALTER MAPPING FOR email, url WITH {dictionary}"
    ));
    if world.chance.percent(30) {
        let (parser, template) = (world.object(), world.object());
        world.say(format!("CREATE TEXT SEARCH PARSER {parser} (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline)"));
        world.say(format!(
            "CREATE TEXT SEARCH TEMPLATE {template} (INIT = dsimple_init, LEXIZE = dsimple_lexize)"
        ));
        world.say(format!("COMMENT ON TEXT SEARCH PARSER {parser} IS 'it''s'; COMMENT ON TEXT SEARCH TEMPLATE {template} IS E'\\\\'"));
    }
}

fn foreign(world: &mut World) {
    let (wrapper, server, role, text) = (world.name(), world.name(), role(world), world.text());
    world.say(format!("CREATE FOREIGN DATA WRAPPER {wrapper} OPTIONS (\"an option\" {text}, b '')"));
    let version = world.chance.maybe(50, "TYPE 'it''s' VERSION '1.\\x'");
    world.say(format!("CREATE SERVER {server} {version} FOREIGN DATA WRAPPER {wrapper} OPTIONS (host 'h\\''', \"p ort\" {text})"));
    world.say(format!(
        "CREATE USER MAPPING FOR {role} SERVER {server} OPTIONS (password {text}, \"user\" 'é')"
    ));
    world.say(format!("CREATE USER MAPPING FOR PUBLIC SERVER {server}"));
    let (table, first, second, kind) = (world.object(), world.name(), world.name(), world.a_type());
    let value = kind.some_value(&mut world.chance);
    world.say(format!(
        "CREATE FOREIGN TABLE {table} ({first} {} OPTIONS (column_name {text}) DEFAULT {value}, {second} text NOT NULL CHECK ({second} <> 'it''s')) SERVER {server} OPTIONS (schema_name 's', \"x y\" {text})",
        kind.sql
    ));
    world.say(format!("COMMENT ON FOREIGN TABLE {table} IS {text}; COMMENT ON SERVER {server} IS {text}; COMMENT ON FOREIGN DATA WRAPPER {wrapper} IS {text}"));
}

fn publication(world: &mut World) {
    let name = world.name();
    let with = world
        .chance
        .pick(&[
            "",
            "WITH (publish = 'insert')",
            "WITH (publish = 'update, delete', publish_via_partition_root = true)",
        ])
        .to_owned();
    let schema = world.chance.one(&world.schemas).unwrap().clone();
    let text = world.text();
    match (world.chance.below(5), world.a_table("r"), world.a_table("rp")) {
        (0, ..) => world.say(format!("CREATE PUBLICATION {name} FOR ALL TABLES {with}")),
        (1, ..) => world.say(format!("CREATE PUBLICATION {name} FOR TABLES IN SCHEMA {schema} {with}")),
        (2, Some(table), _) if !table.columns.is_empty() => {
            let column = &table.columns[0].name;
            world.say(format!(
                "CREATE PUBLICATION {name} FOR TABLE {} ({column}) WHERE ({column} IS NOT NULL) {with}",
                table.name
            ));
        }
        (3, Some(table), Some(other)) => {
            world.say(format!(
                "CREATE PUBLICATION {name} FOR TABLE ONLY {}, {} {with}",
                table.name, other.name
            ));
            world.say(format!("ALTER PUBLICATION {name} ADD TABLES IN SCHEMA {schema}"));
        }
        _ => world.say(format!("CREATE PUBLICATION {name} {with}")),
    }
    world.say(format!("COMMENT ON PUBLICATION {name} IS {text}"));
}

fn large_objects(world: &mut World) {
    for _ in 0..world.chance.of(0..3) {
        let oid = world.chance.of(20_000..4_000_000_000);
        let content = world
            .chance
            .pick(&["''", "'\\x00ff5c27'", "decode(repeat('00ff', 5000), 'hex')", "sha256('a')"])
            .to_owned();
        world.say(format!("SELECT lo_from_bytea({oid}, {content})"));
        if world.chance.percent(30) {
            world.say(format!("BEGIN; SELECT lo_put({oid}, 100000, '\\x01'); COMMIT"));
        }
    }
}

fn rarities(world: &mut World) {
    let (method, name) = (world.name(), world.object());
    if world.chance.percent(15) {
        let kind =
            world.chance.pick(&["INDEX HANDLER bthandler", "TABLE HANDLER heap_tableam_handler"]).to_owned();
        world.say(format!(
            "CREATE ACCESS METHOD {method} TYPE {kind}; COMMENT ON ACCESS METHOD {method} IS 'it''s'"
        ));
        if kind.starts_with("TABLE") {
            let table = world.object();
            world.say(format!("CREATE TABLE {table} (a int) USING {method}"));
        }
    }
    if world.chance.percent(15) {
        world.say(format!("CREATE CONVERSION {name} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; COMMENT ON CONVERSION {name} IS 'it''s'"));
    }
    if world.chance.percent(10) {
        // With the server's own handler `pg_dump` takes the language for an extension.
        let (language, handler) = (world.name(), world.object());
        world.say(format!("CREATE FUNCTION {handler}() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'"));
        world.say(format!("CREATE TRUSTED LANGUAGE {language} HANDLER {handler}"));
        world.say(format!("GRANT USAGE ON LANGUAGE {language} TO alice WITH GRANT OPTION; COMMENT ON LANGUAGE {language} IS 'it''s'"));
    }
    if world.chance.percent(15) {
        let (name, text) = (world.name(), world.text());
        world.say(format!("CREATE SUBSCRIPTION {name} CONNECTION 'host=127.0.0.1 port=1 password=''it\\''s''' PUBLICATION a, \"it's\" WITH (connect = false, slot_name = NONE, binary = true)"));
        world.say(format!("COMMENT ON SUBSCRIPTION {name} IS {text}"));
    }
}

fn settings(world: &mut World) {
    let (database, text) = (super::world::quoted(&world.database), world.text());
    for setting in [
        "work_mem = '5MB'",
        "search_path = \"$user\", 'odd schema', public",
        "\"own.setting\" = 'it''s \\ x'",
        "DateStyle = 'SQL, DMY'",
        "bytea_output = 'escape'",
        "default_transaction_isolation = 'serializable'",
    ] {
        if world.chance.percent(12) {
            world.say(format!("ALTER DATABASE {database} SET {setting}"));
        }
    }
    let role = role(world);
    if world.chance.percent(20) {
        world.say(format!("ALTER ROLE {role} IN DATABASE {database} SET search_path = 'a, b', public"));
    }
    if world.chance.percent(40) {
        world.say(format!("COMMENT ON DATABASE {database} IS {text}"));
    }
    if world.chance.percent(30) {
        world.say(format!("GRANT CREATE, TEMPORARY ON DATABASE {database} TO {role} WITH GRANT OPTION; REVOKE CONNECT ON DATABASE {database} FROM PUBLIC"));
    }
}
