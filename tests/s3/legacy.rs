//! Ceph's gateway keeps the contract: `./tests/run --ring legacy-s3` starts one and runs these.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::config::{Credentials, Region};
use chupacabra::stores::s3::{Config, Provider};

use crate::buckets::{PART, config, secret, store};
use crate::contract::{Subject, store_contract};

const ACCESS_KEY: &str = "AKLEGACY";
const SECRET_KEY: &str = "SKLEGACY12345";

async fn subject() -> Subject {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let endpoint =
        std::env::var("CHUPACABRA_LEGACY_S3").expect("the address of a gateway; legacy.sh gives it");
    let bucket = format!("contract-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let sdk = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&endpoint)
        .force_path_style(true)
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    aws_sdk_s3::Client::from_conf(sdk).create_bucket().bucket(&bucket).send().await.unwrap();
    let config = Config {
        provider: Provider::Ceph,
        access_key_id: Some(secret("access", ACCESS_KEY)),
        secret_access_key: Some(secret("secret", SECRET_KEY)),
        ..config(&endpoint, &bucket)
    };
    Subject { store: Arc::new(store(config).await), boundary: PART, page: 1_000, keep: Box::new(()) }
}

store_contract!(ignore = "needs Ceph: ./tests/run --ring legacy-s3", subject);
