//! The ends of rows in system-versioned tables: how they are read and written where history is dumped.
//!
//! A row that still is ends at the last timestamp that its server knows. That moved from 2038 to 2106 with 11.5, and a
//! server takes the other's for any time of the past or refuses it: a row written with it would not be current any
//! more. So such an end is read as the word `current`, and written as `DEFAULT`, which every server makes its own last
//! timestamp of.

use super::connect::Session;
use super::{Error, sql};

/// The kind of an object whose fingerprint is made of a table's rows.
pub(super) const TABLE: &str = "table";

/// The kind of an object whose fingerprint is made of a table's rows, past ones too; the end of those that still are
/// reads `current`.
pub(super) const WITH_HISTORY: &str = "versioned_table";

/// As [`WITH_HISTORY`], with every end as it is: what packages had before.
pub(super) const WITH_PLAIN_HISTORY: &str = "table_with_history";

/// What the end of a row that still is reads as.
pub(super) const CURRENT: &[u8] = b"current";

/// The last timestamps that servers know.
const EARLIER: &str = "2038-01-19 03:14:07.999999";
const LATER: &str = "2106-02-07 06:28:15.999999";

/// How the ends of rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    marked: bool,
    later: bool,
}

impl Ends {
    /// How this server's ends are read for an object of this kind; `None` if its history is not.
    pub(super) async fn of(session: &mut Session, kind: &str) -> Result<Option<Self>, Error> {
        if kind != WITH_HISTORY && kind != WITH_PLAIN_HISTORY {
            return Ok(None);
        }
        // NULL where timestamps end in 2038.
        let query = "SELECT FROM_UNIXTIME(4294967295)";
        let later = session.text("cannot read the server's last timestamp", query).await?.is_some();
        Ok(Some(Self { marked: kind == WITH_HISTORY, later }))
    }

    /// The expression that reads the column in which rows end.
    pub(super) fn expression(self, column: &str) -> String {
        let column = sql::quoted(column);
        let (last, read) = match (self.marked, self.later) {
            (true, false) => (EARLIER, "current"),
            (true, true) => (LATER, "current"),
            // A package of before, made where timestamps end in 2038, turns current rows into past ones here. They
            // must not read as they did there.
            (false, true) => (EARLIER, "past"),
            (false, false) => return column,
        };
        format!("IF({column} = '{last}', '{read}', {column})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_own_last_timestamp_is_current() {
        let read = |marked, later| Ends { marked, later }.expression("e`");
        assert_eq!(read(true, false), format!("IF(`e``` = '{EARLIER}', 'current', `e```)"));
        assert_eq!(read(true, true), format!("IF(`e``` = '{LATER}', 'current', `e```)"));
        assert_eq!(read(false, true), format!("IF(`e``` = '{EARLIER}', 'past', `e```)"));
        assert_eq!(read(false, false), "`e```");
    }
}
