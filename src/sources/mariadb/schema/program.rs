//! Statements that the server keeps as text: bodies of routines, triggers and events, and views.
//!
//! Each was written under its own settings, and must be read again under the same. The text travels as a string
//! literal, so nothing on the way looks into it: no client drops its comments, no delimiter can occur in it.

use super::super::dump::Part;
use super::super::script::{Label, Script};
use super::super::{Error, sql};
use super::RESTORING_MODE;

/// Charsets beside those of UTF-8 in which not every sequence of bytes is one of characters.
const PARTIAL: [&str; 9] = ["ascii", "big5", "cp932", "eucjpms", "euckr", "gb2312", "gbk", "sjis", "ujis"];

/// A stored statement and the settings under which it was written.
#[derive(Debug, Default)]
pub(in super::super) struct Program {
    /// The `CREATE` statement.
    pub(in super::super) text: Vec<u8>,
    /// Its `sql_mode`; `None` for views, which have none.
    pub(in super::super) sql_mode: Option<String>,
    /// The charset in which the text is.
    pub(in super::super) client: String,
    /// The collation of its literals.
    pub(in super::super) connection: String,
    /// The time zone of an event.
    pub(in super::super) time_zone: Option<String>,
    /// When it was made, in seconds since 1970, where the server keeps that.
    pub(in super::super) created: Option<String>,
    /// The collation that its database had when it was made; empty for views, for which that means nothing.
    pub(in super::super) database_collation: String,
}

impl Program {
    /// Writes the statement into its database's member as the object `label`.
    pub(in super::super) async fn hand_over(
        &self,
        part: &mut Part,
        label: &Label,
        database: &str,
        now: &str,
    ) -> Result<(), Error> {
        if part.script().is_empty() {
            part.script().use_database(database);
        }
        self.labelled(part.script(), label, database, now);
        part.end_when_full(database).await
    }

    /// Writes the statement as the object `label`, under the collation that its database had then, if it has another
    /// `now`.
    pub(in super::super) fn labelled(&self, script: &mut Script, label: &Label, database: &str, now: &str) {
        script.object(label);
        let then = &self.database_collation;
        super::under_collation(script, database, now, then, |script| self.write(script));
    }

    /// Writes the statement, and the settings before and after.
    pub(in super::super) fn write(&self, script: &mut Script) {
        let open = script.open();
        script.text().extend_from_slice(b"SET @chupacabra = ");
        if self.is_kept() {
            readable(script.text(), &self.text);
        } else {
            // Bytes of no charset are taken as they are, and the server looks at others whether they are characters: a
            // literal inside the text may be of another charset.
            let any = !self.is_in_utf8() && !PARTIAL.contains(&self.client.as_str());
            let charset = if any { &self.client } else { "binary" };
            script.text().extend_from_slice(format!("_{charset} ").as_bytes());
            sql::hexadecimal(script.text(), &self.text);
        }
        script.close(open);
        let mut before =
            format!("SET character_set_client = {}, collation_connection = {}", self.client, self.connection);
        if let Some(mode) = &self.sql_mode {
            before = format!("{before}, sql_mode = {}", sql::literal(mode));
        }
        if let Some(zone) = &self.time_zone {
            before = format!("{before}, time_zone = {}", sql::literal(zone));
        }
        if let Some(created) = &self.created {
            before = format!("{before}, timestamp = {created}");
        }
        script.statement(before);
        script.statement("EXECUTE IMMEDIATE @chupacabra");
        script.statement(format!(
            "SET character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci, \
             sql_mode = '{RESTORING_MODE}', time_zone = '+00:00', timestamp = DEFAULT"
        ));
    }

    /// Whether its charset is one of UTF-8.
    pub(super) fn is_in_utf8(&self) -> bool {
        self.client.starts_with("utf8")
    }

    /// Whether the text stays what it is where the server takes it out of a literal in UTF-8. Under the charset that ends
    /// at three bytes for a character the server makes `?` of every longer one, which a text made under it may have all
    /// the same.
    fn is_kept(&self) -> bool {
        let kept = |text: &str| match self.client.as_str() {
            "utf8mb4" => true,
            "utf8" | "utf8mb3" => text.chars().all(|character| character.len_utf8() < 4),
            _ => text.is_ascii(),
        };
        std::str::from_utf8(&self.text).is_ok_and(kept)
    }
}

/// Writes a literal whose line ends stay line ends, for people who read a dump. A carriage return is escaped: clients
/// change it.
fn readable(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    for &byte in text {
        match byte {
            b'\'' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\0"),
            0x1a => out.extend_from_slice(b"\\Z"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}
