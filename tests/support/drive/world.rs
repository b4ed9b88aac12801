//! What the server keeps: files, sessions, tokens, and the switches that change its ways.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use chupacabra::clock::{Clock, Timestamp};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use super::Asked;
use super::fault::{Faults, Taken};
use super::uploads::Received;

/// The type of folders.
pub const FOLDER: &str = "application/vnd.google-apps.folder";
/// The id of the user's own root.
pub const ROOT: &str = "0AROOTROOTROOTUk9PVA";

/// Everything that the server knows.
pub struct World {
    /// The files and folders by id.
    pub files: BTreeMap<String, Entry>,
    /// Sessions by upload id.
    pub sessions: HashMap<String, Session>,
    /// Shared drives: id and name.
    pub drives: BTreeMap<String, String>,
    /// What goes wrong.
    pub faults: Faults,
    /// How it behaves.
    pub switches: Switches,
    /// What has been asked, in order.
    pub log: Vec<Noted>,
    /// The quota units that were used.
    pub units: u64,
    pub(super) tokens: HashMap<String, Caller>,
    pub(super) codes: HashMap<String, Value>,
    pub(super) taken: Option<Taken>,
    pub(super) listings: u64,
    /// Removed files that listings still show.
    pub(super) ghosts: Vec<(u64, Entry)>,
    next: u64,
}

/// A request, without its content.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Noted {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query parameters.
    pub query: Vec<(String, String)>,
    /// The metadata that came with it.
    pub body: Option<Value>,
    /// The answer's status.
    pub status: u16,
}

/// How the server behaves, besides single faults.
#[derive(Debug, Clone)]
pub struct Switches {
    /// Files and removals show in listings only after so many listings.
    pub list_lag: u64,
    /// Folders show late too.
    pub folders_lag: bool,
    /// How many bytes the account has room for.
    pub limit: Option<u64>,
    /// The caller is a service account without storage.
    pub without_storage: bool,
    /// So many bytes may be uploaded in a day.
    pub daily_cap: Option<u64>,
    /// The refresh token is revoked.
    pub revoked: bool,
    /// So many requests for a token meet the token service's own trouble.
    pub troubled_tokens: u32,
    /// The OAuth client is in testing: its refresh tokens live for so many seconds.
    pub testing: Option<u64>,
    /// The caller may not delete files for good in a shared drive.
    pub content_manager: bool,
    /// The caller may only read in a shared drive.
    pub reader: bool,
    /// Downloads of files are refused as abusive unless acknowledged.
    pub abusive: bool,
    /// Listings say that they have not searched everywhere.
    pub incomplete: bool,
    /// Files come without SHA-256, as some old ones do.
    pub without_sha256: bool,
    /// The server's clock is off by so many seconds.
    pub skew: i64,
    /// The largest page of a listing.
    pub page: usize,
    /// How often the device flow says that the user has not decided yet.
    pub undecided: u32,
    /// Bytes of stored files are changed: the checksums are those of the changed bytes.
    pub damages: bool,
    /// Of what comes through sessions only size and SHA-256 are kept: for measuring, where memory is short.
    pub forgets: bool,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The OAuth client.
    pub app: String,
    /// Sees only what its client has made.
    pub own_files: bool,
    /// The account.
    pub email: String,
}

/// A file or folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its name; not unique.
    pub name: String,
    /// Its type.
    pub mime: String,
    /// The folder it is in.
    pub parent: String,
    /// The properties that its OAuth client sees.
    pub properties: Map<String, Value>,
    /// Whether it is in the trash.
    pub trashed: bool,
    /// Its bytes.
    pub content: Bytes,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// When it was changed.
    pub modified: i64,
    /// The OAuth client that made it.
    pub app: String,
    /// The shared drive that it is in.
    pub drive: Option<String>,
    /// How many bytes it has besides those that are kept.
    pub(super) forgotten: u64,
    pub(super) digests: (String, String),
    pub(super) listed_from: u64,
}

/// An upload that is not complete.
#[derive(Debug)]
pub struct Session {
    pub(super) metadata: Value,
    pub(super) caller: Caller,
    pub(super) fields: String,
    pub(super) data: Received,
    /// The file, when it is complete.
    pub(super) done: Option<String>,
    /// The file whose content is replaced.
    pub(super) replaces: Option<String>,
}

impl World {
    pub(super) fn new() -> Self {
        let switches = Switches {
            list_lag: 0,
            folders_lag: false,
            limit: Some(15 << 30),
            without_storage: false,
            daily_cap: None,
            revoked: false,
            troubled_tokens: 0,
            testing: None,
            content_manager: false,
            reader: false,
            abusive: false,
            incomplete: false,
            without_sha256: false,
            skew: 0,
            page: 1_000,
            undecided: 1,
            damages: false,
            forgets: false,
        };
        let mut world = Self {
            files: BTreeMap::new(),
            sessions: HashMap::new(),
            drives: BTreeMap::new(),
            faults: Faults::default(),
            switches,
            log: Vec::new(),
            units: 0,
            tokens: HashMap::new(),
            codes: HashMap::new(),
            taken: None,
            listings: 0,
            ghosts: Vec::new(),
            next: 0,
        };
        world.add_folder(ROOT, "My Drive", "", "google", None);
        let caller = Caller { app: "python".into(), own_files: false, email: "python@example.com".into() };
        world.tokens.insert("tok".into(), caller);
        world
    }

    /// The present time, by the server's clock.
    pub fn now(&self) -> i64 {
        Clock::system().now().as_millisecond() + self.switches.skew * 1_000
    }

    /// A new id.
    pub fn new_id(&mut self) -> String {
        self.next += 1;
        format!("1fake{:020}{:08x}", self.next, rand::random::<u32>())
    }

    /// Makes a shared drive.
    pub fn add_drive(&mut self, id: &str, name: &str) {
        self.drives.insert(id.into(), name.into());
        self.add_folder(id, name, "", "google", Some(id.into()));
    }

    /// Puts a folder somewhere.
    pub fn add_folder(&mut self, id: &str, name: &str, parent: &str, app: &str, drive: Option<String>) {
        let metadata = json!({ "id": id, "name": name, "mimeType": FOLDER });
        self.insert(&metadata, parent, app, drive, Bytes::new());
    }

    /// Puts a file somewhere, past all checks.
    pub fn insert(
        &mut self,
        metadata: &Value,
        parent: &str,
        app: &str,
        drive: Option<String>,
        content: Bytes,
    ) -> String {
        let id = metadata["id"].as_str().map_or_else(|| self.new_id(), str::to_owned);
        let now = self.now();
        let time = |name: &str| {
            let text = metadata[name].as_str()?;
            Some(text.parse::<Timestamp>().ok()?.as_millisecond())
        };
        let entry = Entry {
            id: id.clone(),
            name: metadata["name"].as_str().unwrap_or("Untitled").into(),
            mime: metadata["mimeType"].as_str().unwrap_or("application/octet-stream").into(),
            parent: parent.into(),
            properties: metadata["appProperties"].as_object().cloned().unwrap_or_default(),
            trashed: false,
            forgotten: 0,
            digests: digests(&content),
            content,
            created: time("createdTime").unwrap_or(now),
            modified: time("modifiedTime").unwrap_or(now),
            app: app.into(),
            drive,
            listed_from: self.listings,
        };
        self.files.insert(id.clone(), entry);
        id
    }

    /// The files that are no folders and not in the trash.
    pub fn objects(&self) -> Vec<&Entry> {
        self.files.values().filter(|entry| entry.mime != FOLDER && !entry.trashed).collect()
    }

    /// How many bytes are used, the trash included.
    pub fn used(&self) -> u64 {
        self.files.values().map(|entry| entry.content.len() as u64).sum()
    }

    /// Makes every access token useless.
    pub fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn note(&mut self, asked: &Asked, status: u16) {
        let (method, path) = (asked.method.as_str(), asked.path.as_str());
        self.units += match (method, path) {
            _ if !path.contains("/drive/v3/") => 0,
            ("GET", "/drive/v3/files") => 100,
            ("GET", _) if asked.query("alt") == Some("media") => 200,
            ("GET", _) => 5,
            _ => 50,
        };
        self.log.push(Noted {
            method: method.into(),
            path: path.into(),
            query: asked.query.clone(),
            body: asked.metadata(),
            status,
        });
    }
}

pub(super) fn digests(content: &[u8]) -> (String, String) {
    (hex::encode(Sha256::digest(content)), hex::encode(Md5::digest(content)))
}
