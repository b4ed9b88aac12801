//! Providers: what each one does differently, in one table. Every entry is also a key of its own in the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

/// Whose service it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Amazon S3.
    #[default]
    Aws,
    /// Cloudflare R2.
    CloudflareR2,
    /// Backblaze B2.
    BackblazeB2,
    /// `DigitalOcean` Spaces.
    #[serde(rename = "digitalocean")]
    DigitalOcean,
    /// Wasabi.
    Wasabi,
    /// Google Cloud Storage through its XML API with HMAC keys.
    Gcs,
    /// Ceph's RADOS Gateway.
    Ceph,
    /// SeaweedFS.
    #[serde(rename = "seaweedfs")]
    SeaweedFs,
    /// `MinIO`.
    Minio,
    /// Scaleway Object Storage.
    Scaleway,
    /// `rclone serve s3`, in front of any of rclone's remotes.
    Rclone,
    /// Any other service that speaks S3.
    Other,
}

/// What a provider does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The bucket is the first segment of the path rather than a part of the host's name.
    pub path_style: bool,
    /// The endpoint, with `{region}` in it; `None`: the configuration must say it, or AWS's own rules apply.
    pub endpoint: Option<&'static str>,
    /// The region that is used if none is given; `None`: the environment or the configuration must say it.
    pub region: Option<&'static str>,
    /// `If-None-Match: *` works for objects in one request.
    pub conditional_put: bool,
    /// `If-None-Match: *` works when a multipart upload is completed.
    pub conditional_complete: bool,
    /// The most parts that one object may have.
    pub max_parts: u64,
    /// The largest object, in bytes.
    pub max_object: u64,
    /// ETags are MD5s (of objects that are not encrypted with KMS), and can be compared.
    pub md5_etags: bool,
    /// The query parameter `x-id`, which only AWS knows, must not be sent.
    pub strip_operation_id: bool,
}

const TIB: u64 = 1 << 40;

/// What most services do that speak S3: nothing beyond its core is taken for granted.
const PLAIN: Quirks = Quirks {
    path_style: true,
    endpoint: None,
    region: Some("us-east-1"),
    conditional_put: false,
    conditional_complete: false,
    max_parts: 10_000,
    max_object: 5 * TIB,
    md5_etags: false,
    strip_operation_id: false,
};

impl Provider {
    /// The provider's differences.
    pub fn quirks(self) -> Quirks {
        let plain = PLAIN;
        let etags = Quirks { md5_etags: true, ..PLAIN };
        let both = Quirks { conditional_put: true, conditional_complete: true, ..etags };
        match self {
            // 10,000 parts of 5 GiB.
            Self::Aws => Quirks { path_style: false, region: None, max_object: 50_000 << 30, ..both },
            // One region, called `auto`; the endpoint holds the account. ETags of multipart objects are random.
            Self::CloudflareR2 => Quirks { region: Some("auto"), md5_etags: false, ..both },
            // Conditional headers get 501 NotImplemented.
            Self::BackblazeB2 => Quirks {
                path_style: false,
                region: None,
                endpoint: Some("https://s3.{region}.backblazeb2.com"),
                ..plain
            },
            // Ceph underneath: completing ignores the condition and overwrites.
            Self::DigitalOcean => Quirks {
                path_style: false,
                region: None,
                endpoint: Some("https://{region}.digitaloceanspaces.com"),
                ..etags
            },
            Self::Wasabi => Quirks {
                path_style: false,
                region: None,
                endpoint: Some("https://s3.{region}.wasabisys.com"),
                ..etags
            },
            // No conditions on multipart uploads, and its own header for the others; refuses `x-id`.
            Self::Gcs => Quirks {
                region: Some("auto"),
                endpoint: Some("https://storage.googleapis.com"),
                strip_operation_id: true,
                ..plain
            },
            // Honours the condition on single objects, ignores it when an upload is completed.
            Self::Ceph => Quirks { conditional_put: true, ..etags },
            Self::SeaweedFs | Self::Minio => both,
            Self::Scaleway => Quirks {
                path_style: false,
                region: None,
                endpoint: Some("https://s3.{region}.scw.cloud"),
                max_parts: 1_000,
                ..both
            },
            // Ignores conditions.
            Self::Rclone | Self::Other => plain,
        }
    }
}
