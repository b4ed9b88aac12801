//! An HTTP proxy on loopback: tunnels (CONNECT) and forwards (absolute addresses) to one port, whatever host is named.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// How it treats who comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Everyone is let through.
    Open,
    /// Only with these credentials: `user:password`.
    Wants(&'static str),
    /// Everyone is answered with this status.
    Refuses(u16),
    /// Takes connections and says nothing.
    Silent,
    /// Hangs up on whoever has asked.
    HangsUp,
}

/// A running proxy. Ends with the test's runtime.
pub struct HttpProxy {
    /// Its port.
    pub port: u16,
    /// The first line of each request that it got.
    log: Arc<Mutex<Vec<String>>>,
}

impl HttpProxy {
    /// A proxy that leads to a port on loopback. With `service` it speaks TLS there for the service that is asked for,
    /// so that a server without TLS stands for it.
    pub async fn start(to: u16, manner: Manner, service: Option<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (kept, service) = (Arc::clone(&log), service.map(|tls| TlsAcceptor::from(Arc::new(tls))));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (log, service) = (Arc::clone(&kept), service.clone());
                // A connection that breaks is the client's to notice.
                tokio::spawn(async move { drop(serve(client, to, manner, service, &log).await) });
            }
        });
        Self { port, log }
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first lines of the requests that it got.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

async fn serve(
    mut client: TcpStream,
    to: u16,
    manner: Manner,
    service: Option<TlsAcceptor>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    log.lock().unwrap().push(line.clone());
    let refused = match manner {
        Manner::Open => None,
        Manner::Wants(pair) => {
            let wanted = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let given = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
            });
            (given.as_ref() != Some(&wanted)).then_some(407)
        }
        Manner::Refuses(status) => Some(status),
        Manner::Silent => return std::future::pending().await,
        Manner::HangsUp => return Ok(()),
    };
    if let Some(status) = refused {
        let page = "<html>no</html>";
        let answer = format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
    if line.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        return match service {
            Some(service) => pass(service.accept(client).await?, server).await,
            None => pass(client, server).await,
        };
    }
    // A request with an absolute address, which is the only one of its connection.
    let (method, rest) = line.split_once(' ').unwrap_or_default();
    let path = rest.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let rest = head.split_once("\r\n").map_or("", |(_, rest)| rest);
    let head = format!("{method} {}\r\nConnection: close\r\n{rest}", path.unwrap_or("/ HTTP/1.1"));
    server.write_all(head.as_bytes()).await?;
    pass(client, server).await
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: TcpStream) -> std::io::Result<()> {
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

/// A certificate for these names, in `ca`, and the service that has it.
pub fn certificate(names: &[&str], ca: &std::path::Path) -> rustls::ServerConfig {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap()
}
