//! Credentials that do not stand in the configuration: environment, profile, IRSA, Pod Identity, instance.
//!
//! The witness is the request as it arrives: whose key signed it, and with which session token. Every case is a
//! process of its own, as the environment is.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tempfile::TempDir;

use crate::buckets::{new_bucket, seaweedfs};
use crate::support::fault_proxy::FaultProxy;
use crate::support::seaweedfs::{ACCESS_KEY, SECRET_KEY};
use crate::support::{chupacabra, run, scratch, tool};

/// Runs `check` with this environment and returns its exit code and the heads of the requests that came.
async fn check(
    s3: &str,
    files: &[(&str, &str)],
    environment: &[(&str, String)],
) -> (Option<i32>, Vec<String>) {
    let dir = scratch();
    let bucket = new_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    proxy.arm(|_, _| None);
    let recipient = recipient(&dir);
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    for (name, content) in files {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let yaml = format!(
        "encryption: {{ recipients: [{recipient}] }}\nstores: {{ one: {{ s3: {{ bucket: {bucket}, endpoint: '{}', \
         path_style: true, region: us-east-1, max_attempts: 1{s3} }} }} }}\nsources: {{ web: {{ files: {{ path: {} }} }} }}\n",
        proxy.endpoint,
        dir.path().join("tree").display()
    );
    std::fs::write(dir.path().join("config.yaml"), yaml).unwrap();
    let mut command = chupacabra();
    command.arg("--config").arg(dir.path().join("config.yaml")).arg("check").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", dir.path());
    let home = dir.path().display().to_string();
    command.envs(environment.iter().map(|(name, value)| (*name, value.replace("HOME", &home))));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("SKFAKE") && !told.contains(SECRET_KEY), "a secret was printed: {told}");
    (output.status.code(), proxy.log())
}

fn recipient(dir: &TempDir) -> String {
    let key = dir.path().join("key.txt");
    run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
    let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
    String::from_utf8(recipient).unwrap().trim().to_owned()
}

/// A service of one of AWS's kinds. Keeps what it was asked.
async fn fake(answer: fn(&str, &str) -> Option<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let handler = move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
            let authorization =
                parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
            let line = format!("{} {} {}", parts.method, parts.uri, authorization.unwrap_or_default());
            seen.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body)));
            match answer(parts.method.as_str(), parts.uri.path()) {
                Some(text) => text.into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (address, asked)
}

fn session(kind: &str) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"AK{kind}","SecretAccessKey":"SKFAKE","Token":"TOKEN{kind}","Expiration":"2099-01-01T00:00:00Z"}}"#
    )
}

/// Whether all requests were signed with this key, and carried this session token.
fn signed(log: &[String], key: &str, token: Option<&str>) {
    assert!(!log.is_empty(), "no request came");
    for head in log {
        assert!(head.contains(&format!("Credential={key}/")), "another key signed: {head}");
        let carried = token.is_some_and(|token| head.contains(&format!("x-amz-security-token: {token}")));
        assert_eq!(carried, token.is_some(), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_environment() {
    let environment =
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned())];
    let (code, log) = check("", &[], &environment).await;
    assert_eq!(code, Some(0));
    signed(&log, ACCESS_KEY, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_profile() {
    let file = format!(
        "[default]\naws_access_key_id = WRONG\naws_secret_access_key = WRONG\n[backup]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    );
    let (code, log) = check(", profile: backup", &[(".aws/credentials", &file)], &[]).await;
    assert_eq!(code, Some(0));
    signed(&log, ACCESS_KEY, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_web_identity() {
    let (sts, asked) = fake(|_, _| {
        Some(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKWEB</AccessKeyId>\
             <SecretAccessKey>SKFAKE</SecretAccessKey><SessionToken>TOKENWEB</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/backup/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
             </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
                .to_owned(),
        )
    })
    .await;
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token".to_owned()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/backup".to_owned()),
        ("AWS_ENDPOINT_URL_STS", sts),
        ("AWS_REGION", "us-east-1".to_owned()),
    ];
    let (_, log) = check("", &[("token", "the-pods-token")], &environment).await;
    signed(&log, "AKWEB", Some("TOKENWEB"));
    let asked = asked.lock().unwrap().join("\n");
    assert!(asked.contains("the-pods-token") && asked.contains("role%2Fbackup"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_pod_identity() {
    let (agent, asked) = fake(|_, _| Some(session("POD"))).await;
    let environment = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{agent}/v1/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "HOME/token".to_owned()),
    ];
    let (_, log) = check("", &[("token", "the-pods-token")], &environment).await;
    signed(&log, "AKPOD", Some("TOKENPOD"));
    let asked = asked.lock().unwrap().join("\n");
    assert!(asked.contains("/v1/credentials") && asked.contains("the-pods-token"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_instance() {
    let (metadata, asked) = fake(|method, path| match (method, path) {
        ("PUT", "/latest/api/token") => Some("metadata-token".to_owned()),
        (_, path) if path.contains("-extended") => None,
        (_, "/latest/meta-data/iam/security-credentials/") => Some("role".to_owned()),
        (_, path) if path.ends_with("/role") => Some(session("INSTANCE")),
        _ => None,
    })
    .await;
    let (_, log) = check("", &[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)]).await;
    let asked = asked.lock().unwrap().join("\n");
    assert!(!log.is_empty(), "{asked}");
    signed(&log, "AKINSTANCE", Some("TOKENINSTANCE"));
}

/// With nothing anywhere, the check says that there are no credentials, and sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_nowhere() {
    let (code, log) = check("", &[], &[("AWS_EC2_METADATA_DISABLED", "true".to_owned())]).await;
    assert_ne!(code, Some(0));
    assert_eq!(log, Vec::<String>::new());
}
