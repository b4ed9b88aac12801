//! The configuration of an S3 store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::parts::{LARGEST_PART, LEAST_PART, Rules};
use super::provider::{Provider, Quirks};
use super::{credentials, endpoint};
use crate::config::context::Context;
use crate::config::secret::{Secret, SecretRef};
use crate::config::units::{ByteSize, Span};
use crate::stores::proxy::Proxies;
use crate::stores::requests::encoded;
use crate::stores::retry::Limits;

/// Two stores at once stay below 128 MiB with these two.
const PART_SIZE: ByteSize = ByteSize(8 << 20);
const CONCURRENT_PARTS: usize = 3;
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// An S3 store as written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose service it is; it sets the defaults below. Default: `aws`.
    #[serde(default)]
    pub provider: Provider,
    /// The bucket. It must exist.
    pub bucket: String,
    /// Begins the names of all objects, for example `backups/prod`. Default: none.
    pub prefix: Option<String>,
    /// The region, for example `eu-central-1`.
    pub region: Option<String>,
    /// The address of the service without the bucket, for example `https://s3.example.com`.
    pub endpoint: Option<String>,
    /// Allow an `http://` endpoint that is not this machine: everything but the packages' content is readable on the way.
    #[serde(default)]
    pub allow_http: bool,
    /// The bucket stands in the path (`true`) or in the host's name (`false`). Default: the provider's.
    pub path_style: Option<bool>,
    /// The access key. Default: what the environment, the profile, the pod or the instance provides.
    pub access_key_id: Option<SecretRef>,
    /// The secret key.
    pub secret_access_key: Option<SecretRef>,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretRef>,
    /// A profile of the shared AWS configuration files.
    pub profile: Option<String>,
    /// A file with certificates (PEM) to trust besides the system's. Default: `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// The address of a proxy (HTTP CONNECT), with its credentials. Default: `HTTPS_PROXY`; `NO_PROXY` is heeded.
    pub proxy: Option<SecretRef>,
    /// The size of a part. Default: 8MiB.
    pub part_size: Option<ByteSize>,
    /// How many parts are sent at once. Memory: one part more than this. Default: 3.
    pub concurrent_parts: Option<usize>,
    /// How many parts an object may have. Default: the provider's, mostly 10000.
    pub max_parts: Option<u64>,
    /// How large one package may become: parts are chosen large enough for it.
    pub max_object_size: Option<ByteSize>,
    /// A checksum over the whole object that the service computes too. Default: `none`.
    #[serde(default)]
    pub checksum: ChecksumKind,
    /// Let the service refuse to overwrite (`If-None-Match`). Default: where the provider can.
    pub conditional_writes: Option<bool>,
    /// The storage class, for example `STANDARD_IA`. It must allow immediate reads.
    pub storage_class: Option<String>,
    /// How the service encrypts what is already encrypted. Default: the bucket's setting.
    pub server_side_encryption: Option<ServerSideEncryption>,
    /// The KMS key, for `aws_kms`.
    pub kms_key_id: Option<String>,
    /// Tags for every object.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Protects objects from deletion for a time. The bucket must have been made with Object Lock.
    pub object_lock: Option<ObjectLock>,
    /// Cut and repeat a request on which no byte has moved for so long. Default: 1m.
    pub stall_timeout: Option<Span>,
    /// How often a request is tried. Default: 10.
    pub max_attempts: Option<u32>,
}

/// A checksum that the service computes over what it stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumKind {
    /// Only what every service checks: the signed SHA-256 and the MD5 of every request.
    #[default]
    None,
    /// CRC-64/NVME over the whole object.
    Crc64nvme,
    /// CRC-32C over the whole object.
    Crc32c,
    /// SHA-256 of every part, and of those over the whole object.
    Sha256,
}

/// How the service encrypts objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerSideEncryption {
    /// With the service's own keys (SSE-S3).
    Aes256,
    /// With a key of AWS KMS (SSE-KMS).
    AwsKms,
}

/// Protection from deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectLock {
    /// Who may lift it.
    pub mode: LockMode,
    /// How long from the upload on. Prune extends it for what is kept.
    pub retain_for: Span,
}

/// Who may lift an object's protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Whoever has the special right to.
    Governance,
    /// Nobody, not even the account's owner.
    Compliance,
}

/// An S3 store as meant.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) bucket: String,
    /// Ends with `/` unless it is empty.
    pub(crate) prefix: String,
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) path_style: bool,
    pub(crate) credentials: Option<Keys>,
    pub(crate) profile: Option<String>,
    /// Certificates in PEM, known to be sound.
    pub(crate) trusted: Option<Vec<u8>>,
    pub(crate) proxies: Proxies,
    pub(crate) parts: Rules,
    pub(crate) checksum: ChecksumKind,
    pub(crate) quirks: Quirks,
    pub(crate) storage_class: Option<String>,
    pub(crate) encryption: Option<ServerSideEncryption>,
    pub(crate) kms_key_id: Option<String>,
    /// As the header `x-amz-tagging` has them.
    pub(crate) tags: Option<String>,
    pub(crate) lock: Option<ObjectLock>,
    pub(crate) patience: Duration,
    pub(crate) limits: Limits,
}

/// Credentials that stand in the configuration by reference.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) id: Secret,
    pub(crate) secret: Secret,
    pub(crate) token: Option<Secret>,
    /// Where they come from, if the token is in a file: it is temporary, and somebody renews it there.
    pub(crate) renewed: Option<KeyRefs>,
}

/// Where temporary credentials come from.
#[derive(Debug, Clone)]
pub(crate) struct KeyRefs {
    pub(crate) id: SecretRef,
    pub(crate) secret: SecretRef,
    pub(crate) token: SecretRef,
}

impl Plan {
    /// Whether the other store would take this one's objects for its own.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let place = |plan: &Self| (plan.endpoint.clone(), plan.bucket.clone(), plan.prefix.clone());
        place(self) == place(other)
    }
}

impl Config {
    /// Fills defaults in and refuses what cannot be meant.
    pub fn plan(self, context: &mut Context) -> Option<Plan> {
        let mut quirks = self.provider.quirks();
        let region = self.region.clone().or_else(|| quirks.region.map(str::to_owned));
        let path_style = self.path_style.unwrap_or(quirks.path_style);
        endpoint::check_bucket(&self.bucket, self.provider, context);
        let endpoint = endpoint::plan(&self, &quirks, path_style, context);
        if let Some(wanted) = self.conditional_writes {
            (quirks.conditional_put, quirks.conditional_complete) = (wanted, wanted);
        }
        let parts = self.parts(&quirks, context);
        self.check_lock(context);
        self.check_encryption(context);
        self.check_storage_class(context);
        Some(Plan {
            credentials: credentials::plan(&self, context),
            trusted: credentials::trusted(self.ca_bundle.as_deref(), context),
            proxies: Proxies::plan(self.proxy.as_ref(), context),
            prefix: plan_prefix(self.prefix.as_deref().unwrap_or_default(), context)?,
            tags: plan_tags(&self.tags, context),
            limits: self.limits(context),
            endpoint: endpoint?,
            parts: parts?,
            bucket: self.bucket,
            region,
            path_style,
            profile: self.profile,
            checksum: self.checksum,
            quirks,
            storage_class: self.storage_class,
            encryption: self.server_side_encryption,
            kms_key_id: self.kms_key_id,
            lock: self.object_lock,
            patience: self.stall_timeout.map_or(STALL_TIMEOUT, |span| span.0.max(Duration::from_millis(100))),
        })
    }

    fn parts(&self, quirks: &Quirks, context: &mut Context) -> Option<Rules> {
        let size = self.part_size.unwrap_or(PART_SIZE).0;
        let at_once = self.concurrent_parts.unwrap_or(CONCURRENT_PARTS);
        let max_parts = self.max_parts.unwrap_or(quirks.max_parts);
        let rules =
            Rules { part_size: size, at_once, max_parts, max_object_size: self.max_object_size.map(|s| s.0) };
        if !(LEAST_PART..=LARGEST_PART).contains(&size) {
            let what = format!("{} is not between 5 MiB and 5 GiB", ByteSize(size));
            context.problem("part_size", what, "write `5MiB` or more; services refuse smaller parts");
            return None;
        }
        if !(1..=64).contains(&at_once) {
            let what = format!("{at_once} is not between 1 and 64");
            context.problem("concurrent_parts", what, "write a few; each takes the memory of one part");
            return None;
        }
        if !(1..=10_000).contains(&max_parts) {
            let what = format!("{max_parts} is not between 1 and 10000");
            context.problem(
                "max_parts",
                what,
                "leave the key out unless the service allows fewer than 10000",
            );
            return None;
        }
        let most = quirks.max_object.min(max_parts.saturating_mul(LARGEST_PART));
        if rules.max_object_size.is_some_and(|size| size > most || size == 0) {
            let what = format!("this service keeps objects of 1 B to {}", ByteSize(most));
            context.problem("max_object_size", what, "write what the largest package may become");
            return None;
        }
        Some(rules)
    }

    fn check_lock(&self, context: &mut Context) {
        if let Some(lock) = &self.object_lock
            && lock.retain_for.0 < Duration::from_hours(1)
        {
            let help = "write how long objects are protected, for example `30d`";
            context.problem("object_lock.retain_for", format!("{} protects nothing", lock.retain_for), help);
        }
    }

    /// Records must be readable at once, or there is no list, no retention and no restore. Classes from which an object
    /// must be fetched for hours first: docs.aws.amazon.com, "Understanding S3 storage classes"; others use the names.
    fn check_storage_class(&self, context: &mut Context) {
        let Some(class) = &self.storage_class else { return };
        if matches!(class.to_ascii_uppercase().as_str(), "GLACIER" | "DEEP_ARCHIVE") {
            let what = format!(
                "objects of the class `{class}` cannot be read at once, nor listed, verified and restored"
            );
            let help = "write `GLACIER_IR` or `STANDARD_IA`, which can";
            context.problem("storage_class", what, help);
        }
    }

    fn check_encryption(&self, context: &mut Context) {
        if self.kms_key_id.is_some() && self.server_side_encryption != Some(ServerSideEncryption::AwsKms) {
            let help = "add `server_side_encryption: aws_kms`, or remove the key";
            context.problem("kms_key_id", "a KMS key is given but `aws_kms` is not asked for", help);
        }
    }

    fn limits(&self, context: &mut Context) -> Limits {
        let limits = Limits::default();
        let attempts = self.max_attempts.unwrap_or(limits.attempts);
        if attempts == 0 {
            context.problem("max_attempts", "0 attempts send nothing", "write 1 or more; 10 is the default");
        }
        Limits { attempts, ..limits }
    }
}

/// Gives the prefix its one form: no slash at the start, one at the end.
fn plan_prefix(written: &str, context: &mut Context) -> Option<String> {
    let trimmed = written.trim_matches('/');
    let sound = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.contains(['\0', '\n', '\\']);
    if trimmed.is_empty() {
        return Some(String::new());
    }
    if trimmed.len() > 120 || !trimmed.split('/').all(sound) {
        let what = format!("`{written}` cannot begin the name of an object");
        context.problem("prefix", what, "write a path such as `backups/prod`, at most 120 bytes");
        return None;
    }
    Some(format!("{trimmed}/"))
}

/// At most ten tags (docs.aws.amazon.com, "Categorizing your objects using tags"), as a query string.
fn plan_tags(tags: &BTreeMap<String, String>, context: &mut Context) -> Option<String> {
    if tags.is_empty() {
        return None;
    }
    let long = |(key, value): (&String, &String)| key.is_empty() || key.len() > 128 || value.len() > 256;
    if tags.len() > 10 || tags.iter().any(long) {
        let help = "write at most 10 tags, their names at most 128 and their values at most 256 bytes long";
        context.problem("tags", "services refuse these tags", help);
    }
    let pairs = tags.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    Some(pairs.collect::<Vec<_>>().join("&"))
}
