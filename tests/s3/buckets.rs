//! Stores on buckets of their own, and a second client to look at them with.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::config::{Credentials, Region};
use chupacabra::clock::Clock;
use chupacabra::config::context::Context;
use chupacabra::config::secret::SecretRef;
use chupacabra::config::units::{ByteSize, Span};
use chupacabra::stores::s3::{Config, Plan, Provider, S3};
use tempfile::TempDir;

use crate::support::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};

/// The smallest part that S3 allows.
pub(crate) const PART: usize = 5 << 20;

/// The server that all tests of this process share, each with a bucket of its own.
pub(crate) fn seaweedfs() -> &'static SeaweedFs {
    static SERVER: OnceLock<(TempDir, SeaweedFs)> = OnceLock::new();
    let (_, server) = SERVER.get_or_init(|| {
        let dir = crate::support::scratch();
        let server = SeaweedFs::start(dir.path(), &[]);
        (dir, server)
    });
    server
}

/// A new name for a bucket.
pub(crate) fn bucket_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("bucket-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new bucket on the shared server.
pub(crate) async fn new_bucket() -> String {
    let bucket = bucket_name();
    sdk(&seaweedfs().endpoint()).create_bucket().bucket(&bucket).send().await.unwrap();
    bucket
}

/// The SDK itself, to prepare buckets and to look behind the store's back.
pub(crate) fn sdk(endpoint: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// The configuration of a store on `bucket`, with the smallest parts.
pub(crate) fn config(endpoint: &str, bucket: &str) -> Config {
    Config {
        provider: Provider::SeaweedFs,
        bucket: bucket.to_owned(),
        prefix: Some("pre/fix".to_owned()),
        endpoint: Some(endpoint.to_owned()),
        access_key_id: Some(secret("access", ACCESS_KEY)),
        secret_access_key: Some(secret("secret", SECRET_KEY)),
        part_size: Some(ByteSize(PART as u64)),
        stall_timeout: Some(Span(std::time::Duration::from_secs(20))),
        ..Config::default()
    }
}

/// A secret in a file, as Kubernetes mounts it.
pub(crate) fn secret(name: &str, value: &str) -> SecretRef {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = DIR.get_or_init(|| tempfile::tempdir().unwrap());
    let path = dir.path().join(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, value).unwrap();
    SecretRef { env: None, file: Some(path) }
}

/// Plans a configuration that is sound.
pub(crate) fn plan(config: Config) -> Plan {
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    assert_eq!(context.into_problems(), []);
    plan.unwrap()
}

/// The store of a configuration.
pub(crate) async fn store(config: Config) -> S3 {
    S3::connect(&plan(config), Clock::system()).await.unwrap()
}
