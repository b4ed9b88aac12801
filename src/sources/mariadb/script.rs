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
//! A line `-- object KIND NAME` says what the statements after it make, up to the next such line; a trigger's has
//! ` on TABLE` after it. All names are encoded as in members' paths, so a line is a line.
//!
//! The length counts neither the `;` nor the line end after it. To a client the line is a comment. Text that came
//! from the database never stands outside of quotes, so no client can misread it: the bodies of programs, with their
//! own comments, delimiters and charsets, travel as string literals into `EXECUTE IMMEDIATE`.

use std::fmt;

use bytes::Bytes;

use super::sql;

/// What a line before a statement begins with.
const MARK: &[u8] = b"-- statement ";

/// What a line that names an object begins with.
const OBJECT: &[u8] = b"-- object ";

/// What a line for people begins with.
const COMMENT: &[u8] = b"-- # ";

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
            self.out.extend_from_slice(COMMENT);
            self.out.extend(line.bytes().filter(|byte| *byte != 0));
            self.out.push(b'\n');
        }
    }

    /// Says what the following statements make.
    pub(super) fn object(&mut self, label: &Label) {
        self.out.extend_from_slice(OBJECT);
        self.out.extend_from_slice(label.to_string().as_bytes());
        self.out.push(b'\n');
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
    #[allow(clippy::needless_pass_by_value, reason = "a statement is closed once")]
    pub(super) fn close(&mut self, open: Open) {
        let length = format!("{:0DIGITS$}", self.out.len() - open.0);
        let digits = open.0 - 1 - DIGITS;
        self.out[digits..open.0 - 1].copy_from_slice(length.as_bytes());
        self.out.extend_from_slice(b";\n");
    }

    /// Writes `USE` of the database that the following statements work in.
    pub(super) fn use_database(&mut self, database: &str) {
        self.statement(format!("USE {}", sql::quoted(database)));
    }

    /// The member's bytes.
    pub(super) fn finish(self) -> Bytes {
        Bytes::from(self.out)
    }
}

/// What some statements make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// `database`, `defaults`, `table`, `sequence`, `view`, `placeholder`, `trigger`, `function`, `procedure`, `package`,
    /// `package_body`, `event`.
    pub(super) kind: String,
    /// Its name, `database.name`, encoded.
    pub(super) name: String,
    /// The table of a trigger, encoded.
    pub(super) on: Option<String>,
}

impl Label {
    /// A label for an object of a database.
    pub(super) fn new(kind: &str, database: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: object_name(database, name), on: None }
    }

    /// The label of a trigger on a table of its database.
    pub(super) fn on(self, database: &str, table: &str) -> Self {
        Self { on: Some(object_name(database, table)), ..self }
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split(' ').map(str::to_owned);
        let (kind, name) = (words.next()?, words.next()?);
        let on = match words.next().as_deref() {
            None => None,
            Some("on") => Some(words.next()?),
            Some(_) => return None,
        };
        words.next().is_none().then_some(Self { kind, name, on })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        self.on.as_ref().map_or(Ok(()), |table| write!(f, " on {table}"))
    }
}

/// The name of an object in the index and in labels: `database.name`, each encoded; a database's is its own.
pub(super) fn object_name(database: &str, name: &str) -> String {
    let database = super::catalog::encoded(database);
    if name.is_empty() { database } else { format!("{database}.{}", super::catalog::encoded(name)) }
}

/// One statement of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    /// What it makes, if it stands below a label.
    pub(super) label: Option<Label>,
    /// Its text, without the `;`.
    pub(super) sql: &'a [u8],
}

/// A member that is not one of ours, or was changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no statement begins at byte {0}")]
pub(super) struct Malformed(usize);

/// Takes a member apart.
pub(super) fn statements(member: &[u8]) -> Result<Vec<Statement<'_>>, Malformed> {
    let mut found = Vec::new();
    let (mut at, mut label) = (0, None);
    while at < member.len() {
        let malformed = Malformed(at);
        let rest = &member[at..];
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or(Malformed(at))?;
        let line = &rest[..end];
        let next = at + end + 1;
        if let Some(digits) = line.strip_prefix(MARK) {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == DIGITS);
            let length: usize = digits.and_then(|digits| digits.parse().ok()).ok_or(Malformed(at))?;
            let after = next.checked_add(length).ok_or(Malformed(at))?;
            let sql = member.get(next..after).ok_or(Malformed(at))?;
            if member.get(after..after + 2) != Some(b";\n") {
                return Err(malformed);
            }
            found.push(Statement { label: label.clone(), sql });
            at = after + 2;
        } else if let Some(named) = line.strip_prefix(OBJECT) {
            label = Some(Label::parse(named).ok_or(malformed)?);
            at = next;
        } else if line.starts_with(COMMENT) {
            at = next;
        } else {
            return Err(malformed);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_written_is_taken_apart_again(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..8),
            name in ".*", comment in ".*",
        ) {
            let label = Label::new("table", "d b", &format!("x{name}"));
            let mut script = Script::default();
            script.comment(&comment);
            script.object(&label);
            for text in &texts {
                script.statement(text);
            }
            let member = script.finish();
            let taken = statements(&member).unwrap();
            prop_assert_eq!(taken.len(), texts.len());
            for (statement, text) in taken.iter().zip(&texts) {
                prop_assert_eq!(statement.sql, text.as_slice());
                prop_assert_eq!(statement.label.as_ref(), Some(&label));
            }
        }

        #[test]
        fn any_bytes_are_taken_apart_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = statements(&bytes);
        }
    }

    #[test]
    fn a_changed_member_is_refused() {
        let mut script = Script::default();
        script.statement("SELECT 1");
        let member = script.finish();
        assert_eq!(statements(&member[..member.len() - 1]), Err(Malformed(0)));
        assert_eq!(statements(b"SELECT 1;\n"), Err(Malformed(0)));
        assert_eq!(statements(b"-- statement 9999999999\nx;\n"), Err(Malformed(0)));
        let longer = [&member[..], b"x\n"].concat();
        assert_eq!(statements(&longer), Err(Malformed(member.len())));
    }

    #[test]
    fn labels_name_a_triggers_table() {
        let label = Label::new("trigger", "shop", "on x").on("shop", "or.ders");
        assert_eq!(label.to_string(), "trigger shop.on%20x on shop.or%2Eders");
        assert_eq!(Label::parse(label.to_string().as_bytes()), Some(label));
    }
}
