//! Healthchecks: signs of life to a monitor that alarms when they stay away.
//!
//! The protocol of Healthchecks and its likes: the check's address alone means success, `/start` and `/fail` below it
//! mean what they say. A partial run is a failure here: such a check knows nothing between.

use schemars::JsonSchema;
use serde::Deserialize;

use super::http::Request;
use super::{Event, News, config, message};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::stores::{self, Reason};

/// Healthchecks keeps the first 100 kB of a message; other monitors less.
const LONGEST: usize = 9000;

/// A check as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The check's address, which is a secret: whoever knows it can silence the alarm.
    pub url: SecretRef,
}

/// A check as meant.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(super) url: Secret,
}

impl Config {
    pub(crate) fn plan(self, context: &mut Context) -> Option<Plan> {
        Some(Plan { url: config::address("url", &self.url, context)? })
    }
}

impl Plan {
    pub(super) fn request(&self, news: News<'_>, label: Option<&str>) -> Result<Request, stores::Error> {
        let (path, query) = match self.url.expose().split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (self.url.expose(), String::new()),
        };
        let signal = match news.event() {
            Event::Start => "/start",
            Event::Success => "",
            Event::Partial | Event::Failure => "/fail",
        };
        let address = format!("{}{signal}{query}", path.trim_end_matches('/'));
        Ok(Request::text(&address, message::text(news, label, LONGEST))?.meaning(meaning))
    }
}

/// What healthchecks.io says in the body of a 200 (`healthchecks.io/docs/http_api`): for an address that
/// is no check's, and when pings come too fast. Neither is counted.
fn meaning(said: &str) -> Result<(), stores::Error> {
    match said.trim() {
        "OK (not found)" => {
            let what = "the monitor has no check of this address: correct `url`";
            Err(stores::Error::new(Reason::NotFound, what))
        }
        "OK (rate limited)" => {
            Err(stores::Error::new(Reason::Transient(None), "the monitor takes no more pings just now"))
        }
        _ => Ok(()),
    }
}
