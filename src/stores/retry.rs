//! Trying again: the one place that sleeps, and the one that decides how long.
//!
//! Whether an error may pass by itself is the store's word ([`Reason::Transient`]), decided in its table of codes.
//! Here is only how often, how long, and when to stop. Nothing here ever retries an error of another kind.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Error, Reason};

/// How often and how patiently something is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How often in all, the first time included. At least one.
    pub attempts: u32,
    /// The wait before the second attempt. It doubles from there, and each wait is cut by up to half at random.
    pub first: Duration,
    /// The longest wait that is our own idea; a server may ask for more.
    pub longest: Duration,
    /// How long all waits of one request may be together. A server that asks for more is not waited for.
    pub in_all: Duration,
    /// How long one request is tried while the service is dead: since something else was given up, nothing was
    /// answered. Each request of a run would wait ten minutes for one that takes connections and says nothing, and
    /// take the other stores' time.
    pub while_dead: Duration,
}

impl Default for Limits {
    /// Ten attempts over about a minute: longer than a server's restart, shorter than anyone's patience.
    fn default() -> Self {
        Self {
            attempts: 10,
            first: Duration::from_millis(250),
            longest: Duration::from_secs(20),
            in_all: Duration::from_mins(10),
            while_dead: Duration::from_mins(2),
        }
    }
}

/// What passes the time between two attempts: the timer, or a test's record of what it would have waited.
#[async_trait]
pub trait Sleeper: Send + Sync + std::fmt::Debug {
    /// Returns after `wait`.
    async fn sleep(&self, wait: Duration);
}

#[derive(Debug)]
struct Timer;

#[async_trait]
impl Sleeper for Timer {
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }
}

/// Waits; for what must be slowed down rather than tried again.
pub(crate) async fn pause(wait: Duration) {
    Timer.sleep(wait).await;
}

/// Runs a part of an upload, unless nobody wants the object any more.
pub(super) async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let stopped = || Error::new(Reason::Stopped, "the upload was given up: the run was told to stop");
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(stopped()),
        done = work => done,
    }
}

/// Tries again what may pass by itself. Clones speak to the same service, and know together whether it is dead.
#[derive(Debug, Clone)]
pub struct Retry {
    limits: Limits,
    sleeper: Arc<dyn Sleeper>,
    /// Whether all attempts at something failed, and nothing was answered since.
    dead: Arc<AtomicBool>,
}

impl Retry {
    /// Retries within these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, sleeper: Arc::new(Timer), dead: Arc::default() }
    }

    /// The same limits with another way to pass the time, for tests.
    #[must_use]
    pub fn with_sleeper(mut self, sleeper: Arc<dyn Sleeper>) -> Self {
        self.sleeper = sleeper;
        self
    }

    /// Runs `attempt` (which is told how many failed before it) until it succeeds, fails for good, or the limits are
    /// reached. The last error is returned, and says how often it was tried.
    pub async fn run<T, F, A>(&self, what: &str, mut attempt: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> A,
        A: Future<Output = Result<T, Error>>,
    {
        let mut waits = self.waits();
        loop {
            let error = match attempt(waits.failed).await {
                Ok(value) => {
                    self.answered();
                    return Ok(value);
                }
                Err(error) => error,
            };
            waits.wait_after(what, error).await?;
        }
    }

    /// The service has answered.
    fn answered(&self) {
        self.dead.store(false, Ordering::Relaxed);
    }

    /// The waits of one request, for loops that are not shaped like [`run`](Self::run): a download that goes on
    /// where it was cut.
    pub fn waits(&self) -> Waits {
        Waits { retry: self.clone(), failed: 0, waited: Duration::ZERO, begun: Instant::now() }
    }
}

/// How often one request has failed, and how long it has waited.
#[derive(Debug)]
pub struct Waits {
    retry: Retry,
    failed: u32,
    waited: Duration,
    begun: Instant,
}

impl Waits {
    /// Waits as long as is right after this error; gives it back if it is for good or the limits are reached.
    pub async fn wait_after(&mut self, what: &str, error: Error) -> Result<(), Error> {
        let Reason::Transient(asked) = error.reason else {
            self.retry.answered();
            return Err(error);
        };
        self.failed += 1;
        let limits = self.retry.limits;
        let dead = self.retry.dead.load(Ordering::Relaxed) && self.begun.elapsed() >= limits.while_dead;
        if dead || self.failed >= limits.attempts {
            self.retry.dead.store(true, Ordering::Relaxed);
            return Err(gave_up(error, &format!("tried {} times", self.failed)));
        }
        let wait = self.backoff().max(asked.unwrap_or_default());
        if self.waited + wait > limits.in_all {
            return Err(gave_up(error, &format!("the next attempt would have to wait {wait:.0?}")));
        }
        tracing::info!(what, attempt = self.failed, wait_ms = wait.as_millis(), %error, "trying again");
        self.waited += wait;
        self.retry.sleeper.sleep(wait).await;
        Ok(())
    }

    /// Starts counting anew: there was progress.
    pub fn reset(&mut self) {
        self.retry.answered();
        self.failed = 0;
        self.waited = Duration::ZERO;
        self.begun = Instant::now();
    }

    fn backoff(&self) -> Duration {
        let limits = self.retry.limits;
        let doubled = limits.first.saturating_mul(2u32.saturating_pow(self.failed - 1)).min(limits.longest);
        doubled.mul_f64(rand::random_range(0.5..=1.0))
    }
}

fn gave_up(mut error: Error, why: &str) -> Error {
    error.message = format!("{} ({why})", error.message);
    error
}

/// Signs of life of one request: beaten by whatever moves its bytes, watched by [`watch`].
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Notes that bytes have moved.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a request and cuts it when its pulse has been still for `patience`; the request may take as long as it likes
/// while bytes move. The cut is a transient error.
pub async fn watch<T>(
    pulse: &Pulse,
    patience: Duration,
    doing: &str,
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(request);
    loop {
        let before = pulse.count();
        match tokio::time::timeout(patience, &mut request).await {
            Ok(result) => return result,
            Err(_) if pulse.count() == before => {
                let message = format!("cannot {doing}: no byte has moved for {patience:.0?}");
                return Err(Error::new(Reason::Transient(None), message));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Recorder(Mutex<Vec<Duration>>);

    #[async_trait]
    impl Sleeper for Recorder {
        async fn sleep(&self, wait: Duration) {
            self.0.lock().unwrap().push(wait);
        }
    }

    fn limits() -> Limits {
        let seconds = Duration::from_secs;
        Limits {
            attempts: 5,
            first: seconds(1),
            longest: seconds(4),
            in_all: seconds(100),
            while_dead: seconds(50),
        }
    }

    /// Fails with `reason` as often as told, then succeeds; returns the outcome and the waits in seconds.
    async fn failing(times: u32, reason: Reason) -> (Result<u32, Error>, Vec<f64>) {
        let recorder = Arc::new(Recorder::default());
        let retry = Retry::new(limits()).with_sleeper(Arc::<Recorder>::clone(&recorder));
        let attempt =
            |failed| async move { if failed < times { Err(Error::new(reason, "busy")) } else { Ok(failed) } };
        let outcome = retry.run("test", attempt).await;
        let waits = recorder.0.lock().unwrap().iter().map(Duration::as_secs_f64).collect();
        (outcome, waits)
    }

    #[tokio::test]
    async fn waits_double_up_to_the_longest_and_are_never_cut_below_half() {
        let (outcome, waits) = failing(4, Reason::Transient(None)).await;
        assert_eq!(outcome.unwrap(), 4);
        for (wait, whole) in waits.iter().zip([1.0, 2.0, 4.0, 4.0]) {
            assert!((whole / 2.0..=whole).contains(wait), "{waits:?}");
        }
    }

    #[tokio::test]
    async fn gives_up_after_the_last_attempt_and_says_so() {
        let (outcome, waits) = failing(5, Reason::Transient(None)).await;
        assert_eq!(outcome.unwrap_err().to_string(), "busy (tried 5 times)");
        assert_eq!(waits.len(), 4);
    }

    #[tokio::test]
    async fn what_does_not_pass_by_itself_is_not_tried_again() {
        for reason in [Reason::Denied, Reason::NotFound, Reason::Rejected, Reason::Corrupt, Reason::Full] {
            let (outcome, waits) = failing(1, reason).await;
            assert_eq!((outcome.unwrap_err().to_string(), waits), ("busy".to_owned(), vec![]));
        }
    }

    #[tokio::test]
    async fn a_server_may_ask_for_more_time_but_not_for_ever() {
        let (outcome, waits) = failing(1, Reason::Transient(Some(Duration::from_mins(1)))).await;
        assert!(outcome.is_ok() && waits == [60.0], "{waits:?}");
        let (outcome, waits) = failing(1, Reason::Transient(Some(Duration::from_hours(1)))).await;
        assert!(outcome.unwrap_err().to_string().contains("wait 3600s") && waits.is_empty());
    }

    #[tokio::test]
    async fn a_dead_service_is_not_waited_for_as_long_at_every_request() {
        let limits = Limits { while_dead: Duration::from_millis(300), ..limits() };
        let retry = Retry::new(limits).with_sleeper(Arc::new(Recorder::default()));
        // How often something is tried that takes so long and then ends in this way.
        let tried = async |millis: u64, end: fn() -> Result<(), Error>| {
            let attempts = AtomicU64::new(0);
            let attempt = |_| async {
                attempts.fetch_add(1, Ordering::Relaxed);
                pause(Duration::from_millis(millis)).await;
                end()
            };
            drop(retry.clone().run("test", attempt).await);
            attempts.load(Ordering::Relaxed)
        };
        let silence = || Err(Error::new(Reason::Transient(None), "no answer"));
        assert_eq!(tried(100, silence).await, 5);
        assert!(tried(100, silence).await < 5 && tried(100, silence).await < 5);
        // What is refused at once costs no time, and may pass soon.
        assert_eq!(tried(0, silence).await, 5);
        // A success, and a refusal that is one: somebody is there.
        let answers: [fn() -> Result<(), Error>; 2] =
            [|| Ok(()), || Err(Error::new(Reason::NotFound, "not there"))];
        for answer in answers {
            assert_eq!(tried(0, answer).await, 1);
            assert_eq!(tried(100, silence).await, 5);
            assert!(tried(100, silence).await < 5);
        }
    }

    #[tokio::test]
    async fn only_a_still_request_is_cut() {
        let pulse = Pulse::default();
        let patience = Duration::from_millis(50);
        let slow = async {
            for _ in 0..8 {
                pause(Duration::from_millis(20)).await;
                pulse.beat();
            }
            Ok(1)
        };
        assert_eq!(watch(&pulse, patience, "test", slow).await.unwrap(), 1);
        let still = std::future::pending::<Result<(), Error>>();
        assert!(watch(&pulse, patience, "test", still).await.unwrap_err().is_transient());
    }
}
