//! What `check` finds, and what it says to do; and what a wrong configuration is told.

use chupacabra::config::units::ByteSize;
use chupacabra::stores::google_drive::Config;
use chupacabra::stores::google_drive::config::{Scope, ServiceAccount, WorkloadIdentity};
use chupacabra::stores::{Finding, Severity, Store as _};

use crate::drives::{config, oauth, problems, secret, store};
use crate::support::drive::Fake;
use crate::support::drive::world::{FOLDER, ROOT};

const SHARED: &str = "0ASHAREDSHAREDUk9PVA";

async fn findings(config: Config) -> Vec<Finding> {
    store(config).await.check().await
}

/// Fails unless there is such a finding.
fn found(findings: &[Finding], severity: Severity, topic: &str, what: &str, help: &str) {
    let hit = |one: &Finding| {
        one.severity == severity && one.topic == topic && one.what.contains(what) && one.help.contains(help)
    };
    assert!(findings.iter().any(hit), "no {severity:?} {topic} `{what}` with `{help}` in {findings:#?}");
}

fn none_bad(findings: &[Finding]) {
    assert!(findings.iter().all(|one| one.severity != Severity::Bad), "{findings:#?}");
}

#[tokio::test]
async fn a_healthy_drive_says_who_and_where() {
    let fake = Fake::start();
    let findings = findings(config(&fake)).await;
    none_bad(&findings);
    found(&findings, Severity::Good, "account", "signed in as someone@example.com", "");
    found(&findings, Severity::Good, "folder", "packages go into `prod`", "");
    found(&findings, Severity::Good, "room", "15.0 GiB are free", "");
    found(&findings, Severity::Good, "delete", "files can be removed", "");
}

#[tokio::test]
async fn revoked_testing_skewed_and_full() {
    let fake = Fake::start();
    fake.world().switches.revoked = true;
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "account", "invalid_grant: Token has been expired or revoked", "drive login");
    fake.world().switches.revoked = false;

    fake.world().switches.testing = Some(604_799);
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "consent", "ends in 6 days: the OAuth client is in testing", "publish");
    fake.world().switches.testing = None;

    fake.world().switches.limit = Some(0);
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "upload", "storageQuotaExceeded", "make room");
}

#[tokio::test]
async fn a_service_account_needs_a_shared_drive_or_a_user() {
    let fake = Fake::start();
    let key = crate::drives::service_account_key(&fake);
    fake.world().switches.without_storage = true;
    let account = |subject: Option<&str>| {
        let account = ServiceAccount { key: secret(&key), subject: subject.map(str::to_owned) };
        Config { oauth: None, service_account: Some(account), ..config(&fake) }
    };
    let told = findings(account(None)).await;
    found(&told, Severity::Good, "account", "agent@project.iam.gserviceaccount.com", "");
    found(&told, Severity::Bad, "storage", "no storage of its own", "`shared_drive`");
    found(&told, Severity::Bad, "upload", "Service Accounts do not have storage quota", "`subject`");

    fake.world().add_drive(SHARED, "Team backups");
    let told = findings(Config { shared_drive: Some(SHARED.into()), ..account(None) }).await;
    none_bad(&told);
    found(&told, Severity::Good, "folder", "in the shared drive `Team backups`", "");

    fake.world().switches.without_storage = false;
    let told = findings(account(Some("backup@example.com"))).await;
    none_bad(&told);
    found(&told, Severity::Good, "account", "signed in as backup@example.com", "");
    let told = findings(account(Some("stranger@example.com"))).await;
    found(&told, Severity::Bad, "account", "unauthorized_client", "domain-wide delegation");
}

#[tokio::test]
async fn workload_identity_asks_the_metadata_server() {
    let fake = Fake::start();
    let workload =
        Config { oauth: None, workload_identity: Some(WorkloadIdentity::default()), ..config(&fake) };
    let told = findings(workload).await;
    found(&told, Severity::Good, "account", "pod@project.iam.gserviceaccount.com", "");
}

#[tokio::test]
async fn rights_in_a_shared_drive() {
    let fake = Fake::start();
    fake.world().add_drive(SHARED, "Team backups");
    let shared = Config { shared_drive: Some(SHARED.into()), ..config(&fake) };
    fake.world().switches.content_manager = true;
    let told = findings(shared.clone()).await;
    found(&told, Severity::Notice, "rights", "may not delete files for good", "Manager");
    found(&told, Severity::Notice, "delete", "`prune` will fail", "Manager");
    let told = findings(Config { trash: Some(true), ..shared.clone() }).await;
    none_bad(&told);
    found(&told, Severity::Good, "delete", "files can be removed", "");

    fake.world().switches.reader = true;
    let told = findings(shared).await;
    found(&told, Severity::Bad, "rights", "may not add files", "Content manager");
    found(&told, Severity::Bad, "upload", "insufficientParentPermissions", "Content manager");

    let told = findings(Config { shared_drive: Some("0ANOTHEREUk9PVA".into()), ..config(&fake) }).await;
    found(&told, Severity::Bad, "folder", "notFound", "shared_drive");
}

#[tokio::test]
async fn folders_that_are_files_invisible_or_trashed() {
    let fake = Fake::start();
    let file = serde_json::json!({ "id": "1FILEFILEFILE", "name": "notes.txt" });
    fake.world().insert(&file, ROOT, "client", None, "hello".into());
    let other = serde_json::json!({ "id": "1FOREIGNFOLDER", "name": "Backups", "mimeType": FOLDER });
    fake.world().insert(&other, ROOT, "somebody-else", None, bytes::Bytes::new());
    let by_id = |id: &str, client: &str| Config {
        folder: None,
        folder_id: Some(id.into()),
        oauth: Some(oauth(client)),
        ..config(&fake)
    };
    let told = findings(by_id("1FILEFILEFILE", "client")).await;
    found(&told, Severity::Bad, "folder", "`notes.txt` is a file, not a folder", "id of a folder");
    let told = findings(by_id("1FOREIGNFOLDER", "client")).await;
    found(&told, Severity::Bad, "folder", "no folder `1FOREIGNFOLDER` that this account sees", "drive.file");
    let told = findings(Config { scope: Scope::Drive, ..by_id("1FOREIGNFOLDER", "whole") }).await;
    none_bad(&told);
    fake.world().files.get_mut("1FOREIGNFOLDER").unwrap().trashed = true;
    let told = findings(Config { scope: Scope::Drive, ..by_id("1FOREIGNFOLDER", "whole") }).await;
    found(&told, Severity::Bad, "folder", "is in the trash", "take it out");
}

#[tokio::test]
async fn an_expired_token_is_replaced_and_the_session_goes_on() {
    use chupacabra::stores::Intent;
    let fake = Fake::start();
    let store = store(config(&fake)).await;
    let content = crate::contract::pattern(crate::drives::CHUNK * 4, 1);
    let mut upload = store.create(&crate::contract::name("web/object"), &Intent::default()).await.unwrap();
    upload.write(content.slice(..crate::drives::CHUNK * 3)).await.unwrap();
    fake.world().expire_tokens();
    upload.write(content.slice(crate::drives::CHUNK * 3..)).await.unwrap();
    assert_eq!(upload.finish().await.unwrap().size, content.len() as u64);
}

#[test]
fn what_a_wrong_configuration_is_told() {
    let good = || Config { oauth: Some(oauth("client")), ..Config::default() };
    let told = |config: Config| {
        let told = problems(config);
        assert!(told.iter().all(|one| !one.help.is_empty()), "{told:?}");
        told.into_iter().map(|one| format!("{}: {}", one.path, one.what)).collect::<Vec<_>>()
    };
    assert_eq!(told(good()), Vec::<String>::new());
    assert_eq!(told(Config::default()), [": there are no credentials"]);
    assert_eq!(
        told(Config { workload_identity: Some(WorkloadIdentity::default()), ..good() }),
        [": several credentials stand together"]
    );
    assert_eq!(
        told(Config { chunk_size: Some(ByteSize(1_000_000)), ..good() }),
        ["chunk_size: 976.6 KiB is not a multiple of 256 KiB up to 1 GiB"]
    );
    assert_eq!(
        told(Config { folder_id: Some("https://drive.google.com/x".into()), ..good() }),
        ["folder_id: `https://drive.google.com/x` is not the id of a folder"]
    );
    assert_eq!(
        told(Config { folder_id: Some("1a2B3c4D5e6F".into()), folder: Some("a".into()), ..good() }),
        ["folder_id: `folder` and `folder_id` stand together"]
    );
    assert_eq!(
        told(Config { folder: Some("a//b".into()), ..good() }),
        ["folder: `a//b` is not the path of a folder"]
    );
    assert_eq!(
        told(Config { endpoint: Some("http://drive.example.com".into()), ..good() }),
        ["endpoint: `drive.example.com` would be spoken to without TLS"]
    );
    let key = |text: &str| {
        let account = ServiceAccount { key: secret(text), subject: None };
        told(Config { service_account: Some(account), ..Config::default() })
    };
    assert_eq!(key("hush"), ["service_account.key: the key is not JSON (line 1, column 1)"]);
    assert_eq!(
        key(r#"{"type": "authorized_user", "client_secret": "hush"}"#),
        ["service_account.key: this is a key of type `authorized_user`, not `service_account`"]
    );
    assert_eq!(
        key(r#"{"installed": {"client_secret": "hush"}}"#),
        ["service_account.key: this is an OAuth client, not the key of a service account"]
    );
    assert_eq!(
        key(r#"{"type": "service_account", "client_email": "a@b"}"#),
        ["service_account.key: the key has no `private_key`"]
    );
    assert_eq!(
        key(r#"{"type": "service_account", "client_email": "a@b", "private_key": "hush", "token_uri": "u"}"#),
        ["service_account.key: the `private_key` in the key is damaged"]
    );
}
