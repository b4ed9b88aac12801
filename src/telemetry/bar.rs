//! The progress bar: what runs, how far it is, how fast, and when it will be done if that can be known.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use super::{Format, Screen};
use crate::progress::{Progress, Snapshot};

const REDRAW: Duration = Duration::from_millis(100);
const KNOWN: &str =
    "{spinner} {msg} [{bar:24}] {bytes} of about {total_bytes} at {bytes_per_sec}, {eta} left";
const UNKNOWN: &str = "{spinner} {msg} {bytes} at {bytes_per_sec}, {elapsed}";
const WAITING: &str = "{spinner} {msg} {elapsed}";

/// A bar that follows the counters of a run until it is dropped.
#[derive(Debug)]
pub struct Bar(Option<(ProgressBar, JoinHandle<()>)>);

impl Bar {
    /// Shows the counters on the screen; nothing where events are JSON or standard error is no terminal.
    pub fn show(screen: &Screen, progress: Arc<Progress>) -> Self {
        if screen.format == Format::Json || screen.bars.is_hidden() {
            return Self(None);
        }
        let bar = screen.bars.add(ProgressBar::no_length());
        let drawn = bar.clone();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(REDRAW);
            let mut last = Snapshot::default();
            loop {
                ticks.tick().await;
                let now = progress.snapshot();
                draw(&drawn, &last, &now);
                last = now;
            }
        });
        Self(Some((bar, task)))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((bar, task)) = self.0.take() {
            task.abort();
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, last: &Snapshot, now: &Snapshot) {
    // An estimate of nothing is no estimate.
    let known = now.job.estimate.filter(|estimate| *estimate > 0);
    // Content is counted member by member; a large one shows by what has been sent of it.
    let done = |snapshot: &Snapshot| snapshot.content.max(snapshot.packed);
    if last.job != now.job || (done(last) == 0) != (done(now) == 0) {
        let template = match (known, done(now)) {
            (_, 0) => WAITING,
            (Some(_), _) => KNOWN,
            (None, _) => UNKNOWN,
        };
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        match known {
            Some(estimate) => bar.set_length(estimate),
            None => bar.unset_length(),
        }
        if last.job.source != now.job.source {
            bar.reset();
        }
    }
    let members = match now.members {
        0 => String::new(),
        members => format!(" {} members,", HumanCount(members)),
    };
    bar.set_message(format!("{}: {},{members}", now.job.source, now.job.doing));
    bar.set_position(done(now));
    bar.tick();
}
