//! How each column of a table is read and written: the expression in `SELECT`, the literal in `INSERT`.

use std::collections::BTreeSet;

use super::Error;
use super::catalog::{Column, Table};
use super::history::{CURRENT, Ends};
use super::sql;

/// Charsets in which every byte below 0x80 is the ASCII character, alone and inside a string.
const ASCII_SUPERSETS: [&str; 26] = [
    "ascii", "latin1", "latin2", "latin5", "latin7", "cp1250", "cp1251", "cp1256", "cp1257", "cp850",
    "cp852", "cp866", "koi8r", "koi8u", "greek", "hebrew", "macce", "macroman", "gbk", "gb2312", "big5",
    "euckr", "ujis", "eucjpms", "tis620", "dec8",
];

/// Binary values above this size are written as escaped strings: hexadecimal would double a packet that may already
/// be near `max_allowed_packet`.
const LARGE_BINARY: usize = 64 << 10;

/// How a value becomes a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    /// As the server wrote it.
    Number,
    /// As the server wrote it, marked as a floating point number, so that `-0` keeps its sign.
    Float,
    /// In quotes; ASCII by nature.
    Quoted,
    /// Text in UTF-8.
    Utf8,
    /// Text in another charset, by name. Plain if all bytes are ASCII and that means the same there.
    Charset(String, bool),
    /// Bytes.
    Binary,
    /// A geometry, as bytes. A server takes no empty one, but makes one where a column without NULL gets nothing.
    Geometry,
    /// The start of a row's validity.
    Start,
    /// The end of a row's validity: that of a row that still is becomes the server's own.
    End,
}

/// A column as it is dumped.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    /// The column's name.
    pub(super) name: String,
    /// The expression that reads it.
    pub(super) expression: String,
    /// How its values are written.
    pub(super) literal: Literal,
}

/// The columns of a table that are dumped: all but generated ones, and the period of the rows' validity where history
/// is kept.
pub(super) fn selected(
    table: &Table,
    columns: &[Column],
    history: Option<Ends>,
) -> Result<Vec<Selected>, Error> {
    let mut chosen = Vec::with_capacity(columns.len() + 2);
    let mut explicit_period = false;
    for column in columns {
        let period = column.generation.starts_with("ROW ");
        explicit_period |= period;
        if column.extra.contains("GENERATED") && !(period && history.is_some()) {
            continue;
        }
        chosen.push(match history {
            Some(ends) if column.generation == "ROW END" => end(&column.name, ends),
            Some(_) if column.generation == "ROW START" => start(&column.name),
            _ => select(table, column)?,
        });
    }
    if let Some(ends) = history.filter(|_| !explicit_period) {
        chosen.push(start("row_start"));
        chosen.push(end("row_end", ends));
    }
    Ok(chosen)
}

fn start(name: &str) -> Selected {
    Selected { name: name.to_owned(), expression: sql::quoted(name), literal: Literal::Start }
}

fn end(name: &str, ends: Ends) -> Selected {
    Selected { name: name.to_owned(), expression: ends.expression(name), literal: Literal::End }
}

fn select(table: &Table, column: &Column) -> Result<Selected, Error> {
    let quoted = sql::quoted(&column.name);
    let bracketed = column.full_type.contains('(');
    let plain = |literal| (quoted.clone(), literal);
    let (expression, literal) = match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" => {
            plain(Literal::Number)
        }
        // The text protocol rounds FLOAT to six digits, and DOUBLE(M,D) to D places.
        "float" => (format!("CAST({quoted} AS DOUBLE)"), Literal::Float),
        "double" if bracketed => (format!("CAST({quoted} AS DOUBLE)"), Literal::Float),
        "double" => plain(Literal::Float),
        "date" | "time" | "datetime" | "timestamp" | "uuid" | "inet4" | "inet6" => plain(Literal::Quoted),
        "bit" | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => {
            plain(Literal::Binary)
        }
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" => plain(Literal::Geometry),
        "enum" | "set" if read_alike(column) => (format!("CAST({quoted} AS UNSIGNED)"), Literal::Number),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "json" => {
            (quoted.clone(), text(column.charset.as_deref()))
        }
        other => {
            let name = format!("{}.{}.{}", table.database, table.name, column.name);
            return Err(Error::UnknownClass { name, class: format!("column of type {other}") });
        }
    };
    Ok(Selected { name: column.name.clone(), expression, literal })
}

/// Whether values of an ENUM or SET with different numbers read alike, or are taken for each other when they are written:
/// member '' and the error value, and members that differ in nothing or in case, which a server takes where it is not
/// strict.
fn read_alike(column: &Column) -> bool {
    let exact = ["_bin", "_cs"].iter().any(|end| column.collation.ends_with(end));
    let (mut seen, mut rest) = (BTreeSet::new(), column.full_type.as_str());
    while let Some(start) = rest.find('\'') {
        let end = super::names::name_end(rest.as_bytes(), start);
        let member = rest[start + 1..end].strip_suffix('\'').unwrap_or_default();
        let member = if exact { member.to_owned() } else { member.to_lowercase() };
        if member.is_empty() || !seen.insert(member) {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

fn text(charset: Option<&str>) -> Literal {
    match charset {
        None | Some("binary") => Literal::Binary,
        Some("utf8" | "utf8mb3" | "utf8mb4") => Literal::Utf8,
        Some(other) => Literal::Charset(other.to_owned(), ASCII_SUPERSETS.contains(&other)),
    }
}

/// The query that reads a table's rows. `condition` begins with a blank or is empty.
pub(super) fn query(table: &Table, columns: &[Selected], history: bool, condition: &str) -> String {
    let list: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
    let list = if list.is_empty() { "1".to_owned() } else { list.join(",") };
    let all = if history { " FOR SYSTEM_TIME ALL" } else { "" };
    format!(
        "SELECT SQL_NO_CACHE {list} FROM {}{all}{condition}",
        sql::qualified(&table.database, &table.name)
    )
}

/// Writes a value as a literal.
pub(super) fn write(out: &mut Vec<u8>, value: Option<&[u8]>, literal: &Literal) {
    let Some(value) = value else {
        out.extend_from_slice(b"NULL");
        return;
    };
    match literal {
        Literal::Number => out.extend_from_slice(value),
        Literal::Float => {
            out.extend_from_slice(value);
            if !value.contains(&b'e') {
                out.extend_from_slice(b"e0");
            }
        }
        Literal::End if value == CURRENT => out.extend_from_slice(b"DEFAULT"),
        Literal::Quoted | Literal::Start | Literal::End => sql::string(out, value),
        Literal::Utf8 if std::str::from_utf8(value).is_ok() => sql::string(out, value),
        Literal::Utf8 => introduced(out, value, "utf8mb4"),
        Literal::Charset(_, true) if value.is_ascii() => sql::string(out, value),
        Literal::Charset(name, _) => introduced(out, value, name),
        Literal::Binary | Literal::Geometry if value.len() > LARGE_BINARY => {
            out.extend_from_slice(b"_binary ");
            sql::string(out, value);
        }
        Literal::Binary | Literal::Geometry => sql::hexadecimal(out, value),
    }
}

fn introduced(out: &mut Vec<u8>, value: &[u8], charset: &str) {
    if !value.is_empty() {
        out.push(b'_');
        out.extend_from_slice(charset.as_bytes());
        out.push(b' ');
    }
    sql::hexadecimal(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(full_type: &str, collation: &str) -> bool {
        let [name, data_type, extra, generation] = [""; 4].map(str::to_owned);
        let (full_type, collation) = (full_type.to_owned(), collation.to_owned());
        read_alike(&Column { name, data_type, full_type, charset: None, collation, extra, generation })
    }

    #[test]
    fn members_that_are_taken_for_each_other_are_found() {
        for twins in
            ["enum('')", "enum('a','')", "set('a','b','A')", "enum('Ä','ä')", "enum('it''s','x','it''s')"]
        {
            assert!(alike(twins, "utf8mb4_general_ci"), "{twins}");
        }
        for apart in
            ["enum('a')", "set('a','b')", "enum('''','a')", "enum('a,b',',','b')", "enum(''',''','(')"]
        {
            assert!(!alike(apart, "utf8mb4_general_ci"), "{apart}");
        }
        assert!(!alike("enum('a','A')", "utf8mb4_bin") && alike("enum('a','a')", "utf8mb4_bin"));
    }
}
