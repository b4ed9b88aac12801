//! Types, and values of each.

use super::world::{World, literal};
use crate::chance::Chance;
use crate::words;

/// A type by its name, and how values of it are made.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) sql: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Plain(&'static [&'static str]),
    Text,
    Array(Box<Type>),
    Enum(Vec<String>),
    Row(Vec<Type>),
    Domain(Box<Type>),
    /// By the name of its constructor.
    Range(String, Box<Type>),
}

/// The server's own types, and values that are near an end or otherwise unlike the others.
const PLAIN: &[(&str, &[&str])] = &[
    ("smallint", &["-32768", "0", "32767", "7"]),
    ("integer", &["-2147483648", "0", "2147483647", "1", "2", "3"]),
    ("bigint", &["-9223372036854775808", "0", "9223372036854775807", "42"]),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0",
            "-0.000",
            "1e-200",
            "123456789012345678901234567890.12345678901234567890",
            "1e300",
        ],
    ),
    ("numeric(12,3)", &["NaN", "0", "-999999999.999", "1.5"]),
    ("numeric(5,-2)", &["0", "1234567", "-100"]),
    ("real", &["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028235e38", "0.1", "16777217"]),
    (
        "double precision",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "5e-324",
            "1.7976931348623157e308",
            "0.1",
            "0.30000000000000004",
        ],
    ),
    ("money", &["-92233720368547758.08", "92233720368547758.07", "0", "1.5"]),
    ("\"char\"", &["", "a", "\\001", "\\377"]),
    ("name", &["", "a name", "quo\"te"]),
    ("character(5)", &["", "a", "abcde", "é  "]),
    ("bytea", &["", "\\x00", "\\x0001feff5c27", "\\x5c", "\\xdeadbeef"]),
    ("boolean", &["t", "f"]),
    ("date", &["4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "2000-02-29", "0001-12-31 BC"]),
    ("time without time zone", &["00:00", "24:00", "23:59:59.999999"]),
    ("time(3) without time zone", &["00:00:00.1234", "24:00"]),
    ("time with time zone", &["00:00+15:59:59", "24:00-15:59:59", "12:34:56.789012+05:30"]),
    (
        "timestamp without time zone",
        &["4713-11-24 00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity", "2021-03-28 02:30"],
    ),
    ("timestamp(0) without time zone", &["2021-03-28 02:30:00.5", "infinity"]),
    (
        "timestamp with time zone",
        &[
            "4713-11-24 00:00+00 BC",
            "infinity",
            "-infinity",
            "2021-10-31 02:30:00.000001+02",
            "1900-01-01 00:00:00+00:53:28",
        ],
    ),
    (
        "interval",
        &[
            "0",
            "178000000 years",
            "-178000000 years",
            "1 mon -1 day 00:00:00.000001",
            "-1 year 2 mons -3 days 04:05:06.7",
        ],
    ),
    ("interval year to month", &["3 years 2 mons", "-1 mon"]),
    ("interval(2)", &["1.239 s", "1 day"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("json", &["null", "{\"a\" : 1, \"a\":2 }", "[1e999, \"\\u00e9\"]", " {} ", "\"\\\\\\\"\""]),
    ("jsonb", &["null", "{\"b\": 1, \"a\": [1.0, 1e3, \"x\\ny\"]}", "[]", "\"é\"", "{\"\": {\"'\": true}}"]),
    ("jsonpath", &["$.a[*] ? (@ > 1)", "strict $.\"odd key\"", "$"]),
    ("xml", &["<a b=\"c\">d &amp; e</a>", "<!-- x --><a/>", "two<b/>parts", ""]),
    ("inet", &["::", "127.0.0.1/8", "fe80::1/64", "0.0.0.0/0"]),
    ("cidr", &["10.0.0.0/8", "::/0", "192.168.100.128/25"]),
    ("macaddr", &["08:00:2b:01:02:03", "00:00:00:00:00:00"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("bit(5)", &["10101", "00000"]),
    ("bit varying(9)", &["", "1", "101010101"]),
    ("bit varying", &["", "1010101010101010101010101010101010101010"]),
    ("point", &["(1,2)", "(NaN,Infinity)", "(-0,1e-300)"]),
    ("line", &["{1,2,3}", "{0.1,-1,0}"]),
    ("lseg", &["[(0,0),(1,1)]"]),
    ("box", &["(1,1),(0,0)", "(0.1,0.2),(0.1,-5)"]),
    ("path", &["[(0,0),(1,1)]", "((0,0),(1,1),(2,0.3))"]),
    ("polygon", &["((0,0),(1,1),(2,0))"]),
    ("circle", &["<(0,0),1>", "<(0.1,0.2),1e100>"]),
    ("tsvector", &["", "a:1A fat:2B,4C 'it''s':5", "'od d' x"]),
    ("tsquery", &["", "fat & (rat | cat)", "a <2> b:*AB", "!'it''s'"]),
    ("int4range", &["empty", "(,)", "[1,10)", "[-2147483648,2147483647)"]),
    ("numrange", &["empty", "[1.10,2.20]", "(,NaN)"]),
    ("tsrange", &["[2000-01-01,infinity]", "(,)"]),
    ("tstzrange", &["[2000-01-01 00:00+00,2001-01-01 00:00+00)", "empty"]),
    ("daterange", &["[2000-01-01,2000-12-31]", "(,infinity)"]),
    ("int8range", &["[1,5)", "empty"]),
    ("int4multirange", &["{}", "{[1,2),[5,7)}", "{(,)}"]),
    ("nummultirange", &["{}", "{[1.0,2.50),(7,)}"]),
    ("datemultirange", &["{[2000-01-01,2000-02-01)}"]),
    ("oid", &["0", "4294967295"]),
    ("regclass", &["pg_catalog.pg_class", "-"]),
    ("regtype", &["integer", "character varying"]),
    ("regproc", &["pg_catalog.now", "-"]),
    ("regnamespace", &["pg_catalog"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    ("xid", &["0", "4294967295"]),
    ("xid8", &["18446744073709551615"]),
    ("tid", &["(0,1)", "(4294967295,65535)"]),
    ("pg_snapshot", &["10:20:10,14,15"]),
    ("int2vector", &["", "1 2 3"]),
    ("oidvector", &["1 2"]),
    ("refcursor", &["", "a cursor"]),
    ("aclitem", &["postgres=arw/postgres", "=r/postgres"]),
];

const TEXTS: &[&str] = &["text", "text", "text", "character varying", "character varying(40)"];

/// The server's own types and arrays of them.
pub(crate) fn plain() -> Vec<Type> {
    let plain = PLAIN.iter().map(|(sql, values)| Type { sql: (*sql).to_owned(), kind: Kind::Plain(values) });
    let texts = TEXTS.iter().map(|sql| Type { sql: (*sql).to_owned(), kind: Kind::Text });
    let single: Vec<Type> = plain.chain(texts).collect();
    // What most columns are is not one in seventy.
    let usual = single
        .iter()
        .filter(|kind| ["integer", "bigint", "boolean", "date", "jsonb"].contains(&kind.sql.as_str()));
    let usual: Vec<Type> = usual.cloned().collect();
    let arrays: Vec<Type> = single.iter().step_by(3).map(Type::array).collect();
    [single, usual.clone(), usual, arrays].concat()
}

impl Type {
    fn new(sql: String, kind: Kind) -> Self {
        Self { sql, kind }
    }

    /// The type of arrays of this.
    pub(crate) fn array(&self) -> Self {
        Self::new(format!("{}[]", self.sql), Kind::Array(Box::new(self.clone())))
    }

    pub(crate) fn is(&self, sql: &str) -> bool {
        self.sql == sql
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text)
    }

    /// A value as an expression, or NULL.
    pub(crate) fn value(&self, chance: &mut Chance) -> String {
        if chance.percent(12) { "NULL".to_owned() } else { self.some_value(chance) }
    }

    /// A value as an expression.
    pub(crate) fn some_value(&self, chance: &mut Chance) -> String {
        let sql = &self.sql;
        match &self.kind {
            Kind::Plain(values) => format!("{}::{sql}", literal(chance.pick(values))),
            Kind::Text => format!("{}::{sql}", literal(&words::text(chance))),
            Kind::Enum(labels) => format!("{}::{sql}", literal(chance.one(labels).unwrap())),
            Kind::Domain(of) => format!("{}::{sql}", of.some_value(chance)),
            Kind::Row(fields) => {
                let fields: Vec<String> = fields.iter().map(|field| field.value(chance)).collect();
                format!("ROW({})::{sql}", fields.join(", "))
            }
            Kind::Range(constructor, of) => {
                let bounds = chance.pick(&["[]", "[)", "(]", "()"]).to_owned();
                let (low, high) = (of.value(chance), of.value(chance));
                format!("{constructor}(least({low}, {high}), greatest({low}, {high}), '{bounds}')")
            }
            Kind::Array(of) => match chance.below(6) {
                0 => format!("'{{}}'::{sql}"),
                1 => {
                    let (a, b) = (of.some_value(chance), of.value(chance));
                    format!("ARRAY[ARRAY[{a}, {b}], ARRAY[{b}, {a}]]::{sql}")
                }
                2 => format!(
                    "array_fill({}, ARRAY[2], ARRAY[{}])::{sql}",
                    of.some_value(chance),
                    chance.below(9)
                ),
                _ => {
                    let values: Vec<String> = (0..chance.of(1..5)).map(|_| of.value(chance)).collect();
                    format!("ARRAY[{}]::{sql}", values.join(", "))
                }
            },
        }
    }
}

/// Enums, domains, composites and ranges, each perhaps made of those before.
pub(crate) fn write(world: &mut World) {
    for _ in 0..world.chance.of(3..7) {
        let name = world.object();
        let made = match world.chance.below(4) {
            0 => an_enum(world, name),
            1 => a_domain(world, name),
            2 => a_composite(world, name),
            _ => a_range(world, name),
        };
        // Of what the server refuses, no column can be.
        world.tell();
        let there = format!("SELECT to_regtype({}) IS NOT NULL", literal(&made.sql));
        if world.ask(&there) == "t" {
            if world.chance.percent(50) {
                let array = made.array();
                world.types.push(array);
            }
            // Several times: they are to be used.
            world.types.extend([made.clone(), made.clone(), made]);
        }
    }
    // A type that is not defined to its end.
    if world.chance.percent(10) {
        let name = world.object();
        world.say(format!("CREATE TYPE {name}"));
    }
}

fn an_enum(world: &mut World, name: String) -> Type {
    let mut labels: Vec<String> = (0..world.chance.of(1..5))
        .map(|n| {
            let text: String = words::text(&mut world.chance).chars().take(12).collect();
            format!("{text}{n}")
        })
        .collect();
    let list: Vec<String> = labels.iter().map(|label| literal(label)).collect();
    world.say(format!("CREATE TYPE {name} AS ENUM ({})", list.join(", ")));
    if world.chance.percent(40) {
        world.say(format!("ALTER TYPE {name} ADD VALUE 'it''s new' BEFORE {}", list[0]));
        labels.push("it's new".to_owned());
    }
    if world.chance.percent(30) {
        world.say(format!("ALTER TYPE {name} RENAME VALUE {} TO 'renamed \\'", list[0]));
        "renamed \\".clone_into(&mut labels[0]);
    }
    Type::new(name, Kind::Enum(labels))
}

fn a_domain(world: &mut World, name: String) -> Type {
    let of = world.a_type();
    let value = of.some_value(&mut world.chance);
    let default = world.chance.maybe(40, &format!("DEFAULT {value}"));
    let collate = if of.is_text() { world.chance.maybe(40, "COLLATE \"C\"") } else { String::new() };
    let needed = world.chance.maybe(10, "NOT NULL");
    world.say(format!("CREATE DOMAIN {name} AS {} {collate} {default} {needed}", of.sql));
    let constraint = world.name();
    let valid = world.chance.maybe(20, "NOT VALID");
    let check = world
        .chance
        .pick(&["VALUE IS NOT NULL OR 1 < 2", "pg_column_size(VALUE) < 100000", "VALUE::text <> 'it''s'"])
        .to_owned();
    if world.chance.percent(60) {
        world.say(format!("ALTER DOMAIN {name} ADD CONSTRAINT {constraint} CHECK ({check}) {valid}"));
        let comment = world.text();
        world.say(format!("COMMENT ON CONSTRAINT {constraint} ON DOMAIN {name} IS {comment}"));
    }
    Type::new(name, Kind::Domain(Box::new(of)))
}

fn a_composite(world: &mut World, name: String) -> Type {
    let fields: Vec<Type> = (0..world.chance.of(1..5)).map(|_| world.a_type()).collect();
    let mut list = Vec::new();
    for field in &fields {
        let collate =
            if field.is_text() { world.chance.maybe(40, " COLLATE \"POSIX\"") } else { String::new() };
        list.push(format!("{} {}{collate}", world.name(), field.sql));
    }
    world.say(format!("CREATE TYPE {name} AS ({})", list.join(", ")));
    if world.chance.percent(30) {
        world.say(format!("ALTER TYPE {name} ADD ATTRIBUTE gone int; ALTER TYPE {name} DROP ATTRIBUTE gone"));
    }
    Type::new(name, Kind::Row(fields))
}

fn a_range(world: &mut World, name: String) -> Type {
    let of = world.a_type();
    let multirange = world.object();
    let more = match world.chance.below(3) {
        0 => format!(", multirange_type_name = {multirange}"),
        1 if of.is("double precision") => ", subtype_diff = pg_catalog.float8mi".to_owned(),
        1 if of.is_text() => ", collation = \"C\"".to_owned(),
        _ => String::new(),
    };
    world.say(format!("CREATE TYPE {name} AS RANGE (subtype = {}{more})", of.sql));
    Type::new(name.clone(), Kind::Range(name, Box::new(of)))
}
