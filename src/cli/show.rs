//! `show`: one package's record, and with a key what is in it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args as ClapArgs;
use serde_json::json;

use super::list::Noted;
use super::output::{self, age, count, printable, ratio, size, time};
use super::restore::chosen;
use super::when::When;
use super::{Problem, Session, session};
use crate::catalog::Found;
use crate::clock::Timestamp;
use crate::exit::Exit;
use crate::package::Package;
use crate::package::index::{Entry, EntryKind, Line};
use crate::restore::Chosen;
use crate::sources::files::globs::Globs;

/// Show a package: its record, and with the private key its members
///
/// The record needs no key. Members come from the package's encrypted index; the package itself is not read.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra show web\n  \
                        chupacabra show web --at -3d --identity key.txt --only '**/*.conf'")]
pub(super) struct Args {
    /// A source (its newest package) or the key of a package
    #[arg(value_name = "SOURCE|KEY")]
    package: String,
    /// The newest package made at this time or before: `2026-11-21`, `2026-11-21 18:30` (UTC), RFC 3339, or `-3d`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<When>,
    /// Only from this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// The private key [default: the configuration's `encryption.identity`]
    #[arg(short, long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Only members whose path matches one of these globs
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Print as JSON; members one on each line
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        let plan = session.plan()?;
        let only = globs(&self.only)?;
        let identities = if self.only.is_empty() {
            session::identities(&plan, self.identity.as_deref())?
        } else {
            session::required_identities(&plan, self.identity.as_deref())?
        };
        let now = session.clock.now();
        let at = self.at.map(|at| at.resolve(now));
        let chosen = chosen(&plan, self.store.as_deref(), &self.package, None, at, now).await?;
        let Chosen { named, found } = chosen;
        let record = &found.record;
        if self.json {
            output::json(&json!({ "store": named.name, "record": record, "notes": Noted::of(&found) }))?;
        } else {
            show(&named.name, &found, session)?;
        }
        if identities.is_empty() {
            return Ok(Exit::Good);
        }
        let package = Package::new(named.store, found.record, identities);
        let json = self.json;
        // What printing ran into is kept as it is; for the package it is only a reader that has had enough.
        let failed = Arc::new(Mutex::new(None));
        let fail = Arc::clone(&failed);
        let read = package.index(move |line| {
            member(&line, only.as_ref(), json).map_err(|error| {
                let told = error.to_string();
                fail.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                told.into()
            })
        });
        let read = read.await;
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return output::verdict(Err(error), Exit::Good);
        }
        read?;
        Ok(Exit::Good)
    }
}

fn globs(patterns: &[String]) -> Result<Option<Globs>, Problem> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let wrong = |error| {
        let help = "`*` matches within a name, `**` across directories, `?` one byte, `{a,b}` either";
        Problem::usage("`--only` is not a glob", help).because(error)
    };
    Globs::new(patterns).map(Some).map_err(wrong)
}

fn show(store: &str, found: &Found, session: &Session) -> anyhow::Result<()> {
    let record = &found.record;
    let (content, packed) = (record.totals.content_bytes, record.package.size);
    let mut lines = vec![
        ("package", record.key.to_string()),
        ("store", store.to_owned()),
        ("source", format!("{} ({})", record.kind, record.product)),
        ("made", format!("{}, {} ago", time(record.key.at()), age(record.key.at(), session.clock.now()))),
        ("outcome", super::list::outcome(record, found.presence, &Noted::of(found)).to_owned()),
        ("content", format!("{} in {} members", size(content), count(record.totals.members))),
        ("size", format!("{}, ratio {}", size(packed), ratio(content, packed))),
        ("sha256", record.package.sha256.clone()),
    ];
    let counts: Vec<String> =
        record.counts.iter().map(|(name, number)| format!("{} {name}", count(*number))).collect();
    if !counts.is_empty() {
        lines.push(("counts", counts.join(", ")));
    }
    lines.extend(record.recipients.iter().map(|recipient| ("opened by", recipient.clone())));
    lines
        .extend(record.consistency.coordinates.iter().map(|(name, value)| ("at", format!("{name} {value}"))));
    let note = |word, at: Option<Timestamp>| at.map(|at| (word, time(at)));
    let Noted { verified, damaged, accepted } = Noted::of(found);
    lines.extend(
        [note("verified", verified), note("damaged", damaged), note("accepted", accepted)]
            .into_iter()
            .flatten(),
    );
    lines.extend(record.suspicious.iter().map(|why| ("suspicious", why.clone())));
    lines.extend(record.missing.iter().map(|one| ("missing", format!("{}: {}", one.name, one.why))));
    lines.extend(record.notes.iter().map(|note| ("note", note.clone())));
    for (name, value) in lines {
        output::line(format!("{name:<11}{}", printable(&value)))?;
    }
    Ok(())
}

/// Prints a line of the index as `ls -ln` would, or an object with its fingerprint.
fn member(line: &Line, only: Option<&Globs>, json: bool) -> anyhow::Result<()> {
    let wanted = |path: &[u8], directory| only.is_none_or(|only| only.covers(path, directory));
    match line {
        Line::Entry(entry)
            if entry.superseded || !wanted(&entry.path, entry.kind == EntryKind::Directory) =>
        {
            Ok(())
        }
        Line::Entry(entry) if json => output::json(&json!({
            "path": String::from_utf8_lossy(&entry.path),
            "kind": entry.kind,
            "size": entry.size,
            "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid,
            "gid": entry.gid,
            "mtime": modified(entry),
            "link": (!entry.link.is_empty()).then(|| String::from_utf8_lossy(&entry.link)),
            "offset": entry.offset,
            "blake3": entry.digest.map(hex::encode),
            "object": entry.object,
        })),
        Line::Entry(entry) => output::line(listed(entry)),
        Line::Object(object) if !wanted(object.name.as_bytes(), false) => Ok(()),
        Line::Object(object) if json => output::json(object),
        Line::Object(object) => {
            output::line(format!("{} {}: {}", object.kind, printable(&object.name), object.fingerprint))
        }
    }
}

/// A member as `ls -ln` lists it: kind and mode, owner, group, size, time of modification, path, where a link points.
fn listed(entry: &Entry) -> String {
    let path = printable(&String::from_utf8_lossy(&entry.path));
    let link = match entry.kind {
        EntryKind::Symlink => " -> ",
        EntryKind::HardLink => " same file as ",
        _ => "",
    };
    let target =
        if link.is_empty() { String::new() } else { printable(&String::from_utf8_lossy(&entry.link)) };
    format!(
        "{}{} {:>5} {:>5} {:>12} {} {path}{link}{target}",
        letter(entry),
        permissions(entry.mode),
        entry.uid,
        entry.gid,
        entry.size,
        modified(entry).map_or_else(|| "-".to_owned(), output::time),
    )
}

/// The time of modification, unless it is beyond the years that people write.
fn modified(entry: &Entry) -> Option<Timestamp> {
    Timestamp::new(entry.mtime.seconds, i32::try_from(entry.mtime.nanos).ok()?).ok()
}

/// `rwxr-xr-x`, with the bits beyond as `ls` shows them.
fn permissions(mode: u32) -> String {
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    let mut letters = String::with_capacity(9);
    for (class, (bit, with, without)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * class);
        letters.push(if bits & 4 > 0 { 'r' } else { '-' });
        letters.push(if bits & 2 > 0 { 'w' } else { '-' });
        letters.push(match (mode & bit > 0, bits & 1 > 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    letters
}

/// The first letter of `ls -l`.
fn letter(entry: &Entry) -> char {
    match entry.kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink => 'l',
        EntryKind::HardLink => 'h',
        EntryKind::Fifo => 'p',
        EntryKind::CharDevice => 'c',
        EntryKind::BlockDevice => 'b',
    }
}

#[cfg(test)]
mod tests {
    use super::permissions;

    #[test]
    fn permissions_read_as_ls_prints_them() {
        let cases = [
            (0o644, "rw-r--r--"),
            (0o4755, "rwsr-xr-x"),
            (0o2644, "rw-r-Sr--"),
            (0o1777, "rwxrwxrwt"),
            (0o7000, "--S--S--T"),
        ];
        for (mode, letters) in cases {
            assert_eq!(permissions(mode), letters);
        }
    }
}
