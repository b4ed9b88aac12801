//! The bound on a source's silence: one that is dead fails by name instead of holding up all others for ever.
//!
//! A read from a file server that is gone ends by no signal, and a server that takes connections and answers nothing
//! keeps whoever asks it waiting. What is only slow never fails: time counts only while the package has nothing to do
//! but wait for the source, and any sign of life ([`Pulse`]) begins it anew. Restores are not watched: building an
//! index or comparing what was written may take any time, and whoever restores is there.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::{Error, Facts, Source};
use crate::config::units::Span;
use crate::package::pulse::Pulse;

/// How often a dump's pulse is felt before it is given up. Only moments count that were looked at: a program that was
/// stopped, or a machine that slept, has not waited.
const LOOKS: u32 = 20;

/// How long a source may be silent unless the configuration says otherwise: longer than a server sorts, waits for a lock
/// or reads what was deleted, shorter than the deadline of a Job.
pub const PATIENCE: Duration = Duration::from_hours(1);

impl Source {
    /// Looks at the source as [`probe`](Self::probe) does, for no longer than it may be silent.
    pub async fn examine(&self, patience: Duration) -> Result<Facts, Error> {
        let silent = |_| Error::Silent { waited: Span(patience), latest: "it was being examined".to_owned() };
        timeout(patience, self.probe()).await.map_err(silent)?
    }
}

/// Does the work of a dump until the source has been silent for too long. What hangs is left behind.
pub async fn bounded<T>(
    pulse: &Pulse,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    let every = patience / LOOKS;
    let mut looks = interval_at(Instant::now() + every, every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut work, mut known, mut silent) = (pin!(work), None, 0);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            _ = looks.tick() => {}
        }
        let felt = pulse.awaited();
        silent = if felt.is_some() && felt == known { silent + 1 } else { 0 };
        known = felt;
        if silent >= LOOKS {
            return Err(Error::Silent { waited: Span(patience), latest: pulse.latest() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::package::budget::Budget;
    use crate::package::outlet::Outlet;

    const SHORT: Duration = Duration::from_millis(400);

    /// The package's side: waits for the source until the other end of the channel lets go.
    fn awaiting(pulse: &Pulse) -> std::sync::mpsc::Sender<()> {
        let (hold, held) = channel::<()>();
        let pulse = pulse.clone();
        std::thread::spawn(move || pulse.wait(|| held.recv()));
        hold
    }

    #[tokio::test]
    async fn a_source_that_says_nothing_is_given_up() {
        let pulse = Outlet::new(Budget::new(1), 1).0.pulse().clone();
        let _hold = awaiting(&pulse);
        let began = std::time::Instant::now();
        let error = bounded(&pulse, SHORT, std::future::pending::<()>()).await.unwrap_err();
        assert!(began.elapsed() >= SHORT);
        assert!(matches!(&error, Error::Silent { waited, .. } if waited.0 == SHORT), "{error}");
        assert!(error.help().unwrap().contains("stall_timeout"));
    }

    #[tokio::test]
    async fn one_that_is_slow_or_held_up_is_not() {
        let pulse = Pulse::default();
        // Nobody waits for it: a store takes its time.
        let beats = interval_at(Instant::now(), SHORT / 4);
        let waited = async |mut beats: tokio::time::Interval, beat: bool| {
            for _ in 0..12 {
                beats.tick().await;
                if beat {
                    pulse.beat();
                }
            }
        };
        bounded(&pulse, SHORT, waited(beats, false)).await.unwrap();
        // It is waited for, and gives a sign now and then.
        let _hold = awaiting(&pulse);
        bounded(&pulse, SHORT, waited(interval_at(Instant::now(), SHORT / 4), true)).await.unwrap();
        // The same without signs: what is tested is the signs.
        let dead = bounded(&pulse, SHORT, waited(interval_at(Instant::now(), SHORT / 4), false)).await;
        assert!(dead.is_err());
    }
}
