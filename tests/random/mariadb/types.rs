//! Types, and values of each.

use super::world::{World, literal};
use crate::chance::Chance;
use crate::words;

/// A type as a definition has it, and how values of it are made.
#[derive(Clone, Debug)]
pub(crate) struct Type {
    pub(crate) sql: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Expressions.
    Plain(&'static [&'static str]),
    Text(usize),
    Bytes(usize),
    Members(Vec<String>, bool),
}

/// Types and values that are near an end or otherwise unlike the others.
const PLAIN: &[(&str, &[&str])] = &[
    ("TINYINT", &["-128", "0", "127"]),
    ("TINYINT(1)", &["0", "1"]),
    ("SMALLINT UNSIGNED", &["0", "65535"]),
    ("MEDIUMINT", &["-8388608", "8388607"]),
    ("INT", &["-2147483648", "0", "1", "2", "2147483647"]),
    ("INT UNSIGNED", &["0", "4294967295", "7"]),
    ("INT(7) UNSIGNED ZEROFILL", &["0", "42", "4294967295"]),
    ("BIGINT", &["-9223372036854775808", "0", "9223372036854775807"]),
    ("BIGINT UNSIGNED", &["0", "18446744073709551615"]),
    (
        "DECIMAL(65,30)",
        &["0", "-12345678901234567890123456789012345.123456789012345678901234567890", "1e-30"],
    ),
    ("DECIMAL(10,2)", &["-99999999.99", "0.00", "1.5"]),
    ("DECIMAL(5)", &["-99999", "99999"]),
    ("FLOAT", &["0", "-0e0", "1.17549435e-38", "3.40282347e38", "0.1", "16777217", "1e-45"]),
    (
        "DOUBLE",
        &[
            "0",
            "-0e0",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "0.1",
            "5e-324",
            "0.30000000000000004",
        ],
    ),
    ("FLOAT(7,3)", &["1234.567", "-0.001"]),
    ("DOUBLE(20,10)", &["1234567890.0123456789", "-0.0000000001"]),
    ("FLOAT UNSIGNED", &["0", "1e30"]),
    ("BIT(1)", &["b'0'", "b'1'"]),
    ("BIT(10)", &["b'1010101010'", "0"]),
    ("BIT(64)", &["b'1111111111111111111111111111111111111111111111111111111111111111'", "39"]),
    (
        "DATE",
        &["'0001-01-01'", "'9999-12-31'", "'0000-00-00'", "'2020-02-30'", "'2000-00-01'", "'2020-02-29'"],
    ),
    ("TIME", &["'-838:59:59'", "'838:59:59'", "'00:00:00'"]),
    ("TIME(6)", &["'-838:59:59.999999'", "'00:00:00.000001'"]),
    (
        "DATETIME",
        &["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'0000-00-00 00:00:00'", "'2021-03-28 02:30:00'"],
    ),
    ("DATETIME(6)", &["'9999-12-31 23:59:59.999999'", "'2021-03-28 02:30:00.000001'", "'0000-00-00'"]),
    (
        "TIMESTAMP NULL",
        &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'", "'2021-10-31 01:30:00'"],
    ),
    ("TIMESTAMP(3) NULL", &["'2021-10-31 01:30:00.123'", "'2038-01-19 03:14:07.999'"]),
    ("YEAR", &["1901", "2155", "0"]),
    ("JSON", &["'null'", "'{\"a\" : 1, \"a\":2}'", "'[1e999, \"é\"]'", "'  {}'"]),
    (
        "UUID",
        &[
            "'00000000-0000-0000-0000-000000000000'",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            "'123e4567-e89b-12d3-a456-426655440000'",
        ],
    ),
    ("INET6", &["'::'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'", "'::ffff:192.0.2.128'"]),
    ("INET4", &["'0.0.0.0'", "'255.255.255.255'"]),
    ("POINT", &["POINT(1, 2)", "POINT(-0.1, 1e300)"]),
    (
        "GEOMETRY",
        &[
            "ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326)",
            "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), POLYGON((0 0, 1 0, 1 1, 0 0)))')",
        ],
    ),
    ("POLYGON", &["ST_GeomFromText('POLYGON((0 0, 10 0, 10 10, 0 0), (5 5, 6 5, 6 6, 5 5))')"]),
    ("MULTIPOINT REF_SYSTEM_ID=4326", &["ST_GeomFromText('MULTIPOINT(1 1, 2 2)')"]),
];

const CHARSETS: &[&str] = &[
    "utf8mb4",
    "utf8mb4 COLLATE utf8mb4_bin",
    "utf8mb4 COLLATE utf8mb4_nopad_bin",
    "utf8mb4 COLLATE utf8mb4_uca1400_as_cs",
    "utf8mb4 COLLATE utf8mb4_german2_ci",
    "utf8mb3",
    "utf8mb3 COLLATE utf8mb3_bin",
    "latin1",
    "latin1 COLLATE latin1_german2_ci",
    "latin2",
    "ascii",
    "ucs2",
    "utf16",
    "utf16le",
    "utf32",
    "cp1251",
    "koi8r",
    "greek",
    "cp932",
    "sjis",
    "eucjpms",
    "gbk",
    "big5",
    "euckr",
    "binary",
    "cp850",
    "hebrew",
    "tis620",
    "armscii8",
    "geostd8",
    "swe7",
];

/// A random type, with charset and collation where it has one.
pub(crate) fn a_type(world: &mut World) -> Type {
    match world.chance.below(10) {
        0..=2 => {
            let (base, longest) = *world
                .chance
                .one(&[
                    ("CHAR(5)", 5),
                    ("VARCHAR(40)", 40),
                    ("VARCHAR(300)", 300),
                    ("TINYTEXT", 60),
                    ("TEXT", 9000),
                    ("MEDIUMTEXT", 20_000),
                    ("LONGTEXT", 20_000),
                    ("VARCHAR(0)", 0),
                ])
                .unwrap();
            let charset = world.chance.pick(CHARSETS).to_owned();
            let charset = world.chance.maybe(60, &format!(" CHARACTER SET {charset}"));
            let compressed =
                if base.starts_with("CHAR") { String::new() } else { world.chance.maybe(8, " COMPRESSED") };
            let sql = format!("{base}{compressed}{charset}");
            Type { sql, kind: Kind::Text(longest) }
        }
        3 => {
            let (base, longest) = *world
                .chance
                .one(&[
                    ("BINARY(4)", 4),
                    ("VARBINARY(30)", 30),
                    ("TINYBLOB", 200),
                    ("BLOB", 5000),
                    ("LONGBLOB", 70_000),
                    ("BINARY(0)", 0),
                ])
                .unwrap();
            Type { sql: base.to_owned(), kind: Kind::Bytes(longest) }
        }
        4 => members(world),
        5 | 6 => plain("INT"),
        _ => {
            let (sql, values) = PLAIN[world.chance.below(PLAIN.len())];
            Type { sql: sql.to_owned(), kind: Kind::Plain(values) }
        }
    }
}

/// One of the types that have no choice in them.
pub(crate) fn plain(sql: &str) -> Type {
    let (sql, values) = PLAIN.iter().find(|(name, _)| *name == sql).expect("a plain type");
    Type { sql: (*sql).to_owned(), kind: Kind::Plain(values) }
}

fn members(world: &mut World) -> Type {
    let is_set = world.chance.percent(40);
    // A dump refuses, by name, a table with a SET of such a member that has several members as its default.
    let banned: &[char] = if is_set { &[',', '\\', '?'] } else { &[',', '\\'] };
    let is_allowed = |character: &char| !banned.contains(character);
    let members: Vec<String> = (0..world.chance.of(1..5))
        .map(|n| {
            let text: String = words::text(&mut world.chance).chars().take(9).filter(is_allowed).collect();
            format!("{text}{n}")
        })
        .collect();
    let list: Vec<String> = members.iter().map(|member| literal(member)).collect();
    let charset = world.chance.pick(&["utf8mb4", "latin1", "utf8mb3 COLLATE utf8mb3_bin", "ucs2"]).to_owned();
    let charset = world.chance.maybe(50, &format!(" CHARACTER SET {charset}"));
    let class = if is_set { "SET" } else { "ENUM" };
    Type { sql: format!("{class}({}){charset}", list.join(", ")), kind: Kind::Members(members, is_set) }
}

impl Type {
    pub(crate) fn is(&self, sql: &str) -> bool {
        self.sql == sql
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text(_))
    }

    pub(crate) fn is_long(&self) -> bool {
        matches!(self.kind, Kind::Text(longest) | Kind::Bytes(longest) if longest > 60)
    }

    pub(crate) fn is_geometry(&self) -> bool {
        ["POINT", "GEOMETRY", "POLYGON"].contains(&self.sql.as_str()) || self.sql.starts_with("MULTI")
    }

    /// A value as an expression, or NULL.
    pub(crate) fn value(&self, chance: &mut Chance) -> String {
        if chance.percent(12) { "NULL".to_owned() } else { self.some_value(chance) }
    }

    /// A value as an expression.
    pub(crate) fn some_value(&self, chance: &mut Chance) -> String {
        match &self.kind {
            Kind::Plain(values) => chance.pick(values).to_owned(),
            Kind::Text(longest) => {
                let text: String = words::text(chance).chars().take(*longest).collect();
                literal(&text)
            }
            Kind::Bytes(longest) => match chance.below(6) {
                0 => "''".to_owned(),
                1 => format!("REPEAT(X'00FF5C27220A1A', {})", longest / 7),
                2 => "X'5C27'".to_owned(),
                3 => "X'00'".to_owned(),
                4 => "X'C3A9FF'".to_owned(),
                _ => "'a'".to_owned(),
            },
            Kind::Members(members, is_set) => {
                let one = chance.one(members).unwrap();
                match chance.below(6) {
                    0 if *is_set => literal(&members.join(",")),
                    1 => "''".to_owned(),
                    _ => literal(one),
                }
            }
        }
    }
}
