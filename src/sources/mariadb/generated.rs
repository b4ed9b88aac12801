//! Stored values of generated columns, which no package has: a server makes them anew as rows are restored, and takes none
//! that it is given. What an expression makes of a TIMESTAMP is as the time zone of whoever writes the row, so values from
//! another zone than that of a restore, which is UTC, would become others. So would quotients of another
//! `div_precision_increment` than the server's own, under which a restore makes them.

use std::collections::BTreeSet;

use super::catalog::{Column, Table};
use super::connect::Session;
use super::{Error, catalog, names, sql};

/// A stored column whose values a restore would change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differing {
    pub(super) column: String,
    pub(super) why: &'static str,
}

/// The stored columns of a table that hold values which their expressions do not have in this session.
pub(super) async fn differing(
    session: &mut Session,
    table: &Table,
    columns: &[Column],
    history: bool,
) -> Result<Vec<Differing>, Error> {
    let doubtful = doubtful(columns);
    if doubtful.is_empty() {
        return Ok(Vec::new());
    }
    let list: Vec<String> =
        doubtful.iter().map(|(column, _)| format!("COALESCE(MAX({}), 0)", differs(column))).collect();
    let query = format!(
        "SELECT {} FROM {}{}",
        list.join(", "),
        sql::qualified(&table.database, &table.name),
        if history { " FOR SYSTEM_TIME ALL" } else { "" }
    );
    let doing = format!("cannot look at the generated columns of {}.{}", table.database, table.name);
    let found = session.rows(&doing, query).await?.into_iter().next().unwrap_or_default();
    let differs = found.into_iter().map(|cell| catalog::text(cell) != "0");
    let found = doubtful.into_iter().zip(differs).filter(|(_, differs)| *differs);
    Ok(found.map(|((column, why), _)| Differing { column: column.name.clone(), why }).collect())
}

/// Why a restore would change values that come from a TIMESTAMP.
const ZONE: &str = "some are of another time zone, and a restore makes them anew in UTC";
/// Why a restore would change values that come of a division.
const DIGITS: &str =
    "some are of another `div_precision_increment` than the server's, under which a restore makes them anew";

/// The stored columns whose values depend on the session that wrote them, and on what of it.
fn doubtful(columns: &[Column]) -> Vec<(&Column, &'static str)> {
    let mut doubtful: Vec<_> = zoned(columns).into_iter().map(|column| (column, ZONE)).collect();
    for column in columns.iter().filter(|column| divides(column)) {
        if !doubtful.iter().any(|(other, _)| other.name == column.name) {
            doubtful.push((column, DIGITS));
        }
    }
    doubtful
}

/// Whether a column stores what comes of a division, in a type that shows its last digits.
fn divides(column: &Column) -> bool {
    column.extra.contains("STORED")
        && column.generation.contains('/')
        && matches!(
            column.data_type.as_str(),
            "decimal" | "double" | "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext"
        )
}

/// The stored columns whose values come from a TIMESTAMP, perhaps by way of others.
fn zoned(columns: &[Column]) -> Vec<&Column> {
    let times = columns.iter().filter(|column| column.data_type == "timestamp");
    let mut from: BTreeSet<String> = times.map(|column| column.name.to_lowercase()).collect();
    let generated: Vec<&Column> = columns
        .iter()
        .filter(|column| column.extra.contains("GENERATED") && !column.generation.starts_with("ROW "))
        .collect();
    let reads = |column: &Column, from: &BTreeSet<String>| {
        let sql = column.generation.as_bytes();
        let all = names::chains(sql).into_iter().flat_map(|chain| chain.names);
        all.map(|name| names::name(sql, &name).to_lowercase()).any(|name| from.contains(&name))
    };
    // A column may read one that stands after it: as many rounds as there are columns reach all.
    for _ in 0..generated.len() {
        let more: Vec<String> = generated
            .iter()
            .filter(|column| reads(column, &from))
            .map(|column| column.name.to_lowercase())
            .collect();
        let before = from.len();
        from.extend(more);
        if from.len() == before {
            break;
        }
    }
    generated.into_iter().filter(|column| column.extra.contains("STORED") && reads(column, &from)).collect()
}

/// Whether a stored value is not that of its expression, as far as the column's type can hold it.
fn differs(column: &Column) -> String {
    let (stored, expression) = (sql::quoted(&column.name), &column.generation);
    let size = column.full_type.find(')').and_then(|end| column.full_type[..=end].split_once('('));
    let size = size.map_or_else(String::new, |(_, size)| format!("({size}"));
    match column.data_type.as_str() {
        "date" => format!("NOT ({stored} <=> CAST({expression} AS DATE))"),
        "time" => format!("NOT ({stored} <=> CAST({expression} AS TIME{size}))"),
        "datetime" | "timestamp" => format!("NOT ({stored} <=> CAST({expression} AS DATETIME{size}))"),
        "decimal" => format!("NOT ({stored} <=> CAST({expression} AS DECIMAL{size}))"),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => format!(
            "NOT (BINARY RTRIM(CONVERT({stored} USING utf8mb4)) \
             <=> BINARY RTRIM(CAST({expression} AS CHAR{size} CHARACTER SET utf8mb4)))"
        ),
        _ => format!("NOT ({stored} <=> ({expression}))"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, full_type: &str, extra: &str, generation: &str) -> Column {
        Column {
            name: name.to_owned(),
            data_type: full_type.split('(').next().unwrap().to_owned(),
            full_type: full_type.to_owned(),
            charset: None,
            collation: String::new(),
            extra: extra.to_owned(),
            generation: generation.to_owned(),
        }
    }

    #[test]
    fn what_comes_from_a_timestamp_is_found() {
        let columns = [
            column("late", "int(11)", "STORED GENERATED", "hour(`Between`)"),
            column("between", "datetime", "VIRTUAL GENERATED", "`ts` + interval 1 day"),
            column("ts", "timestamp", "", ""),
            column("d", "date", "STORED GENERATED", "cast(`ts` as date)"),
            column("other", "date", "STORED GENERATED", "cast(`n` as date)"),
            column("s", "timestamp(6)", "STORED GENERATED", "ROW START"),
        ];
        let found: Vec<&str> = zoned(&columns).iter().map(|column| column.name.as_str()).collect();
        assert_eq!(found, ["late", "d"]);
        assert_eq!(differs(&columns[3]), "NOT (`d` <=> CAST(cast(`ts` as date) AS DATE))");
        let fine = column("f", "datetime(3)", "STORED GENERATED", "`ts`");
        assert_eq!(differs(&fine), "NOT (`f` <=> CAST(`ts` AS DATETIME(3)))");
    }

    #[test]
    fn what_comes_of_a_division_is_found_where_its_digits_show() {
        let columns = [
            column("ts", "timestamp", "", ""),
            column("share", "decimal(20,12)", "STORED GENERATED", "`a` / `b`"),
            column("told", "varchar(40)", "STORED GENERATED", "concat(`a` / `b`)"),
            column("whole", "int(11)", "STORED GENERATED", "`a` / `b`"),
            column("shown", "double", "VIRTUAL GENERATED", "`a` / `b`"),
            column("sum", "double", "STORED GENERATED", "`a` + `b`"),
            column("hours", "double", "STORED GENERATED", "unix_timestamp(`ts`) / 3600"),
        ];
        let found: Vec<_> =
            doubtful(&columns).into_iter().map(|(column, why)| (column.name.as_str(), why)).collect();
        assert_eq!(found, [("hours", ZONE), ("share", DIGITS), ("told", DIGITS)]);
    }
}
