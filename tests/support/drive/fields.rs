//! The parameter `fields`: which parts of an answer are wanted.

use serde_json::{Map, Value};

/// A selection such as `files(id,name),nextPageToken` or `*`.
#[derive(Debug, PartialEq)]
pub(super) enum Mask {
    All,
    Some(Vec<(String, Mask)>),
}

impl Mask {
    /// Reads a selection; `None` if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mask = list(&mut rest)?;
        rest.is_empty().then_some(mask)
    }

    /// What is selected of a value.
    pub(super) fn apply(&self, value: &Value) -> Value {
        match (self, value) {
            (Self::All, _) => value.clone(),
            (_, Value::Array(items)) => items.iter().map(|item| self.apply(item)).collect(),
            (Self::Some(wanted), Value::Object(all)) => {
                let mut selected = Map::new();
                for (name, mask) in wanted {
                    if name == "*" {
                        return mask.apply(value);
                    }
                    if let Some(value) = all.get(name) {
                        selected.insert(name.clone(), mask.apply(value));
                    }
                }
                Value::Object(selected)
            }
            _ => value.clone(),
        }
    }
}

fn list(rest: &mut &str) -> Option<Mask> {
    let mut wanted = Vec::new();
    loop {
        *rest = rest.trim_start();
        let end = rest.find([',', '(', ')', '/']).unwrap_or(rest.len());
        let name = rest[..end].trim().to_owned();
        if name.is_empty() {
            return None;
        }
        *rest = &rest[end..];
        let mask = if let Some(after) = rest.strip_prefix('(') {
            *rest = after;
            let mask = list(rest)?;
            *rest = rest.strip_prefix(')')?;
            mask
        } else if let Some(after) = rest.strip_prefix('/') {
            let end = after.find([',', '(', ')', '/']).unwrap_or(after.len());
            let inner = after[..end].to_owned();
            *rest = &after[end..];
            Mask::Some(vec![(inner, Mask::All)])
        } else {
            Mask::All
        };
        wanted.push((name, mask));
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Some(Mask::Some(wanted)),
        }
    }
}
