//! Restoring a database under another name: the few places where a dump names it.
//!
//! `USE`, `CREATE DATABASE` and `ALTER DATABASE` name it, default values of columns name it with their sequences, and
//! views name it with their functions. The bodies of routines, triggers and events stay as their authors wrote them.

use super::super::script::Label;
use super::super::sql::quoted;

/// The statement with the other name.
pub(super) fn renamed(sql: &[u8], label: Option<&Label>, from: &str, to: &str) -> Vec<u8> {
    let kind = label.map_or("", |label| label.kind.as_str());
    for start in ["USE ", "ALTER DATABASE ", "CREATE DATABASE ", "CREATE DATABASE /*!32312 IF NOT EXISTS*/ "]
    {
        if let Some(rest) = sql.strip_prefix(format!("{start}{}", quoted(from)).as_bytes()) {
            return [start.as_bytes(), quoted(to).as_bytes(), rest].concat();
        }
    }
    match kind {
        "table" if sql.starts_with(b"CREATE") => qualifiers(sql, from, to),
        // The text of a view stands in a literal, in which nothing of an identifier but a backslash is escaped; names
        // with one stay as they are.
        "view" if sql.starts_with(b"SET @chupacabra = '") => inside(sql, from, to),
        _ => sql.to_vec(),
    }
}

fn inside(sql: &[u8], from: &str, to: &str) -> Vec<u8> {
    let start = b"SET @chupacabra = '".len();
    let body = &sql[start..sql.len().saturating_sub(1).max(start)];
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
    let mut out = b"SET @chupacabra = ".to_vec();
    super::super::sql::string(&mut out, &qualifiers(&plain, from, to));
    out
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

fn string_end(sql: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = sql.get(at) {
        match byte {
            b'\\' => at += 2,
            b'\'' if sql.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    sql.len()
}

fn name_end(sql: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = sql.get(at) {
        match byte {
            b'`' if sql.get(at + 1) == Some(&b'`') => at += 2,
            b'`' => return at + 1,
            _ => at += 1,
        }
    }
    sql.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sql: &str, kind: &str) -> String {
        let label = Label::new(kind, "a", "x");
        String::from_utf8(renamed(sql.as_bytes(), Some(&label), "a", "b`b")).unwrap()
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
}
