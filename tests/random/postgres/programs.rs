//! Functions, procedures, aggregates, operators and casts.

use super::world::{World, literal};

/// What columns, indexes and checks call.
pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(1..4) {
        let name = world.object();
        let body = world
            .chance
            .pick(&[
                "RETURN $1 + 1",
                "BEGIN ATOMIC SELECT $1 * 2 AS \"it's\"; END",
                "AS 'SELECT $1 -- it''s'",
                "AS $odd$ SELECT $1 /* $$ ' \\ */ $odd$",
                "AS E'SELECT\\n\\t$1;'",
            ])
            .to_owned();
        world.say(format!(
            "CREATE FUNCTION {name}(integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE {body}"
        ));
        world.functions.push(name);
    }
    for _ in 0..world.chance.of(2..6) {
        match world.chance.below(4) {
            0 => procedure(world),
            _ => function(world),
        }
    }
    world.tell();
}

/// The name of an argument with its quotes, now and then without one.
fn argument(world: &mut World) -> String {
    if world.chance.percent(70) { world.name() } else { String::new() }
}

fn function(world: &mut World) {
    let name = world.object();
    let (a, b) = (world.a_type(), world.a_type());
    let (first, second) = (argument(world), argument(world));
    let value = b.some_value(&mut world.chance);
    let arguments = match world.chance.below(5) {
        0 => String::new(),
        1 => format!("{first} {}, {second} {} DEFAULT {value}", a.sql, b.sql),
        2 => format!("IN {first} {}, OUT {second} {}", a.sql, b.sql),
        3 => format!("{first} {}, VARIADIC {second} {}[]", a.sql, b.sql),
        _ => format!("INOUT {first} {}", b.sql),
    };
    let returns = match arguments.as_str() {
        _ if arguments.contains("OUT ") => String::new(),
        _ if world.chance.percent(20) => {
            format!("RETURNS TABLE ({} {}, {} {})", world.name(), a.sql, world.name(), b.sql)
        }
        _ if world.chance.percent(30) => format!("RETURNS SETOF {}", b.sql),
        _ => format!("RETURNS {}", b.sql),
    };
    let text = world.text();
    let body = match world.chance.below(4) {
        0 => ("sql", format!("AS {}", literal(&format!("SELECT NULL::{} WHERE {text} = {text}", b.sql)))),
        1 if !returns.contains("TABLE") => ("sql", format!("BEGIN ATOMIC SELECT {value}; END")),
        2 => (
            "plpgsql",
            format!(
                "AS {}",
                literal(&format!(
                    "DECLARE x text := {text}; BEGIN -- it's $$\n RAISE NOTICE '% %', x, $q$ $f$ $q$; RETURN; END"
                ))
            ),
        ),
        _ => {
            ("plpgsql", format!("AS $body$\nBEGIN\r\n  PERFORM {};\nEND $body$", text.replace("$body$", "")))
        }
    };
    let mut options = String::new();
    for option in [
        "STRICT",
        "IMMUTABLE",
        "STABLE",
        "SECURITY DEFINER",
        "LEAKPROOF",
        "PARALLEL RESTRICTED",
        "COST 17.5",
        "SET search_path TO 'a, b', \"$user\", 'pg_temp'",
        "SET work_mem = '3MB'",
        "SET \"odd.setting\" = 'it''s \\ \"x\"'",
        "SET DateStyle = 'SQL, DMY'",
        "SET search_path = ''",
    ] {
        options.push_str(&world.chance.maybe(10, &format!(" {option}")));
    }
    if returns.contains("SETOF") || returns.contains("TABLE") {
        options.push_str(&world.chance.maybe(40, " ROWS 33"));
    }
    let (language, body) = body;
    // Nobody calls these: what matters is that their text comes back.
    world.say(format!("SET check_function_bodies = off; CREATE FUNCTION {name}({arguments}) {returns} LANGUAGE {language}{options} {body}"));
}

fn procedure(world: &mut World) {
    let (name, first, second, kind) = (world.object(), world.name(), world.name(), world.a_type());
    let mode = world.chance.pick(&["IN", "INOUT", "OUT"]).to_owned();
    let text = world.text();
    world.say(format!(
        "CREATE PROCEDURE {name}({mode} {first} {}, {second} text DEFAULT {text}) LANGUAGE plpgsql AS $p$ BEGIN COMMIT; END; $p$",
        kind.sql
    ));
}

/// What is made of functions.
pub(crate) fn made_of_them(world: &mut World) {
    for _ in 0..world.chance.of(0..4) {
        match world.chance.below(5) {
            0 => aggregate(world),
            1 => operators(world),
            2 => cast(world),
            3 => class(world),
            _ => by_the_type(world),
        }
    }
    world.tell();
}

fn aggregate(world: &mut World) {
    let name = world.object();
    let functions = world.functions.clone();
    let first = world.text();
    let aggregate = match world.chance.below(5) {
        0 => format!(
            "{name}(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = safe)"
        ),
        1 => format!("{name}(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '7', SSPACE = 9)"),
        2 => format!("{name}(text) (SFUNC = textcat, STYPE = text, INITCOND = {first})"),
        3 => format!(
            "{name}(integer) (SFUNC = int4pl, STYPE = integer, FINALFUNC = {}, FINALFUNC_MODIFY = SHAREABLE, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = integer, MINITCOND = '1')",
            world.chance.one(&functions).map_or("abs", String::as_str)
        ),
        _ => format!(
            "{name}(double precision ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA)"
        ),
    };
    world.say(format!("CREATE AGGREGATE {aggregate}"));
}

fn operators(world: &mut World) {
    let schema = world.chance.one(&world.schemas).unwrap().clone();
    let functions = world.functions.clone();
    let Some(function) = world.chance.one(&functions).cloned() else { return };
    let sign = world.chance.pick(&["!!", "@#", "<->?", "~~~", "#|", "%%%", "`&"]).to_owned();
    world.say(format!("CREATE OPERATOR {schema}.{sign} (FUNCTION = {function}, RIGHTARG = integer)"));
    world.say(format!("COMMENT ON OPERATOR {schema}.{sign} (NONE, integer) IS 'it''s one'"));
    let kind = world.a_type();
    let (equal, name) = (world.chance.pick(&["===", "=@=", "<=>>"]).to_owned(), world.object());
    world.say(format!("CREATE FUNCTION {name}({0}, {0}) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1::text = $2::text'", kind.sql));
    let more = world.chance.maybe(
        60,
        &format!(
            ", COMMUTATOR = OPERATOR({schema}.{equal}), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES"
        ),
    );
    let negator = world.chance.maybe(40, &format!(", NEGATOR = OPERATOR({schema}.!{equal})"));
    world.say(format!(
        "CREATE OPERATOR {schema}.{equal} (FUNCTION = {name}, LEFTARG = {0}, RIGHTARG = {0}{more}{negator})",
        kind.sql
    ));
}

fn cast(world: &mut World) {
    let (from, to, name) = (world.a_type(), world.a_type(), world.object());
    let context = world.chance.pick(&["", "AS ASSIGNMENT", "AS IMPLICIT"]).to_owned();
    let with = if world.chance.percent(40) {
        "WITH INOUT".to_owned()
    } else {
        let value = to.value(&mut world.chance);
        world.say(format!(
            "CREATE FUNCTION {name}({}) RETURNS {} LANGUAGE sql AS {}",
            from.sql,
            to.sql,
            literal(&format!("SELECT {value}::{}", to.sql))
        ));
        format!("WITH FUNCTION {name}({})", from.sql)
    };
    world.say(format!("CREATE CAST ({} AS {}) {with} {context}", from.sql, to.sql));
    world.say(format!("COMMENT ON CAST ({} AS {}) IS 'from \\ to'", from.sql, to.sql));
}

fn class(world: &mut World) {
    let (family, class, loose) = (world.object(), world.object(), world.object());
    world.say(format!("CREATE OPERATOR FAMILY {family} USING btree"));
    let default = world.chance.maybe(30, "DEFAULT");
    let kind = world.a_type();
    world.say(format!(
        "CREATE OPERATOR CLASS {class} {default} FOR TYPE integer USING btree FAMILY {family} AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer)"
    ));
    world.say(format!("ALTER OPERATOR FAMILY {family} USING btree ADD OPERATOR 1 < (integer, bigint), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint)"));
    world.say(format!(
        "CREATE OPERATOR CLASS {loose} FOR TYPE {} USING hash AS STORAGE {}",
        kind.sql, kind.sql
    ));
    world.say(format!("COMMENT ON OPERATOR CLASS {class} USING btree IS 'class'; COMMENT ON OPERATOR FAMILY {family} USING btree IS E'fam\\nily'"));
}

/// A base type of its own, with functions of the server.
fn by_the_type(world: &mut World) {
    let (name, read, write) = (world.object(), world.object(), world.object());
    world.say(format!("CREATE TYPE {name}"));
    world.say(format!(
        "CREATE FUNCTION {read}(cstring) RETURNS {name} LANGUAGE internal IMMUTABLE STRICT AS 'textin'"
    ));
    world.say(format!(
        "CREATE FUNCTION {write}({name}) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'"
    ));
    let more = world
        .chance
        .pick(&[
            "",
            ", STORAGE = extended, CATEGORY = 'S', PREFERRED = true",
            ", DEFAULT = 'no''thing', COLLATABLE = true, DELIMITER = ';'",
            ", LIKE = text",
        ])
        .to_owned();
    world.say(format!(
        "CREATE TYPE {name} (INPUT = {read}, OUTPUT = {write}, INTERNALLENGTH = VARIABLE{more})"
    ));
    let (table, column) = (world.object(), world.name());
    world.say(format!("CREATE TABLE {table} ({column} {name} DEFAULT 'it''s')"));
    world.say(format!("INSERT INTO {table} VALUES ('odd \\ \"value\"'), (NULL), (DEFAULT)"));
}
