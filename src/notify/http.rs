//! One HTTP request: sent, judged, and tried again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, PROXY_AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Response, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;

use crate::config::secret::Secret;
use crate::stores::proxy::{self, Proxies};
use crate::stores::retry::{Limits, Retry};
use crate::stores::{Error, Reason};

/// About half a minute of patience: whoever waits for the end of the run waits for this.
const LIMITS: Limits = Limits {
    attempts: 5,
    first: Duration::from_millis(500),
    longest: Duration::from_secs(8),
    in_all: Duration::from_mins(1),
    while_dead: Duration::from_mins(1),
};

/// The most of an answer that is read, in bytes, and the most of it that is told, in characters.
const MOST_READ: usize = 64 << 10;
const MOST_TOLD: usize = 200;

type Http = Client<HttpsConnector<proxy::Connector>, Full<Bytes>>;

/// A request that can be sent again. Its address may be a secret; it has no `Debug`.
pub(super) struct Request {
    uri: Uri,
    kind: &'static str,
    body: Bytes,
    bearer: Option<HeaderValue>,
    meaning: Option<Meaning>,
}

/// What the body of a good status means, where that may be a refusal all the same.
type Meaning = fn(&str) -> Result<(), Error>;

/// Reads an address that a request may go to.
pub(super) fn address(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    let host = uri.host().is_some_and(|host| !host.is_empty());
    (http && host).then_some(uri)
}

impl Request {
    pub(super) fn json(to: &str, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::new(Reason::Rejected, "cannot write the message").because(error))?;
        Self::new(to, "application/json", body)
    }

    pub(super) fn text(to: &str, body: String) -> Result<Self, Error> {
        Self::new(to, "text/plain; charset=utf-8", body.into_bytes())
    }

    fn new(to: &str, kind: &'static str, body: Vec<u8>) -> Result<Self, Error> {
        let uri = address(to).ok_or_else(|| Error::new(Reason::Rejected, "this is no web address"))?;
        Ok(Self { uri, kind, body: body.into(), bearer: None, meaning: None })
    }

    pub(super) fn bearer(mut self, token: Option<&Secret>) -> Self {
        self.bearer =
            token.and_then(|token| HeaderValue::try_from(format!("Bearer {}", token.expose())).ok());
        if let Some(header) = &mut self.bearer {
            header.set_sensitive(true);
        }
        self
    }

    pub(super) fn meaning(self, meaning: Meaning) -> Self {
        Self { meaning: Some(meaning), ..self }
    }

    fn build(&self, proxies: &Proxies) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut request = hyper::Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(CONTENT_TYPE, self.kind)
            .header(USER_AGENT, concat!("chupacabra/", env!("CARGO_PKG_VERSION")));
        if let Some(bearer) = &self.bearer {
            request = request.header(AUTHORIZATION, bearer.clone());
        }
        if let Some(authorization) = proxies.authorization(&self.uri) {
            request = request.header(PROXY_AUTHORIZATION, authorization);
        }
        let cannot = |error| Error::new(Reason::Rejected, "cannot write the request").because(error);
        request.body(Full::new(self.body.clone())).map_err(cannot)
    }
}

/// Sends a request until it is accepted, refused for good, or the limits are reached.
pub(super) async fn send(
    request: &Request,
    timeout: Duration,
    secrets: &[&Secret],
    proxies: &Proxies,
) -> Result<(), Error> {
    let client = client(proxies)?;
    let attempt = |_| async {
        let answer = async {
            let response = client.request(request.build(proxies)?).await.map_err(lost)?;
            judge(response, request.meaning, secrets).await
        };
        let late = |_| Error::new(Reason::Transient(None), format!("no answer within {timeout:.0?}"));
        tokio::time::timeout(timeout, answer).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    };
    Retry::new(LIMITS).run("notify", attempt).await
}

/// There was no answer.
fn lost(error: hyper_util::client::legacy::Error) -> Error {
    match proxy::Fault::find(&error) {
        Some(fault) => fault.told("reach the server"),
        None => Error::new(Reason::Transient(None), "the server cannot be reached").because(error),
    }
}

fn client(proxies: &Proxies) -> Result<Http, Error> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(Reason::Rejected, "TLS cannot be used").because(error))?
        .with_native_roots()
        .map_err(|error| Error::new(Reason::Rejected, "no root certificates are installed").because(error))?
        .with_no_client_auth();
    let connector = proxy::Connector::new(proxies, HttpConnector::new(), tls.clone());
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    // A connection is not worth keeping: hours pass between two messages.
    Ok(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https))
}

/// Whether an answer means yes, no, or later.
async fn judge(
    response: Response<hyper::body::Incoming>,
    meaning: Option<Meaning>,
    secrets: &[&Secret],
) -> Result<(), Error> {
    let status = response.status();
    let later =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = Limited::new(response.into_body(), MOST_READ).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if status.is_success() {
        return meaning.map_or(Ok(()), |meaning| meaning(&String::from_utf8_lossy(&body)));
    }
    let reason = match status {
        // Telegram says in the body how long to wait (`ResponseParameters`), the others in the header.
        StatusCode::TOO_MANY_REQUESTS => {
            Reason::Transient(later.or_else(|| asked(&body)).map(Duration::from_secs))
        }
        StatusCode::SERVICE_UNAVAILABLE => Reason::Transient(later.map(Duration::from_secs)),
        StatusCode::REQUEST_TIMEOUT => Reason::Transient(None),
        status if status.is_server_error() => Reason::Transient(None),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Reason::Denied,
        StatusCode::NOT_FOUND | StatusCode::GONE => Reason::NotFound,
        _ => Reason::Rejected,
    };
    // Secrets first: a cut could leave the first half of one behind, which would no longer be found.
    let said = without_secrets(&String::from_utf8_lossy(&body), secrets);
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TOLD).collect();
    let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
    Err(Error::new(reason, format!("the server answered {status}{said}")))
}

fn asked(body: &[u8]) -> Option<u64> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.pointer("/parameters/retry_after")?.as_u64()
}

/// The text without the secrets, whole or as the path of an address: a server may repeat what it was sent.
pub(super) fn without_secrets(text: &str, secrets: &[&Secret]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        let whole = secret.expose();
        let path = address(whole).and_then(|uri| uri.path_and_query().map(ToString::to_string));
        let path = path.unwrap_or_default();
        let parts = path.split(['/', '?', '&', '=']).filter(|part| part.len() >= 8);
        for part in
            [whole, path.trim_end_matches('/')].into_iter().chain(parts).filter(|part| part.len() >= 4)
        {
            text = text.replace(part, "[secret]");
        }
    }
    text
}
