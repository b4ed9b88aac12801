//! Telegram: one message by a bot into a chat (Bot API, `sendMessage`).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::http::{self, Request};
use super::{Event, News, message};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::stores;

/// The longest text that a message may have (Bot API, `sendMessage`).
const LONGEST: usize = 4096;

/// A chat as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The bot's token, from `@BotFather`.
    pub token: SecretRef,
    /// The chat's number, in quotes, or `@name` of a public channel.
    pub chat: String,
    /// The topic's number, in a group that has topics.
    pub topic: Option<i64>,
    /// The address of another Bot API server. Default: Telegram's.
    pub api: Option<String>,
}

/// A chat as meant.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(super) token: Secret,
    chat: String,
    topic: Option<i64>,
    api: String,
}

impl Config {
    /// Refuses what cannot be meant.
    pub(crate) fn plan(self, context: &mut Context) -> Option<Plan> {
        let api = self.api.unwrap_or_else(|| "https://api.telegram.org".to_owned());
        let api = api.trim_end_matches('/').to_owned();
        if http::address(&api).is_none() {
            context.problem(
                "api",
                "this is no web address",
                "write it with `https://`, or leave the key out",
            );
        }
        if self.chat.trim().is_empty() {
            context.problem("chat", "the chat is empty", "write its number in quotes, or `@name`");
        }
        let token = context.secret("token", Some(&self.token))?;
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if !token.expose().chars().all(sound) {
            context.problem(
                "token",
                "this is no bot's token",
                "copy it from @BotFather: digits, a colon, letters",
            );
            return None;
        }
        Some(Plan { token, chat: self.chat, topic: self.topic, api })
    }
}

impl Plan {
    pub(super) fn request(&self, news: News<'_>, label: Option<&str>) -> Result<Request, stores::Error> {
        let mut body = json!({
            "chat_id": self.chat,
            "text": message::text(news, label, LONGEST),
            "disable_notification": matches!(news.event(), Event::Start | Event::Success),
        });
        if let Some(topic) = self.topic {
            body["message_thread_id"] = json!(topic);
        }
        Request::json(&format!("{}/bot{}/sendMessage", self.api, self.token.expose()), &body)
    }
}
