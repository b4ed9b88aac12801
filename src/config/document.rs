//! The configuration file as a tree of keys with their lines, so that every problem can be told with its place.
//!
//! Only positions and shapes come from here; values are read by serde. A document that repeats a key, nests absurdly
//! or is no YAML at all ends here.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

/// Deeper than any configuration, shallower than any stack.
const MAX_DEPTH: usize = 64;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// A YAML alias: what it stands for is serde's business.
    Alias,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// Why a text is not a document.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) help: String,
}

impl Malformed {
    fn new(place: Place, what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, what: what.into(), help: help.into() }
    }
}

impl From<ScanError> for Malformed {
    fn from(error: ScanError) -> Self {
        let marker = error.marker();
        let place = Place { line: marker.line(), column: marker.col() + 1 };
        let help = "check the indentation (spaces, never tabs), the colons and the quotes on this and the line above";
        Self::new(place, format!("this is not YAML: {}", error.info()), help)
    }
}

/// Reads a text; an empty one is an empty mapping.
pub(super) fn scan(text: &str) -> Result<Node, Malformed> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    loop {
        let (event, place) = events.next()?;
        match event {
            Event::StreamEnd => {
                return Ok(Node { place, content: Content::Mapping(Vec::new()) });
            }
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            node => {
                let root = events.node(node, place, 0)?;
                events.end()?;
                return Ok(root);
            }
        }
    }
}

struct Events<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
}

impl<'a> Events<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), Malformed> {
        let end = Place { line: 1, column: 1 };
        let (event, span): (Event<'a>, Span) =
            self.parser.next().unwrap_or(Ok((Event::StreamEnd, Span::default())))?;
        let start = span.start;
        let place =
            if start.line() == 0 { end } else { Place { line: start.line(), column: start.col() + 1 } };
        Ok((event, place))
    }

    /// Refuses a second document: only one of them could count.
    fn end(&mut self) -> Result<(), Malformed> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentEnd, _) => {}
                (_, place) => {
                    let what = "a second document begins here";
                    return Err(Malformed::new(
                        place,
                        what,
                        "keep one document in the file: remove the `---`",
                    ));
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::new(place, "this is nested too deeply", "write it with fewer levels"));
        }
        let content = match event {
            Event::Scalar(text, style, _, tag) => scalar(text, style, tag.is_some()),
            Event::SequenceStart(..) => self.sequence(depth)?,
            Event::MappingStart(..) => self.mapping(depth)?,
            _ => Content::Alias,
        };
        Ok(Node { place, content })
    }

    fn sequence(&mut self, depth: usize) -> Result<Content, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::Sequence(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Content, Malformed> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Content::Mapping(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    return Err(Malformed::new(
                        place,
                        "this is not a key",
                        "write a plain word before the colon",
                    ));
                }
            };
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let what = format!("the key `{key}` is already there, on line {}", first.place.line);
                return Err(Malformed::new(place, what, "keep one of the two"));
            }
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            entries.push(Entry { key, place, value });
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tagged: bool) -> Content {
    let null = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
    if null && style == ScalarStyle::Plain && !tagged {
        Content::Null
    } else {
        Content::Scalar(text.into_owned())
    }
}

impl Node {
    /// The place of the key at `path` (`stores.nas.local`, `recipients[0]`), or of the deepest of its parents.
    pub(super) fn find(&self, path: &str) -> Place {
        self.descend(path, self.place)
    }

    fn descend(&self, path: &str, place: Place) -> Place {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &self.content {
            Content::Mapping(entries) => entries
                .iter()
                .filter(|entry| begins(path, &entry.key))
                .max_by_key(|entry| entry.key.len())
                .map_or(place, |entry| entry.value.descend(&path[entry.key.len()..], entry.place)),
            Content::Sequence(items) => {
                let inner = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let item =
                    inner.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                item.map_or(place, |(item, rest)| item.descend(rest, item.place))
            }
            _ => place,
        }
    }
}

/// Whether `path` begins with the whole key, not with a longer one of the same beginning.
fn begins(path: &str, key: &str) -> bool {
    path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, path: &str) -> usize {
        scan(text).unwrap().find(path).line
    }

    #[test]
    fn keys_are_found_by_path() {
        let text = "a:\n  b:\n    c: 1\n  b.d:\n    - x\n    - y: 2\n";
        assert_eq!(line(text, "a"), 1);
        assert_eq!(line(text, "a.b.c"), 3);
        assert_eq!(line(text, "a.b.missing"), 2);
        assert_eq!(line(text, "a.b.d"), 4);
        assert_eq!(line(text, "a.b.d[1].y"), 6);
        assert_eq!(line(text, "a.b.d[7]"), 4);
        assert_eq!(line(text, ""), 1);
    }

    #[test]
    fn broken_documents_name_their_line() {
        let broken = |text: &str| scan(text).map(|_| ()).unwrap_err();
        let twice = broken("a: 1\nb: 2\na: 3\n");
        assert_eq!((twice.place.line, twice.what.as_str()), (3, "the key `a` is already there, on line 1"));
        assert_eq!(broken("a:\n\tb: 2\n").place.line, 2);
        assert_eq!(broken("a: 1\n---\nb: 2\n").place.line, 2);
        assert_eq!(
            broken(&format!("{}{}", "[".repeat(70), "]".repeat(70))).what,
            "this is nested too deeply"
        );
        // Deeper still, the parser itself gives up: an error too, not a crash.
        broken(&"[".repeat(100_000));
    }

    #[test]
    fn nothing_is_an_empty_mapping() {
        for text in ["", "# only a comment\n"] {
            assert!(matches!(scan(text).unwrap().content, Content::Mapping(entries) if entries.is_empty()));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[\\PC\n]{0,200}") {
            if let Ok(node) = scan(&text) {
                node.find("a.b[0].c");
            }
        }
    }
}
