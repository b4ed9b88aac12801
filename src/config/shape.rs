//! Compares a document with the JSON Schema, so that all misspelt, missing and misplaced keys are told at once.
//!
//! Values are never quoted from where a mapping should be: it may be a secret in the wrong place.

use serde_json::{Map, Value};

use super::context::Problem;
use super::document::{Content, Entry, Node};
use super::suggest::{nearest, one_of};
use super::units::{ByteSize, Rate, Span};

/// Everything in which `document` does not have the schema's shape.
pub(super) fn problems(document: &Node, schema: &Value) -> Vec<Problem> {
    let mut shape = Shape { root: schema, path: Vec::new(), problems: Vec::new() };
    shape.value(document, schema);
    shape.problems
}

struct Shape<'a> {
    root: &'a Value,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl<'a> Shape<'a> {
    fn problem(&mut self, what: impl Into<String>, help: impl Into<String>) {
        let path = self.path.join(".").replace(".[", "[");
        self.problems.push(Problem { path, what: what.into(), help: help.into() });
    }

    fn value(&mut self, node: &Node, schema: &'a Value) {
        if matches!(node.content, Content::Alias)
            || (is_nullable(schema) && matches!(node.content, Content::Null))
        {
            return;
        }
        let (name, schema) = self.resolve(schema);
        if name == "SecretRef" && !matches!(node.content, Content::Mapping(_)) {
            self.problem(
                "a secret never stands in the configuration itself",
                "write `{ env: NAME }` or `{ file: PATH }`",
            );
        } else if let Some(known) = schema.get("properties").and_then(Value::as_object) {
            self.mapping(node, schema, known);
        } else if let Some(each) = schema.get("additionalProperties").filter(|each| each.is_object()) {
            self.names(node, each);
        } else if let Some(each) = schema.get("items") {
            self.sequence(node, each);
        } else {
            self.scalar(node, name, schema);
        }
    }

    /// Follows references, and leaves `null` out of "this or nothing".
    fn resolve(&self, mut schema: &'a Value) -> (&'a str, &'a Value) {
        let mut name = "";
        for _ in 0..8 {
            let choices = schema.get("anyOf").and_then(Value::as_array);
            let real = choices.and_then(|choices| choices.iter().find(|choice| !is_nullable(choice)));
            let reference = schema.get("$ref").and_then(Value::as_str);
            if let Some(real) = real {
                schema = real;
            } else if let Some(target) = reference.and_then(|to| self.root.pointer(to.strip_prefix('#')?)) {
                name = reference.and_then(|to| to.rsplit('/').next()).unwrap_or_default();
                schema = target;
            } else {
                break;
            }
        }
        (name, schema)
    }

    fn mapping(&mut self, node: &Node, schema: &'a Value, known: &'a Map<String, Value>) {
        let Content::Mapping(entries) = &node.content else {
            let keys = known.keys().map(String::as_str);
            let what = format!("keys are expected here, there is {}", described(node));
            return self.problem(what, format!("write below it, indented, {}", one_of(keys)));
        };
        for entry in entries.iter().filter(|entry| entry.key != "<<") {
            self.path.push(entry.key.clone());
            match known.get(&entry.key) {
                Some(schema) => self.value(&entry.value, schema),
                None => self.unknown(entry, known),
            }
            self.path.pop();
        }
        // A misspelt key has been told already: it is not missing as well.
        let meant = |entry: &Entry| nearest(&entry.key, known.keys().map(String::as_str));
        let has = |key: &str| {
            entries.iter().any(|entry| entry.key == key || entry.key == "<<" || meant(entry) == Some(key))
        };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !has(key)) {
            let about = known.get(key).and_then(|known| known.get("description")).and_then(Value::as_str);
            let about = about.and_then(|about| about.split_terminator(['.', ':']).next()).unwrap_or_default();
            let help = if about.is_empty() {
                "add it".to_owned()
            } else {
                format!("add `{key}:` — {}", lower(about))
            };
            self.problem(format!("the key `{key}` is missing"), help);
        }
    }

    fn unknown(&mut self, entry: &Entry, known: &Map<String, Value>) {
        let keys = || known.keys().map(String::as_str);
        let help = match nearest(&entry.key, keys()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", one_of(keys())),
        };
        self.problem(format!("unknown key `{}`", entry.key), help);
    }

    fn names(&mut self, node: &Node, each: &'a Value) {
        let Content::Mapping(entries) = &node.content else {
            let what = format!("names are expected here, there is {}", described(node));
            return self
                .problem(what, "write below it, indented, a name of your choice, a colon, and its settings");
        };
        for entry in entries.iter().filter(|entry| entry.key != "<<") {
            self.path.push(entry.key.clone());
            self.value(&entry.value, each);
            self.path.pop();
        }
    }

    fn sequence(&mut self, node: &Node, each: &'a Value) {
        let Content::Sequence(items) = &node.content else {
            let what = format!("a list is expected here, there is {}", described(node));
            return self.problem(what, "write `[one, two]`, or each on its own line after `- `");
        };
        for (index, item) in items.iter().enumerate() {
            self.path.push(format!("[{index}]"));
            self.value(item, each);
            self.path.pop();
        }
    }

    fn scalar(&mut self, node: &Node, name: &str, schema: &Value) {
        let Content::Scalar(text) = &node.content else {
            let what = format!("one value is expected here, there is {}", described(node));
            let about = schema.get("description").and_then(Value::as_str).unwrap_or("a single value");
            return self.problem(what, format!("write {}", lower(about)));
        };
        let unit = match name {
            "ByteSize" => text
                .parse::<ByteSize>()
                .err()
                .map(|e| (e, "write a size with its unit: `512KiB`, `64MiB`, `2GiB`")),
            "Span" => {
                text.parse::<Span>().err().map(|e| (e, "write a duration with its unit: `90s`, `26h`, `30d`"))
            }
            "Rate" => {
                let help = "write a size with its unit and `/s`: `512KiB/s`, `10MiB/s`";
                text.parse::<Rate>().err().map(|e| (e, help))
            }
            _ => None,
        };
        if let Some((error, help)) = unit {
            return self.problem(error.to_string(), help);
        }
        let words = words(schema);
        if !words.is_empty() && !words.contains(&text.as_str()) {
            let help = nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`? "));
            let help = format!("{}write {}", help.unwrap_or_default(), one_of(words));
            return self.problem(format!("`{text}` is not known here"), help);
        }
        match kind(schema) {
            "boolean" if !matches!(text.as_str(), "true" | "false") => {
                self.problem(format!("`{text}` is neither `true` nor `false`"), "write `true` or `false`");
            }
            "integer" => self.integer(text, schema),
            _ => {}
        }
    }

    fn integer(&mut self, text: &str, schema: &Value) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let (least, most) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        let range = match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => format!("write a whole number from {least} to {most}"),
            (Some(least), None) => format!("write a whole number, {least} or more"),
            _ => "write a whole number".to_owned(),
        };
        match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => {}
            Ok(number) => self.problem(format!("{number} is out of range"), range),
            Err(_) => self.problem(format!("`{text}` is not a whole number"), range),
        }
    }
}

/// The first of the schema's types that is not null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

fn is_nullable(schema: &Value) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "null",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "null"),
        _ => schema.get("anyOf").and_then(Value::as_array).is_some_and(|any| any.iter().any(is_nullable)),
    }
}

/// The words of an enumeration, in either of the two forms in which schemars writes them.
fn words(schema: &Value) -> Vec<&str> {
    let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut words: Vec<&str> = list("enum").filter_map(Value::as_str).collect();
    for choice in list("oneOf") {
        words.extend(choice.get("const").and_then(Value::as_str));
        words.extend(
            choice.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str),
        );
    }
    words
}

/// What stands there, without its value.
fn described(node: &Node) -> &'static str {
    match node.content {
        Content::Null => "nothing",
        Content::Scalar(_) => "a single value",
        Content::Sequence(_) => "a list",
        Content::Mapping(_) => "a mapping",
        Content::Alias => "an alias",
    }
}

fn lower(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
