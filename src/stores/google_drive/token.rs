//! Access tokens: had from the credentials, kept until shortly before they expire, and forgotten when refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use google_drive3::common::GetToken;
use google_drive3::yup_oauth2::authenticator::Authenticator;
use google_drive3::yup_oauth2::{self, CustomHyperClientBuilder, ServiceAccountAuthenticator};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::client::{Connector, Http, read_json};
use super::config::Plan;
use super::credentials::{Credentials, User};
use super::error::{told, unconnected};
use super::transmit::{body, query};
use crate::config::secret::Secret;
use crate::stores::retry::Pulse;
use crate::stores::{Error, Reason};

const DOING: &str = "get an access token";
/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_mins(1);

/// Where a store's tokens come from. Clones share the token they have.
#[derive(Clone)]
pub(super) struct Tokens(Arc<Inner>);

struct Inner {
    way: Way,
    scope: &'static str,
    had: Mutex<Option<Had>>,
    /// In how many seconds the refresh token itself expires, as far as Google has said; 0 if it has not.
    expiry: AtomicU64,
}

struct Had {
    token: Secret,
    until: Instant,
}

enum Way {
    User { user: User, url: String, http: Http },
    ServiceAccount(Authenticator<Connector>),
    Metadata { url: String, http: Http },
}

/// What a token service answers (RFC 6749, section 5.1).
#[derive(Deserialize)]
pub(super) struct Granted {
    pub(super) access_token: String,
    pub(super) expires_in: Option<u64>,
    pub(super) refresh_token: Option<String>,
    /// Google's addition for clients in testing: the refresh token's own end.
    pub(super) refresh_token_expires_in: Option<u64>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Prepares the way in; asks for nothing yet.
    pub(super) async fn new(plan: &Plan, http: &Http, connector: &Connector) -> Result<Self, Error> {
        let way = match &plan.credentials {
            Credentials::User(user) => {
                Way::User { user: user.clone(), url: plan.token_url(), http: http.clone() }
            }
            Credentials::ServiceAccount(account) => {
                let builder =
                    hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
                let client = CustomHyperClientBuilder::from(builder.build::<_, String>(connector.clone()));
                let mut flow = ServiceAccountAuthenticator::with_client((*account.key).clone(), client);
                if let Some(subject) = &account.subject {
                    flow = flow.subject(subject);
                }
                let flow = flow.build().await;
                Way::ServiceAccount(flow.map_err(|_| {
                    Error::new(Reason::Denied, "the service account's private key cannot be used")
                        .help("make a new key of type JSON for the service account")
                })?)
            }
            Credentials::WorkloadIdentity { account } => {
                let path = format!("computeMetadata/v1/instance/service-accounts/{account}/token");
                let google = format!("http://metadata.google.internal/{path}");
                Way::Metadata { url: plan.service(&google, &path), http: http.clone() }
            }
        };
        let scope = plan.scope.url();
        Ok(Self(Arc::new(Inner { way, scope, had: Mutex::new(None), expiry: AtomicU64::new(0) })))
    }

    /// A token that is good for a while.
    pub(super) async fn token(&self) -> Result<Secret, Error> {
        let mut had = self.0.had.lock().await;
        if let Some(had) = had.as_ref().filter(|had| had.until > Instant::now()) {
            return Ok(had.token.clone());
        }
        let granted = self.ask().await?;
        if let Some(seconds) = granted.refresh_token_expires_in {
            self.0.expiry.store(seconds, Ordering::Relaxed);
        }
        let life = Duration::from_secs(granted.expires_in.unwrap_or(3_600)).saturating_sub(MARGIN);
        let token = Secret::new(granted.access_token);
        *had = Some(Had { token: token.clone(), until: Instant::now() + life });
        Ok(token)
    }

    /// Drops the token: the service has refused it.
    pub(super) async fn forget(&self) {
        *self.0.had.lock().await = None;
    }

    /// When the refresh token itself expires, if Google has said so.
    pub(super) fn refresh_token_life(&self) -> Option<Duration> {
        let seconds = self.0.expiry.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    async fn ask(&self) -> Result<Granted, Error> {
        match &self.0.way {
            Way::User { user, url, http } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", user.client_id.expose()),
                    ("client_secret", user.client_secret.expose()),
                    ("refresh_token", user.refresh_token.expose()),
                ];
                post(http, url, &form).await
            }
            Way::Metadata { url, http } => {
                let url = format!("{url}?{}", query(&[("scopes", self.0.scope)]));
                let request = hyper::Request::get(url).header("Metadata-Flavor", "Google");
                send(http, request, String::new()).await.map_err(|error| {
                    error.help(
                        "`workload_identity` works only on Google's own machines, with a service account bound to the \
                         pod's; use `oauth` or `service_account` elsewhere",
                    )
                })
            }
            Way::ServiceAccount(authenticator) => {
                // Its own cache would give a refused token back; ours is the only one.
                let token = authenticator.force_refreshed_token(&[self.0.scope]).await.map_err(from_yup)?;
                let text = token.token().unwrap_or_default().to_owned();
                Ok(Granted {
                    access_token: text,
                    expires_in: None,
                    refresh_token: None,
                    refresh_token_expires_in: None,
                })
            }
        }
    }
}

impl GetToken for Tokens {
    fn get_token<'a>(
        &'a self,
        _scopes: &'a [&str],
    ) -> std::pin::Pin<
        Box<
            dyn Future<Output = Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>> + Send + 'a,
        >,
    > {
        Box::pin(async move { Ok(Some(self.token().await?.expose().to_owned())) })
    }
}

/// Posts a form to a token service.
pub(super) async fn post(http: &Http, url: &str, form: &[(&str, &str)]) -> Result<Granted, Error> {
    let request = hyper::Request::post(url).header("Content-Type", "application/x-www-form-urlencoded");
    send(http, request, query(form)).await
}

async fn send(http: &Http, request: hyper::http::request::Builder, form: String) -> Result<Granted, Error> {
    let (status, value) = exchange(http, request, form).await?;
    if status == 200 {
        return serde_json::from_value(value).map_err(|_| {
            Error::new(Reason::Transient(None), format!("cannot {DOING}: the answer has none"))
        });
    }
    // What stands before the token service answers in the shape of the API.
    if value["error"].is_object() {
        return Err(told(DOING, status, &hyper::HeaderMap::new(), &value));
    }
    let code = value["error"].as_str().unwrap_or_default();
    Err(refused(status, code, value["error_description"].as_str().unwrap_or_default()))
}

/// Sends a form and reads the answer, whatever it is.
pub(super) async fn exchange(
    http: &Http,
    request: hyper::http::request::Builder,
    form: String,
) -> Result<(u16, Value), Error> {
    let request = request.body(body(form.into(), &Pulse::default())).map_err(|error| {
        Error::new(Reason::Rejected, format!("cannot {DOING}: the request cannot be made")).because(error)
    })?;
    let answer = http.request(request).await.map_err(|error| unconnected(DOING, &error))?;
    let status = answer.status().as_u16();
    Ok((status, read_json(answer.into_body(), DOING).await.unwrap_or_default()))
}

/// What a token service's refusal means (RFC 6749, section 5.2, and Google's own codes).
fn refused(status: u16, code: &str, description: &str) -> Error {
    let (reason, help) = match code {
        // Revoked, unused for six months, one of more than a hundred, or seven days old and of a client in testing.
        "invalid_grant" => (
            Reason::Denied,
            "the consent has ended: run `chupacabra drive login` again. If it lasted 7 days, the OAuth client is in \
             testing: publish it. For a service account: set this machine's clock, and check `subject`",
        ),
        "invalid_client" | "deleted_client" => {
            (Reason::Denied, "the OAuth client's id or secret is wrong, or the client was deleted")
        }
        "unauthorized_client" => (
            Reason::Denied,
            "an administrator of the domain must allow this client id the scope (Security, API controls, domain-wide \
             delegation), and the client must be of the right type",
        ),
        "invalid_scope" => (Reason::Denied, "the scope is not allowed for this client: see `scope`"),
        "access_denied" => (Reason::Denied, "the consent was refused"),
        "admin_policy_enforced" | "invalid_rapt" => (
            Reason::Denied,
            "the domain's policy asks for another consent: run `chupacabra drive login` again",
        ),
        // The token service's own trouble. The crate that asks for service accounts keeps no status, only the code.
        "internal_failure" | "server_error" | "temporarily_unavailable" | "rate_limit_exceeded" => {
            (Reason::Transient(None), "")
        }
        _ if status == 429 || status == 408 || status >= 500 => (Reason::Transient(None), ""),
        _ => (Reason::Denied, "check the credentials of this store"),
    };
    let what = match (code, description.trim_end_matches('.')) {
        ("", _) => format!("status {status}"),
        (code, "") => code.to_owned(),
        (code, said) => format!("{code}: {said}"),
    };
    let error = Error::new(reason, format!("cannot {DOING}: {what}"));
    if help.is_empty() { error } else { error.help(help) }
}

fn from_yup(error: yup_oauth2::Error) -> Error {
    match error {
        yup_oauth2::Error::AuthError(error) => {
            refused(400, error.error.as_str(), error.error_description.as_deref().unwrap_or_default())
        }
        yup_oauth2::Error::UserError(_) | yup_oauth2::Error::CredentialSourceError(_) => {
            Error::new(Reason::Denied, format!("cannot {DOING}: the service account's key is not usable"))
        }
        other => unconnected(DOING, &other),
    }
}
