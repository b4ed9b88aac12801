//! The connection to Drive: every request goes through here, is paced, watched, tried again, and its error told.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use google_drive3::{DriveHub, common};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::config::Plan;
use super::error::{cut, from_hub, given_up, is_daily_cap, told, unconnected};
use super::folder::Folders;
use super::pace::Pace;
use super::token::Tokens;
use super::transmit::body;
use crate::stores::proxy::{self, Proxies};
use crate::stores::retry::{Limits, Pulse, Retry, watch};
use crate::stores::{Error, ObjectName, Reason};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Google closes idle connections after a few minutes; one that is older is not tried.
const IDLE: Duration = Duration::from_mins(1);
/// No answer that is kept in memory is larger: a page of a listing has about a megabyte.
const LARGEST_ANSWER: usize = 32 << 20;

/// What connections are made by.
pub(super) type Connector = HttpsConnector<proxy::Connector>;
/// What requests are sent by.
pub(super) type Http = common::Client<Connector>;
/// The API as the crate has it.
pub(super) type Hub = DriveHub<Connector>;

/// A drive that can be spoken to.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

pub(super) struct Inner {
    pub(super) plan: Plan,
    pub(super) retry: Retry,
    pub(super) shared: Arc<Shared>,
}

/// What the store's clients have in common, however patient they are.
pub(super) struct Shared {
    hub: Hub,
    http: Http,
    pub(super) tokens: Tokens,
    pace: Pace,
    pub(super) folders: OnceCell<Folders>,
    known: Mutex<Known>,
    /// Ids for files that are still to come.
    pub(super) ids: tokio::sync::Mutex<Vec<String>>,
    /// The service's clock at its last answer, in seconds since 1970; 0 before the first.
    date: AtomicU64,
    /// When uploads work again, once the cap of a day has been met.
    capped: Mutex<Option<String>>,
}

/// What this process has done itself: listings may not know it yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The ids of files that it has made or seen.
    pub(super) ids: BTreeMap<ObjectName, String>,
    /// The ids of files that it has removed.
    pub(super) gone: HashSet<String>,
}

impl std::ops::Deref for Client {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// What the hub has seen of an answer that was no success.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(u16, HeaderMap, Value)>);

impl common::Delegate for Seen {
    fn http_failure(&mut self, response: &common::Response, body: Option<&Value>) -> common::Retry {
        let body = body.cloned().unwrap_or_default();
        self.0 = Some((response.status().as_u16(), response.headers().clone(), body));
        common::Retry::Abort
    }
}

/// A request that is not one of the hub's: an upload, a download, a session's.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

/// The answer to a [`Raw`] request, whatever its status, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The JSON, or null if it is none.
    pub(super) body: Value,
}

impl Client {
    /// Prepares the connection. The first request shows whether the credentials are good.
    pub(super) async fn connect(plan: &Plan) -> Result<Self, Error> {
        let connector = connector(plan.trusted.as_deref(), &plan.proxies)?;
        let http = http(&connector);
        let tokens = Tokens::new(plan, &http, &connector).await?;
        let mut hub = DriveHub::new(http.clone(), tokens.clone());
        hub.base_url(format!("{}drive/v3/", plan.root));
        hub.root_url(plan.root.clone());
        hub.user_agent(concat!("chupacabra/", env!("CARGO_PKG_VERSION")).to_owned());
        let shared = Shared {
            hub,
            http,
            tokens,
            pace: Pace::new(plan.requests_per_minute),
            folders: OnceCell::new(),
            known: Mutex::default(),
            ids: tokio::sync::Mutex::default(),
            date: AtomicU64::new(0),
            capped: Mutex::default(),
        };
        Ok(Self::with(plan, Retry::new(plan.limits), Arc::new(shared)))
    }

    /// The same connection with less patience, for someone who waits at a terminal.
    pub(super) fn hasty(&self) -> Self {
        let limits = Limits { attempts: self.plan.limits.attempts.min(3), ..self.plan.limits };
        self.retrying(Retry::new(limits))
    }

    pub(super) fn retrying(&self, retry: Retry) -> Self {
        Self::with(&self.plan, retry, Arc::clone(&self.shared))
    }

    fn with(plan: &Plan, retry: Retry, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Inner { plan: plan.clone(), retry, shared }))
    }
}

impl Inner {
    /// What this process has done itself.
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's clock at its last answer, in seconds since 1970. Where tokens are refused, perhaps for their
    /// time, there was none: then it is asked.
    pub(super) async fn ask_date(&self) -> Option<i64> {
        let date = || i64::try_from(self.shared.date.load(Ordering::Relaxed)).ok().filter(|date| *date > 0);
        if date().is_none() {
            // Without a token this is refused, and the refusal is dated.
            let pulse = Pulse::default();
            let request = Request::get(format!("{}drive/v3/about", self.plan.root));
            let request = self.shared.http.request(request.body(body(Bytes::new(), &pulse)).ok()?);
            let answer = async { Ok(request.await) };
            let answer = watch(&pulse, self.plan.patience, "ask for the time", answer).await.ok()?.ok()?;
            self.note_date(answer.headers());
        }
        date()
    }

    /// Runs `attempt` until it succeeds or fails for good. A token that is refused is replaced once.
    pub(super) async fn run<T, F, A>(&self, doing: &str, mut attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        let replaced = AtomicBool::new(false);
        let result = self.retry.run(doing, |_| {
            let attempt = attempt();
            let replaced = &replaced;
            async move {
                self.shared.pace.pass().await;
                match attempt.await {
                    Err(Failure { error, token_refused: true })
                        if !replaced.swap(true, Ordering::Relaxed) =>
                    {
                        self.shared.tokens.forget().await;
                        Err(Error { reason: Reason::Transient(None), ..error })
                    }
                    result => result.map_err(|failure| failure.error),
                }
            }
        });
        result.await.map_err(|error| self.ended(error))
    }

    /// The end of retrying. The cap of a day is remembered: it ends every upload of this run, not only this one.
    pub(super) fn ended(&self, error: Error) -> Error {
        let error = given_up(error);
        if error.reason == Reason::Full && is_daily_cap(&error) {
            self.shared.capped.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&error.help);
        }
        error
    }

    /// Fails if the cap of a day has been met.
    pub(super) fn refuse_capped(&self) -> Result<(), Error> {
        let capped = self.shared.capped.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match capped {
            Some(help) => {
                Err(Error::new(Reason::Full, "nothing more can be uploaded today by this user").help(help))
            }
            None => Ok(()),
        }
    }

    /// Asks for or changes metadata through the hub, until it succeeds or fails for good.
    pub(super) async fn metadata<T, F>(&self, doing: &str, call: F) -> Result<T, Error>
    where
        F: for<'a> Fn(&'a Hub, &'a mut Seen) -> BoxFuture<'a, common::Result<(common::Response, T)>> + Sync,
        T: Send,
    {
        let attempt = || async {
            let mut seen = Seen::default();
            let request = async { Ok(call(&self.shared.hub, &mut seen).await) };
            match watch(&Pulse::default(), self.plan.patience, doing, request).await? {
                Ok((response, value)) => {
                    self.note_date(response.headers());
                    Ok(value)
                }
                Err(error) => match seen.0.take() {
                    Some((status, headers, body)) => {
                        self.note_date(&headers);
                        Err(Failure::answered(doing, status, &headers, &body))
                    }
                    None => Err(from_hub(doing, error).into()),
                },
            }
        };
        self.run(doing, attempt).await
    }

    /// Sends a request once and gives the whole answer, whatever it is. No answer is a transient error.
    pub(super) async fn answer(&self, doing: &str, raw: Raw) -> Result<Answer, Error> {
        let pulse = Pulse::default();
        let exchange = async {
            let answer = self.exchange(doing, raw, &pulse).await?;
            let (parts, body) = answer.into_parts();
            pulse.beat();
            let bytes = read(body, doing, &pulse).await?;
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
        };
        watch(&pulse, self.plan.patience, doing, exchange).await
    }

    /// Sends a request once and gives the answer as soon as it begins. Not watched.
    pub(super) async fn exchange(
        &self,
        doing: &str,
        raw: Raw,
        pulse: &Pulse,
    ) -> Result<Response<Incoming>, Error> {
        let token = self.shared.tokens.token().await?;
        let mut request = Request::builder()
            .method(raw.method)
            .uri(raw.url)
            .header("Authorization", format!("Bearer {}", token.expose()))
            .header("User-Agent", concat!("chupacabra/", env!("CARGO_PKG_VERSION")));
        if raw.body.is_empty() {
            request = request.header("Content-Length", "0");
        }
        for (name, value) in raw.headers {
            request = request.header(name, value);
        }
        let request = request.body(body(raw.body, pulse)).map_err(|_| {
            // The cause would name the address, which may be a session's.
            Error::new(Reason::Rejected, format!("cannot {doing}: the request cannot be made"))
        })?;
        let answer = self.shared.http.request(request).await.map_err(|error| unconnected(doing, &error))?;
        self.note_date(answer.headers());
        Ok(answer)
    }

    /// Waits for the pace of requests; for requests that are not sent by [`run`](Self::run).
    pub(super) async fn pass(&self) {
        self.shared.pace.pass().await;
    }

    fn note_date(&self, headers: &HeaderMap) {
        let date = headers.get("date").and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(seconds) = date.and_then(|date| u64::try_from(date.timestamp().as_second()).ok()) {
            self.shared.date.store(seconds, Ordering::Relaxed);
        }
    }
}

/// A failed attempt, and whether it failed because of the token.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) token_refused: bool,
}

impl Failure {
    /// What an answer that is no success means.
    pub(super) fn answered(doing: &str, status: u16, headers: &HeaderMap, body: &Value) -> Self {
        Self { error: told(doing, status, headers, body), token_refused: status == 401 }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, token_refused: false }
    }
}

impl Answer {
    /// What an answer that is no success means.
    pub(super) fn failure(&self, doing: &str) -> Failure {
        Failure::answered(doing, self.status, &self.headers, &self.body)
    }
}

/// Reads a small answer; one that is cut is a transient error.
async fn read(mut body: Incoming, doing: &str, pulse: &Pulse) -> Result<Bytes, Error> {
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        pulse.beat();
        let frame = frame.map_err(|_| cut(doing))?;
        if let Some(data) = frame.data_ref() {
            if all.len() + data.len() > LARGEST_ANSWER {
                return Err(Error::new(Reason::Rejected, format!("cannot {doing}: the answer is too large")));
            }
            all.extend_from_slice(data);
        }
    }
    Ok(all.freeze())
}

/// Reads a small answer as JSON.
pub(super) async fn read_json(body: Incoming, doing: &str) -> Result<Value, Error> {
    serde_json::from_slice(&read(body, doing, &Pulse::default()).await?).map_err(|_| cut(doing))
}

/// The client of these connections.
pub(super) fn http(connector: &Connector) -> Http {
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(hyper_util::rt::TokioTimer::new())
        .build(connector.clone())
}

/// Connections that trust the system's certificates and those given. The plan allows `http` only on this machine.
pub(super) fn connector(trusted: Option<&[u8]>, proxies: &Proxies) -> Result<Connector, Error> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A certificate of the system's that cannot be used vouches for nobody.
        let _ = roots.add(certificate);
    }
    for certificate in CertificateDer::pem_slice_iter(trusted.unwrap_or_default()) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added
            .ok_or_else(|| Error::new(Reason::Rejected, "the certificates in `ca_bundle` cannot be used"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .map_err(|error| Error::new(Reason::Rejected, "TLS cannot be used").because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let tcp = proxy::Connector::new(proxies, tcp, config.clone());
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}
