//! Members of ENUM and SET columns that a server does not show: it keeps them in the charset of their column, and shows
//! them in one that ends at three bytes for a character, with `?` for whatever that has not. A table made of what is shown
//! would have other members, and lose the values that are theirs.

use super::super::catalog::{self, Column, Table};
use super::super::connect::Session;
use super::super::names::string_end;
use super::super::{Error, sql};
use super::hidden;

/// A table's definition with the members that its columns have in place of those that are shown. The table is of the
/// session's database.
pub(super) async fn unshown(
    control: &mut Session,
    table: &Table,
    mut definition: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    for column in catalog::columns(control, &table.database, &table.name).await? {
        let numbered = ["enum", "set"].contains(&column.data_type.as_str());
        if !numbered || !column.full_type.contains('?') {
            continue;
        }
        let kept = kept(control, table, &column).await?;
        definition = replaced(&definition, &column, &kept).ok_or_else(|| Error::UnknownClass {
            name: format!("{}.{}.{}", table.database, table.name, column.name),
            class: "column with a default value that the server does not show".to_owned(),
        })?;
    }
    Ok(definition)
}

/// The members as literals: as they are shown, or as the bytes that they are where `?` may stand for something.
async fn kept(control: &mut Session, table: &Table, column: &Column) -> Result<Vec<String>, Error> {
    let doing = format!("cannot read the members of {}.{}.{}", table.database, table.name, column.name);
    let mut kept = Vec::new();
    for (at, shown) in shown(&column.full_type).into_iter().enumerate() {
        if !shown.contains('?') {
            kept.push(shown.to_owned());
            continue;
        }
        let number = if column.data_type == "set" { 1 << at } else { at as u64 + 1 };
        // A variable of a column's type takes a member by its number, whether or not there is a row that has it.
        let query = format!(
            "BEGIN NOT ATOMIC DECLARE member TYPE OF {}.{} DEFAULT {number}; SELECT HEX(member); END",
            sql::qualified(&table.database, &table.name),
            sql::quoted(&column.name)
        );
        let bytes = control.text(&doing, &query).await?.ok_or_else(|| hidden(&doing))?;
        kept.push(format!("0x{bytes}"));
    }
    Ok(kept)
}

/// The literals between the brackets of an ENUM or SET.
fn shown(full_type: &str) -> Vec<&str> {
    let (mut literals, mut rest) = (Vec::new(), full_type);
    while let Some(start) = rest.find('\'') {
        let end = string_end(rest.as_bytes(), start);
        literals.push(&rest[start..end]);
        rest = &rest[end..];
    }
    literals
}

/// The definition with these members in the column, and with its default value made of them; `None` if that is shown as
/// several of them are.
fn replaced(definition: &[u8], column: &Column, kept: &[String]) -> Option<Vec<u8>> {
    // A name that has this text in itself has its backticks doubled, and a string has no line ends.
    let line = format!("\n  {} {}", sql::quoted(&column.name), column.full_type).into_bytes();
    let start = definition.windows(line.len()).position(|window| window == line)?;
    let members = format!("\n  {} {}({})", sql::quoted(&column.name), column.data_type, kept.join(","));
    let rest = &definition[start + line.len()..];
    let mut out = [&definition[..start], members.as_bytes()].concat();
    let of_line = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let (before, default) = match default(&rest[..of_line]) {
        Some(default) if rest[default.clone()].contains(&b'?') => (default.start, default),
        _ => (0, 0..0),
    };
    out.extend_from_slice(&rest[..before]);
    if !default.is_empty() {
        let value = std::str::from_utf8(&rest[default.clone()]).ok()?;
        let shown = shown(&column.full_type);
        let mut alike = shown.iter().zip(kept).filter(|(shown, _)| **shown == value);
        let (Some((_, kept)), None) = (alike.next(), alike.next()) else { return None };
        out.extend_from_slice(kept.as_bytes());
    }
    out.extend_from_slice(&rest[default.end..]);
    Some(out)
}

/// Where the literal of a default value stands in what follows a column's type.
fn default(line: &[u8]) -> Option<std::ops::Range<usize>> {
    let word = b" DEFAULT '";
    let end = line.windows(10).position(|window| window == b" COMMENT '").unwrap_or(line.len());
    let start = line[..end].windows(word.len()).position(|window| window == word)? + word.len() - 1;
    Some(start..string_end(line, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(full_type: &str) -> Column {
        let [name, charset, collation, extra, generation] = ["e`", "utf8mb4", "", "", ""].map(str::to_owned);
        let data_type = full_type.split('(').next().unwrap().to_owned();
        let full_type = full_type.to_owned();
        Column { name, data_type, full_type, charset: Some(charset), collation, extra, generation }
    }

    fn of(full_type: &str, rest: &str, kept: &[&str]) -> Option<String> {
        let kept: Vec<String> = kept.iter().map(|literal| (*literal).to_owned()).collect();
        let definition = format!("CREATE TABLE `t` (\n  `e` int,\n  `e``` {full_type}{rest},\n  `z` int\n)");
        let replaced = replaced(definition.as_bytes(), &column(full_type), &kept)?;
        let replaced = String::from_utf8(replaced).unwrap();
        let line = replaced.lines().find(|line| line.starts_with("  `e```")).unwrap();
        Some(line.trim_start_matches("  `e``` ").trim_end_matches(',').to_owned())
    }

    #[test]
    fn members_and_their_default_are_replaced() {
        assert_eq!(shown("enum('a','it''s','\\\\','?(')"), ["'a'", "'it''s'", "'\\\\'", "'?('"]);
        let kept = ["'a'", "0xF09F9880"];
        let of_two = |rest: &str| of("enum('a','?')", rest, &kept);
        assert_eq!(of_two(" NOT NULL").unwrap(), "enum('a',0xF09F9880) NOT NULL");
        assert_eq!(
            of_two(" DEFAULT 'a' COMMENT '?'").unwrap(),
            "enum('a',0xF09F9880) DEFAULT 'a' COMMENT '?'"
        );
        assert_eq!(of_two(" DEFAULT '?'").unwrap(), "enum('a',0xF09F9880) DEFAULT 0xF09F9880");
        assert_eq!(of_two(" COMMENT ' DEFAULT ''?'").unwrap(), "enum('a',0xF09F9880) COMMENT ' DEFAULT ''?'");
        assert_eq!(of("enum('?','?')", " DEFAULT '?'", &["0x3F", "0xF09F9880"]), None, "which of the two?");
        assert_eq!(of("set('a','?')", " DEFAULT 'a,?'", &kept), None, "several at once");
    }
}
