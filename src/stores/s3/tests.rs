//! What of an S3 store's configuration is refused, with its path and a way out.

use crate::config::context::Context;
use crate::config::secret::SecretRef;
use crate::config::units::{ByteSize, Span};

use super::config::{Config, LockMode, ObjectLock, Plan, ServerSideEncryption};
use super::provider::Provider;

fn secret() -> SecretRef {
    let dir = tempfile::tempdir().unwrap().keep();
    let path = dir.join("secret");
    std::fs::write(&path, "value").unwrap();
    SecretRef { env: None, file: Some(path) }
}

fn good() -> Config {
    Config {
        bucket: "backups".into(),
        region: Some("eu-central-1".into()),
        access_key_id: Some(secret()),
        secret_access_key: Some(secret()),
        ..Config::default()
    }
}

fn planned(config: Config) -> (Option<Plan>, Vec<String>) {
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    let told =
        context.into_problems().into_iter().map(|one| format!("{}: {} | {}", one.path, one.what, one.help));
    (plan, told.collect())
}

/// The one problem of a configuration.
fn told(config: Config) -> String {
    let (_, told) = planned(config);
    assert_eq!(told.len(), 1, "{told:#?}");
    told.into_iter().next().unwrap()
}

fn plan(config: Config) -> Plan {
    let (plan, told) = planned(config);
    assert_eq!(told, Vec::<String>::new());
    plan.unwrap()
}

#[test]
fn a_good_configuration_is_planned() {
    let plan = plan(Config { prefix: Some("/a/b/".into()), ..good() });
    assert_eq!((plan.prefix.as_str(), plan.endpoint, plan.path_style), ("a/b/", None, false));
    assert_eq!(plan.parts.memory(), 32 << 20);
    assert!(!format!("{:?}", plan.credentials).contains("value"));
}

#[test]
fn names_that_no_bucket_has() {
    for bucket in [
        "",
        "ab",
        "Backups",
        "back_ups",
        "-backups",
        "backups.",
        "a..b",
        "192.168.0.1",
        "backups/prod",
        &"x".repeat(64),
    ] {
        let told = told(Config { bucket: bucket.into(), ..good() });
        assert!(told.starts_with(&format!("bucket: `{bucket}` cannot be the name of a bucket")), "{told}");
    }
    for bucket in ["abc", "my.bucket-1", "0backups9"] {
        plan(Config { bucket: bucket.into(), ..good() });
    }
    plan(Config {
        bucket: "Old_Bucket".into(),
        provider: Provider::Ceph,
        endpoint: Some("https://rgw".into()),
        ..good()
    });
}

#[test]
fn endpoints_that_cannot_be_meant() {
    let with = |endpoint: &str| Config { endpoint: Some(endpoint.into()), ..good() };
    for endpoint in ["s3.example.com", "ftp://s3.example.com", "https://", "not an address"] {
        assert!(
            told(with(endpoint)).starts_with("endpoint: this is not the address of a service"),
            "{endpoint}"
        );
    }
    assert!(told(with("https://s3.example.com/backups")).starts_with("endpoint: an endpoint has no path"));
    let named = with("https://backups.s3.eu-central-1.amazonaws.com");
    assert!(
        told(Config { path_style: Some(true), ..named.clone() })
            .contains("with `path_style` it goes into the path")
    );
    assert!(told(named).contains("already begins with the bucket `backups`"));
    let account = "https://backups.0123abcd.eu.r2.cloudflarestorage.com";
    assert!(told(with(account)).contains("already begins with the bucket `backups`"));
    // Services of that name, and a provider's own endpoint.
    plan(with("https://backups.example.com"));
    let minio = with("http://minio.default.svc:9000");
    plan(Config { bucket: "minio".into(), allow_http: true, provider: Provider::Minio, ..minio });
    let google = with("https://storage.googleapis.com");
    plan(Config { bucket: "storage".into(), provider: Provider::Gcs, ..google });
    let leaked = told(with("https://user:hunter2@s3.example.com"));
    assert!(
        leaked.starts_with("endpoint: there are credentials in the address") && !leaked.contains("hunter2")
    );
    assert!(told(with("http://s3.example.com")).contains("`s3.example.com` would be spoken to without TLS"));
    plan(Config { allow_http: true, ..with("http://s3.example.com") });
    for local in
        ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "https://s3.example.com"]
    {
        plan(with(local));
    }
}

#[test]
fn parts_that_no_service_takes() {
    let small = Config { part_size: Some(ByteSize(1 << 20)), ..good() };
    assert!(told(small).starts_with("part_size: 1.0 MiB is not between 5 MiB and 5 GiB"));
    assert!(told(Config { concurrent_parts: Some(0), ..good() }).starts_with("concurrent_parts: 0 is not"));
    assert!(told(Config { max_parts: Some(10_001), ..good() }).starts_with("max_parts: 10001 is not"));
    let huge = Config { max_object_size: Some(ByteSize(100 << 40)), ..good() };
    assert!(told(huge).starts_with("max_object_size: this service keeps objects of 1 B to 48.8 TiB"));
    assert!(told(Config { max_attempts: Some(0), ..good() }).starts_with("max_attempts: 0 attempts"));
}

#[test]
fn classes_that_cannot_be_read_at_once() {
    let with = |class: &str| Config { storage_class: Some(class.into()), ..good() };
    for archive in ["GLACIER", "DEEP_ARCHIVE", "deep_archive"] {
        let told = told(with(archive));
        assert!(
            told.starts_with(&format!("storage_class: objects of the class `{archive}` cannot")),
            "{told}"
        );
    }
    for class in ["GLACIER_IR", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA"] {
        assert_eq!(plan(with(class)).storage_class.as_deref(), Some(class));
    }
}

#[test]
fn half_a_key_is_no_key() {
    let half = Config { secret_access_key: None, ..good() };
    assert!(told(half).starts_with("secret_access_key: the key is missing"));
    let half = Config { access_key_id: None, ..good() };
    assert!(told(half).starts_with("access_key_id: the key is missing"));
    let gone = SecretRef { env: None, file: Some("/nonexistent/secret".into()) };
    let told = told(Config { secret_access_key: Some(gone), ..good() });
    assert!(told.starts_with("secret_access_key: cannot read `/nonexistent/secret`"), "{told}");
}

#[test]
fn providers_that_need_more() {
    let r2 = Config { provider: Provider::CloudflareR2, region: None, ..good() };
    assert!(told(r2).contains("https://ACCOUNT.r2.cloudflarestorage.com"));
    let spaces = Config { provider: Provider::DigitalOcean, ..good() };
    let planned = plan(spaces.clone());
    assert_eq!(planned.endpoint.as_deref(), Some("https://eu-central-1.digitaloceanspaces.com"));
    assert!(told(Config { region: None, ..spaces }).starts_with("region: the region is missing"));
    assert!(
        serde_json::from_str::<Provider>("\"amazon\"").unwrap_err().to_string().contains("cloudflare_r2")
    );
    let b2 = plan(Config { provider: Provider::BackblazeB2, ..good() });
    assert!(!b2.quirks.conditional_put && !b2.quirks.conditional_complete);
    assert_eq!(plan(Config { provider: Provider::Scaleway, ..good() }).parts.max_parts, 1_000);
}

#[test]
fn protection_and_encryption_that_contradict_themselves() {
    let lock = ObjectLock { mode: LockMode::Governance, retain_for: Span(std::time::Duration::from_secs(1)) };
    let told_of = told(Config { object_lock: Some(lock), ..good() });
    assert!(told_of.starts_with("object_lock.retain_for: 1s protects nothing"), "{told_of}");
    let kms = Config { kms_key_id: Some("alias/x".into()), ..good() };
    assert!(told(kms.clone()).starts_with("kms_key_id: a KMS key is given"));
    plan(Config { server_side_encryption: Some(ServerSideEncryption::AwsKms), ..kms });
}

#[test]
fn certificates_are_read_before_they_are_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let config = || Config { ca_bundle: Some(path.clone()), ..good() };
    assert!(told(config()).starts_with("ca_bundle: cannot read"));
    for bad in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, bad).unwrap();
        assert!(told(config()).contains("holds no sound certificates"), "{bad}");
    }
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&path, certificate.cert.pem()).unwrap();
    assert!(plan(config()).trusted.is_some());
}

#[test]
fn tags_are_limited_and_encoded() {
    let tags = [("team".to_owned(), "data & more".to_owned())].into();
    assert_eq!(plan(Config { tags, ..good() }).tags.as_deref(), Some("team=data%20%26%20more"));
    let many = (0..11).map(|n| (format!("tag{n}"), String::new())).collect();
    assert!(told(Config { tags: many, ..good() }).starts_with("tags: services refuse these tags"));
}
