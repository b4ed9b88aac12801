//! How a large table is cut into ranges that several connections read at once.

use super::Error;
use super::catalog::{Column, Table};
use super::connect::Session;
use super::sql;

/// About how many bytes of a table one range covers.
const RANGE: u64 = 32 << 20;

/// The most ranges of one table.
const MOST: u64 = 512;

/// The conditions of a table's ranges. Together they hold for every row exactly once: the first has no lower end, the
/// last no upper one. One empty condition: the table is read as a whole.
pub(super) async fn of(
    control: &mut Session,
    table: &Table,
    columns: &[Column],
    history: bool,
) -> Result<Vec<String>, Error> {
    let whole = vec![String::new()];
    let count = (table.bytes / RANGE).min(MOST);
    if count < 2 || !table.transactional {
        return Ok(whole);
    }
    let doing = format!("cannot find the ranges of {}.{}", table.database, table.name);
    let Some(column) = leading(control, &doing, table, columns).await? else { return Ok(whole) };
    let key = sql::quoted(&column);
    let all = if history { " FOR SYSTEM_TIME ALL" } else { "" };
    let name = sql::qualified(&table.database, &table.name);
    let rows = control.rows(&doing, format!("SELECT MIN({key}), MAX({key}) FROM {name}{all}")).await?;
    let ends = rows.into_iter().next().unwrap_or_default();
    let number = |at: usize| -> Option<i128> {
        ends.get(at)?.as_ref().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok())
    };
    let (Some(least), Some(greatest)) = (number(0), number(1)) else { return Ok(whole) };
    Ok(conditions(&key, &cuts(least, greatest, count)))
}

/// The first column of the primary key, if it is an integer.
async fn leading(
    control: &mut Session,
    doing: &str,
    table: &Table,
    columns: &[Column],
) -> Result<Option<String>, Error> {
    let query = format!(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} \
         AND TABLE_NAME = {} AND INDEX_NAME = 'PRIMARY' AND SEQ_IN_INDEX = 1",
        sql::literal(&table.database),
        sql::literal(&table.name)
    );
    let integers = ["tinyint", "smallint", "mediumint", "int", "bigint"];
    for row in control.rows(doing, query).await? {
        let name = super::catalog::text(row.get(1).cloned().flatten());
        let same = super::catalog::text(row.first().cloned().flatten()) == table.name;
        let integer = |column: &&Column| column.name == name && integers.contains(&column.data_type.as_str());
        if same && columns.iter().any(|column| integer(&column)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The values at which the next range begins, ascending, without repeats, all above `least`.
fn cuts(least: i128, greatest: i128, count: u64) -> Vec<i128> {
    let (width, count) = (greatest - least, i128::from(count));
    let mut cuts: Vec<i128> = (1..count).map(|at| least + width * at / count).collect();
    cuts.retain(|cut| *cut > least);
    cuts.dedup();
    cuts
}

fn conditions(key: &str, cuts: &[i128]) -> Vec<String> {
    let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else { return vec![String::new()] };
    let force = " FORCE INDEX (PRIMARY) WHERE ";
    let mut conditions = vec![format!("{force}{key} < {first}")];
    for pair in cuts.windows(2) {
        conditions.push(format!("{force}{key} >= {} AND {key} < {}", pair[0], pair[1]));
    }
    conditions.push(format!("{force}{key} >= {last}"));
    conditions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_value_once() {
        assert_eq!(conditions("k", &[]), [""]);
        let cut = conditions("k", &cuts(0, 100, 3));
        assert_eq!(
            cut,
            [
                " FORCE INDEX (PRIMARY) WHERE k < 33",
                " FORCE INDEX (PRIMARY) WHERE k >= 33 AND k < 66",
                " FORCE INDEX (PRIMARY) WHERE k >= 66"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn cuts_ascend_between_the_ends(a: i64, b: i64, count in 2u64..600) {
            let (least, greatest) = (i128::from(a.min(b)), i128::from(a.max(b)));
            let cuts = cuts(least, greatest, count);
            assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(cuts.iter().all(|cut| least < *cut && *cut <= greatest));
        }
    }
}
