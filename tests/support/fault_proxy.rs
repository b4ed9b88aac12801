//! An HTTP/1 proxy in front of a real S3 server that makes chosen requests go wrong.
//!
//! Requests are forwarded byte for byte, `Host` and all, so that their signatures hold. A request is known by its
//! method, path and query; it goes wrong as often as its fault says, after that it passes.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::armed::Armed;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Answered with this status and S3 code; never reaches the server.
    Answer(u16, &'static str),
    /// Answered with 429 and a wish for one second's pause.
    RetryAfter,
    /// A proxy's own page without an S3 code.
    BadGateway,
    /// Reset before the request's body is read.
    ResetBefore,
    /// Reset in the middle of the request's body.
    ResetInBody,
    /// Carried out by the server, then reset without an answer.
    LostAnswer,
    /// The answer breaks off after half of its body.
    CutAnswer,
    /// Answered with 200 and an error as the body; never reaches the server.
    ErrorIn200,
    /// Never answered.
    Stall,
    /// The request's body is read to its middle and then no more.
    StallInBody,
    /// A byte of the request's body is changed on its way; the server notices.
    ChangedBody,
    /// Carried out by the server; the answer's `ETag` is not the MD5, as with KMS.
    ForeignEtag,
    /// Carried out by the server; the answer has no checksum.
    WithoutChecksum,
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `CreateMultipartUpload`.
    Create,
    /// `UploadPart`.
    Part,
    /// `CompleteMultipartUpload`.
    Complete,
    /// `AbortMultipartUpload`.
    Abort,
    /// `PutObject`.
    Put,
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
    /// `DeleteObject`, of a version or not.
    Delete,
    /// `ListMultipartUploads`.
    Uploads,
    /// Anything else.
    Other,
}

/// A running proxy. Ends with the test's runtime.
pub struct FaultProxy {
    /// Its address, for clients.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    armed: Armed<Kind, Fault>,
    log: Vec<String>,
}

impl FaultProxy {
    /// Starts a proxy before the server on this loopback port.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A connection that breaks is what this is about; the client is who must cope.
                tokio::spawn(async move { drop(serve(client, upstream, state).await) });
            }
        });
        Self { endpoint, state }
    }

    /// From now on, this goes wrong. Indices start at 0 again.
    pub fn arm(&self, plan: impl Fn(usize, Kind) -> Option<(Fault, u32)> + Send + Sync + 'static) {
        *self.state.lock().unwrap() = State { armed: Armed::new(plan), log: Vec::new() };
    }

    /// From now on, nothing goes wrong. Returns what did.
    pub fn disarm(&self) -> Vec<(usize, Kind, Fault)> {
        std::mem::take(&mut *self.state.lock().unwrap()).armed.injected().to_vec()
    }

    /// How many requests have gone wrong since the proxy was armed.
    pub fn injected(&self) -> usize {
        self.state.lock().unwrap().armed.injected().len()
    }

    /// The heads of all requests since the proxy was armed.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }
}

impl State {
    fn fault(&mut self, method: &str, target: &str, head: &str) -> Option<Fault> {
        if self.armed.is_armed() {
            self.log.push(head.to_owned());
        }
        let kind = kind(method, target);
        // Upload ids differ when an upload is begun again; the request is the same.
        self.armed.fault(format!("{kind:?} {}", without_upload_id(target)), kind)
    }
}

fn kind(method: &str, target: &str) -> Kind {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let has = |name: &str| query.split('&').any(|pair| pair == name || pair.starts_with(&format!("{name}=")));
    let object = target.split('?').next().is_some_and(|path| path.trim_matches('/').contains('/'));
    match method {
        "GET" if !object && has("uploads") => Kind::Uploads,
        _ if !object => Kind::Other,
        "POST" if has("uploads") => Kind::Create,
        "POST" if has("uploadId") => Kind::Complete,
        "PUT" if has("partNumber") => Kind::Part,
        "PUT" if !has("retention") => Kind::Put,
        "DELETE" if has("uploadId") => Kind::Abort,
        "DELETE" => Kind::Delete,
        "GET" if !has("retention") => Kind::Get,
        "HEAD" => Kind::Head,
        _ => Kind::Other,
    }
}

fn without_upload_id(target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("uploadId=")).collect();
    format!("{path}?{}", kept.join("&"))
}

/// One connection, one request: the client makes a new connection for the next.
async fn serve(mut client: TcpStream, upstream: u16, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut read = Vec::new();
    let end = loop {
        if client.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let rest = read.split_off(end);
    let head = String::from_utf8(read).unwrap();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    // A range is part of what a request is.
    let range = header(&head, "range").unwrap_or_default();
    let fault = state.lock().unwrap().fault(method, &format!("{target}&{range}"), &head);
    let length: usize = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    if header(&head, "expect").is_some() && fault != Some(Fault::ResetBefore) {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut request = Request { client, head, body: rest, length };
    match fault {
        Some(Fault::ResetBefore) => request.client.set_zero_linger(),
        Some(Fault::ResetInBody) => {
            request.read_body(length / 2).await?;
            request.client.set_zero_linger()
        }
        Some(Fault::Stall) => request.hold(length).await,
        Some(Fault::StallInBody) => request.hold(length / 2).await,
        Some(Fault::Answer(status, code)) => request.answer(status, code, "").await,
        Some(Fault::RetryAfter) => request.answer(429, "TooManyRequests", "Retry-After: 1\r\n").await,
        Some(Fault::BadGateway) => request.answer(502, "", "").await,
        Some(Fault::ErrorIn200) => request.answer(200, "InternalError", "").await,
        Some(Fault::LostAnswer) => {
            request.forward(upstream, false).await?;
            request.client.set_zero_linger()
        }
        Some(Fault::CutAnswer) => {
            let answer = request.forward(upstream, false).await?;
            let body = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
            let cut = body + (answer.len() - body) / 2;
            // What has no body is cut in its head.
            let cut = if cut == answer.len() { body / 2 } else { cut };
            request.client.write_all(&answer[..cut]).await
        }
        Some(Fault::ChangedBody) => {
            let answer = request.forward(upstream, true).await?;
            request.client.write_all(&answer).await
        }
        Some(Fault::ForeignEtag) => {
            let answer = request.forward(upstream, false).await?;
            request.client.write_all(&with_foreign_etag(&answer)).await
        }
        Some(Fault::WithoutChecksum) => {
            let answer = request.forward(upstream, false).await?;
            request.client.write_all(&without_checksum(&answer)).await
        }
        None => {
            let answer = request.forward(upstream, false).await?;
            request.client.write_all(&answer).await
        }
    }
}

fn with_foreign_etag(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let is_etag = |line: &str| line.to_ascii_lowercase().starts_with("etag:");
    let foreign = |line| if is_etag(line) { "ETag: \"0123456789abcdef0123456789abcdef\"" } else { line };
    text.split("\r\n").map(foreign).collect::<Vec<_>>().join("\r\n").into_bytes()
}

fn without_checksum(answer: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    let other = |line: &&str| !line.to_ascii_lowercase().starts_with("x-amz-checksum-");
    text.split("\r\n").filter(other).collect::<Vec<_>>().join("\r\n").into_bytes()
}

struct Request {
    client: TcpStream,
    head: String,
    body: Vec<u8>,
    length: usize,
}

impl Request {
    async fn read_body(&mut self, size: usize) -> std::io::Result<()> {
        while self.body.len() < size {
            if self.client.read_buf(&mut self.body).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads so much and then waits until the client goes away.
    async fn hold(&mut self, size: usize) -> std::io::Result<()> {
        self.read_body(size).await?;
        std::future::pending().await
    }

    async fn answer(&mut self, status: u16, code: &str, headers: &str) -> std::io::Result<()> {
        self.read_body(self.length).await?;
        let body = match code {
            "" => "<html>out of order</html>".to_owned(),
            code => format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>injected</Message></Error>"
            ),
        };
        let body = if self.head.starts_with("HEAD") { String::new() } else { body };
        let head = format!(
            "HTTP/1.1 {status} Injected\r\nConnection: close\r\nContent-Type: application/xml\r\n{headers}"
        );
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        self.client.write_all(answer.as_bytes()).await
    }

    /// Has the server answer.
    async fn forward(&mut self, upstream: u16, changed: bool) -> std::io::Result<Vec<u8>> {
        self.read_body(self.length).await?;
        if changed && let Some(byte) = self.body.last_mut() {
            *byte ^= 1;
        }
        let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
        let expects = |line: &&str| !line.to_ascii_lowercase().starts_with("expect:");
        let lines: Vec<&str> = self.head.trim_end().split("\r\n").filter(expects).collect();
        server.write_all(format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).as_bytes()).await?;
        server.write_all(&self.body).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
