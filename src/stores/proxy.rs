//! Proxies between this machine and a service: which one stands before which host, and what it means when one refuses.
//!
//! What a store's `proxy` names comes before the environment's `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY`. This machine
//! and the addresses at which clouds give out credentials are never asked for through a proxy, nor are the hosts of
//! `NO_PROXY`. A proxy's address may hold a password: only its scheme, host and port are ever told.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use futures_util::future::BoxFuture;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::{Error, Reason};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};

/// What is never asked for through a proxy: this machine, and who gives out credentials (IMDS, ECS, EKS Pod Identity,
/// Google's metadata server).
const NEVER: &str =
    "localhost,127.0.0.0/8,::1,169.254.0.0/16,fe80::/10,fd00:ec2::/32,metadata.google.internal";
const HELP: &str = "write `http://HOST:PORT`, with credentials `http://USER:PASSWORD@HOST:PORT`, in them `%40` for `@`, \
                    `%3A` for `:` and `%2F` for `/`";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The proxies before one service, and the hosts that are spoken to without them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    https: Option<Address>,
    http: Option<Address>,
    /// What is spoken to without a proxy, as `NO_PROXY` has it.
    except: String,
    matcher: Matcher,
}

/// The address of a proxy, with the credentials that may stand in it.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    whole: Secret,
    shown: String,
}

impl Address {
    /// Reads `http://USER:PASSWORD@HOST:PORT`; the scheme may be `https` or left out, as everywhere.
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('/');
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = whole.parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let there = uri.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let written = uri.authority()?.as_str();
        let plain = written == there || written.strip_suffix(&there)?.strip_suffix('@').is_some();
        let alone = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('#');
        let shown = format!("{scheme}://{there}");
        (plain && alone && text.matches('@').count() <= 1).then(|| Self { whole: Secret::new(whole), shown })
    }

    /// The address with its credentials.
    pub(crate) fn expose(&self) -> &str {
        self.whole.expose()
    }
}

impl Proxies {
    /// The proxies of a store, or of a notification, which has no key for it.
    pub(crate) fn plan(written: Option<&SecretRef>, context: &mut Context) -> Self {
        if written.is_none() {
            return Self::from_environment().unwrap_or_else(|what| {
                context.problem("proxy", what, format!("{HELP}; or unset the variable"));
                Self::default()
            });
        }
        let Some(secret) = context.secret("proxy", written) else { return Self::default() };
        let address = Address::parse(secret.expose());
        if address.is_none() {
            context.problem("proxy", "the secret is no address of a proxy", HELP);
        }
        Self::new(address.clone(), address, &no_proxy())
    }

    /// What the environment says, in capitals or not. A value that is no address of a proxy is an error: whoever has
    /// set it does not expect to be passed over.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let read = |kind: &str| {
            let Some((name, text)) = variable(kind).or_else(|| variable("ALL_PROXY")) else {
                return Ok(None);
            };
            let wrong = || format!("the environment variable `{name}` holds no address of a proxy");
            Address::parse(&text).map(Some).ok_or_else(wrong)
        };
        Ok(Self::new(read("HTTPS_PROXY")?, read("HTTP_PROXY")?, &no_proxy()))
    }

    fn new(https: Option<Address>, http: Option<Address>, except: &str) -> Self {
        if https.is_none() && http.is_none() {
            return Self::default();
        }
        let except = exceptions(except);
        let whole = |address: &Option<Address>| address.as_ref().map_or("", Address::expose).to_owned();
        let matcher = Matcher::builder().https(whole(&https)).http(whole(&http)).no(&except).build();
        Self(Some(Arc::new(Inner { https, http, except, matcher })))
    }

    /// One proxy before everything, with nothing excepted but what always is.
    #[cfg(test)]
    pub(crate) fn before_all(address: &str) -> Self {
        Self::new(Address::parse(address), Address::parse(address), "")
    }

    /// The proxy for all of a scheme's hosts that are not [excepted](Self::except).
    pub(crate) fn of(&self, https: bool) -> Option<&Address> {
        let inner = self.0.as_ref()?;
        if https { inner.https.as_ref() } else { inner.http.as_ref() }
    }

    /// The hosts that are spoken to without a proxy, as `NO_PROXY` has them.
    pub(crate) fn except(&self) -> &str {
        self.0.as_ref().map_or("", |inner| &inner.except)
    }

    /// What the proxy before an `http` address wants to see in the request itself.
    pub(crate) fn authorization(&self, to: &Uri) -> Option<HeaderValue> {
        let there = self.0.as_ref().filter(|_| to.scheme_str() == Some("http"))?.matcher.intercept(to)?;
        there.basic_auth().cloned()
    }

    /// What the causes of a failed connection say about the proxy, if it was the proxy that failed.
    pub(crate) fn fault(&self, causes: &str) -> Option<Fault> {
        let proxy = self.of(true)?.shown.clone();
        Failing::of(causes).map(|failing| Fault { proxy, failing })
    }
}

/// A variable of the environment that is set to something, in capitals or not.
fn variable(name: &str) -> Option<(String, String)> {
    let read = |name: String| {
        let value = std::env::var(&name).ok().filter(|value| !value.trim().is_empty())?;
        Some((name, value))
    };
    read(name.to_owned()).or_else(|| read(name.to_lowercase()))
}

fn no_proxy() -> String {
    variable("NO_PROXY").map(|(_, hosts)| hosts).unwrap_or_default()
}

/// `NO_PROXY` in the one form that the matcher knows, and what always belongs to it: `*.example.com` is
/// `.example.com`, spaces separate too, and a port is left out.
fn exceptions(written: &str) -> String {
    let one = |host: &str| {
        let host = host.strip_prefix("*.").map_or_else(|| host.to_owned(), |rest| format!(".{rest}"));
        match host.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                name.to_owned()
            }
            _ => host,
        }
    };
    let hosts = written.split([',', ' ', '\t', '\n']).filter(|host| !host.is_empty()).map(one);
    hosts.chain([NEVER.to_owned()]).collect::<Vec<_>>().join(",")
}

/// A proxy that does not do what it is there for.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the proxy {proxy} {}", failing.words())]
pub(crate) struct Fault {
    proxy: String,
    failing: Failing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failing {
    Away,
    Unauthorized,
    Refusing,
    Breaking,
}

impl Failing {
    /// Read from the words of `hyper_util`'s error, whose type is not public.
    fn of(causes: &str) -> Option<Self> {
        let (_, said) = causes.split_once("tunnel error: ")?;
        Some(match said {
            said if said.starts_with("proxy authorization required") => Self::Unauthorized,
            said if said.starts_with("unsuccessful") => Self::Refusing,
            said if said.starts_with("failed to create underlying connection") => Self::Away,
            _ => Self::Breaking,
        })
    }

    fn words(self) -> &'static str {
        match self {
            Self::Away => "cannot be reached",
            Self::Unauthorized => "wants other credentials (407)",
            Self::Refusing => "does not connect to the service",
            Self::Breaking => "breaks the connection off",
        }
    }
}

impl Fault {
    /// The fault in an error's chain, if it is there.
    pub(crate) fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
    }

    /// The store's error. A proxy may have the same trouble as any service, and says no more than that it does not
    /// connect: only missing credentials are for good.
    pub(crate) fn told(&self, doing: &str) -> Error {
        let (reason, help) = match self.failing {
            Failing::Unauthorized => (
                Reason::Denied,
                "put the proxy's user and password into its address: `http://USER:PASSWORD@HOST:PORT`, in `proxy` or \
                 `HTTPS_PROXY`",
            ),
            Failing::Refusing => (
                Reason::Transient(None),
                "have the proxy allow connections (CONNECT) to the service, or name the service's host in `NO_PROXY`",
            ),
            Failing::Away | Failing::Breaking => (
                Reason::Transient(None),
                "correct `proxy` or `HTTPS_PROXY`, or name the service's host in `NO_PROXY` if it can be reached \
                 without a proxy",
            ),
        };
        Error::new(reason, format!("cannot {doing}: {self}")).help(help)
    }
}

/// Makes connections: through the proxy before a host, or straight to it.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    proxies: Proxies,
    straight: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
}

impl Connector {
    /// Connections over `straight`; a proxy that speaks TLS itself is known by `tls`.
    pub(crate) fn new(proxies: &Proxies, mut straight: HttpConnector, tls: rustls::ClientConfig) -> Self {
        straight.enforce_http(false);
        let to_proxy = HttpsConnector::from((straight.clone(), tls));
        Self { proxies: proxies.clone(), straight, to_proxy }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Stream, BoxError>>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), BoxError>> {
        self.straight.poll_ready(task).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let before = self.proxies.0.as_ref().and_then(|inner| inner.matcher.intercept(&to));
        let Some(proxy) = before else {
            let connecting = self.straight.call(to);
            return Box::pin(async move {
                Ok(Stream { inner: MaybeHttpsStream::Http(connecting.await?), forwarded: false })
            });
        };
        let proxies = self.proxies.clone();
        if to.scheme_str() == Some("http") {
            let connecting = self.to_proxy.call(proxy.uri().clone());
            return Box::pin(async move { Ok(Stream { inner: connecting.await?, forwarded: true }) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(authorization) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        let tunnelling = tunnel.call(to);
        Box::pin(async move {
            let inner = tunnelling.await.map_err(|error| match proxies.fault(&error.to_string()) {
                Some(fault) => Box::new(fault),
                None => BoxError::from(error),
            })?;
            Ok(Stream { inner, forwarded: false })
        })
    }
}

/// A connection to a host or to the proxy before it.
#[derive(Debug)]
pub(crate) struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// Whether requests are sent to the proxy itself, which forwards them: they name the whole address.
    forwarded: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.forwarded)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(task, into)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        from: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(task, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(task)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Task<'_>,
        from: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(task, from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Address::parse(text).map(|address| address.shown)
    }

    #[test]
    fn an_address_is_read_as_everywhere_and_told_without_its_credentials() {
        for text in [
            "http://proxy:3128",
            "proxy:3128",
            "http://proxy:3128/",
            " http://user:hunter2@proxy:3128\n",
            "http://user@proxy:3128",
            "http://us%40er:hunt%2Fer@proxy:3128",
        ] {
            assert_eq!(shown(text).as_deref(), Some("http://proxy:3128"), "{text}");
            assert!(!format!("{:?}", Address::parse(text)).contains("hunt"), "{text}");
        }
        assert_eq!(shown("https://[::1]").as_deref(), Some("https://[::1]"));
        for text in [
            "",
            "http://",
            "socks5://proxy:1080",
            "http://proxy:port",
            "http://user:p@ss@proxy:3128",
            "http://user:p#ss@proxy:3128",
            "http://user:p/ss@proxy:3128",
            "http://proxy:3128/path",
            "http://proxy:3128?a=b",
            "http://proxy 1:3128",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_excepted_is_spoken_to_without_a_proxy() {
        let address = Address::parse("http://proxy:3128");
        let except = "example.com, *.internal .svc,10.0.0.0/8 s3.local:9000";
        let proxies = Proxies::new(address.clone(), address, except);
        let inner = proxies.0.as_ref().unwrap();
        let is_proxied = |to: &str| inner.matcher.intercept(&to.parse().unwrap()).is_some();
        for to in
            ["https://s3.amazonaws.com", "https://notexample.com", "http://8.8.8.8", "https://s3.local.net"]
        {
            assert!(is_proxied(to), "{to}");
        }
        for to in [
            "https://example.com",
            "https://s3.EXAMPLE.com:9000",
            "https://s3.internal",
            "http://hook.shop.svc",
            "http://10.1.2.3:9000",
            "http://s3.local:9000",
            // Whatever `NO_PROXY` says.
            "http://localhost:8080",
            "http://127.0.0.2",
            "http://[::1]:8080",
            "http://169.254.169.254/latest",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::254]",
            "http://metadata.google.internal/computeMetadata",
        ] {
            assert!(!is_proxied(to), "{to}");
        }
    }

    #[test]
    fn what_a_proxy_does_not_do_is_told_with_its_name() {
        let proxies = Proxies::new(Address::parse("http://user:hunter2@proxy:3128"), None, "");
        for (said, told, transient) in [
            ("proxy authorization required", "wants other credentials (407)", false),
            ("unsuccessful", "does not connect to the service", true),
            ("failed to create underlying connection: refused", "cannot be reached", true),
            ("unexpected end of file", "breaks the connection off", true),
        ] {
            let fault = proxies.fault(&format!("client error (Connect): tunnel error: {said}")).unwrap();
            let error = fault.told("list objects");
            assert_eq!(error.to_string(), format!("cannot list objects: the proxy http://proxy:3128 {told}"));
            assert!(error.is_transient() == transient && error.help.is_some());
            let boxed: BoxError = Box::new(fault);
            assert!(Fault::find(&*boxed).is_some());
        }
        assert!(proxies.fault("tcp connect error: Connection refused").is_none());
        assert!(Proxies::default().fault("tunnel error: unsuccessful").is_none());
    }
}
