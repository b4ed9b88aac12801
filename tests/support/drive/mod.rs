//! A server that speaks Google Drive's API (v3), in this process: what it keeps, it keeps in memory.
//!
//! It is no mock of our client: unmodified rclone and Google's own Python client work with it, and its answers fit
//! Google's own description of the API (`tests/drive/faithful.rs`). Its switches are the faults of the real service.

mod api;
mod auth;
pub mod fault;
mod fields;
mod search;
mod uploads;
pub mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use chupacabra::clock::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use fault::{Fault, When};
use world::World;

/// A running server; it ends when this is dropped.
pub struct Fake {
    shared: Arc<Shared>,
    /// Its loopback port.
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
}

/// What the handlers share.
pub struct Shared {
    world: Mutex<World>,
    tls: bool,
}

/// A request, read to its end.
pub struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    tls: bool,
}

/// An answer before it is sent.
pub struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Fake {
    /// Starts a server without TLS.
    pub fn start() -> Self {
        Self::launch(None)
    }

    /// Starts a server with TLS by this configuration.
    pub fn start_tls(config: rustls::ServerConfig) -> Self {
        Self::launch(Some(config))
    }

    fn launch(tls: Option<rustls::ServerConfig>) -> Self {
        let shared = Arc::new(Shared { world: Mutex::new(World::new()), tls: tls.is_some() });
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, port) = std::sync::mpsc::channel();
        let state = Arc::clone(&shared);
        // A runtime of its own: it outlives those of single tests.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                told.send(listener.local_addr().unwrap().port()).unwrap();
                let router = Router::new().fallback(handle).with_state(state);
                let serving = async {
                    match tls {
                        None => axum::serve(listener, router).await.unwrap(),
                        Some(config) => {
                            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
                            axum::serve(Tls { listener, acceptor }, router).await.unwrap();
                        }
                    }
                };
                tokio::select! { () = serving => {}, _ = stopped => {} }
            });
            runtime.shutdown_background();
        });
        Self { shared, port: port.recv().unwrap(), stop: Some(stop) }
    }

    /// The root of its addresses.
    pub fn root(&self) -> String {
        format!("http{}://127.0.0.1:{}", if self.shared.tls { "s" } else { "" }, self.port)
    }

    /// What it keeps, and its switches.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.shared.world()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener that speaks TLS.
struct Tls {
    listener: TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, peer)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Asked {
    /// A query parameter.
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str) -> bool {
        self.query(name) == Some("true")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as a form.
    fn form(&self) -> Vec<(String, String)> {
        parse_query(&String::from_utf8_lossy(&self.body))
    }

    /// The JSON that it came with, alone or before a file's content.
    fn metadata(&self) -> Option<Value> {
        let kind = self.header("content-type")?;
        if kind.starts_with("application/json") {
            return serde_json::from_slice(&self.body).ok();
        }
        uploads::multipart(self).map(|(metadata, _)| metadata)
    }

    /// The root as the client sees it.
    fn root(&self) -> String {
        let host = self.header("host").unwrap_or("127.0.0.1");
        format!("http{}://{host}", if self.tls { "s" } else { "" })
    }
}

impl Said {
    fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json; charset=UTF-8".into())],
            body: value.to_string().into(),
        }
    }

    fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// An error in the shape that Google gives it.
    fn error(status: u16, reason: &str, message: &str) -> Self {
        let domain = if reason.to_lowercase().contains("limit") { "usageLimits" } else { "global" };
        Self::json(
            status,
            &json!({ "error": {
                "code": status,
                "message": message,
                "errors": [{ "domain": domain, "reason": reason, "message": message }],
            } }),
        )
    }

    fn not_found(id: &str) -> Self {
        Self::error(404, "notFound", &format!("File not found: {id}."))
    }

    fn invalid(message: &str) -> Self {
        Self::error(400, "invalid", message)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// `a=b&c=d` with its escapes undone.
fn parse_query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(key), unescape(value))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let bytes = text.replace('+', " ").into_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code =
            (bytes[at] == b'%').then(|| std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()).flatten();
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parse_query(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body: Bytes::new(),
        tls: shared.tls,
    };
    // What befalls a chunk is decided before its bytes come.
    let early = asked.query("upload_id").is_some().then(|| shared.world().faults.next(&asked));
    if early == Some(Some(Fault::CutInBody)) {
        disconnect()
    }
    // The client may go away in the middle of the body: nothing of such a request counts.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { disconnect() };
    asked.body = body;
    let fault = early.unwrap_or_else(|| shared.world().faults.next(&asked));
    if let Some(fault) = fault.as_ref().filter(|fault| fault.when() == When::Before) {
        return fault.answer(None).await;
    }
    let said = {
        let mut world = shared.world();
        if fault == Some(Fault::Expired) {
            world.expire_tokens();
        }
        world.taken = fault.as_ref().and_then(Fault::taken);
        let said = route(&mut world, &asked);
        world.taken = None;
        world.note(&asked, said.status);
        let date = Timestamp::from_millisecond(world.now()).unwrap();
        said.with("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
    };
    match fault {
        Some(fault) => fault.answer(Some(said)).await,
        None => send(said),
    }
}

/// Ends the connection without an answer. Unwinding without a panic's message: it is meant.
fn disconnect() -> ! {
    std::panic::resume_unwind(Box::new("disconnected"))
}

fn send(said: Said) -> Response<Body> {
    let mut response = Response::builder().status(StatusCode::from_u16(said.status).unwrap());
    for (name, value) in said.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(said.body)).unwrap()
}

fn route(world: &mut World, asked: &Asked) -> Said {
    let segments: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    let method = asked.method.as_str();
    match (method, segments.as_slice()) {
        ("POST", ["token"]) => auth::token(world, asked),
        ("POST", ["device", "code"]) => auth::device_code(world, asked),
        ("GET", ["o", "oauth2", "v2", "auth"]) => auth::consent(world, asked),
        ("GET", ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"]) => {
            auth::metadata(world, asked)
        }
        ("PUT" | "POST" | "DELETE", ["upload", "drive", "v3", "files", ..])
            if asked.query("upload_id").is_some() =>
        {
            uploads::session(world, asked)
        }
        _ => match auth::caller(world, asked) {
            Ok(caller) => api::route(world, asked, &caller, method, &segments),
            Err(said) => said,
        },
    }
}
