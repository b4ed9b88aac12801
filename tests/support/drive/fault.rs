//! The faults of the real service: one at a time, at a request of one's choice, or as a plan says.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Response};
use futures_util::stream;
use serde_json::{Value, json};

use super::{Asked, Said, disconnect, send};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this status, reason and message, and does nothing.
    Refused(u16, &'static str, &'static str),
    /// It is refused with 429 and the wish for a pause of a second.
    SlowDown,
    /// It is refused for its token.
    Unauthorized,
    /// Every token that was ever given ends, before the request is looked at.
    Expired,
    /// It is refused with this status and code, in the way of services that give tokens.
    NotGranted(u16, &'static str),
    /// The connection ends without an answer, before anything is done.
    CutBefore,
    /// The connection ends before a chunk's bytes have been taken from it.
    CutInBody,
    /// Everything is done, then the connection ends without an answer.
    CutAfter,
    /// Everything is done, and the answer says that the service is in trouble.
    LostAnswer,
    /// Everything is done, and the answer breaks off in the middle.
    HalfAnswer,
    /// Everything is done, and no answer ever comes.
    Silence,
    /// Of a chunk only so many units of 256 KiB are taken, and the answer says so.
    Partly(usize),
    /// Of a chunk only so many units are taken, and the answer is an error of the service.
    PartlyThenError(usize),
    /// Everything is done, and the answer comes in pieces, each after this many milliseconds.
    SlowAnswer(u64),
    /// The answer to a chunk does not say how far the upload has come.
    NoRange,
    /// The upload's session is not known any more, nor anything that it had.
    SessionGone(u16),
    /// A byte of the file's content is changed on its way: what is stored is what came.
    Changed,
    /// A listing finds nothing, and says that it has not searched everywhere.
    Incomplete,
}

/// What kind of request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// For a token.
    Token,
    /// For ids of new files.
    Ids,
    /// A listing or search.
    List,
    /// A look at one file.
    Look,
    /// A file's content.
    Read,
    /// A new folder.
    Folder,
    /// A file in one request.
    Small,
    /// A package's record, in one request.
    Record,
    /// A new session.
    Begin,
    /// A chunk for a session.
    Chunk,
    /// A question to a session, or its end without bytes.
    Ask,
    /// The end of a session that is given up.
    Cancel,
    /// A file's end.
    Remove,
}

/// Whether a fault comes instead of the work or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing is done.
    Before,
    /// It is done.
    After,
}

/// Decides what goes wrong with a request, from its name and kind.
pub type Plan = Box<dyn FnMut(String, Kind) -> Option<Fault> + Send>;

/// Which request meets which fault.
#[derive(Default)]
pub struct Faults {
    /// How many requests have come since the last fault was set.
    pub count: usize,
    /// How many of them were requests to a session: chunks and questions, in the order of the upload.
    pub to_sessions: usize,
    /// How often a fault was met.
    pub met: usize,
    at: Vec<(Which, Fault)>,
    plan: Option<Plan>,
    /// How often a request has been answered as it should be: it is another one when it comes again.
    answered: HashMap<String, u32>,
}

/// A request of one's choice.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// The one with this number, counted from 0.
    Number(usize),
    /// The one with this number among those to sessions.
    ToSession(usize),
    /// All with this method and this text in the path.
    All(&'static str, &'static str),
}

impl Faults {
    /// Lets the request with this number fail once, counted from now.
    pub fn at(&mut self, number: usize, fault: Fault) {
        self.clear();
        self.at = vec![(Which::Number(number), fault)];
    }

    /// Lets the request with this number among those to sessions fail once, counted from now. Other requests come
    /// between them as they like: a client may look around while a chunk is on its way.
    pub fn at_session(&mut self, number: usize, fault: Fault) {
        self.clear();
        self.at = vec![(Which::ToSession(number), fault)];
    }

    /// Lets every request of this method fail whose path contains this.
    pub fn every(&mut self, method: &'static str, path: &'static str, fault: Fault) {
        self.at.push((Which::All(method, path), fault));
    }

    /// From now on, this goes wrong. A request is named by what it is about, and has that name until it is answered as
    /// it should be; when it comes again after that, it is another one.
    pub fn plan(&mut self, plan: impl FnMut(String, Kind) -> Option<Fault> + Send + 'static) {
        *self = Self { plan: Some(Box::new(plan)), ..Self::default() };
    }

    /// Lets everything work again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&mut self, asked: &Asked) -> Option<Fault> {
        if let Some(plan) = &mut self.plan {
            let about = about(asked);
            let before = self.answered.entry(about.clone()).or_default();
            let fault = plan(format!("{about} {before}"), kind(asked));
            *before += u32::from(fault.is_none());
            return fault;
        }
        let (number, to_session) = (self.count, self.to_sessions);
        let is_to_session = asked.method == Method::PUT && asked.query("upload_id").is_some();
        self.count += 1;
        self.to_sessions += usize::from(is_to_session);
        let hit = |which: &Which| match which {
            Which::Number(wanted) => *wanted == number,
            Which::ToSession(wanted) => is_to_session && *wanted == to_session,
            Which::All(wanted, part) => *wanted == asked.method.as_str() && asked.path.contains(part),
        };
        let fault = self.at.iter().find(|(which, _)| hit(which)).map(|(_, fault)| *fault);
        self.met += usize::from(fault.is_some());
        fault
    }
}

fn kind(asked: &Asked) -> Kind {
    let to_session = asked.query("upload_id").is_some();
    let asks = || asked.header("content-range").is_some_and(|range| range.starts_with("bytes */"));
    let record = || asked.metadata().is_some_and(|new| new["name"].as_str().is_some_and(is_record));
    match asked.method.as_str() {
        "DELETE" if to_session => Kind::Cancel,
        _ if to_session && asks() => Kind::Ask,
        _ if to_session => Kind::Chunk,
        "POST" if asked.path == "/token" => Kind::Token,
        "POST" if asked.query("uploadType") == Some("resumable") => Kind::Begin,
        "POST" if asked.path.starts_with("/upload/") && record() => Kind::Record,
        "POST" if asked.path.starts_with("/upload/") => Kind::Small,
        "POST" => Kind::Folder,
        "DELETE" | "PATCH" => Kind::Remove,
        _ if asked.path.ends_with("/generateIds") => Kind::Ids,
        _ if asked.path.ends_with("/files") => Kind::List,
        _ if asked.query("alt") == Some("media") => Kind::Read,
        _ => Kind::Look,
    }
}

fn is_record(name: &str) -> bool {
    name.strip_suffix(".json").is_some()
}

/// What a request is about: the same for every repetition of it.
fn about(asked: &Asked) -> String {
    let Asked { method, path, .. } = asked;
    let query = ["q", "pageToken", "upload_id", "alt"].map(|name| asked.query(name).unwrap_or_default());
    let ranges = ["range", "content-range"].map(|name| asked.header(name).unwrap_or_default());
    let new = asked.metadata().unwrap_or_default();
    format!("{method} {path} {query:?} {ranges:?} {}", new["id"])
}

impl Fault {
    pub fn when(&self) -> When {
        match self {
            Self::Refused(..)
            | Self::SlowDown
            | Self::Unauthorized
            | Self::NotGranted(..)
            | Self::CutBefore
            | Self::CutInBody => When::Before,
            _ => When::After,
        }
    }

    /// What becomes of a chunk's bytes, or of the session.
    pub(super) fn taken(&self) -> Option<Taken> {
        match self {
            Self::Partly(units) | Self::PartlyThenError(units) => Some(Taken::Units(*units)),
            Self::SessionGone(status) => Some(Taken::Gone(*status)),
            Self::Changed => Some(Taken::Changed),
            _ => None,
        }
    }

    pub(super) async fn answer(&self, said: Option<Said>) -> Response<Body> {
        let trouble = || Said::error(503, "backendError", "Backend Error");
        match (self, said) {
            (Self::Refused(status, reason, message), _) => send(Said::error(*status, reason, message)),
            (Self::SlowDown, _) => {
                send(Said::error(429, "rateLimitExceeded", "Rate Limit Exceeded").with("retry-after", "1"))
            }
            (Self::Unauthorized, _) => send(Said::error(401, "authError", "Invalid Credentials")),
            (Self::NotGranted(status, code), _) => {
                send(Said::json(*status, &json!({ "error": code, "error_description": "Injected" })))
            }
            (Self::CutBefore | Self::CutInBody | Self::CutAfter, _) | (_, None) => disconnect(),
            (Self::LostAnswer | Self::PartlyThenError(_), Some(_)) => send(trouble()),
            (Self::Silence, Some(_)) => {
                wait(Duration::from_secs(60)).await;
                disconnect()
            }
            (Self::HalfAnswer, Some(said)) => half(said),
            (Self::SlowAnswer(millis), Some(said)) => slow(said, Duration::from_millis(*millis)).await,
            (Self::NoRange, Some(mut said)) => {
                said.headers.retain(|(name, _)| *name != "range");
                send(said)
            }
            (Self::Incomplete, Some(said)) => send(incomplete(&said)),
            (Self::Partly(_) | Self::SessionGone(_) | Self::Changed | Self::Expired, Some(said)) => {
                send(said)
            }
        }
    }
}

/// The answer to a listing as if nothing had been found so far.
fn incomplete(said: &Said) -> Said {
    let mut body: Value = serde_json::from_slice(&said.body).unwrap_or_default();
    if body["files"].is_array() {
        body = json!({ "incompleteSearch": true, "files": [] });
    }
    Said::json(said.status, &body)
}

/// Sends the first half of a body, or the headers of an empty one, and ends the connection.
fn half(said: Said) -> Response<Body> {
    if said.body.is_empty() {
        disconnect();
    }
    let length = said.body.len();
    let first = said.body.slice(..length / 2);
    let mut response = Response::builder().status(said.status).header("content-length", length);
    for (name, value) in said.headers {
        response = response.header(name, value);
    }
    let broken = Err(std::io::Error::other("broken off"));
    let pieces: Vec<Result<Bytes, std::io::Error>> = vec![Ok(first), broken];
    response.body(Body::from_stream(stream::iter(pieces))).unwrap()
}

/// How many pieces a slow body comes in.
const PIECES: usize = 5;

/// Sends a body in pieces with a pause before each, and the headers of an empty one after a pause.
async fn slow(said: Said, pause: Duration) -> Response<Body> {
    if said.body.is_empty() {
        wait(pause).await;
        return send(said);
    }
    let size = said.body.len().div_ceil(PIECES);
    let mut response = Response::builder().status(said.status).header("content-length", said.body.len());
    for (name, value) in said.headers {
        response = response.header(name, value);
    }
    let pieces = stream::unfold(said.body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        wait(pause).await;
        Some((Ok::<_, std::io::Error>(rest.split_to(size.min(rest.len()))), rest))
    });
    response.body(Body::from_stream(pieces)).unwrap()
}

async fn wait(pause: Duration) {
    tokio::time::timeout(pause, std::future::pending::<()>()).await.ok();
}

/// What becomes of a chunk's bytes.
#[derive(Debug, Clone, Copy)]
pub enum Taken {
    /// Only so many units of 256 KiB are kept.
    Units(usize),
    /// The session is forgotten, and the answer has this status.
    Gone(u16),
    /// One byte is another one.
    Changed,
}
