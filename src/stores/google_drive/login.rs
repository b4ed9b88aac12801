//! A user's consent: through a browser on this machine (loopback and PKCE, RFC 8252 and 7636), or on another device
//! (RFC 8628) where there is none. What comes out is a refresh token; nothing is stored.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::client::{Http, connector, http};
use super::config::Scope;
use super::token::{exchange, post};
use super::transmit::query;
use crate::config::secret::Secret;
use crate::stores::proxy::Proxies;
use crate::stores::{Error, Reason, retry};

/// How long a person may take.
const PATIENCE: Duration = Duration::from_mins(15);
const DOING: &str = "get the consent";
const DONE: &str = "<!doctype html><title>ChupaCabra</title><p>This is all. The window can be closed.</p>";

/// An OAuth client of one's own, as Google offers it for download.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// Where consent is asked for.
#[derive(Debug)]
pub struct Login {
    client: OAuthClient,
    scope: Scope,
    http: Http,
    /// Another root than Google's, for tests.
    endpoint: Option<String>,
}

/// What the person is to do.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The page to open.
    pub url: String,
    /// What to type there.
    pub code: Option<String>,
}

impl OAuthClient {
    /// Reads the JSON file that Google offers for download. Nothing of it is repeated in an error.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |what: &str| {
            Error::new(Reason::Rejected, format!("the OAuth client's file is not usable: {what}")).help(
                "make an OAuth client of type Desktop app (with `--device`: TVs and Limited Input devices) and \
                 download its JSON",
            )
        };
        let value: Value = serde_json::from_str(text).map_err(|_| wrong("it is not JSON"))?;
        if value["type"] == "service_account" {
            return Err(wrong(
                "it is the key of a service account, which needs no login: see `service_account`",
            ));
        }
        if value.get("web").is_some() {
            return Err(wrong("it is a client of type Web application"));
        }
        let installed = &value["installed"];
        match (installed["client_id"].as_str(), installed["client_secret"].as_str()) {
            (Some(id), Some(secret)) => Ok(Self { id: id.to_owned(), secret: Secret::new(secret) }),
            _ => Err(wrong("it has no `client_id` and `client_secret`")),
        }
    }
}

impl Login {
    /// Prepares the connection. `endpoint` is another root than Google's, for tests.
    pub fn new(client: OAuthClient, scope: Scope, endpoint: Option<&str>) -> Result<Self, Error> {
        let endpoint = endpoint.map(|root| root.trim_end_matches('/').to_owned());
        let proxies = Proxies::from_environment().map_err(|what| Error::new(Reason::Rejected, what))?;
        Ok(Self { client, scope, http: http(&connector(None, &proxies)?), endpoint })
    }

    fn service(&self, google: &str, test: &str) -> String {
        self.endpoint.as_ref().map_or_else(|| google.to_owned(), |root| format!("{root}/{test}"))
    }

    fn token_url(&self) -> String {
        self.service("https://oauth2.googleapis.com/token", "token")
    }

    /// Asks through a browser on this machine; `tell` says which page to open.
    pub async fn by_browser(&self, tell: impl FnOnce(&Wish)) -> Result<Secret, Error> {
        let unheard =
            |error| Error::new(Reason::Rejected, format!("cannot {DOING}: no port is free")).because(error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(unheard)?;
        let port = listener.local_addr().map_err(unheard)?.port();
        let redirect = format!("http://127.0.0.1:{port}");
        let (verifier, state) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let pairs = [
            ("client_id", self.client.id.as_str()),
            ("redirect_uri", &redirect),
            ("response_type", "code"),
            ("scope", self.scope.url()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", &state),
            ("access_type", "offline"),
            // Without it a second login brings no refresh token.
            ("prompt", "consent"),
        ];
        let page = self.service("https://accounts.google.com/o/oauth2/v2/auth", "o/oauth2/v2/auth");
        tell(&Wish { url: format!("{page}?{}", query(&pairs)), code: None });
        let code = tokio::time::timeout(PATIENCE, answer(&listener, &state));
        let code =
            code.await.map_err(|_| Error::new(Reason::Rejected, "nobody has consented in 15 minutes"))??;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", self.client.id.as_str()),
            ("client_secret", self.client.secret.expose()),
            ("code", code.expose()),
            ("code_verifier", &verifier),
            ("redirect_uri", &redirect),
        ];
        refresh_token(post(&self.http, &self.token_url(), &form).await?.refresh_token)
    }

    /// Asks on another device; `tell` says which page to open there and what to type.
    pub async fn by_device(&self, tell: impl FnOnce(&Wish)) -> Result<Secret, Error> {
        if self.scope != Scope::File {
            let message = "Google lets devices without a browser have the scope `drive.file` only";
            return Err(
                Error::new(Reason::Rejected, message).help("leave `--scope` out, or log in with a browser")
            );
        }
        let url = self.service("https://oauth2.googleapis.com/device/code", "device/code");
        let form = [("client_id", self.client.id.as_str()), ("scope", self.scope.url())];
        let (_, begun) = self.send(&url, &form).await?;
        let text = |name: &str| begun[name].as_str().map(str::to_owned);
        let (Some(device), Some(code), Some(url)) =
            (text("device_code"), text("user_code"), text("verification_url"))
        else {
            let said = begun["error"].as_str().unwrap_or("the answer is not Google's");
            return Err(Error::new(Reason::Denied, format!("cannot {DOING}: {said}"))
                .help("the OAuth client must be of type TVs and Limited Input devices"));
        };
        tell(&Wish { url, code: Some(code) });
        let mut pause = Duration::from_secs(begun["interval"].as_u64().unwrap_or(5));
        let end = Instant::now() + PATIENCE;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", self.client.id.as_str()),
            ("client_secret", self.client.secret.expose()),
            ("device_code", &device),
        ];
        while Instant::now() < end {
            retry::pause(pause).await;
            let (status, said) = self.send(&self.token_url(), &form).await?;
            match said["error"].as_str() {
                None if status == 200 => {
                    return refresh_token(said["refresh_token"].as_str().map(str::to_owned));
                }
                Some("authorization_pending") => {}
                Some("slow_down") => pause += Duration::from_secs(5),
                error => {
                    let said = error.unwrap_or("the answer is not Google's");
                    return Err(Error::new(Reason::Denied, format!("cannot {DOING}: {said}")));
                }
            }
        }
        Err(Error::new(Reason::Rejected, "nobody has consented in 15 minutes"))
    }

    async fn send(&self, url: &str, form: &[(&str, &str)]) -> Result<(u16, Value), Error> {
        let request = hyper::Request::post(url).header("Content-Type", "application/x-www-form-urlencoded");
        exchange(&self.http, request, query(form)).await
    }
}

fn refresh_token(token: Option<String>) -> Result<Secret, Error> {
    token.map(Secret::new).ok_or_else(|| {
        Error::new(Reason::Denied, format!("cannot {DOING}: Google gave no refresh token"))
            .help("remove the app's access in the Google account's settings and log in again")
    })
}

/// 256 random bits, as a verifier and a state have them.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Waits for the browser to come back with the code. Browsers open connections ahead, on which nothing comes: none of
/// them keeps another one waiting.
async fn answer(listener: &TcpListener, state: &str) -> Result<Secret, Error> {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    open.spawn(heard(stream, state.to_owned()));
                }
            }
            Some(heard) = open.join_next() => {
                if let Ok(Some(answer)) = heard {
                    return answer;
                }
            }
        }
    }
}

/// What comes on one connection; `None` if it is not the answer, which gets nothing.
async fn heard(mut stream: TcpStream, state: String) -> Option<Result<Secret, Error>> {
    let mut request = vec![0; 8 << 10];
    let size = stream.read(&mut request).await.ok()?;
    let text = String::from_utf8_lossy(&request[..size]).into_owned();
    let target = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let field = |name: &str| {
        let pairs = target.split_once('?').map_or("", |(_, query)| query).split('&');
        let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("%2F", "/").replace("%2f", "/"))
    };
    // Whoever does not know the state was not sent by the page that we named.
    let ours = field("state").is_some_and(|theirs| theirs == state);
    let (status, page) = if ours { ("200 OK", DONE) } else { ("404 Not Found", "") };
    let length = page.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n");
    let answer = format!("{head}Connection: close\r\n\r\n{page}");
    let _ = stream.write_all(answer.as_bytes()).await;
    match (ours, field("code"), field("error")) {
        (true, Some(code), _) => Some(Ok(Secret::new(code))),
        (true, None, Some(_)) => {
            Some(Err(Error::new(Reason::Denied, format!("cannot {DOING}: it was refused in the browser"))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_on_which_nothing_comes_does_not_keep_the_answer_waiting() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let _ahead = TcpStream::connect(address).await.unwrap();
        let mut strange = TcpStream::connect(address).await.unwrap();
        strange.write_all(b"GET /?state=other&code=theirs HTTP/1.1\r\n\r\n").await.unwrap();
        let mut ours = TcpStream::connect(address).await.unwrap();
        ours.write_all(b"GET /?state=known&code=4%2Fx HTTP/1.1\r\n\r\n").await.unwrap();
        let code = tokio::time::timeout(Duration::from_secs(20), answer(&listener, "known")).await;
        assert_eq!(code.unwrap().unwrap().expose(), "4/x");
    }

    #[test]
    fn only_the_file_of_a_desktop_client_is_taken() {
        let good = r#"{"installed": {"client_id": "id", "client_secret": "hush"}}"#;
        assert_eq!(OAuthClient::parse(good).unwrap().id, "id");
        for (text, what) in [
            ("hush", "it is not JSON"),
            (r#"{"web": {"client_secret": "hush"}}"#, "it is a client of type Web application"),
            (r#"{"installed": {"client_secret": "hush"}}"#, "it has no `client_id` and `client_secret`"),
            (
                r#"{"type": "service_account", "private_key": "hush"}"#,
                "it is the key of a service account, which needs no login: see `service_account`",
            ),
        ] {
            let error = OAuthClient::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("the OAuth client's file is not usable: {what}"));
        }
    }
}
