//! Who the store is at Google: one of three ways in, read and checked before anything runs.

use google_drive3::yup_oauth2::ServiceAccountKey;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::config::{Config, OAuth, ServiceAccount};
use crate::config::context::Context;
use crate::config::secret::Secret;

/// Credentials as meant.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// A user who has consented.
    User(User),
    /// A service account with its key.
    ServiceAccount(Account),
    /// Whoever the metadata server speaks for.
    WorkloadIdentity {
        /// Its address, or `default`.
        account: String,
    },
}

/// A user who has consented.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) client_id: Secret,
    pub(crate) client_secret: Secret,
    pub(crate) refresh_token: Secret,
}

/// A service account with its key.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) key: Box<ServiceAccountKey>,
    pub(crate) subject: Option<String>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("email", &self.key.client_email)
            .field("subject", &self.subject)
            .finish()
    }
}

impl Credentials {
    /// Whether both are surely the same account.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::User(one), Self::User(other)) => one.refresh_token == other.refresh_token,
            (Self::ServiceAccount(one), Self::ServiceAccount(other)) => {
                (&one.key.client_email, &one.subject) == (&other.key.client_email, &other.subject)
            }
            (Self::WorkloadIdentity { account }, Self::WorkloadIdentity { account: other }) => {
                account == other
            }
            _ => false,
        }
    }
}

/// Reads the credentials that are given; none and several are problems.
pub(super) fn plan(config: &Config, context: &mut Context) -> Option<Credentials> {
    match (&config.oauth, &config.service_account, &config.workload_identity) {
        (Some(oauth), None, None) => context.at("oauth", |context| user(oauth, context)),
        (None, Some(account), None) => {
            context.at("service_account", |context| service_account(account, context))
        }
        (None, None, Some(identity)) => {
            let account = identity.account.clone().unwrap_or_else(|| "default".to_owned());
            let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
            if account.is_empty() || !account.bytes().all(sound) {
                let what = format!("`{account}` is not the address of a service account");
                context.problem(
                    "workload_identity.account",
                    what,
                    "leave it out, or write its e-mail address",
                );
                return None;
            }
            Some(Credentials::WorkloadIdentity { account })
        }
        (None, None, None) => {
            let help = "add `oauth`, `service_account` or `workload_identity`; `chupacabra drive login` makes the first";
            context.problem("", "there are no credentials", help);
            None
        }
        _ => {
            let help = "keep one of `oauth`, `service_account` and `workload_identity`";
            context.problem("", "several credentials stand together", help);
            None
        }
    }
}

fn user(oauth: &OAuth, context: &mut Context) -> Option<Credentials> {
    let client_id = context.secret("client_id", Some(&oauth.client_id));
    let client_secret = context.secret("client_secret", Some(&oauth.client_secret));
    let refresh_token = context.secret("refresh_token", Some(&oauth.refresh_token));
    let (client_id, client_secret, refresh_token) = (client_id?, client_secret?, refresh_token?);
    if client_id.expose().trim_start().starts_with('{') {
        let help = "take `client_id` out of the downloaded JSON; `chupacabra drive login` does it";
        context.problem("client_id", "this is a whole JSON file, not the client's id", help);
        return None;
    }
    Some(Credentials::User(User { client_id, client_secret, refresh_token }))
}

fn service_account(account: &ServiceAccount, context: &mut Context) -> Option<Credentials> {
    let text = context.secret("key", Some(&account.key))?;
    match key(text.expose()) {
        Ok(key) => Some(Credentials::ServiceAccount(Account {
            key: Box::new(key),
            subject: account.subject.clone(),
        })),
        Err((what, help)) => {
            context.problem("key", what, help);
            None
        }
    }
}

const DOWNLOAD: &str =
    "make a key of type JSON for the service account and use the file as it was downloaded";

/// Reads a service account's key. Nothing of the text is ever repeated: it is a secret.
fn key(text: &str) -> Result<ServiceAccountKey, (String, &'static str)> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        (format!("the key is not JSON (line {}, column {})", error.line(), error.column()), DOWNLOAD)
    })?;
    if value.get("installed").is_some() || value.get("web").is_some() {
        let help = "give this file to `chupacabra drive login` and write what it prints under `oauth`";
        return Err(("this is an OAuth client, not the key of a service account".into(), help));
    }
    match value.get("type").and_then(Value::as_str) {
        Some("service_account") => {}
        Some(other) => {
            return Err((format!("this is a key of type `{other}`, not `service_account`"), DOWNLOAD));
        }
        None => {
            return Err(("the key has no `type`: it is not the key of a service account".into(), DOWNLOAD));
        }
    }
    for field in ["client_email", "private_key", "token_uri"] {
        if value.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err((format!("the key has no `{field}`"), DOWNLOAD));
        }
    }
    let key: ServiceAccountKey = serde_json::from_value(value)
        .map_err(|_| ("the key is not the key of a service account".to_owned(), DOWNLOAD))?;
    let pem = key.private_key.replace("\\n", "\n");
    if PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_err() {
        return Err(("the `private_key` in the key is damaged".into(), DOWNLOAD));
    }
    Ok(key)
}
