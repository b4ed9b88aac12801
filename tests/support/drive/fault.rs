//! The faults of the real service, one at a time, at a request of one's choice.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Response};
use futures_util::stream;

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
    /// The connection ends without an answer, before anything is done.
    CutBefore,
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
}

/// Whether a fault comes instead of the work or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing is done.
    Before,
    /// It is done.
    After,
}

/// Which request meets which fault.
#[derive(Debug, Default)]
pub struct Faults {
    /// How many requests have come since the last fault was set.
    pub count: usize,
    /// How many of them were requests to a session: chunks and questions, in the order of the upload.
    pub to_sessions: usize,
    /// How often a fault was met.
    pub met: usize,
    at: Vec<(Which, Fault)>,
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

    /// Lets everything work again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next(&mut self, asked: &Asked) -> Option<Fault> {
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

impl Fault {
    pub(super) fn when(&self) -> When {
        match self {
            Self::Refused(..) | Self::SlowDown | Self::Unauthorized | Self::CutBefore => When::Before,
            _ => When::After,
        }
    }

    /// What becomes of a chunk's bytes, or of the session.
    pub(super) fn taken(&self) -> Option<Taken> {
        match self {
            Self::Partly(units) | Self::PartlyThenError(units) => Some(Taken::Units(*units)),
            Self::SessionGone(status) => Some(Taken::Gone(*status)),
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
            (Self::CutBefore | Self::CutAfter, _) | (_, None) => disconnect(),
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
            (Self::Partly(_) | Self::SessionGone(_), Some(said)) => send(said),
        }
    }
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
}
