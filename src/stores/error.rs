//! What can go wrong with a store, in the words that decide what happens next.

use std::time::Duration;

/// An error of a store.
///
/// The [`Reason`] decides; the message is for people. Messages never hold credentials or session addresses.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of error it is.
    pub reason: Reason,
    /// What happened, lowercase, no full stop.
    pub message: String,
    /// What the user can do about it, if the store knows.
    pub help: Option<String>,
    /// The underlying error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of store errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// May pass by itself: retried, not before the given time has passed.
    Transient(Option<Duration>),
    /// There is no such object.
    NotFound,
    /// There already is an object of that name.
    Exists,
    /// The credentials are refused, or they lack a right.
    Denied,
    /// The store is full or over its quota.
    Full,
    /// The object is protected until some time (object lock).
    Locked,
    /// The upload's session is gone; only starting again helps.
    SessionLost,
    /// The store holds or returned other bytes than it should.
    Corrupt,
    /// The store does not accept the request as it is.
    Rejected,
    /// The run was told to stop.
    Stopped,
}

impl Error {
    /// An error with a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), help: None, source: None }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What the user can do about it: what the store says, or else what is right for errors of this kind.
    pub fn remedy(&self) -> &str {
        if let Some(help) = self.help.as_deref().filter(|help| !help.is_empty()) {
            return help;
        }
        match self.reason {
            Reason::Transient(_) => "look whether the service can be reached from here, and try again",
            Reason::NotFound | Reason::SessionLost | Reason::Stopped => "try again",
            Reason::Exists => "look who else writes here: names are unique",
            Reason::Denied => "check the credentials and their rights",
            Reason::Full => "make room, or use another store",
            Reason::Locked => "wait until the protection ends",
            Reason::Corrupt => {
                "do not rely on this store before it is known what changes the bytes, a proxy on the way for one"
            }
            Reason::Rejected => "check the configuration of this store against what the service says",
        }
    }

    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self.reason, Reason::Transient(_))
    }
}
