//! Routines, packages, triggers in their order and events, under various modes and charsets of their authors.

use super::types::a_type;
use super::world::World;

/// A mode under which something is written that remembers it.
pub(crate) fn mode(world: &mut World) -> String {
    world
        .chance
        .pick(&[
            "",
            "",
            "",
            "NO_BACKSLASH_ESCAPES",
            "PIPES_AS_CONCAT",
            "IGNORE_SPACE",
            "STRICT_ALL_TABLES,NO_ZERO_IN_DATE",
            "ANSI_QUOTES",
            "HIGH_NOT_PRECEDENCE",
            "NO_UNSIGNED_SUBTRACTION",
            "PAD_CHAR_TO_FULL_LENGTH",
            "TIME_ROUND_FRACTIONAL",
            "SIMULTANEOUS_ASSIGNMENT",
            "EMPTY_STRING_IS_NULL",
        ])
        .to_owned()
}

/// Something that remembers mode and charsets of its author.
fn written(world: &mut World, statement: &str) {
    let mode = mode(world);
    let names = world
        .chance
        .pick(&[
            "utf8mb4",
            "utf8mb4",
            "utf8mb4 COLLATE utf8mb4_bin",
            "utf8mb3",
            "latin1",
            "binary",
            "cp1251",
            "gbk",
            "latin2 COLLATE latin2_croatian_ci",
        ])
        .to_owned();
    // What is shown of members in wide charsets is read as other members by authors of bytes, with `mariadb-dump` too.
    // So are names of definers of triggers in every charset but UTF-8.
    let is_read_anew = names == "binary" && statement.contains("ucs2")
        || statement.contains(" TRIGGER ") && statement.contains("DEFINER=") && !statement.is_ascii();
    let names = if is_read_anew { "utf8mb4".to_owned() } else { names };
    world.say(format!("SET sql_mode = '{mode}'"));
    world.say(format!("SET NAMES {names}"));
    world.say(statement);
    world.say("SET sql_mode = DEFAULT");
    world.say("SET NAMES utf8mb4");
}

pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(1..5) {
        routine(world);
    }
    if world.chance.percent(30) {
        package(world);
    }
    for _ in 0..world.chance.of(1..6) {
        trigger(world);
    }
    for _ in 0..world.chance.of(0..4) {
        event(world);
    }
    world.tell();
}

fn definer(world: &mut World) -> String {
    let user = world.chance.one(&world.users).cloned().unwrap_or("CURRENT_USER".to_owned());
    world.chance.maybe(40, &format!("DEFINER={user}"))
}

/// What routines, triggers and events do: nothing, with much ado.
fn body(world: &mut World) -> String {
    let (text, other) = (world.text(), world.text());
    match world.chance.below(6) {
        0 => format!(
            "BEGIN DECLARE x TEXT DEFAULT {text}; SET x = CONCAT(x, {other}); -- it's a comment\n END"
        ),
        1 => format!("SET @x = {text}"),
        2 => format!(
            "BEGIN /* {{ ' \" */ IF {text} = {other} THEN SET @x = 'é'; ELSE SET @x = \"it's\"; END IF;\r\n\tEND"
        ),
        3 => {
            "label: BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END; LEAVE label; END label".to_owned()
        }
        4 => format!(
            "BEGIN # 'quote\n SET @x = _latin1'caf\u{e9}' , @y = N'ñ', @z = X'00FF', @w = {text}; END"
        ),
        _ => format!("BEGIN SET @`odd ``name` = {text}; /*!50000 SET @x = 1 */; END"),
    }
}

fn routine(world: &mut World) {
    let (name, definer, body) = (world.name(), definer(world), body(world));
    let (first, second) = (a_type(world).sql, a_type(world).sql);
    let (a, b) = (world.name(), world.name());
    let comment = if world.chance.percent(40) { format!("COMMENT {}", world.text()) } else { String::new() };
    let options = world
        .chance
        .pick(&[
            "",
            "DETERMINISTIC",
            "SQL SECURITY INVOKER",
            "NO SQL",
            "READS SQL DATA SQL SECURITY INVOKER",
            "MODIFIES SQL DATA",
            "CONTAINS SQL DETERMINISTIC",
        ])
        .to_owned();
    let text = world.text();
    let which = world.chance.below(5);
    let class = if which < 2 { "PROCEDURE" } else { "FUNCTION" };
    let statement = match which {
        0 | 1 => format!(
            "CREATE {definer} PROCEDURE {name}(IN {a} {first}, OUT {b} {second}) {options} {comment} {body}"
        ),
        2 => format!(
            "CREATE {definer} AGGREGATE FUNCTION {name}({a} INT) RETURNS INT {options} {comment} BEGIN DECLARE s INT DEFAULT 0; DECLARE CONTINUE HANDLER FOR NOT FOUND RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + {a}; END LOOP; END"
        ),
        _ => format!(
            "CREATE {definer} FUNCTION {name}({a} {first}) RETURNS {second} {options} {comment} RETURN {text}"
        ),
    };
    world.routines.push((class, name));
    written(world, &statement);
}

fn package(world: &mut World) {
    let (name, text, definer) = (world.name(), world.text(), definer(world));
    let comment = if world.chance.percent(50) { format!("COMMENT {}", world.text()) } else { String::new() };
    world.say("SET sql_mode = ORACLE");
    world.say(format!("CREATE {definer} PACKAGE {name} {comment} AS FUNCTION f(a INT) RETURN INT; PROCEDURE p(b VARCHAR2(20) CHARACTER SET latin1); END"));
    world.say(format!(
        "CREATE {definer} PACKAGE BODY {name} AS v TEXT := {text}; FUNCTION f(a INT) RETURN INT AS BEGIN RETURN a + 1; END; PROCEDURE p(b VARCHAR2(20) CHARACTER SET latin1) AS BEGIN NULL; -- it's\n END; END"
    ));
    world.say(format!(
        "CREATE OR REPLACE PROCEDURE {}(a IN INT, b OUT VARCHAR2(9)) AS BEGIN b := {text} || a; END",
        world_name(&name)
    ));
    world.say("SET sql_mode = DEFAULT");
}

fn world_name(name: &str) -> String {
    format!("`of {}", &name[1..])
}

fn trigger(world: &mut World) {
    let Some(table) = world.a_table(false) else { return };
    let time = world.chance.pick(&["BEFORE", "AFTER"]).to_owned();
    let event = world.chance.pick(&["INSERT", "UPDATE", "DELETE"]).to_owned();
    let mut others: Vec<String> = Vec::new();
    for _ in 0..world.chance.of(1..4) {
        let (name, definer, body) = (world.name(), definer(world), body(world));
        let order = match world.chance.one(&others).cloned() {
            Some(other) => {
                let place = world.chance.pick(&["FOLLOWS", "PRECEDES"]).to_owned();
                world.chance.maybe(70, &format!("{place} {other}"))
            }
            None => String::new(),
        };
        written(
            world,
            &format!(
                "CREATE {definer} TRIGGER {name} {time} {event} ON {} FOR EACH ROW {order} {body}",
                table.name
            ),
        );
        others.push(name);
    }
}

fn event(world: &mut World) {
    let (name, definer, body) = (world.name(), definer(world), body(world));
    let schedule = world
        .chance
        .pick(&[
            "EVERY 5 DAY",
            "EVERY '1:30' MINUTE_SECOND STARTS '2030-01-01 00:00:00'",
            "EVERY 3 MONTH STARTS '2021-03-28 02:30:00' ENDS '2037-12-31 00:00:00'",
            "AT '2037-06-01 12:00:00'",
            "EVERY 1 YEAR STARTS '2035-01-31 00:00:00' ON COMPLETION PRESERVE",
        ])
        .to_owned();
    let preserve = if schedule.contains("ON COMPLETION") {
        String::new()
    } else {
        world.chance.maybe(30, "ON COMPLETION PRESERVE")
    };
    let state = world.chance.pick(&["", "DISABLE", "DISABLE ON SLAVE", "ENABLE"]).to_owned();
    let comment = if world.chance.percent(50) { format!("COMMENT {}", world.text()) } else { String::new() };
    let zone = world.chance.pick(&["SYSTEM", "+05:30", "-11:00"]).to_owned();
    world.say(format!("SET time_zone = '{zone}'"));
    written(
        world,
        &format!(
            "CREATE {definer} EVENT {name} ON SCHEDULE {schedule} {preserve} {state} {comment} DO {body}"
        ),
    );
    world.say("SET time_zone = DEFAULT");
}
