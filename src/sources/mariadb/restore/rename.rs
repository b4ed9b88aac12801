//! Restoring a database under another name: the few places where a dump names it.
//!
//! `USE`, `CREATE DATABASE` and `ALTER DATABASE` name it, default values of columns name it with their sequences, views
//! name it with their functions and tables, and the heads of triggers as their authors wrote them. The bodies of
//! routines, triggers and events stay.

use super::super::names::{self, name_end, string_end};
use super::super::script::Label;
use super::super::sql;
use super::super::sql::quoted;
use super::trigger;

/// A statement that names its database, in a way that cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed;

/// What a stored text begins with.
const TEXT: &[u8] = b"SET @chupacabra = ";

/// Charsets in which the second byte of a character may look like a backslash or a backtick, and what may be in one.
const AMBIGUOUS: [&str; 5] = ["big5", "gbk", "sjis", "cp932", "binary"];

/// The statement with the other name.
pub(super) fn renamed(sql: &[u8], label: Option<&Label>, from: &str, to: &str) -> Result<Vec<u8>, Fixed> {
    let kind = label.map_or("", |label| label.kind.as_str());
    for start in ["USE ", "ALTER DATABASE ", "CREATE DATABASE ", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ "]
    {
        if let Some(rest) = sql.strip_prefix(format!("{start}{}", quoted(from)).as_bytes()) {
            return Ok([start.as_bytes(), quoted(to).as_bytes(), rest].concat());
        }
    }
    match (kind, sql.strip_prefix(TEXT)) {
        ("table", _) if sql.starts_with(b"CREATE") => Ok(qualifiers(sql, from, to)),
        ("view" | "trigger", Some(literal)) => {
            let text = Text::read(literal).ok_or(Fixed)?;
            text.changed(kind == "trigger", from, to)
        }
        _ => Ok(sql.to_vec()),
    }
}

/// A text that stands in a literal: in quotes, where nothing but a backslash escapes, or as hexadecimal digits.
struct Text {
    charset: Option<String>,
    plain: Vec<u8>,
}

impl Text {
    fn read(literal: &[u8]) -> Option<Self> {
        if let Some(body) = literal.strip_prefix(b"'") {
            return Some(Self { charset: None, plain: unescaped(body.strip_suffix(b"'")?) });
        }
        let (charset, digits) = std::str::from_utf8(literal).ok()?.strip_prefix('_')?.split_once(" 0x")?;
        Some(Self { charset: Some(charset.to_owned()), plain: hex::decode(digits).ok()? })
    }

    fn changed(self, trigger: bool, from: &str, to: &str) -> Result<Vec<u8>, Fixed> {
        let ambiguous = self.charset.as_deref().is_some_and(|charset| AMBIGUOUS.contains(&charset));
        let places = if trigger {
            let head = trigger::qualifiers(&self.plain).ok_or(Fixed)?;
            // Only the head is looked into, and the whole of it.
            if ambiguous && !self.plain[..head.end].is_ascii() {
                return Err(Fixed);
            }
            head.qualifiers
        } else {
            let chains = names::chains(&self.plain).into_iter().filter(names::Chain::begins_with_a_database);
            let first: Vec<_> = chains.filter_map(|chain| chain.names.into_iter().next()).collect();
            let uncertain = ambiguous || (self.charset.is_some() && !from.is_ascii());
            if uncertain && !first.is_empty() {
                return Err(Fixed);
            }
            first.into_iter().filter(|at| self.plain[at.clone()] == *quoted(from).as_bytes()).collect()
        };
        if self.charset.is_some() && !to.is_ascii() && !places.is_empty() {
            return Err(Fixed);
        }
        let (mut out, mut done) = (Vec::with_capacity(self.plain.len() + 64), 0);
        for place in places {
            out.extend_from_slice(&self.plain[done..place.start]);
            out.extend_from_slice(quoted(to).as_bytes());
            done = place.end;
        }
        out.extend_from_slice(&self.plain[done..]);
        let mut statement = TEXT.to_vec();
        match self.charset {
            Some(charset) => {
                statement.extend_from_slice(format!("_{charset} ").as_bytes());
                sql::hexadecimal(&mut statement, &out);
            }
            None => sql::string(&mut statement, &out),
        }
        Ok(statement)
    }
}

fn unescaped(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            let Some((&escaped, tail)) = tail.split_first() else { break };
            plain.push(match escaped {
                b'0' => 0,
                b'r' => b'\r',
                b'Z' => 0x1a,
                other => other,
            });
            rest = tail;
        } else {
            plain.push(byte);
        }
    }
    plain
}

/// Replaces the name where it stands in backticks before a dot, outside of strings.
fn qualifiers(sql: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (wanted, other) = (quoted(from), quoted(to));
    let mut out = Vec::with_capacity(sql.len() + 64);
    let mut at = 0;
    // A name after a dot or before no dot is another thing of the same name.
    while at < sql.len() {
        let end = match sql[at] {
            b'\'' => string_end(sql, at),
            b'`' => name_end(sql, at),
            _ => at + 1,
        };
        let token = &sql[at..end];
        let qualifies = token == wanted.as_bytes() && sql.get(end) == Some(&b'.') && !out.ends_with(b".");
        out.extend_from_slice(if qualifies { other.as_bytes() } else { token });
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(sql: &str, kind: &str, to: &str) -> Result<String, Fixed> {
        let label = Label::new(kind, "a", "x");
        renamed(sql.as_bytes(), Some(&label), "a", to).map(|sql| String::from_utf8(sql).unwrap())
    }

    fn text(sql: &str, kind: &str) -> String {
        tried(sql, kind, "b`b").unwrap()
    }

    #[test]
    fn only_the_databases_name_changes() {
        assert_eq!(text("USE `a`", "database"), "USE `b``b`");
        let create = "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `a` /*!40100 COMMENT 'USE `a`' */";
        assert_eq!(text(create, "database"), create.replacen("`a`", "`b``b`", 1));
        assert_eq!(
            text("CREATE TABLE `a` (`a` int DEFAULT nextval(`a`.`a`) COMMENT '`a`.`a`')", "table"),
            "CREATE TABLE `a` (`a` int DEFAULT nextval(`b``b`.`a`) COMMENT '`a`.`a`')"
        );
        assert_eq!(text("INSERT INTO `a` VALUES ('`a`.')", "table"), "INSERT INTO `a` VALUES ('`a`.')");
        assert_eq!(
            text("SET @chupacabra = 'CREATE VIEW `v` AS select `a`.`f`(\\'`a`.\\')'", "view"),
            "SET @chupacabra = 'CREATE VIEW `v` AS select `b``b`.`f`(\\'`a`.\\')'"
        );
        assert_eq!(
            text("SET @chupacabra = 'BEGIN `a`.`f`'", "procedure"),
            "SET @chupacabra = 'BEGIN `a`.`f`'"
        );
    }

    #[test]
    fn an_alias_of_the_databases_name_stays() {
        assert_eq!(
            text(
                "SET @chupacabra = 'CREATE VIEW `v` AS select `a`.`a`.`id`,`a`.`id` from `a`.`t` `a` join `a`'",
                "view"
            ),
            "SET @chupacabra = 'CREATE VIEW `v` AS select `b``b`.`a`.`id`,`a`.`id` from `b``b`.`t` `a` join `a`'"
        );
    }

    #[test]
    fn a_triggers_head_is_changed_and_its_body_is_not() {
        assert_eq!(
            text(
                "SET @chupacabra = 'CREATE TRIGGER a.t AFTER INSERT ON `a` . `x` FOR EACH ROW DELETE FROM a.y'",
                "trigger"
            ),
            "SET @chupacabra = 'CREATE TRIGGER `b``b`.t AFTER INSERT ON `b``b` . `x` FOR EACH ROW DELETE FROM a.y'"
        );
        assert_eq!(tried("SET @chupacabra = 'CREATE TRIGGER'", "trigger", "b"), Err(Fixed));
    }

    #[test]
    fn texts_of_other_charsets_are_changed_or_refused() {
        let hexadecimal = |charset: &str, text: &[u8]| {
            let mut out = format!("SET @chupacabra = _{charset} ").into_bytes();
            sql::hexadecimal(&mut out, text);
            String::from_utf8(out).unwrap()
        };
        let view = hexadecimal("latin1", b"select `a`.`f`('\xe9')");
        assert_eq!(tried(&view, "view", "b").unwrap(), hexadecimal("latin1", b"select `b`.`f`('\xe9')"));
        assert_eq!(tried(&view, "view", "\u{e9}"), Err(Fixed), "the name would have to be in latin1");
        let own = hexadecimal("sjis", b"select `f`('\x83\x5c')");
        assert_eq!(tried(&own, "view", "b").unwrap(), own);
        assert_eq!(tried(&hexadecimal("sjis", b"select `a`.`f`('\x83\x5c')"), "view", "b"), Err(Fixed));
        let trigger =
            hexadecimal("sjis", b"CREATE TRIGGER a.t BEFORE UPDATE ON x FOR EACH ROW SET @a = '\x83\x5c'");
        let other =
            hexadecimal("sjis", b"CREATE TRIGGER `b`.t BEFORE UPDATE ON x FOR EACH ROW SET @a = '\x83\x5c'");
        assert_eq!(tried(&trigger, "trigger", "b").unwrap(), other);
        let named =
            hexadecimal("sjis", b"CREATE TRIGGER a.t BEFORE UPDATE ON `\x83\x5c` FOR EACH ROW SET @a = 1");
        assert_eq!(tried(&named, "trigger", "b"), Err(Fixed));
    }
}
