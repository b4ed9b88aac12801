//! Drive's search language (developers.google.com/workspace/drive/api/guides/search-files), as far as backups need it.

use chupacabra::clock::Timestamp;
use serde_json::Value;

use super::world::Entry;

/// A search term.
#[derive(Debug)]
pub(super) enum Term {
    And(Vec<Term>),
    Or(Vec<Term>),
    Not(Box<Term>),
    Text { field: String, operator: String, value: String },
    Trashed(bool),
    Parent(String),
    Property { key: String, value: String },
}

impl Term {
    /// Whether a file is found. Properties are those of the caller's own OAuth client.
    pub(super) fn finds(&self, entry: &Entry, app: &str) -> bool {
        match self {
            Self::And(terms) => terms.iter().all(|term| term.finds(entry, app)),
            Self::Or(terms) => terms.iter().any(|term| term.finds(entry, app)),
            Self::Not(term) => !term.finds(entry, app),
            Self::Trashed(wanted) => entry.trashed == *wanted,
            Self::Parent(id) => entry.parent == *id,
            Self::Property { key, value } => {
                entry.app == app && entry.properties.get(key).and_then(Value::as_str) == Some(value)
            }
            Self::Text { field, operator, value } => {
                let have = if field == "name" { &entry.name } else { &entry.mime };
                // Names are compared without regard to capital letters.
                let (have, value) = (have.to_lowercase(), value.to_lowercase());
                match (field.as_str(), operator.as_str()) {
                    ("modifiedTime", _) => {
                        let then =
                            value.to_uppercase().parse::<Timestamp>().map_or(0, Timestamp::as_millisecond);
                        match operator.as_str() {
                            ">" => entry.modified > then,
                            ">=" => entry.modified >= then,
                            "<" => entry.modified < then,
                            _ => entry.modified <= then,
                        }
                    }
                    (_, "=") => have == value,
                    (_, "!=") => have != value,
                    // `contains` finds the beginnings of names.
                    _ => have.starts_with(&value),
                }
            }
        }
    }

    /// Reads a search; an error is what Drive calls an invalid value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut tokens = tokens(text)?;
        tokens.reverse();
        let term = or(&mut tokens)?;
        tokens.is_empty().then_some(term)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '\'' => {
                let mut value = String::new();
                loop {
                    match letters.next()? {
                        '\\' => value.push(letters.next()?),
                        '\'' => break,
                        other => value.push(other),
                    }
                }
                tokens.push(Token::Text(value));
            }
            '(' | ')' | '{' | '}' | '=' => tokens.push(Token::Sign(letter.into())),
            '!' | '<' | '>' => {
                let mut sign = letter.to_string();
                if letters.peek() == Some(&'=') {
                    sign.push(letters.next()?);
                }
                tokens.push(Token::Sign(sign));
            }
            _ => {
                let mut word = letter.to_string();
                while let Some(next) = letters.peek().filter(|next| next.is_ascii_alphanumeric()) {
                    word.push(*next);
                    letters.next();
                }
                tokens.push(Token::Word(word));
            }
        }
    }
    Some(tokens)
}

fn is_word(token: Option<&Token>, word: &str) -> bool {
    token == Some(&Token::Word(word.into()))
}

fn or(tokens: &mut Vec<Token>) -> Option<Term> {
    let mut terms = vec![and(tokens)?];
    while is_word(tokens.last(), "or") {
        tokens.pop();
        terms.push(and(tokens)?);
    }
    Some(Term::Or(terms))
}

fn and(tokens: &mut Vec<Token>) -> Option<Term> {
    let mut terms = vec![single(tokens)?];
    while is_word(tokens.last(), "and") {
        tokens.pop();
        terms.push(single(tokens)?);
    }
    Some(Term::And(terms))
}

fn sign(tokens: &mut Vec<Token>, wanted: &str) -> Option<()> {
    (tokens.pop()? == Token::Sign(wanted.into())).then_some(())
}

fn word(tokens: &mut Vec<Token>, wanted: &str) -> Option<()> {
    (tokens.pop()? == Token::Word(wanted.into())).then_some(())
}

fn text(tokens: &mut Vec<Token>) -> Option<String> {
    match tokens.pop()? {
        Token::Text(text) => Some(text),
        _ => None,
    }
}

fn single(tokens: &mut Vec<Token>) -> Option<Term> {
    match tokens.pop()? {
        Token::Sign(open) if open == "(" => {
            let term = or(tokens)?;
            sign(tokens, ")")?;
            Some(term)
        }
        Token::Word(not) if not == "not" => Some(Term::Not(Box::new(single(tokens)?))),
        Token::Text(id) => {
            word(tokens, "in")?;
            word(tokens, "parents")?;
            Some(Term::Parent(id))
        }
        Token::Word(field) if field == "trashed" => {
            let Token::Sign(operator) = tokens.pop()? else { return None };
            let Token::Word(value) = tokens.pop()? else { return None };
            Some(Term::Trashed((value == "true") == (operator == "=")))
        }
        Token::Word(field) if field == "appProperties" => {
            word(tokens, "has")?;
            sign(tokens, "{")?;
            word(tokens, "key")?;
            sign(tokens, "=")?;
            let key = text(tokens)?;
            word(tokens, "and")?;
            word(tokens, "value")?;
            sign(tokens, "=")?;
            let value = text(tokens)?;
            sign(tokens, "}")?;
            Some(Term::Property { key, value })
        }
        Token::Word(field) if matches!(field.as_str(), "name" | "mimeType" | "modifiedTime") => {
            let operator = match tokens.pop()? {
                Token::Sign(sign) => sign,
                Token::Word(word) if word == "contains" => word,
                _ => return None,
            };
            Some(Term::Text { field, operator, value: text(tokens)? })
        }
        _ => None,
    }
}
