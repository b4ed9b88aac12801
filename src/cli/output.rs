//! The only place that prints: tables and lines on standard output, problems on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::{ContentArrangement, Table, TableStyle, presets};
use serde::Serialize;

use super::Session;
use super::problem::{exit, told};
use crate::config::units::{ByteSize, Span};
use crate::exit::Exit;
use crate::telemetry::Format;

/// A rule below the header, nothing else: keys and paths can be copied.
const TERMINAL: TableStyle = presets::NOTHING.header_separator(comfy_table::LineStyle::none().fill('─'));

/// Whoever read standard output has stopped reading: `chupacabra list | head`. No failure.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
struct Closed;

/// The verdict of a verb whose result has been printed. That nobody read it to the end does not change it.
pub fn verdict(printed: anyhow::Result<()>, exit: Exit) -> anyhow::Result<Exit> {
    match printed {
        Err(error) if !is_closed(&error) => Err(error),
        _ => Ok(exit),
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(<dyn std::error::Error>::is::<Closed>)
}

/// Prints a line.
pub fn line(text: impl AsRef<str>) -> anyhow::Result<()> {
    bytes(format!("{}\n", text.as_ref()).as_bytes())
}

/// Prints bytes as they are: names of files are not always text.
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => anyhow::Error::new(Closed),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    })
}

/// Prints a value as JSON: for people on a terminal, on one line elsewhere.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = if io::stdout().is_terminal() {
        serde_json::to_string_pretty(value)?
    } else {
        serde_json::to_string(value)?
    };
    line(text)
}

/// A table with this header: ruled on a terminal, plain columns elsewhere.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    if io::stdout().is_terminal() {
        table.load_style(TERMINAL).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(header.iter().copied());
    table
}

/// Prints a table.
pub fn show(table: &Table) -> anyhow::Result<()> {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    line(lines.join("\n"))
}

/// Says something to the person at the terminal, while standard output is for a program.
pub fn notice(text: &str) {
    // There is nobody left to tell if standard error is gone.
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Prints an error's chain once, with what to do about it, and says how the process ends.
pub fn problem(error: &anyhow::Error, session: &Session) -> Exit {
    if is_closed(error) {
        return Exit::Good;
    }
    for told in told(error) {
        if session.screen.format() == Format::Json {
            tracing::error!(error = told.problem, help = told.help, "{}", first_part(&told.problem));
            continue;
        }
        let help = if told.help.is_empty() { String::new() } else { format!("help: {}\n", told.help) };
        // There is nobody left to tell if standard error is gone.
        let _ = io::stderr().lock().write_all(format!("error: {}\n{help}", told.problem).as_bytes());
    }
    exit(error)
}

/// Tells a problem that comes before everything else.
pub fn early(what: &str, error: &io::Error) -> Exit {
    let _ = io::stderr().lock().write_all(format!("error: {what}: {error}\n").as_bytes());
    Exit::Unexpected
}

fn first_part(problem: &str) -> &str {
    problem.lines().next().unwrap_or_default()
}

/// `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
}

/// `3d 4h`; a time to come is `0s`.
pub fn age(at: crate::clock::Timestamp, now: crate::clock::Timestamp) -> String {
    let age = now.duration_since(at);
    Span(std::time::Duration::try_from(age).unwrap_or_default()).to_string()
}

/// How many times smaller a package is than what is in it: `2.41`; `-` if it is empty.
#[allow(clippy::cast_precision_loss, reason = "a figure for people, rounded to two decimals")]
pub fn ratio(content: u64, packed: u64) -> String {
    if content == 0 || packed == 0 {
        "-".to_owned()
    } else {
        format!("{:.2}", content as f64 / packed as f64)
    }
}

/// `2026-11-21 18:30:00Z`.
pub fn time(at: crate::clock::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// `12,345`.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Names from outside, without what would move the cursor or colour the terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
