//! The one place that reads the clock.
//!
//! Everything that decides by time (retention, keys, staleness) takes a [`Timestamp`] as an argument, so that a
//! test can say what time it is. Only the verbs hold a [`Clock`].

pub use jiff::Timestamp;

/// A source of the present time: the system's, or a fixed one in tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// The system clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that stands still.
    pub fn fixed(at: Timestamp) -> Self {
        Self { fixed: Some(at) }
    }

    /// The present time in UTC.
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> Timestamp {
        self.fixed.unwrap_or_else(Timestamp::now)
    }
}
