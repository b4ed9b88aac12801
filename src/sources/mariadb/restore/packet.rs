//! Statements that are larger than the target takes: cut between rows, or refused before they are sent.

/// A row that does not fit, with as much of its beginning as helps to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLarge {
    /// The bytes of a statement with this row alone.
    pub(super) bytes: usize,
    /// The beginning of the row.
    pub(super) row: String,
}

/// How much of a row is shown.
const SHOWN: usize = 60;

/// Cuts an `INSERT` into statements of at most `limit` bytes.
///
/// The writer puts each row on a line of its own and escapes line ends inside values, so lines are rows.
pub(super) fn cut(sql: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, TooLarge> {
    if sql.len() <= limit {
        return Ok(vec![sql.to_vec()]);
    }
    let Some(head) = head(sql) else {
        return Err(TooLarge { bytes: sql.len(), row: shown(sql) });
    };
    let (mut statements, mut statement) = (Vec::new(), head.to_vec());
    for row in sql[head.len()..].split(|&byte| byte == b'\n') {
        let row = row.strip_suffix(b",").unwrap_or(row);
        if head.len() + row.len() > limit {
            return Err(TooLarge { bytes: head.len() + row.len(), row: shown(row) });
        }
        if statement.len() > head.len() && statement.len() + 2 + row.len() > limit {
            statements.push(std::mem::replace(&mut statement, head.to_vec()));
        }
        if statement.len() > head.len() {
            statement.extend_from_slice(b",\n");
        }
        statement.extend_from_slice(row);
    }
    statements.push(statement);
    Ok(statements)
}

/// An `INSERT` up to its first row. Names in backticks are skipped, whatever they hold.
fn head(sql: &[u8]) -> Option<&[u8]> {
    let end = b") VALUES\n";
    sql.strip_prefix(b"INSERT INTO ")?;
    let (mut at, mut quoted) = (0, false);
    while at < sql.len() {
        quoted ^= sql[at] == b'`';
        if !quoted && sql[at..].starts_with(end) {
            return Some(&sql[..at + end.len()]);
        }
        at += 1;
    }
    None
}

fn shown(bytes: &[u8]) -> String {
    let mut shown = super::super::connect::lossy(&bytes[..bytes.len().min(SHOWN)]);
    if bytes.len() > SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_whole_and_in_order() {
        let sql = b"INSERT INTO `t` (`) VALUES\n`) VALUES\n(1,'a\\n'),\n(2,'),'),\n(3,NULL)";
        assert_eq!(cut(sql, 1000).unwrap(), [sql.to_vec()]);
        let parts = cut(sql, 54).unwrap();
        let text: Vec<&str> = parts.iter().map(|part| std::str::from_utf8(part).unwrap()).collect();
        assert_eq!(
            text,
            [
                "INSERT INTO `t` (`) VALUES\n`) VALUES\n(1,'a\\n')",
                "INSERT INTO `t` (`) VALUES\n`) VALUES\n(2,'),')",
                "INSERT INTO `t` (`) VALUES\n`) VALUES\n(3,NULL)"
            ]
        );
        let refused = cut(sql, 40).unwrap_err();
        assert_eq!((refused.bytes, refused.row.as_str()), (47, "(1,'a\\n')"));
    }
}
