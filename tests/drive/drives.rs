//! Stores on fakes of their own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chupacabra::clock::Clock;
use chupacabra::config::context::{Context, Problem};
use chupacabra::config::secret::SecretRef;
use chupacabra::config::units::{ByteSize, Span};
use chupacabra::stores::google_drive::config::OAuth;
use chupacabra::stores::google_drive::{Config, GoogleDrive};
use tempfile::TempDir;

use crate::support::drive::Fake;

/// The smallest chunk that Drive allows.
pub(crate) const CHUNK: usize = 256 << 10;

/// The configuration of a store on a fake, as a user with the scope `drive.file`.
pub(crate) fn config(fake: &Fake) -> Config {
    Config {
        folder: Some("Backups/prod".to_owned()),
        oauth: Some(oauth("client")),
        trash: Some(false),
        chunk_size: Some(ByteSize(CHUNK as u64)),
        endpoint: Some(fake.root()),
        requests_per_minute: Some(1_000_000),
        stall_timeout: Some(Span(Duration::from_secs(20))),
        ..Config::default()
    }
}

/// The consent of a user through this OAuth client.
pub(crate) fn oauth(client: &str) -> OAuth {
    OAuth {
        client_id: secret(client),
        client_secret: secret("client-secret"),
        refresh_token: secret("refresh-token"),
    }
}

/// A secret in a file, as Kubernetes mounts it.
pub(crate) fn secret(value: &str) -> SecretRef {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let dir = DIR.get_or_init(|| tempfile::tempdir().unwrap());
    let path = dir.path().join(format!("secret-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::write(&path, value).unwrap();
    SecretRef { env: None, file: Some(path) }
}

/// What is wrong with a configuration.
pub(crate) fn problems(config: Config) -> Vec<Problem> {
    let mut context = Context::default();
    let _ = config.plan(&mut context);
    context.into_problems()
}

/// The store of a configuration that is sound.
pub(crate) async fn store(config: Config) -> GoogleDrive {
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    assert_eq!(context.into_problems(), []);
    GoogleDrive::connect(&plan.unwrap(), Clock::system()).await.unwrap()
}

/// The key of a service account whose tokens come from the fake; RSA, made by the stock `openssl`.
pub(crate) fn service_account_key(fake: &Fake) -> String {
    let pem =
        crate::support::shell("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null");
    serde_json::json!({
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "1",
        "private_key": String::from_utf8(pem).unwrap(),
        "client_email": "agent@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": format!("{}/token", fake.root()),
    })
    .to_string()
}
