//! Credentials that do not stand in the configuration: environment, profile, IRSA, Pod Identity, instance.
//!
//! The witness is the request as it arrives: whose key signed it, and with which session token. Every case is a
//! process of its own, as the environment is.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chupacabra::clock::Clock;
use tempfile::TempDir;

use crate::buckets::{new_bucket, seaweedfs};
use crate::support::fault_proxy::{Fault, FaultProxy};
use crate::support::seaweedfs::{ACCESS_KEY, SECRET_KEY};
use crate::support::{chupacabra, run, scratch, tool};

/// Runs `check` with this environment and returns its exit code and the heads of the requests that came.
async fn check(
    s3: &str,
    files: &[(&str, &str)],
    environment: &[(&str, String)],
) -> (Option<i32>, Vec<String>) {
    let (code, log, _) = check_and_tell(s3, files, environment).await;
    (code, log)
}

/// As `check`; returns what was printed too. No request is tried twice unless `s3` says so.
async fn check_and_tell(
    s3: &str,
    files: &[(&str, &str)],
    environment: &[(&str, String)],
) -> (Option<i32>, Vec<String>, String) {
    let dir = scratch();
    let bucket = new_bucket().await;
    let proxy = FaultProxy::start(seaweedfs().server.port).await;
    // Where a request may be tried twice, the first one is.
    let twice = s3.contains("max_attempts");
    proxy.arm(move |index, _| (twice && index == 0).then_some((Fault::Answer(503, "SlowDown"), 1)));
    let recipient = recipient(&dir);
    std::fs::create_dir(dir.path().join("tree")).unwrap();
    for (name, content) in files {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    let attempts = if s3.contains("max_attempts") { "" } else { ", max_attempts: 1" };
    let yaml = format!(
        "encryption: {{ recipients: [{recipient}] }}\nstores: {{ one: {{ s3: {{ bucket: {bucket}, endpoint: '{}', \
         path_style: true, region: us-east-1{attempts}{s3} }} }} }}\nsources: {{ web: {{ files: {{ path: {} }} }} }}\n",
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
    (output.status.code(), proxy.log(), told.into_owned())
}

fn recipient(dir: &TempDir) -> String {
    let key = dir.path().join("key.txt");
    run(Command::new(tool("age-keygen")).arg("-o").arg(&key));
    let recipient = run(Command::new(tool("age-keygen")).arg("-y").arg(&key)).stdout;
    String::from_utf8(recipient).unwrap().trim().to_owned()
}

/// A service of one of AWS's kinds. Keeps what it was asked.
async fn fake(answer: fn(&str, &str) -> Option<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    fake_after(0, answer).await
}

/// As `fake`; so many requests are answered with 503 before.
async fn fake_after(
    outages: usize,
    answer: fn(&str, &str) -> Option<String>,
) -> (String, Arc<Mutex<Vec<String>>>) {
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
            let asked = {
                let mut seen = seen.lock().unwrap();
                seen.push(format!("{line} {}", String::from_utf8_lossy(&body)));
                seen.len()
            };
            if asked <= outages {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            match answer(parts.method.as_str(), parts.uri.path()) {
                Some(text) if text.starts_with("<ErrorResponse") => {
                    (StatusCode::FORBIDDEN, text).into_response()
                }
                // Of use to one of them only; the others do not look.
                Some(text) => ([("x-aws-ec2-metadata-token-ttl-seconds", "21600")], text).into_response(),
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
    session_until(kind, "2099-01-01T00:00:00Z")
}

fn session_until(kind: &str, expiration: &str) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-01T00:00:00Z","AccessKeyId":"AK{kind}","SecretAccessKey":"SKFAKE","Token":"TOKEN{kind}","Expiration":"{expiration}"}}"#
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

/// The answer of STS, with credentials that end then.
fn assumed(expiration: &str) -> String {
    format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AKWEB</AccessKeyId>\
         <SecretAccessKey>SKFAKE</SecretAccessKey><SessionToken>TOKENWEB</SessionToken>\
         <Expiration>{expiration}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/backup/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
         </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

/// The environment of a pod with a web identity.
fn web_identity(sts: String) -> [(&'static str, String); 4] {
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "HOME/token".to_owned()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/backup".to_owned()),
        ("AWS_ENDPOINT_URL_STS", sts),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_web_identity() {
    let (sts, asked) = fake(|_, _| Some(assumed("2099-01-01T00:00:00Z"))).await;
    let (_, log) = check("", &[("token", "the-pods-token")], &web_identity(sts)).await;
    signed(&log, "AKWEB", Some("TOKENWEB"));
    let asked = asked.lock().unwrap().join("\n");
    assert!(asked.contains("the-pods-token") && asked.contains("role%2Fbackup"), "{asked}");
}

/// Credentials end while a package is on its way. Who gives out the next ones may be away for longer than the SDK asks
/// by itself (3 times): that is waited for as for the service itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_web_identity_that_is_away_for_a_moment() {
    let token = [("token", "the-pods-token")];
    let (sts, asked) = fake_after(4, |_, _| Some(assumed("2099-01-01T00:00:00Z"))).await;
    let (_, log) = check(", max_attempts: 3", &token, &web_identity(sts)).await;
    signed(&log, "AKWEB", Some("TOKENWEB"));
    assert_eq!(asked.lock().unwrap().len(), 5);

    let (sts, _) = fake_after(usize::MAX, |_, _| None).await;
    let (code, log, told) = check_and_tell(", max_attempts: 2", &token, &web_identity(sts)).await;
    assert_ne!(code, Some(0));
    assert_eq!(log, Vec::<String>::new());
    assert!(told.contains("no credentials can be had") && told.contains("(tried 2 times)"), "{told}");
}

/// A role that STS refuses ends it at once, and is not taken for a right that the key lacks on the bucket.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_web_identity_whose_role_is_refused() {
    let refusals: [fn(&str, &str) -> Option<String>; 6] = [
        |_, _| Some(refused("AccessDenied")),
        |_, _| Some(refused("InvalidIdentityToken")),
        |_, _| Some(refused("IDPRejectedClaim")),
        |_, _| Some(refused("RegionDisabledException")),
        |_, _| Some(refused("MalformedPolicyDocument")),
        |_, _| Some(refused("PackedPolicyTooLarge")),
    ];
    for refusal in refusals {
        let (sts, asked) = fake(refusal).await;
        let token = [("token", "the-pods-token")];
        let (code, log, told) = check_and_tell(", max_attempts: 3", &token, &web_identity(sts)).await;
        assert_ne!(code, Some(0));
        assert_eq!((log.len(), asked.lock().unwrap().len()), (0, 1), "{told}");
        assert!(told.contains("no credentials can be had") && told.contains("Not authorized"), "{told}");
        assert!(
            told.contains("allow this pod or instance its role") && !told.contains("may not list"),
            "{told}"
        );
    }
}

/// The answer of STS to a role that is not given out.
fn refused(code: &str) -> String {
    let error =
        format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>Not authorized</Message></Error>");
    format!("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">{error}</ErrorResponse>")
}

/// What STS answers holds a key, also where it cannot be read: `check_and_tell` looks for it in everything printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_read_is_not_printed() {
    let (sts, asked) = fake(|_, _| Some(assumed("tomorrow"))).await;
    let (code, _, told) = check_and_tell("", &[("token", "the-pods-token")], &web_identity(sts)).await;
    assert_ne!(code, Some(0));
    assert!(!asked.lock().unwrap().is_empty());
    assert!(told.contains("no credentials can be had") && told.contains("timestamp"), "{told}");
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

/// Credentials are replaced well before they end by this machine's clock: it may be behind the service's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_about_to_end_are_replaced() {
    let asked_for = async |answer: fn(&str, &str) -> Option<String>| {
        let (agent, asked) = fake(answer).await;
        let environment = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{agent}/v1/credentials"))];
        let (_, log) = check(", max_attempts: 2", &[], &environment).await;
        assert_eq!(log.len(), 2, "one request, tried twice");
        signed(&log, "AKPOD", Some("TOKENPOD"));
        asked.lock().unwrap().len()
    };
    let soon = |_: &str, _: &str| {
        let end = Clock::system().now() + Duration::from_mins(2);
        Some(session_until("POD", &end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()))
    };
    assert_eq!(asked_for(soon).await, 2);
    let later = |_: &str, _: &str| Some(session("POD"));
    assert_eq!(asked_for(later).await, 1);
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
