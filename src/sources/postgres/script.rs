//! SQL scripts that say where their own parts begin and end.
//!
//! A script is a sequence of blocks. Each begins with a comment line that names its kind and its length, so that a
//! restore over the wire cuts it without parsing SQL, and `psql` reads it as it is:
//!
//! ```text
//! --: <kind> <bytes of statements> <bytes of data> <relation> <label>
//! <statements><data>
//! ```
//!
//! The relation is the table that the block belongs to, as members' paths write it, or `-`. Only `copy` blocks have data: the rows and the line `\.`. `psql` blocks hold what only `psql` understands.

/// What a block is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Backslash commands of `psql`.
    Psql,
    /// Session settings.
    Set,
    /// Roles, tablespaces and other things of the whole server.
    Global,
    /// Creates a database.
    Database,
    /// Properties of a database.
    Property,
    /// An object.
    Object,
    /// An index or a constraint with one.
    Index,
    /// A foreign key.
    ForeignKey,
    /// Who owns an object.
    Owner,
    /// Who may do what.
    Privilege,
    /// A sequence's value, a large object's content.
    Value,
    /// Rows of a table.
    Copy,
    /// Something that comes last: refreshed views, event triggers.
    Last,
}

const KINDS: &[(Kind, &str)] = &[
    (Kind::Psql, "psql"),
    (Kind::Set, "set"),
    (Kind::Global, "global"),
    (Kind::Database, "database"),
    (Kind::Property, "property"),
    (Kind::Object, "object"),
    (Kind::Index, "index"),
    (Kind::ForeignKey, "foreign_key"),
    (Kind::Owner, "owner"),
    (Kind::Privilege, "privilege"),
    (Kind::Value, "value"),
    (Kind::Copy, "copy"),
    (Kind::Last, "last"),
];

impl Kind {
    /// The word in the block's first line.
    pub(super) fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("object", |(_, word)| word)
    }
}

/// One block of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub kind: Kind,
    /// The table that it belongs to: `public.orders`, percent-encoded; `-` for none.
    pub relation: String,
    /// For messages only.
    pub label: String,
    pub statements: &'a [u8],
    pub data: &'a [u8],
}

/// Why bytes are not a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// A block does not begin where it should.
    #[error("no block begins at byte {0}")]
    NoBlock(usize),
    /// A block says that it is longer than the script.
    #[error("the block at byte {0} is cut off")]
    CutOff(usize),
}

/// Appends a block that belongs to no table.
pub(super) fn push(script: &mut Vec<u8>, kind: Kind, label: &str, statements: &[u8]) {
    push_for(script, kind, "-", label, statements);
}

/// Appends a block that belongs to a table.
pub(super) fn push_for(script: &mut Vec<u8>, kind: Kind, relation: &str, label: &str, statements: &[u8]) {
    let end: &[u8] = if statements.ends_with(b"\n") { b"" } else { b"\n" };
    script.extend_from_slice(&header(kind, statements.len() + end.len(), 0, relation, label));
    script.extend_from_slice(statements);
    script.extend_from_slice(end);
}

/// The line before a block. Lengths are padded, so that they can be filled in later.
pub(super) fn header(kind: Kind, statements: usize, data: usize, relation: &str, label: &str) -> Vec<u8> {
    let mut line = format!("--: {} {statements:010} {data:012} {relation} ", kind.word()).into_bytes();
    // The label is a comment for psql: nothing in a name may end it.
    line.extend(
        label.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c as u8 } else { b'?' }).take(120),
    );
    line.push(b'\n');
    line
}

/// Cuts a script into blocks.
pub(super) fn blocks(script: &[u8]) -> impl Iterator<Item = Result<Block<'_>, Error>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= script.len() {
            return None;
        }
        match block(script, at) {
            Ok((block, next)) => {
                at = next;
                Some(Ok(block))
            }
            Err(error) => {
                at = script.len();
                Some(Err(error))
            }
        }
    })
}

fn block(script: &[u8], at: usize) -> Result<(Block<'_>, usize), Error> {
    let rest = &script[at..];
    let end = rest.iter().position(|byte| *byte == b'\n').ok_or(Error::NoBlock(at))?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| Error::NoBlock(at))?;
    let mut words = line.strip_prefix("--: ").ok_or(Error::NoBlock(at))?.splitn(5, ' ');
    let word = words.next().unwrap_or_default();
    let kind = KINDS.iter().find(|(_, known)| *known == word).ok_or(Error::NoBlock(at))?.0;
    let mut length = || words.next().and_then(|text| text.parse::<usize>().ok()).ok_or(Error::NoBlock(at));
    let (statements, data) = (length()?, length()?);
    let relation = words.next().ok_or(Error::NoBlock(at))?.to_owned();
    let label = words.next().unwrap_or_default().to_owned();
    let body = &rest[end + 1..];
    let total = statements.checked_add(data).filter(|total| *total <= body.len()).ok_or(Error::CutOff(at))?;
    let block =
        Block { kind, relation, label, statements: &body[..statements], data: &body[statements..total] };
    Ok((block, at + end + 1 + total))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn blocks_come_back(parts in prop::collection::vec((0..KINDS.len(), ".*", prop::collection::vec(any::<u8>(), 0..200)), 0..8)) {
            let mut script = Vec::new();
            for (kind, label, statements) in &parts {
                push(&mut script, KINDS[*kind].0, label, statements);
            }
            let back: Vec<_> = blocks(&script).collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(back.len(), parts.len());
            for (block, (kind, _, statements)) in back.iter().zip(&parts) {
                prop_assert_eq!(block.kind, KINDS[*kind].0);
                prop_assert_eq!(block.statements.strip_suffix(b"\n").unwrap(), statements.strip_suffix(b"\n").unwrap_or(statements));
                prop_assert!(block.data.is_empty());
            }
        }

        #[test]
        fn a_cut_script_is_refused(statements in "[a-z]{1,80}", cut in 1..60_usize) {
            let mut script = Vec::new();
            push(&mut script, Kind::Object, "x", statements.as_bytes());
            let end = script.len() - cut.min(script.len() - 1);
            prop_assert!(blocks(&script[..end]).any(|block| block.is_err()));
        }
    }
}
