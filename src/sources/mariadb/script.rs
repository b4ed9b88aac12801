//! Members of SQL: statements that stock clients read and that our own restore takes apart without parsing SQL.
//!
//! Before each statement stands a comment line with its length in bytes:
//!
//! ```text
//! -- statement 0000000045
//! INSERT INTO `t` (`a`) VALUES
//! (1),
//! (2);
//! ```
//!
//! The length counts neither the `;` nor the line end after it. To a client the line is a comment. Text that came
//! from the database never stands outside of quotes, so no client can misread it: the bodies of programs, with their
//! own comments, delimiters and charsets, travel as string literals into `EXECUTE IMMEDIATE`.

use bytes::Bytes;

use super::sql;

/// What a line before a statement begins with.
const MARK: &[u8] = b"-- statement ";

/// The digits of a length.
const DIGITS: usize = 10;

/// A member being written.
#[derive(Debug, Default)]
pub(super) struct Script {
    out: Vec<u8>,
}

/// A statement being written; its length is still to come.
#[derive(Debug)]
pub(super) struct Open(usize);

impl Script {
    /// A member whose data is about `capacity` bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// The bytes so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes text as comment lines, each of its own lines behind its own mark.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.split(['\n', '\r']) {
            self.out.extend_from_slice(b"-- # ");
            self.out.extend(line.bytes().filter(|byte| *byte != 0));
            self.out.push(b'\n');
        }
    }

    /// Writes one statement.
    pub(super) fn statement(&mut self, sql: impl AsRef<[u8]>) {
        let open = self.open();
        self.out.extend_from_slice(sql.as_ref());
        self.close(open);
    }

    /// Begins a statement; its text is appended to [`text`](Self::text).
    pub(super) fn open(&mut self) -> Open {
        self.out.extend_from_slice(MARK);
        self.out.extend_from_slice(&[b'0'; DIGITS]);
        self.out.push(b'\n');
        Open(self.out.len())
    }

    /// Where the text of an open statement goes.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The length of an open statement so far.
    pub(super) fn length(&self, open: &Open) -> usize {
        self.out.len() - open.0
    }

    /// Ends a statement and writes its length before it.
    pub(super) fn close(&mut self, open: Open) {
        let length = format!("{:0DIGITS$}", self.out.len() - open.0);
        let digits = open.0 - 1 - DIGITS;
        self.out[digits..open.0 - 1].copy_from_slice(length.as_bytes());
        self.out.extend_from_slice(b";\n");
    }

    /// Writes `SET` of the database that the following statements work in.
    pub(super) fn use_database(&mut self, database: &str) {
        self.statement(format!("USE {}", sql::quoted(database)));
    }

    /// The member's bytes.
    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }
}
