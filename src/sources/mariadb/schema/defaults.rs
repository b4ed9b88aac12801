//! Default values that a server does not show: it keeps them in the charset of their columns, and shows them in one that
//! ends at three bytes for a character, with `?` for each character beyond.

use super::super::catalog::{Table, text};
use super::super::connect::Session;
use super::super::names::string_end;
use super::super::{Error, sql};

/// Charsets that have characters which the server does not show.
const WIDE: &str = "'utf8mb4', 'utf16', 'utf16le', 'utf32'";

/// The statements that give the columns of a table the default values which its definition lacks. The table is of the
/// session's database. Nothing tells that of a column without NULL in a table without rows.
pub(super) async fn unshown(control: &mut Session, table: &Table) -> Result<Vec<String>, Error> {
    let doing = format!("cannot read the default values of {}.{}", table.database, table.name);
    let query = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND CHARACTER_SET_NAME IN ({WIDE}) \
         AND COLUMN_DEFAULT LIKE '\\'%?%\\''",
        sql::literal(&table.database),
        sql::literal(&table.name)
    );
    let mut alters = Vec::new();
    for row in control.rows(&doing, query).await? {
        let mut row = row.into_iter().map(text);
        let mut next = || row.next().unwrap_or_default();
        let (of, column, shown) = (next(), next(), next());
        if of != table.name {
            continue;
        }
        let (name, column) = (sql::quoted(&table.name), sql::quoted(&column));
        // Of a table without rows the server tells those of columns that may be NULL.
        let query = format!(
            "SELECT COALESCE((SELECT CONVERT(DEFAULT({column}) USING utf8mb4) FROM {name} LIMIT 1), \
             CONVERT(DEFAULT(t.{column}) USING utf8mb4)) FROM (SELECT 1) one LEFT JOIN {name} t ON FALSE"
        );
        let kept = control.text(&doing, &query).await?.unwrap_or_default();
        if is_unshown(&kept, &shown) {
            let kept = sql::literal(&kept);
            alters.push(format!("ALTER TABLE {name} ALTER COLUMN {column} SET DEFAULT {kept}"));
        }
    }
    Ok(alters)
}

/// Whether a value has characters that are not shown, and is shown as one literal: what an expression makes stays an
/// expression.
fn is_unshown(value: &str, shown: &str) -> bool {
    let literal = shown.starts_with('\'') && string_end(shown.as_bytes(), 0) == shown.len();
    literal && value.chars().any(|character| character.len_utf8() > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_that_are_shown_otherwise_are_set() {
        assert!(is_unshown("it's \\ 😀", "'it''s \\\\ ?'"));
        assert!(!is_unshown("why?", "'why?'"), "shown as it is");
        assert!(!is_unshown("a😀", "'a' || '?'"), "an expression");
    }
}
