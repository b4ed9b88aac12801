//! SIGTERM and SIGINT: the first asks the run to stop and abort its uploads, the second ends it at once. What only looks
//! has nothing to abort and ends with the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::report::Stopped;

/// Knows whether the process was told to stop, and by what.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    first: CancellationToken,
    second: CancellationToken,
    signal: Arc<AtomicU8>,
}

/// How long what only looks may still take to end by itself: enough to remove what a check has written.
const MOMENT: std::time::Duration = std::time::Duration::from_secs(1);

const NONE: u8 = 0;
const INTERRUPTED: u8 = 1;
const TERMINATED: u8 = 2;

impl Shutdown {
    /// Begins to listen. Must be called on the runtime.
    pub fn listen() -> std::io::Result<Self> {
        let shutdown = Self::default();
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        tokio::spawn(shutdown.clone().heed(interrupt, terminate));
        Ok(shutdown)
    }

    async fn heed(self, mut interrupt: Signal, mut terminate: Signal) {
        loop {
            let number = tokio::select! {
                _ = interrupt.recv() => INTERRUPTED,
                _ = terminate.recv() => TERMINATED,
            };
            if self.first.is_cancelled() {
                return self.second.cancel();
            }
            self.signal.store(number, Ordering::SeqCst);
            tracing::warn!("told to stop; a second signal ends at once");
            self.first.cancel();
        }
    }

    /// Cancelled by the first signal.
    pub fn token(&self) -> CancellationToken {
        self.first.clone()
    }

    /// Waits for the second signal, or for a moment after the first where the verb does not end in order by itself.
    pub async fn at_once(&self, ends_in_order: bool) {
        if ends_in_order {
            return self.second.cancelled().await;
        }
        self.first.cancelled().await;
        tokio::select! {
            () = self.second.cancelled() => {}
            () = crate::stores::retry::pause(MOMENT) => {}
        }
    }

    /// The signal that came first, if any.
    pub fn stopped(&self) -> Option<Stopped> {
        match self.signal.load(Ordering::SeqCst) {
            INTERRUPTED => Some(Stopped::Interrupted),
            TERMINATED => Some(Stopped::Terminated),
            _ => None,
        }
    }

    /// How the process ends: by the signal if there was one, else as given.
    pub fn exit(&self, otherwise: Exit) -> Exit {
        match self.signal.load(Ordering::SeqCst) {
            NONE => otherwise,
            INTERRUPTED => Exit::Interrupted,
            _ => Exit::Terminated,
        }
    }
}
