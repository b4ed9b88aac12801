//! Uploads: in one request, and in sessions.

use axum::body::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::api::{place, select, selected, show};
use super::fault::Taken;
use super::world::{Caller, Session, World, digests};
use super::{Asked, Said};

/// What chunks are multiples of.
const UNIT: usize = 256 << 10;
const DEFAULT: &str = "kind,id,name,mimeType";

/// What a session has received.
#[derive(Debug)]
pub struct Received {
    kept: Vec<u8>,
    size: usize,
    /// The digest of what is not kept.
    forgotten: Option<Sha256>,
}

impl Received {
    fn new(forgets: bool) -> Self {
        Self { kept: Vec::new(), size: 0, forgotten: forgets.then(Sha256::new) }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.size += bytes.len();
        match &mut self.forgotten {
            Some(sha256) => sha256.update(bytes),
            None => self.kept.extend_from_slice(bytes),
        }
    }
}

/// Begins an upload, or does all of it.
pub(super) fn create(world: &mut World, asked: &Asked, caller: &Caller, replaces: Option<&str>) -> Said {
    match asked.query("uploadType") {
        Some("resumable") => begin(world, asked, caller, replaces),
        Some("multipart") => match multipart(asked) {
            Some((metadata, content)) => {
                let stored = store(world, asked, caller, &metadata, content, replaces);
                match stored {
                    Ok(id) => selected(200, &show(world, &world.files[&id], caller), asked, DEFAULT),
                    Err(said) => said,
                }
            }
            None => Said::error(400, "badContent", "Malformed multipart body."),
        },
        Some("media") => match store(world, asked, caller, &Value::Null, asked.body.clone(), replaces) {
            Ok(id) => selected(200, &show(world, &world.files[&id], caller), asked, DEFAULT),
            Err(said) => said,
        },
        _ => Said::invalid("Invalid upload type"),
    }
}

/// Whether there is room, in all the senses that Drive knows.
fn room(world: &World, size: u64, drive: Option<&String>) -> Result<(), Said> {
    let switches = &world.switches;
    if switches.without_storage && drive.is_none() {
        let message = "Service Accounts do not have storage quota. Leverage shared drives \
                       (https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth \
                       delegation (http://support.google.com/a/answer/7281227) instead.";
        return Err(Said::error(403, "storageQuotaExceeded", message));
    }
    if switches.limit.is_some_and(|limit| world.used() + size > limit) && drive.is_none() {
        let message = "The user's Drive storage quota has been exceeded.";
        return Err(Said::error(403, "storageQuotaExceeded", message));
    }
    if switches.daily_cap.is_some_and(|cap| world.used() + size > cap) {
        return Err(Said::error(403, "userRateLimitExceeded", "User rate limit exceeded."));
    }
    Ok(())
}

fn begin(world: &mut World, asked: &Asked, caller: &Caller, replaces: Option<&str>) -> Said {
    let metadata: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    if replaces.is_none() {
        let (_, drive) = match place(world, asked, caller, &metadata) {
            Ok(placed) => placed,
            Err(said) => return said,
        };
        let size = asked.header("x-upload-content-length").and_then(|size| size.parse().ok()).unwrap_or(1);
        if let Err(said) = room(world, size, drive.as_ref()) {
            return said;
        }
    }
    let id = format!("AB{:032x}", rand::random::<u128>());
    let session = Session {
        metadata,
        caller: caller.clone(),
        fields: asked.query("fields").unwrap_or(DEFAULT).to_owned(),
        data: Received::new(world.switches.forgets),
        done: None,
        replaces: replaces.map(str::to_owned),
    };
    world.sessions.insert(id.clone(), session);
    let all_drives = if asked.is("supportsAllDrives") { "&supportsAllDrives=true" } else { "" };
    let address = format!("{}{}?uploadType=resumable{all_drives}&upload_id={id}", asked.root(), asked.path);
    Said::empty(200).with("location", address).with("x-guploader-uploadid", id)
}

/// Makes a file.
fn store(
    world: &mut World,
    asked: &Asked,
    caller: &Caller,
    metadata: &Value,
    content: Bytes,
    replaces: Option<&str>,
) -> Result<String, Said> {
    if let Some(id) = replaces {
        let now = world.now();
        let entry = world.files.get_mut(id).ok_or_else(|| Said::not_found(id))?;
        entry.digests = digests(&content);
        (entry.content, entry.modified) = (content, now);
        return Ok(id.to_owned());
    }
    let (parent, drive) = place(world, asked, caller, metadata)?;
    room(world, content.len() as u64, drive.as_ref())?;
    let damages = world.switches.damages || matches!(world.taken, Some(Taken::Changed));
    let content = if damages { changed(&content) } else { content };
    Ok(world.insert(metadata, &parent, &caller.app, drive, content))
}

/// The same with another first byte.
fn changed(content: &Bytes) -> Bytes {
    let mut changed = content.to_vec();
    if let Some(first) = changed.first_mut() {
        *first = !*first;
    }
    changed.into()
}

/// The two parts of a `multipart/related` body (RFC 2387).
pub(super) fn multipart(asked: &Asked) -> Option<(Value, Bytes)> {
    let kind = asked.header("content-type")?;
    let boundary = kind.split("boundary=").nth(1)?.split(';').next()?.trim_matches('"');
    let marker = format!("--{boundary}");
    let body = &asked.body;
    let first = position(body, marker.as_bytes(), 0)?;
    let second = position(body, marker.as_bytes(), first + marker.len())?;
    let last = position(body, format!("\n--{boundary}--").as_bytes(), second)?;
    let head = part(&body[first..second])?;
    let metadata = serde_json::from_slice(head).ok()?;
    let offset = body_start(&body[second..])? + second;
    // The line break before the marker belongs to the marker.
    let end = if body[last - 1] == b'\r' { last - 1 } else { last };
    Some((metadata, body.slice(offset..end.max(offset))))
}

fn part(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(body_start(bytes)?..)
}

fn body_start(bytes: &[u8]) -> Option<usize> {
    let crlf = position(bytes, b"\r\n\r\n", 0).map(|at| at + 4);
    crlf.or_else(|| position(bytes, b"\n\n", 0).map(|at| at + 2))
}

fn position(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| at + from)
}

/// A request to a session: a chunk, a question, or its end.
pub(super) fn session(world: &mut World, asked: &Asked) -> Said {
    let id = asked.query("upload_id").unwrap_or_default().to_owned();
    if let Some(Taken::Gone(status)) = world.taken {
        world.sessions.remove(&id);
        return Said::error(status, "notFound", "Upload session not found");
    }
    let Some(mut session) = world.sessions.remove(&id) else {
        return Said::error(404, "notFound", "Upload session not found");
    };
    if asked.method == "DELETE" {
        return Said::empty(499);
    }
    let said = advance(world, asked, &mut session);
    world.sessions.insert(id, session);
    said
}

fn advance(world: &mut World, asked: &Asked, session: &mut Session) -> Said {
    if let Some(id) = session.done.clone() {
        return shown(world, session, &id);
    }
    let range = asked.header("content-range").map(str::to_owned);
    let Some(range) = range else {
        // Everything in one request, or an empty file.
        session.data.take(&asked.body);
        return complete(world, asked, session);
    };
    let Some((span, total)) = range.strip_prefix("bytes ").and_then(|range| range.split_once('/')) else {
        return Said::invalid("Invalid Content-Range");
    };
    let total: Option<usize> = if total == "*" { None } else { total.parse().ok() };
    if span == "*" {
        return if total == Some(session.data.size) {
            complete(world, asked, session)
        } else {
            incomplete(session)
        };
    }
    let ends =
        span.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse::<usize>().ok()? + 1)));
    let Some((from, to)) = ends.filter(|(from, to): &(usize, usize)| to - from == asked.body.len()) else {
        return Said::invalid("Failed to parse Content-Range header.");
    };
    let last = total == Some(to);
    if !last && asked.body.len() % UNIT != 0 {
        let message = format!(
            "Invalid request. The number of bytes uploaded is required to be equal or greater than 262144, except for \
             the final request (it's recommended to be the exact multiple of 262144). The received request contained \
             {} bytes, which does not meet this requirement.",
            asked.body.len()
        );
        return Said::error(400, "badRequest", &message);
    }
    if from > session.data.size {
        return Said::error(503, "backendError", "A chunk is missing before this one.");
    }
    // What is there already is not taken again.
    let fresh = asked.body.slice((session.data.size - from).min(asked.body.len())..);
    let taken = match world.taken {
        Some(Taken::Units(units)) => fresh.len().min(units * UNIT),
        _ => fresh.len(),
    };
    // Once, not again when the file is made.
    let fresh = match world.taken.take_if(|taken| matches!(taken, Taken::Changed)) {
        Some(_) => changed(&fresh),
        None => fresh,
    };
    session.data.take(&fresh[..taken]);
    if last && session.data.size == to { complete(world, asked, session) } else { incomplete(session) }
}

/// 308: how much is there. Of nothing, nothing is said.
fn incomplete(session: &Session) -> Said {
    let said = Said::empty(308);
    match session.data.size {
        0 => said,
        size => said.with("range", format!("bytes=0-{}", size - 1)),
    }
}

fn complete(world: &mut World, asked: &Asked, session: &mut Session) -> Said {
    let caller = session.caller.clone();
    let content = Bytes::from(std::mem::take(&mut session.data.kept));
    let metadata = session.metadata.clone();
    match store(world, asked, &caller, &metadata, content, session.replaces.as_deref()) {
        Ok(id) => {
            if let Some((sha256, entry)) = session.data.forgotten.take().zip(world.files.get_mut(&id)) {
                entry.digests.0 = hex::encode(sha256.finalize());
                entry.forgotten = session.data.size as u64;
            }
            session.done = Some(id.clone());
            shown(world, session, &id)
        }
        Err(said) => said,
    }
}

fn shown(world: &World, session: &Session, id: &str) -> Said {
    match world.files.get(id) {
        Some(entry) => select(200, &show(world, entry, &session.caller), &session.fields),
        None => Said::not_found(id),
    }
}
