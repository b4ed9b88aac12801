//! Texts of routines and events as a server reads them again. It shows what their author wrote in the charset of that time,
//! but what it keeps apart from that in UTF-8: comments, and all of an event but its body. In comments it escapes with
//! backslashes, whether or not the text's own `sql_mode` knows those.

use std::ops::Range;

use super::super::connect::Session;
use super::super::names::{name_end, string_end};
use super::super::{Error, sql};
use super::hidden;
use super::program::Program;

/// What stands before the comment of a routine.
const COMMENT: &str = "    COMMENT ";

/// What stands before the type of what a function returns; the second in the mode of Oracle.
const RETURNS: [&str; 2] = [" RETURNS ", " RETURN "];

/// Puts a routine's comment into the charset of the rest. `what` is for messages.
pub(super) async fn routine(
    control: &mut Session,
    what: &str,
    program: &mut Program,
    comment: &str,
) -> Result<(), Error> {
    let (shown, read) = (shown(comment), read(comment, program));
    if shown == read && (program.is_in_utf8() || comment.is_ascii()) {
        return Ok(());
    }
    let Some(place) = find(&program.text, &format!("{COMMENT}{shown}")) else { return Ok(()) };
    let own = converted(control, what, &read, program).await?;
    program.text.splice(place.start + COMMENT.len()..place.end, own);
    Ok(())
}

/// Puts the type of what a function returns, which may have members of its own, into the charset of the rest.
pub(super) async fn returned(
    control: &mut Session,
    what: &str,
    program: &mut Program,
    (database, function): (&str, &str),
) -> Result<(), Error> {
    if program.is_in_utf8() || program.text.is_ascii() {
        return Ok(());
    }
    // What `information_schema` says of the type it has read under the charset of the rest already.
    let query = format!(
        "SELECT `returns` FROM mysql.proc WHERE db = {} AND name = {} AND type = 'FUNCTION'",
        sql::literal(database),
        sql::literal(function)
    );
    let row = control.rows(what, query).await?.into_iter().next().unwrap_or_default();
    let kind = row.into_iter().next().flatten().ok_or_else(|| hidden(what))?;
    let kind = String::from_utf8(kind).map_err(|_| hidden(what))?;
    let before =
        RETURNS.iter().find_map(|before| Some((before, find(&program.text, &format!("{before}{kind}"))?)));
    let Some((before, place)) = before.filter(|_| !kind.is_ascii()) else { return Ok(()) };
    let own = converted(control, what, &kind, program).await?;
    program.text.splice(place.start + before.len()..place.end, own);
    Ok(())
}

/// Puts all of an event before its body into the body's charset. `what` is for messages.
pub(super) async fn event(
    control: &mut Session,
    what: &str,
    program: &mut Program,
    comment: &str,
) -> Result<(), Error> {
    let (shown, read) = (shown(comment), read(comment, program));
    if shown == read && program.is_in_utf8() {
        return Ok(());
    }
    let end = outside(&program.text, b" DO ").ok_or_else(|| hidden(what))?;
    let mut head = String::from_utf8(program.text[..end].to_vec()).map_err(|_| hidden(what))?;
    if shown != read && head.ends_with(&shown) {
        let place = head.len() - shown.len();
        head.replace_range(place.., &read);
    }
    let own = converted(control, what, &head, program).await?;
    program.text.splice(..end, own);
    Ok(())
}

/// Puts an event's definer right. A server keeps it as one text, and shows what is before the first `@` as the user, of whose
/// name that may be a part: no host has one.
pub(super) fn definer(program: &mut Program, definer: &str) {
    let (Some((first, rest)), Some((user, host))) = (definer.split_once('@'), definer.rsplit_once('@'))
    else {
        return;
    };
    for quote in if first == user { [].as_slice() } else { &["`", "\""] } {
        let quoted = |name: &str| format!("{quote}{}{quote}", name.replace(quote, &quote.repeat(2)));
        let written =
            |user: &str, host: &str| format!("CREATE DEFINER={}@{} EVENT ", quoted(user), quoted(host));
        let shown = written(first, rest);
        if program.text.starts_with(shown.as_bytes()) {
            program.text.splice(..shown.len(), written(user, host).into_bytes());
        }
    }
}

/// The literal of a comment as the server shows it.
fn shown(comment: &str) -> String {
    let escaped =
        comment.replace('\\', "\\\\").replace('\0', "\\0").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{}'", escaped.replace('\'', "''"))
}

/// The literal of a comment as the server reads it under the `sql_mode` of the program.
fn read(comment: &str, program: &Program) -> String {
    let mode = program.sql_mode.as_deref().unwrap_or_default();
    if mode.split(',').any(|word| word == "NO_BACKSLASH_ESCAPES") {
        format!("'{}'", comment.replace('\'', "''"))
    } else {
        shown(comment)
    }
}

fn find(text: &[u8], wanted: &str) -> Option<Range<usize>> {
    let start = text.windows(wanted.len()).position(|window| window == wanted.as_bytes())?;
    Some(start..start + wanted.len())
}

/// Where this stands first outside of names and strings.
fn outside(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        at = match text[at] {
            b'\'' => string_end(text, at),
            b'`' | b'"' => name_end(text, at),
            _ if text[at..].starts_with(wanted) => return Some(at),
            _ => at + 1,
        };
    }
    None
}

/// A text in the charset of a program's.
async fn converted(
    control: &mut Session,
    what: &str,
    text: &str,
    program: &Program,
) -> Result<Vec<u8>, Error> {
    if program.is_in_utf8() || text.is_ascii() {
        return Ok(text.as_bytes().to_vec());
    }
    let mut query = b"SELECT CONVERT(_utf8mb4 ".to_vec();
    sql::hexadecimal(&mut query, text.as_bytes());
    query.extend_from_slice(format!(" USING {})", program.client).as_bytes());
    let row = control.rows(what, query).await?.into_iter().next().unwrap_or_default();
    row.into_iter().next().flatten().ok_or_else(|| hidden(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_written_as_they_are_read() {
        let under = |mode: &str| Program { sql_mode: Some(mode.to_owned()), ..Program::default() };
        assert_eq!(read("a\\b'c\n", &under("ANSI_QUOTES")), "'a\\\\b''c\\n'");
        assert_eq!(read("a\\b'c\n", &under("ANSI,NO_BACKSLASH_ESCAPES")), "'a\\b''c\n'");
    }

    #[test]
    fn definers_have_all_of_their_names() {
        let of = |shown: &str, kept: &str| {
            let mut program = Program { text: shown.as_bytes().to_vec(), ..Program::default() };
            definer(&mut program, kept);
            String::from_utf8(program.text).unwrap()
        };
        let text = of("CREATE DEFINER=`joe`@`example.org@%` EVENT `e` DO SELECT 1", "joe@example.org@%");
        assert_eq!(text, "CREATE DEFINER=`joe@example.org`@`%` EVENT `e` DO SELECT 1");
        let text = of("CREATE DEFINER=\"\"@\"a\"\"@localhost\" EVENT \"e\" DO SELECT 1", "@a\"@localhost");
        assert_eq!(text, "CREATE DEFINER=\"@a\"\"\"@\"localhost\" EVENT \"e\" DO SELECT 1");
        let plain = "CREATE DEFINER=`joe`@`%` EVENT `e` DO SELECT 1";
        assert_eq!(of(plain, "joe@%"), plain);
    }

    #[test]
    fn an_events_body_begins_outside_of_names_and_strings() {
        let head = "CREATE DEFINER=`a DO `@`%` EVENT `x`` DO ` ON SCHEDULE EVERY '1 DO ' DAY_HOUR COMMENT ' DO '' DO '";
        let text = format!("{head} DO SELECT 1 DO ");
        assert_eq!(outside(text.as_bytes(), b" DO "), Some(head.len()));
    }
}
