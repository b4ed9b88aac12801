//! Notifications: tells people and monitors how a run goes.
//!
//! A notifier that fails never fails a backup: it is tried again within limits, and then an event says so. What is
//! sent is made from the [`Report`] alone; secrets are in no message and in no error, whatever a server answers.

pub mod config;
mod healthchecks;
mod http;
mod message;
mod slack;
mod telegram;
mod webhook;

use std::time::Duration;

use futures_util::future::join_all;

pub use config::{Config, Event};

use crate::catalog::SourceName;
use crate::config::secret::Secret;
use crate::exit::Exit;
use crate::report::Report;
use crate::stores;
use crate::stores::proxy::Proxies;
use http::Request;

/// How long all notifiers together may take after a run.
const IN_ALL: Duration = Duration::from_secs(90);
/// The same when the process was told to stop: it must end within the grace period.
const WHEN_STOPPED: Duration = Duration::from_secs(8);

/// What there is to tell.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// A run over these sources begins.
    Start(&'a [SourceName]),
    /// A run has ended.
    End(&'a Report),
    /// A run could not even begin; why, in one line.
    Broken(&'a str),
}

impl News<'_> {
    /// What kind of news it is.
    pub fn event(&self) -> Event {
        match self {
            Self::Start(_) => Event::Start,
            Self::Broken(_) => Event::Failure,
            Self::End(report) => match report.exit() {
                Exit::Good => Event::Success,
                Exit::Partial => Event::Partial,
                _ => Event::Failure,
            },
        }
    }

    /// The news for people, in at most `longest` characters: the verdict, what is not good, the rest.
    pub fn text(&self, longest: usize) -> String {
        message::text(*self, None, longest)
    }

    fn limit(&self) -> Duration {
        match self {
            Self::End(report) if report.stopped.is_some() => WHEN_STOPPED,
            _ => IN_ALL,
        }
    }
}

/// Someone to be told.
#[derive(Debug, Clone)]
pub struct Notifier {
    name: String,
    channel: Channel,
    on: Vec<Event>,
    label: Option<String>,
    timeout: Duration,
    proxies: Proxies,
}

/// How someone is told.
#[derive(Debug, Clone)]
pub(crate) enum Channel {
    Telegram(telegram::Plan),
    Slack(slack::Plan),
    Webhook(webhook::Plan),
    Healthchecks(healthchecks::Plan),
}

impl Channel {
    fn request(&self, news: News<'_>, label: Option<&str>) -> Result<Request, stores::Error> {
        match self {
            Self::Telegram(plan) => plan.request(news, label),
            Self::Slack(plan) => plan.request(news, label),
            Self::Webhook(plan) => plan.request(news, label),
            Self::Healthchecks(plan) => plan.request(news, label),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Telegram(plan) => vec![&plan.token],
            Self::Slack(plan) => vec![&plan.url],
            Self::Webhook(plan) => std::iter::once(&plan.url).chain(&plan.token).collect(),
            Self::Healthchecks(plan) => vec![&plan.url],
        }
    }

    /// What is told unless `on` says otherwise: people hear of trouble, a monitor must hear of everything.
    fn usual(&self) -> Vec<Event> {
        match self {
            Self::Healthchecks(_) => vec![Event::Start, Event::Success, Event::Partial, Event::Failure],
            _ => vec![Event::Partial, Event::Failure],
        }
    }
}

/// Tells everyone who wants to know, all at once. Never fails: who could not be told is told of in an event.
pub async fn notify(notifiers: &[Notifier], news: News<'_>) {
    let wanted = notifiers.iter().filter(|one| one.on.contains(&news.event()));
    let all = join_all(wanted.map(|one| async move {
        match tokio::time::timeout(news.limit(), one.tell(news)).await {
            Ok(Ok(())) => tracing::debug!(notification = %one.name, event = ?news.event(), "notified"),
            Ok(Err(error)) => {
                let error = http::without_secrets(&crate::report::chain(&error).join(": "), &one.channel.secrets());
                tracing::warn!(notification = %one.name, error, "nobody was notified; the backup is not affected");
            }
            Err(_) => {
                tracing::warn!(notification = %one.name, "nobody was notified in time; the backup is not affected");
            }
        }
    }));
    all.await;
}

impl Notifier {
    /// Tells the news, trying again what may pass by itself.
    pub async fn tell(&self, news: News<'_>) -> Result<(), stores::Error> {
        let request = self.channel.request(news, self.label.as_deref())?;
        http::send(&request, self.timeout, &self.channel.secrets(), &self.proxies).await
    }
}

#[cfg(test)]
mod tests;
