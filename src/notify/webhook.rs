//! Webhook: the whole report as JSON to any address.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::http::Request;
use super::{News, config, message};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::stores;

/// The text is for people; whoever wants all reads the report beside it.
const LONGEST: usize = 3500;

/// An address as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address, which may hold a secret.
    pub url: SecretRef,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<SecretRef>,
}

/// An address as meant.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(super) url: Secret,
    pub(super) token: Option<Secret>,
}

impl Config {
    pub(crate) fn plan(self, context: &mut Context) -> Option<Plan> {
        let token = context.secret("token", self.token.as_ref());
        let url = config::address("url", &self.url, context)?;
        if token.as_ref().is_some_and(|token| !token.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            let help = "make sure that the secret holds the token alone, without line breaks or spaces";
            context.problem("token", "the token has characters that no header may have", help);
            return None;
        }
        Some(Plan { url, token })
    }
}

impl Plan {
    pub(super) fn request(&self, news: News<'_>, label: Option<&str>) -> Result<Request, stores::Error> {
        let mut body = json!({
            "event": news.event(),
            "label": label,
            "text": message::text(news, label, LONGEST),
        });
        match news {
            News::Start(sources) => body["sources"] = json!(sources),
            News::End(report) => body["report"] = json!(report),
            News::Broken(why) => body["error"] = json!(why),
        }
        Ok(Request::json(self.url.expose(), &body)?.bearer(self.token.as_ref()))
    }
}
