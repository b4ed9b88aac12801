//! What a restore made, as the server shows it, against the package.
//!
//! A server may read a definition as something else than it was written as, and say nothing. So every object is written
//! once more as a dump of the target would write it, and compared with what the package has. Only a server of the same
//! release shows definitions in the same words.

use std::collections::BTreeSet;

use tokio::sync::mpsc;

use super::super::names::{name_end, string_end};
use super::super::privileges;
use super::super::schema::one::Objects;
use super::super::schema::{self, DEFAULTS};
use super::super::script::{self, Label, Script, Statement};
use super::Error;
use super::contents::Contents;
use super::load::{self, Member};
use super::wanted::{Wanted, split};

/// How much is shown of two texts before and behind the place where they begin to differ, in bytes.
const SHOWN: (usize, usize) = (40, 60);

/// The version of this program: another may write the same in other words.
const AGENT: &str = env!("CARGO_PKG_VERSION");

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many objects are as in the package.
    pub(super) alike: usize,
    /// Those that are not there or otherwise, and how.
    pub(super) differing: Vec<String>,
    /// Those that the server does not show to this user.
    pub(super) hidden: Vec<String>,
}

/// Why definitions of a `product` that the version `agent` of this program dumped cannot be compared with those of a server
/// of this `version`; `None` if they can. `folds`: the server keeps all names in lower case.
pub(super) fn incomparable(
    agent: &str,
    product: &str,
    version: &str,
    folds: bool,
    contents: &Contents,
) -> Option<String> {
    let (from, to) = (release(product), release(version));
    let mut names = contents.databases.iter().chain(contents.objects.keys());
    if agent != AGENT {
        Some(format!("definitions are not compared: they are written by version {agent} and this is {AGENT}"))
    } else if from != to {
        Some(format!("definitions are not compared: they are of {from} and this server is {to}"))
    } else if folds && names.any(|name| name.to_lowercase() != *name) {
        Some("definitions are not compared: this server keeps names in lower case".to_owned())
    } else {
        None
    }
}

/// The digits of a version: `10.11.19` of `MariaDB 10.11.19-MariaDB-log`.
fn release(version: &str) -> &str {
    let version = version.trim_start_matches(|character: char| !character.is_ascii_digit());
    version.split(|character: char| !character.is_ascii_digit() && character != '.').next().unwrap_or(version)
}

/// Compares the definitions in members as they arrive.
pub(super) struct Comparison<'a> {
    /// What the server has.
    pub(super) objects: Objects<'a>,
    /// What was restored.
    pub(super) wanted: &'a Wanted,
    /// What the package has.
    pub(super) contents: &'a Contents,
    /// What could not be made.
    pub(super) unmade: &'a BTreeSet<String>,
    /// What is found.
    pub(super) found: Found,
}

impl Comparison<'_> {
    /// Compares until the last member has arrived.
    pub(super) async fn run(&mut self, mut members: mpsc::Receiver<Member>) -> Result<(), Error> {
        while let Some(member) = members.recv().await {
            let database = load::database_of(&member.path);
            let statements = load::taken_apart(&member)?;
            let labelled = |statement: Statement<'_>| load::label(&statement, database.as_deref());
            for told in statements.chunk_by(|one, next| labelled(one.clone()) == labelled(next.clone())) {
                let Some(label) = labelled(told[0].clone()) else { continue };
                let what = label.to_string();
                if !is_compared(&label, told) || !self.wanted.label(&label) || self.unmade.contains(&what) {
                    continue;
                }
                match self.object(&label, told).await {
                    Ok(None) => self.found.alike += 1,
                    Ok(Some(how)) => self.found.differing.push(format!("{what} is {how}")),
                    Err(Error::Source(error)) if is_concealed(&error) => self.found.hidden.push(what),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// How an object differs from what was told; `None` if it does not.
    async fn object(&mut self, label: &Label, told: &[Statement<'_>]) -> Result<Option<String>, Error> {
        let (database, name) = split(&label.name);
        let now = self.wanted.database_name(&database);
        let on = label.on.as_deref().map(|table| split(table).1).unwrap_or_default();
        let mut script = Script::default();
        let is_there = match self.objects.write(&mut script, &label.kind, (&now, &name), &on).await {
            Err(error) if load::is_of_what_is_absent(&error) => false,
            is_there => is_there?,
        };
        if !is_there {
            return Ok(Some("not there".to_owned()));
        }
        let member = script.finish();
        let shown = script::statements(&member)
            .map_err(|error| Error::Malformed { path: label.to_string(), why: error.to_string() })?;
        let mut renamed = Vec::with_capacity(told.len());
        for statement in told {
            let label = Some(label.clone());
            renamed.push(self.wanted.named(&Statement { label, sql: statement.sql }, Some(&database))?);
        }
        let told = self.definition(label, renamed.iter().map(AsRef::as_ref));
        Ok(told.difference(&self.definition(label, shown.iter().map(|statement| statement.sql))))
    }

    /// What statements say of how an object is to be.
    fn definition<'a>(&self, label: &Label, statements: impl Iterator<Item = &'a [u8]>) -> Definition {
        let whole = self.wanted.everything() && self.wanted.renamed.is_none();
        let has_rows =
            self.contents.objects.get(&label.name).is_some_and(|(_, fingerprint)| fingerprint.rows > 0);
        let mut definition = Definition::default();
        for sql in statements {
            let creates = sql.starts_with(b"CREATE");
            let counts = match label.kind.as_str() {
                // Its state is compared by fingerprint.
                "sequence" => creates,
                // What else there is about a table can only be learnt from its rows.
                "table" => creates || has_rows,
                DEFAULTS => true,
                // A part of a package goes into a database that may have a collation of its own.
                _ => whole || !sql.starts_with(b"ALTER DATABASE "),
            };
            if !counts || sql.starts_with(b"USE ") {
                continue;
            }
            let (text, next) = if label.kind == "table" { lasting(sql) } else { (sql.to_vec(), None) };
            if !definition.text.is_empty() {
                definition.text.extend_from_slice(b";\n");
            }
            definition.text.extend_from_slice(&text);
            definition.next = definition.next.or(next);
        }
        definition
    }
}

/// Whether a definition is there and not shown to this user.
fn is_concealed(error: &super::super::Error) -> bool {
    privileges::is_denied(error) || schema::is_hidden(error)
}

/// Whether an object is compared. Not an event that has an end: it may be over, and gone, as soon as it is made.
fn is_compared(label: &Label, told: &[Statement<'_>]) -> bool {
    let ends = || {
        // A text that is written as numbers says nothing to us.
        let texts = told.iter().filter(|statement| statement.sql.starts_with(b"SET @chupacabra = "));
        texts
            .map(|text| String::from_utf8_lossy(text.sql))
            .any(|text| !text.contains(" ON SCHEDULE EVERY ") || text.contains(" ENDS "))
    };
    match label.kind.as_str() {
        "database" | "placeholder" => false,
        "event" => !ends(),
        _ => true,
    }
}

/// What statements say of how an object is to be.
#[derive(Debug, Default)]
struct Definition {
    text: Vec<u8>,
    /// The next number of a table's column that counts by itself: rows may raise it, and a server may begin each series
    /// at a number of its own.
    next: Option<u64>,
}

impl Definition {
    /// How `shown` differs from what was told; `None` if it does not.
    fn difference(&self, shown: &Self) -> Option<String> {
        if self.text == shown.text {
            let next = |next: Option<u64>| next.map_or_else(|| "unset".to_owned(), |next| next.to_string());
            let is_less = shown.next < self.next;
            return is_less
                .then(|| format!("AUTO_INCREMENT={} instead of {}", next(shown.next), next(self.next)));
        }
        // The text of a table that shows another server's rows may hold the password for that.
        let text = String::from_utf8_lossy(&self.text);
        if ["CONNECTION='", "ENGINE=SPIDER"].into_iter().any(|secretive| text.contains(secretive)) {
            return Some("otherwise".to_owned());
        }
        let same = self.text.iter().zip(&shown.text).take_while(|(told, shown)| told == shown).count();
        let around = |text: &[u8]| {
            let shown = &text[same.saturating_sub(SHOWN.0)..text.len().min(same + SHOWN.1)];
            String::from_utf8_lossy(shown).replace('\n', "\\n")
        };
        Some(format!("«{}» instead of «{}»", around(&shown.text), around(&self.text)))
    }
}

/// A table's statement without its next number, and without what may come to differ with time: how many partitions it has
/// where a server adds them, and what that remarks about columns of older versions, which restored ones are not any more.
/// And that number.
fn lasting(sql: &[u8]) -> (Vec<u8>, Option<u64>) {
    const OPTIONS: &[u8] = b"\n) ENGINE=";
    const NEXT: &[u8] = b" AUTO_INCREMENT=";
    const ADDED: &[u8] = b" AUTO\nPARTITIONS ";
    let mut plain = without_remarks(sql);
    // A string has no line ends.
    let place = |of: &[u8]| plain.windows(of.len()).position(|window| window == of).map(|at| at + of.len());
    let (options, added) = (place(OPTIONS), place(ADDED));
    if let Some(added) = added {
        let digits = plain[added..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        plain.drain(added..added + digits);
    }
    let number = options.and_then(|start| {
        let start = start + plain[start..].iter().position(|&byte| byte == b' ')?;
        let digits = plain[start..].strip_prefix(NEXT)?;
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let next = std::str::from_utf8(&digits[..length]).ok()?.parse().ok()?;
        Some((start..start + NEXT.len() + length, next))
    });
    match number {
        Some((place, next)) => ([&plain[..place.start], &plain[place.end..]].concat(), Some(next)),
        None => (plain, None),
    }
}

/// A text without comments, but for those that are read as statements.
fn without_remarks(sql: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(sql.len()), 0);
    while at < sql.len() {
        let rest = &sql[at..];
        let end = match sql[at] {
            b'\'' => string_end(sql, at),
            b'`' => name_end(sql, at),
            _ => at + 1,
        };
        let remark = [b" /*".as_slice(), b"/*"].into_iter().find(|start| rest.starts_with(start));
        if remark.is_some_and(|start| !matches!(rest.get(start.len()), Some(b'!' | b'M'))) {
            let close = rest.windows(2).position(|window| window == b"*/");
            at = close.map_or(sql.len(), |close| at + close + 2);
        } else {
            out.extend_from_slice(&sql[at..end]);
            at = end;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(sql: &str) -> Definition {
        let (text, next) = lasting(sql.as_bytes());
        Definition { text, next }
    }

    #[test]
    fn releases_are_compared_without_their_builds() {
        let debian = "MariaDB 10.11.19-MariaDB-0+deb12u1-log";
        let mut contents = Contents::default();
        assert_eq!(incomparable(AGENT, debian, "10.11.19-MariaDB", false, &contents), None);
        let other = incomparable(AGENT, debian, "10.11.2-MariaDB", false, &contents).unwrap();
        assert_eq!(other, "definitions are not compared: they are of 10.11.19 and this server is 10.11.2");
        let other = incomparable("0.0.9", debian, "10.11.19-MariaDB", false, &contents).unwrap();
        assert!(
            other.starts_with("definitions are not compared: they are written by version 0.0.9"),
            "{other}"
        );
        contents.databases.insert("Shop".to_owned());
        assert!(incomparable(AGENT, debian, "10.11.19", true, &contents).is_some());
        assert_eq!(incomparable(AGENT, debian, "10.11.19", false, &contents), None);
    }

    #[test]
    fn a_table_may_count_on_from_a_higher_number_only() {
        let of = |options: &str| table(&format!("CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB{options}"));
        let told = of(" AUTO_INCREMENT=7 COMMENT='x'");
        assert_eq!(told.next, Some(7));
        assert_eq!(told.difference(&of(" AUTO_INCREMENT=11 COMMENT='x'")), None);
        let less = told.difference(&of(" COMMENT='x'")).unwrap();
        assert_eq!(less, "AUTO_INCREMENT=unset instead of 7");
        let other = told.difference(&of(" AUTO_INCREMENT=7 COMMENT='y'")).unwrap();
        assert!(other.starts_with('«') && other.contains("COMMENT='y'"), "{other}");
        assert_eq!(of(" COMMENT=' AUTO_INCREMENT=7'").next, None);
    }

    #[test]
    fn partitions_that_a_server_adds_do_not_count() {
        let of =
            |by: &str| table(&format!("CREATE TABLE `t` (\n) ENGINE=InnoDB\n PARTITION BY SYSTEM_TIME {by}"));
        let hours = |count: u32| {
            of(&format!("INTERVAL 1 HOUR STARTS TIMESTAMP'2026-11-30 16:00:00' AUTO\nPARTITIONS {count}"))
        };
        assert_eq!(hours(2).difference(&hours(12)), None);
        assert!(of("LIMIT 100\nPARTITIONS 3").difference(&of("LIMIT 100\nPARTITIONS 4")).is_some());
    }

    #[test]
    fn remarks_of_the_server_do_not_count() {
        let told = table("CREATE TABLE `a /* b */` (\n  `t` datetime /* mariadb-5.3 */ DEFAULT '/* x */'\n)");
        let shown = table("CREATE TABLE `a /* b */` (\n  `t` datetime DEFAULT '/* x */'\n)");
        assert_eq!(told.difference(&shown), None);
        let shown = table("CREATE TABLE `a /* b */` (\n  `t` datetime DEFAULT '/* y */'\n)");
        assert!(told.difference(&shown).is_some());
        assert_eq!(without_remarks(b"a /*!50100 PARTITION */"), b"a /*!50100 PARTITION */");
    }

    #[test]
    fn passwords_in_definitions_are_not_told() {
        let of =
            |host: &str| table(&format!("CREATE TABLE `t` (\n) CONNECTION='mysql://u:secret@{host}/d/t'"));
        assert_eq!(of("a").difference(&of("b")).unwrap(), "otherwise");
        let of = |password: &str| {
            let link = format!("COMMENT='wrapper \"mysql\", password \"{password}\"'");
            table(&format!("CREATE TABLE `t` (\n) ENGINE=SPIDER DEFAULT CHARSET=latin1 {link}"))
        };
        assert_eq!(of("secret").difference(&of("other")).unwrap(), "otherwise");
    }
}
