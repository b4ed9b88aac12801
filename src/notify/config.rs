//! The configuration of notifications.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Channel, Notifier, healthchecks, slack, telegram, webhook};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::config::units::Span;
use crate::stores::proxy::Proxies;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Who is told how runs go. Exactly one of the kinds is given.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A Telegram chat.
    pub telegram: Option<telegram::Config>,
    /// A Slack channel, or anything else that takes Slack's incoming webhooks.
    pub slack: Option<slack::Config>,
    /// Any address: gets the report as JSON.
    pub webhook: Option<webhook::Config>,
    /// A check at Healthchecks or a monitor that speaks its protocol: it alarms when no sign of life comes.
    pub healthchecks: Option<healthchecks::Config>,
    /// What is told. Default: partial and failure; for `healthchecks` all.
    pub on: Option<Vec<Event>>,
    /// Begins every message, for example the cluster's name.
    pub label: Option<String>,
    /// How long one attempt may take. Default: 10s.
    pub timeout: Option<Span>,
}

/// What can be told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It begins.
    Start,
    /// Everything is good.
    Success,
    /// Some source failed, is incomplete or suspicious, or a required store lacks its package.
    Partial,
    /// Every source failed, the run could not begin, or it was interrupted.
    Failure,
}

impl Config {
    /// Refuses what cannot be meant. `plan` is `Kinds` applied to the kinds; it stands with the other kinds.
    pub(crate) fn plan_with(
        &self,
        name: &str,
        channel: Option<Channel>,
        context: &mut Context,
    ) -> Option<Notifier> {
        if self.on.as_ref().is_some_and(Vec::is_empty) {
            let help = "name at least one of `start`, `success`, `partial`, `failure`, or leave the key out";
            context.problem("on", "the list is empty: nobody would ever be told", help);
        }
        let timeout = self.timeout.map_or(TIMEOUT, |span| span.0);
        if timeout.is_zero() {
            context.problem("timeout", "no attempt can be made in no time", "write for example `10s`");
        }
        let channel = channel?;
        let on = self.on.clone().unwrap_or_else(|| channel.usual());
        let proxies = Proxies::plan(None, context);
        Some(Notifier { name: name.to_owned(), channel, on, label: self.label.clone(), timeout, proxies })
    }
}

/// Reads an address that is a secret; it is never quoted.
pub(super) fn address(key: &str, reference: &SecretRef, context: &mut Context) -> Option<Secret> {
    let secret = context.secret(key, Some(reference))?;
    if super::http::address(secret.expose()).is_none() {
        let help = "the secret must hold the whole address, beginning with `https://` (or `http://` inside the cluster)";
        context.problem(key, "the secret is no web address", help);
        return None;
    }
    Some(secret)
}
