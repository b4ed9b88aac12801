//! Telemetry: what a run tells while it runs.
//!
//! On a terminal: progress bars and short lines for people. Elsewhere: one JSON line per event in the Elastic Common
//! Schema. Everything goes to standard error; standard output belongs to the verbs. Third-party log targets that may
//! print requests, headers or tokens are off, whatever the level.

mod bar;
mod ecs;
mod human;
mod layer;

use std::io::IsTerminal as _;

use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use bar::Bar;
use layer::Lines;

use crate::clock::Clock;

/// How events are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people.
    Human,
    /// One JSON object for each event, in the Elastic Common Schema.
    Json,
}

/// The lower edge of the terminal, where progress bars are, and above which lines are printed.
#[derive(Debug, Clone)]
pub struct Screen {
    bars: MultiProgress,
    format: Format,
}

/// Beginnings of the log targets that are silenced: they print requests, responses or headers, and with them tokens and
/// keys. All of AWS's crates are among them: what gives credentials out is printed whole when it cannot be read.
const SILENCED: [&str; 6] =
    ["yup_oauth2", "google_apis_common", "google_drive3", "hyper", "hyper_util", "aws_"];

/// Sets logging up for the whole process. `verbose` counts how often more was asked for.
pub fn init(format: Format, verbose: u8, clock: Clock) -> Screen {
    let terminal = std::io::stderr().is_terminal();
    let format = match format {
        Format::Auto if terminal => Format::Human,
        Format::Auto => Format::Json,
        chosen => chosen,
    };
    let screen = Screen { bars: MultiProgress::new(), format };
    let level = match (format, verbose) {
        // The bars and the table at the end tell a person what an event would repeat.
        (Format::Human, 0) => LevelFilter::WARN,
        (_, 0) | (Format::Human, 1) => LevelFilter::INFO,
        (_, 1) | (Format::Human, 2) => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = SILENCED.iter().fold(
        Targets::new().with_default(LevelFilter::WARN).with_target("chupacabra", level),
        |filter, target| filter.with_target(*target, LevelFilter::OFF),
    );
    let lines = Lines::new(screen.clone(), clock);
    // A second set-up in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(
            error = panic.payload_as_str().unwrap_or_default(),
            place,
            "a defect in this program"
        );
    }));
    screen
}

impl Screen {
    /// How events are written: never [`Format::Auto`].
    pub fn format(&self) -> Format {
        self.format
    }

    /// Prints a line to standard error, above the bars.
    fn line(&self, text: &str) {
        use std::io::Write as _;
        let write = || {
            // There is nobody left to tell if standard error is gone.
            let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
        };
        self.bars.suspend(write);
    }
}
