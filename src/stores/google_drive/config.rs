//! The configuration of a Google Drive store.

use std::path::PathBuf;
use std::time::Duration;

use hyper::http::Uri;
use schemars::JsonSchema;
use serde::Deserialize;

use super::credentials::{self, Credentials};
use crate::config::context::Context;
use crate::config::secret::SecretRef;
use crate::config::units::{ByteSize, Span};
use crate::stores::proxy::Proxies;
use crate::stores::retry::Limits;
use crate::stores::trust;

/// What chunks are multiples of (developers.google.com/workspace/drive/api/guides/manage-uploads).
pub(super) const CHUNK_UNIT: u64 = 256 << 10;
/// Two stores at once stay below 128 MiB with this: one chunk is on its way while the next is filled.
const CHUNK_SIZE: ByteSize = ByteSize(8 << 20);
const LARGEST_CHUNK: u64 = 1 << 30;
/// Even if every request were a listing (100 units), this stays below the 325000 units per minute that one user has.
const REQUESTS_PER_MINUTE: u32 = 3_000;
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// The folder if none is named.
const FOLDER: &str = "ChupaCabra";
const GOOGLE: &str = "https://www.googleapis.com/";

/// A Google Drive store as written. Exactly one of `oauth`, `service_account` and `workload_identity` is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder by its path, created if it is missing. Default: `ChupaCabra`.
    pub folder: Option<String>,
    /// The folder by its id, from the end of its address in the browser, instead of `folder`.
    pub folder_id: Option<String>,
    /// The id of the shared drive that the folder is in. Default: that of `folder_id`, or none: the user's own drive.
    pub shared_drive: Option<String>,
    /// A user, through an OAuth client of one's own: what `chupacabra drive login` prints.
    pub oauth: Option<OAuth>,
    /// A service account with a key, in a shared drive or on behalf of a user.
    pub service_account: Option<ServiceAccount>,
    /// The service account that the pod runs as on GKE.
    pub workload_identity: Option<WorkloadIdentity>,
    /// What the agent may see. Default: `file`.
    #[serde(default)]
    pub scope: Scope,
    /// Move what is deleted to the trash, which keeps it for 30 days and counts against the quota. Default: true.
    pub trash: Option<bool>,
    /// How much is sent in one request, a multiple of 256KiB. Memory: two of it for each upload. Default: 8MiB.
    pub chunk_size: Option<ByteSize>,
    /// Download files that Google takes for malware, as the owner may. Encrypted packages rarely are.
    #[serde(default)]
    pub acknowledge_abuse: bool,
    /// How many requests are made in a minute at most. Default: 3000.
    pub requests_per_minute: Option<u32>,
    /// The address of the service instead of Google's, for tests. Without TLS only on this machine.
    pub endpoint: Option<String>,
    /// A file with certificates (PEM) to trust besides the system's.
    pub ca_bundle: Option<PathBuf>,
    /// The address of a proxy (HTTP CONNECT), with its credentials. Default: `HTTPS_PROXY`; `NO_PROXY` is heeded.
    pub proxy: Option<SecretRef>,
    /// Cut and repeat a request on which no byte has moved for so long. Default: 1m.
    pub stall_timeout: Option<Span>,
    /// How often a request is tried. Default: 10.
    pub max_attempts: Option<u32>,
}

/// A user's consent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The OAuth client's id.
    pub client_id: SecretRef,
    /// The OAuth client's secret.
    pub client_secret: SecretRef,
    /// The refresh token.
    pub refresh_token: SecretRef,
}

/// A service account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// Its key: the JSON file that Google offers for download.
    pub key: SecretRef,
    /// The user on whose behalf it works (domain-wide delegation), for example `backup@example.com`.
    pub subject: Option<String>,
}

/// A service account that the metadata server speaks for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIdentity {
    /// Its address, if the machine has several. Default: the machine's or the pod's own.
    pub account: Option<String>,
}

/// What the agent may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Only what this OAuth client has made (`drive.file`).
    #[default]
    File,
    /// The whole drive (`drive`): for a folder that a person made, and for restoring with another client.
    Drive,
}

impl Scope {
    /// The scope as OAuth writes it.
    pub fn url(self) -> &'static str {
        match self {
            Self::File => "https://www.googleapis.com/auth/drive.file",
            Self::Drive => "https://www.googleapis.com/auth/drive",
        }
    }
}

/// A Google Drive store as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) folder: Folder,
    pub(crate) shared_drive: Option<String>,
    pub(crate) credentials: Credentials,
    pub(crate) scope: Scope,
    pub(crate) trash: bool,
    /// In bytes, a multiple of [`CHUNK_UNIT`].
    pub(crate) chunk_size: usize,
    pub(crate) acknowledge_abuse: bool,
    pub(crate) requests_per_minute: u32,
    /// Ends with `/`.
    pub(crate) root: String,
    /// Where tokens come from, if not from Google: a test's server.
    pub(crate) is_google: bool,
    /// Certificates in PEM, known to be sound.
    pub(crate) trusted: Option<Vec<u8>>,
    pub(crate) proxies: Proxies,
    pub(crate) patience: Duration,
    pub(crate) limits: Limits,
}

/// Which folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Folder {
    /// By its id.
    Id(String),
    /// By its path, from the drive's root.
    Path(Vec<String>),
}

impl Plan {
    /// Whether the other store would take this one's objects for its own.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let drive = (&self.root, &self.folder) == (&other.root, &other.folder);
        let shared = self.shared_drive.is_some() && self.shared_drive == other.shared_drive;
        // An id is the same folder for everyone; a path only in the same drive, or for the same user.
        let same_user =
            self.shared_drive == other.shared_drive && self.credentials.is_same(&other.credentials);
        drive && (matches!(self.folder, Folder::Id(_)) || shared || same_user)
    }

    /// The address of a service, Google's own or the test server's.
    pub(super) fn service(&self, google: &str, test: &str) -> String {
        if self.is_google { google.to_owned() } else { format!("{}{test}", self.root) }
    }

    /// Where tokens are given out.
    pub(super) fn token_url(&self) -> String {
        self.service("https://oauth2.googleapis.com/token", "token")
    }
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let root = plan_root(self.endpoint.as_deref(), context);
        let credentials = credentials::plan(&self, context);
        let folder = self.plan_folder(context);
        let chunk_size = self.plan_chunk(context);
        let limits = self.plan_limits(context);
        let requests_per_minute = self.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
        if requests_per_minute == 0 {
            let help = "write 60 or more, or leave the key out";
            context.problem("requests_per_minute", "0 requests transfer nothing", help);
        }
        Some(Plan {
            trusted: self.ca_bundle.as_deref().and_then(|path| trust::certificates(path, context)),
            proxies: Proxies::plan(self.proxy.as_ref(), context),
            is_google: self.endpoint.is_none(),
            root: root?,
            credentials: credentials?,
            folder: folder?,
            chunk_size: chunk_size?,
            limits,
            requests_per_minute,
            shared_drive: self.shared_drive,
            scope: self.scope,
            trash: self.trash.unwrap_or(true),
            acknowledge_abuse: self.acknowledge_abuse,
            patience: self.stall_timeout.map_or(STALL_TIMEOUT, |span| span.0.max(Duration::from_millis(100))),
        })
    }

    fn plan_folder(&self, context: &mut Context) -> Option<Folder> {
        let is_id = |id: &str| {
            (10..=200).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        let help = "take the last part of its address: https://drive.google.com/drive/folders/ID";
        if let Some(drive) = self.shared_drive.as_deref().filter(|drive| !is_id(drive)) {
            context.problem("shared_drive", format!("`{drive}` is not the id of a shared drive"), help);
        }
        match (&self.folder, &self.folder_id) {
            (Some(_), Some(_)) => {
                let help = "keep `folder_id` for a folder that exists, or `folder` for one that is made";
                context.problem("folder_id", "`folder` and `folder_id` stand together", help);
                None
            }
            (None, Some(id)) if is_id(id) => Some(Folder::Id(id.clone())),
            (None, Some(id)) => {
                context.problem("folder_id", format!("`{id}` is not the id of a folder"), help);
                None
            }
            (path, None) => {
                let path = path.as_deref().unwrap_or(FOLDER);
                let segments: Vec<String> = path.trim_matches('/').split('/').map(str::to_owned).collect();
                if segments.iter().any(|segment| segment.trim().is_empty() || segment.len() > 200) {
                    let what = format!("`{path}` is not the path of a folder");
                    context.problem("folder", what, "write a path such as `Backups/prod`");
                    return None;
                }
                Some(Folder::Path(segments))
            }
        }
    }

    fn plan_chunk(&self, context: &mut Context) -> Option<usize> {
        let size = self.chunk_size.unwrap_or(CHUNK_SIZE);
        if size.0 == 0 || !size.0.is_multiple_of(CHUNK_UNIT) || size.0 > LARGEST_CHUNK {
            let what = format!("{size} is not a multiple of 256 KiB up to 1 GiB");
            let help = "write a multiple such as `8MiB` or `16MiB`; Drive refuses other sizes";
            context.problem("chunk_size", what, help);
            return None;
        }
        Some(size.as_usize())
    }

    fn plan_limits(&self, context: &mut Context) -> Limits {
        let limits = Limits::default();
        let attempts = self.max_attempts.unwrap_or(limits.attempts);
        if attempts == 0 {
            context.problem("max_attempts", "0 attempts send nothing", "write 1 or more; 10 is the default");
        }
        // Google asks for waits of up to 32 or 64 seconds ("Resolve errors", exponential backoff).
        Limits { attempts, longest: Duration::from_secs(32), ..limits }
    }
}

/// The root of all addresses: Google's, or another one for tests.
fn plan_root(written: Option<&str>, context: &mut Context) -> Option<String> {
    let Some(written) = written else { return Some(GOOGLE.to_owned()) };
    let uri = match written.parse::<Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => uri,
        _ => {
            let help = "leave the key out: it is for tests";
            context.problem("endpoint", "this is not the address of a service", help);
            return None;
        }
    };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let here =
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if uri.scheme_str() == Some("http") && !here {
        let what = format!("`{host}` would be spoken to without TLS");
        context.problem("endpoint", what, "write `https://`, or leave the key out: it is for tests");
        return None;
    }
    Some(format!("{}/", written.trim_end_matches('/')))
}
