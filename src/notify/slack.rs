//! Slack: one message through an incoming webhook.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::http::Request;
use super::{News, config, message};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::stores;

/// Slack cuts texts above 40,000 characters; nobody reads a tenth of that.
const LONGEST: usize = 3500;

/// An incoming webhook as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The webhook's address, which is a secret.
    pub url: SecretRef,
}

/// An incoming webhook as meant.
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
        // The three characters that have a meaning of their own in Slack's texts.
        let text = message::text(news, label, LONGEST);
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Request::json(self.url.expose(), &json!({ "text": text }))
    }
}
