//! The retries of every store, except that nobody waits longer than a moment.

use std::sync::Arc;
use std::time::Duration;

use chupacabra::stores::retry::{Limits, Retry, Sleeper};

#[derive(Debug)]
struct Hurried;

#[async_trait::async_trait]
impl Sleeper for Hurried {
    #[allow(clippy::disallowed_methods, reason = "the test of what sleeps")]
    async fn sleep(&self, wait: Duration) {
        tokio::time::sleep(wait.min(Duration::from_millis(5))).await;
    }
}

/// As often as every store tries, without its waits.
pub fn hurried() -> Retry {
    Retry::new(Limits::default()).with_sleeper(Arc::new(Hurried))
}
