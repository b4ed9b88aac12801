//! The bytes of a row that its table's fingerprint is made of.
//!
//! For each dumped column in the order of the table: the value's length as four bytes, least significant first, and
//! the value as the text protocol has it under the settings of a reading session; NULL is the length 0xFFFFFFFF alone.

use mysql_async::{Row, Value};

use super::Error;
use super::connect::Session;
use crate::package::digest::Fingerprint;

/// A fingerprint being made.
#[derive(Debug, Default)]
pub(super) struct Rows {
    fingerprint: Fingerprint,
    row: Vec<u8>,
}

impl Rows {
    /// Takes the next value of the present row.
    pub(super) fn value(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(u32::MAX, |value| u32::try_from(value.len()).unwrap_or(u32::MAX - 1));
        self.row.extend_from_slice(&length.to_le_bytes());
        self.row.extend_from_slice(value.unwrap_or_default());
    }

    /// Ends the present row.
    pub(super) fn end_row(&mut self) {
        self.fingerprint.add(&self.row);
        self.row.clear();
        // One row of many MiB must not be remembered for the rest of the table.
        self.row.shrink_to(1 << 20);
    }

    /// The fingerprint of all rows.
    pub(super) fn finish(self) -> Fingerprint {
        self.fingerprint
    }
}

/// The fingerprint of the first `columns` columns of what a query yields.
pub(super) async fn read(
    session: &mut Session,
    doing: &str,
    query: &str,
    columns: usize,
) -> Result<Fingerprint, Error> {
    let mut taken = Rows::default();
    let mut rows = session.stream(doing, query).await?;
    while let Some(row) = rows.next().await? {
        for at in 0..row.len().min(columns) {
            taken.value(value(&row, at));
        }
        taken.end_row();
    }
    Ok(taken.finish())
}

/// The bytes of a value; `None` for NULL.
pub(super) fn value(row: &Row, at: usize) -> Option<&[u8]> {
    match row.as_ref(at) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}
