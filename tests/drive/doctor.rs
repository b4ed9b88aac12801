//! What `check` finds, and what it says to do; and what a wrong configuration is told.

use chupacabra::config::units::ByteSize;
use chupacabra::stores::google_drive::Config;
use chupacabra::stores::google_drive::config::{Scope, ServiceAccount, WorkloadIdentity};
use chupacabra::stores::{Finding, Intent, ObjectName, Reason, Severity, Store as _};

use crate::drives::{config, oauth, problems, secret, store};
use crate::support::drive::Fake;
use crate::support::drive::fault::Fault;
use crate::support::drive::world::{FOLDER, ROOT};

const SHARED: &str = "0ASHAREDSHAREDUk9PVA";

/// What the doctor says. Whatever is not good has its remedy.
async fn findings(config: Config) -> Vec<Finding> {
    let findings = store(config).await.check().await;
    let without = findings.iter().filter(|one| one.severity != Severity::Good && one.help.is_empty());
    assert_eq!(without.count(), 0, "a finding without a remedy in {findings:#?}");
    findings
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

/// Who only reads makes no folder: an empty one in the wrong account would look like a store without packages.
#[tokio::test]
async fn reading_makes_no_folder_and_says_that_there_is_none() {
    let fake = Fake::start();
    let folders = || fake.world().files.values().filter(|file| file.mime == FOLDER).count();
    let before = folders();
    let reader = store(config(&fake)).await;
    let long_ago = chupacabra::clock::Timestamp::UNIX_EPOCH;
    for error in [reader.list("").await.unwrap_err(), reader.sweep("web/", long_ago, true).await.unwrap_err()]
    {
        assert_eq!(error.to_string(), "there is no folder `Backups/prod` that this account sees");
        assert!(error.reason == Reason::NotFound && error.remedy().contains("OAuth client"), "{error:?}");
    }
    let object = ObjectName::new("web/a").unwrap();
    assert_eq!(reader.open(&object, None).await.err().map(|error| error.reason), Some(Reason::NotFound));
    reader.delete(&object).await.unwrap();
    assert_eq!(folders(), before);
    // Who writes makes it, and the reader sees it from then on.
    let mut upload = store(config(&fake)).await.create(&object, &Intent::default()).await.unwrap();
    upload.write("content".into()).await.unwrap();
    upload.finish().await.unwrap();
    assert_eq!((folders(), reader.list("").await.unwrap().len()), (before + 2, 1));
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
async fn clocks_that_are_apart() {
    let fake = Fake::start();
    for (skew, severity) in [
        (0, Severity::Good),
        (-50, Severity::Good),
        (120, Severity::Notice),
        (-120, Severity::Notice),
        (400, Severity::Bad),
        (-400, Severity::Bad),
    ] {
        fake.world().switches.skew = skew;
        let told = findings(config(&fake)).await;
        let help = if severity == Severity::Good { "" } else { "set this machine's clock" };
        found(&told, severity, "clock", "this machine's clock and the service's are", help);
        assert_eq!(told.iter().filter(|one| one.topic == "clock").count(), 1);
    }
    // A service account whose clock is wrong gets no token: the doctor still says whose fault it is.
    let account = ServiceAccount { key: secret(&crate::drives::service_account_key(&fake)), subject: None };
    fake.world().switches.skew = 1_000;
    let told = findings(Config { oauth: None, service_account: Some(account), ..config(&fake) }).await;
    found(&told, Severity::Bad, "account", "invalid_grant", "set this machine's clock");
    found(&told, Severity::Bad, "clock", "1000 s apart", "set this machine's clock");
}

/// What is free is held against the largest of the packages: whether the next one fits, and two more.
#[tokio::test]
async fn room_that_runs_out() {
    let fake = Fake::start();
    let store = store(config(&fake)).await;
    for (object, size) in [("web/small", 1_000), ("web/large", 1 << 20)] {
        let content = crate::contract::pattern(size, 1);
        let mut upload = store.create(&crate::contract::name(object), &Intent::default()).await.unwrap();
        upload.write(content).await.unwrap();
        upload.finish().await.unwrap();
    }
    let used = fake.world().used();
    for (free, severity, shown) in [
        (1 << 19, Severity::Bad, "512.0 KiB are free, the largest package has 1.0 MiB"),
        (1 << 20, Severity::Bad, "1.0 MiB are free"),
        (2 << 20, Severity::Notice, "2.0 MiB are free, the largest package has 1.0 MiB"),
        (4 << 20, Severity::Good, "4.0 MiB are free"),
    ] {
        fake.world().switches.limit = Some(used + free);
        let told = findings(config(&fake)).await;
        let help = if severity == Severity::Good { "" } else { "keep less (`retention`)" };
        found(&told, severity, "room", shown, help);
    }
    // Workspace accounts may have no limit, shared drives have none that is told.
    fake.world().switches.limit = None;
    let told = findings(config(&fake)).await;
    assert!(told.iter().all(|one| one.topic != "room"), "{told:#?}");
    none_bad(&told);
    fake.world().switches.daily_cap = Some(used);
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "upload", "User rate limit exceeded.", "750 GB in 24 hours");
}

/// What the service refuses, and what is to be done about it.
#[tokio::test]
async fn every_refusal_has_its_remedy() {
    let cases = [
        ("GET", "/about", 403, "accessNotConfigured", "account", "turn the Google Drive API on"),
        ("GET", "/about", 403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "account", "does not cover this"),
        ("GET", "/about", 403, "domainPolicy", "account", "administrators"),
        ("GET", "/about", 403, "dailyLimitExceeded", "account", "after midnight, Pacific time"),
        ("GET", "/about", 503, "backendError", "account", "try again"),
        ("GET", "/drive/v3/files", 500, "internalError", "folder", "try again"),
        ("POST", "/upload/", 403, "teamDriveFileLimitExceeded", "upload", "500000 items"),
        ("POST", "/upload/", 403, "numChildrenInNonRootLimitExceeded", "upload", "another `folder`"),
        ("POST", "/upload/", 403, "activeItemCreationLimitExceeded", "upload", "use another one"),
        ("POST", "/upload/", 403, "appNotAuthorizedToFile", "upload", "`drive.file`"),
        ("DELETE", "/drive/v3/files/", 403, "insufficientFilePermissions", "delete", "Manager"),
    ];
    for (method, path, status, reason, topic, help) in cases {
        let fake = Fake::start();
        fake.world().faults.every(method, path, Fault::Refused(status, reason, "No"));
        let told = findings(config(&fake)).await;
        let severity = if topic == "delete" { Severity::Notice } else { Severity::Bad };
        found(&told, severity, topic, "", help);
    }
    let fake = Fake::start();
    let told = findings(Config { oauth: Some(oauth("deleted")), ..config(&fake) }).await;
    found(&told, Severity::Bad, "account", "deleted_client", "the client was deleted");
    fake.world().switches.incomplete = true;
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "folder", "has not searched everywhere", "try again later");
    fake.world().switches.incomplete = false;
    fake.world().switches.damages = true;
    let told = findings(config(&fake)).await;
    found(&told, Severity::Bad, "write", "the service has other bytes", "do not rely on this store");
    fake.world().switches.damages = false;
    for id in ["1FIRSTFOLDER", "2SECONDFOLDER"] {
        let twin = serde_json::json!({ "id": id, "name": "twins", "mimeType": FOLDER });
        fake.world().insert(&twin, ROOT, "client", None, bytes::Bytes::new());
    }
    let told = findings(Config { folder: Some("twins".into()), ..config(&fake) }).await;
    found(&told, Severity::Notice, "folder", "there are 2 folders `twins`", "move the files");
    let port = crate::support::server::free_port();
    let nobody = Config { endpoint: Some(format!("http://127.0.0.1:{port}")), ..config(&fake) };
    let told = findings(nobody).await;
    found(&told, Severity::Bad, "account", "the connection failed", "can be reached from here");
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

/// A folder that is named by its id alone may be in a shared drive: there it is looked for, whoever made the files.
#[tokio::test]
async fn a_folder_by_its_id_may_be_in_a_shared_drive() {
    let fake = Fake::start();
    fake.world().add_drive(SHARED, "Team backups");
    fake.world().add_folder("1TEAMFOLDER", "nightly", SHARED, "whole", Some(SHARED.into()));
    fake.world().switches.without_storage = true;
    let account = ServiceAccount { key: secret(&crate::drives::service_account_key(&fake)), subject: None };
    let by_id = Config {
        folder: None,
        folder_id: Some("1TEAMFOLDER".into()),
        oauth: None,
        service_account: Some(account),
        scope: Scope::Drive,
        ..config(&fake)
    };
    let content = crate::contract::pattern(1_000, 1);
    let mut upload =
        store(by_id.clone()).await.create(&crate::contract::name("web/a"), &Intent::default()).await.unwrap();
    upload.write(content).await.unwrap();
    upload.finish().await.unwrap();
    // Another process, that has made nothing.
    let fresh = store(by_id.clone()).await;
    assert_eq!(fresh.list("web/").await.unwrap().len(), 1);
    assert!(fresh.open(&crate::contract::name("web/a"), None).await.is_ok());
    let told = findings(by_id).await;
    none_bad(&told);
    found(&told, Severity::Good, "folder", "`nightly` in the shared drive `Team backups`", "");
    assert!(told.iter().all(|one| one.topic != "storage" && one.topic != "room"), "{told:#?}");
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
    let fake = Fake::start();
    let store = store(config(&fake)).await;
    let content = crate::contract::pattern(crate::drives::CHUNK * 4, 1);
    let mut upload = store.create(&crate::contract::name("web/object"), &Intent::default()).await.unwrap();
    upload.write(content.slice(..crate::drives::CHUNK * 3)).await.unwrap();
    fake.world().expire_tokens();
    upload.write(content.slice(crate::drives::CHUNK * 3..)).await.unwrap();
    assert_eq!(upload.finish().await.unwrap().size, content.len() as u64);
}

/// Tokens end every hour, and the token service has its own trouble at times: that passes, for users and for accounts.
#[tokio::test]
async fn a_token_that_cannot_be_had_for_a_moment_is_waited_for() {
    let fake = Fake::start();
    let account = ServiceAccount { key: secret(&crate::drives::service_account_key(&fake)), subject: None };
    let service = Config { oauth: None, service_account: Some(account), ..config(&fake) };
    for (object, config) in [("web/user", config(&fake)), ("web/service", service)] {
        let store = store(config).await;
        let content = crate::contract::pattern(crate::drives::CHUNK * 4, 1);
        let mut upload = store.create(&crate::contract::name(object), &Intent::default()).await.unwrap();
        upload.write(content.slice(..crate::drives::CHUNK * 3)).await.unwrap();
        fake.world().expire_tokens();
        fake.world().switches.troubled_tokens = 2;
        upload.write(content.slice(crate::drives::CHUNK * 3..)).await.unwrap();
        assert_eq!(upload.finish().await.unwrap().size, content.len() as u64, "{object}");
        assert_eq!(fake.world().switches.troubled_tokens, 0, "{object}: nothing went wrong");
    }
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
