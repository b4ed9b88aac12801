//! The whole program against a drive: backup, crash in the middle, the next run, prune, restore; and the login.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::backups::{Site, noise};
use crate::support::drive::Fake;
use crate::support::drive::fault::Fault;
use crate::support::server::wait_until;
use crate::support::{chupacabra, run, scratch, shell};

/// A site whose packages go to the fake.
fn site(fake: &Fake) -> Site {
    let site = Site::new("");
    let dir = site.dir();
    for (name, value) in [("id", "client"), ("secret", "hush-client"), ("token", "hush-refresh")] {
        std::fs::write(dir.join(name), value).unwrap();
    }
    let shown = dir.display();
    let yaml = std::fs::read_to_string(site.config()).unwrap();
    let drive = format!(
        "stores: {{ drive: {{ google_drive: {{ endpoint: '{}', chunk_size: 256KiB, trash: false, oauth: {{ \
         client_id: {{ file: {shown}/id }}, client_secret: {{ file: {shown}/secret }}, refresh_token: {{ file: \
         {shown}/token }} }} }} }} }}",
        fake.root()
    );
    let lines: Vec<&str> =
        yaml.lines().map(|line| if line.starts_with("stores:") { drive.as_str() } else { line }).collect();
    std::fs::write(site.config(), lines.join("\n")).unwrap();
    site
}

fn background(site: &Site, args: &[&str]) -> Child {
    site.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn objects(fake: &Fake) -> Vec<String> {
    let mut names: Vec<String> = fake.world().objects().iter().map(|entry| entry.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn killed_in_mid_upload_the_next_run_is_whole_and_nothing_is_there_twice() {
    let fake = Fake::start();
    let site = site(&fake);
    std::fs::write(site.tree().join("noise"), noise(7 << 20, 1)).unwrap();
    fake.world().faults.every("PUT", "/upload/", Fault::Silence);
    let mut killed = background(&site, &["backup"]);
    wait_until(Duration::from_secs(60), || fake.world().faults.met > 0, || "no chunk was sent".into());
    killed.kill().unwrap();
    killed.wait().unwrap();
    fake.world().faults.clear();
    assert_eq!(objects(&fake), Vec::<String>::new(), "an unfinished upload is no file");
    site.good(&["backup"]);
    assert_eq!(objects(&fake).len(), 3, "package, index and record: {:?}", objects(&fake));
    let into = site.dir().join("restored");
    site.good(&["restore", "web", "--into", into.to_str().unwrap()]);
    run(Command::new("diff").arg("-r").arg(site.tree()).arg(&into));
    let log = String::from_utf8_lossy(&site.output(&["-vv", "backup"]).stderr).into_owned();
    assert!(
        !log.contains("hush") && !log.contains("upload_id") && !log.contains("ya29."),
        "a secret in {log}"
    );
}

/// A stream cannot be wound back, but a dump can be made again.
#[test]
fn a_session_that_is_lost_in_mid_upload_begins_the_dump_again() {
    let fake = Fake::start();
    let site = site(&fake);
    std::fs::write(site.tree().join("noise"), noise(2 << 20, 2)).unwrap();
    // After some chunks, and with the last.
    for (packages, (at, status)) in [(3, 404), (8, 410)].into_iter().enumerate() {
        fake.world().faults.at_session(at, Fault::SessionGone(status));
        let output = site.output(&["backup"]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        assert_eq!(fake.world().faults.met, 1);
        assert_eq!(log.matches("dumping again from the beginning").count(), 1, "{log}");
        let names = objects(&fake);
        let of = |suffix: &str| {
            names.iter().filter(|name| name.ends_with(suffix) && !name.contains(".verified-")).count()
        };
        assert_eq!((of(".tar.gz.age"), of(".json")), (packages + 1, packages + 1), "{names:?}");
        site.good(&["verify", "web"]);
    }
    // Lost again and again: three attempts, and no package.
    fake.world().faults.every("PUT", "/upload/", Fault::SessionGone(404));
    let before = objects(&fake);
    let output = site.output(&["backup"]);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{log}");
    assert_eq!(log.matches("dumping again from the beginning").count(), 2, "{log}");
    assert!(log.contains("the upload's session is lost"), "{log}");
    assert!(!log.contains("upload_id"), "a session's address in {log}");
    fake.world().faults.clear();
    assert_eq!(objects(&fake), before);
}

#[test]
fn what_a_crash_leaves_without_a_record_is_swept_when_it_is_old() {
    let fake = Fake::start();
    let site = site(&fake);
    std::fs::write(site.tree().join("file"), "small").unwrap();
    // The package is stored, its answer never comes, and the program dies.
    fake.world().faults.every("POST", "/upload/", Fault::Silence);
    let mut killed = background(&site, &["backup"]);
    wait_until(
        Duration::from_secs(60),
        || !fake.world().objects().is_empty(),
        || "nothing was stored".into(),
    );
    killed.kill().unwrap();
    killed.wait().unwrap();
    fake.world().faults.clear();
    let left = objects(&fake);
    assert!(!left.is_empty() && !left.iter().any(|name| name.ends_with(".json")), "{left:?}");
    // A second later, so that the next package has another name.
    wait_until(
        Duration::from_secs(5),
        {
            let start = std::time::Instant::now();
            move || start.elapsed() > Duration::from_millis(1_100)
        },
        String::new,
    );
    site.good(&["backup"]);
    assert_eq!(objects(&fake).len(), 3 + left.len(), "what is young stays");
    {
        let mut world = fake.world();
        let ids: Vec<String> = world
            .objects()
            .iter()
            .filter(|entry| left.contains(&entry.name))
            .map(|entry| entry.id.clone())
            .collect();
        for id in ids {
            let entry = world.files.get_mut(&id).unwrap();
            entry.created -= 3 * 86_400_000;
            entry.modified -= 3 * 86_400_000;
            // Its name tells its age too: `web/web-2026…`.
            entry.name = format!("{}2020{}", &entry.name[..8], &entry.name[12..]);
            entry.properties.insert("chupacabra-name-0".into(), entry.name.clone().into());
        }
    }
    site.good(&["prune"]);
    let after = objects(&fake);
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(!after.iter().any(|name| name.contains("web-2020")), "an orphan for ever");
    site.good(&["verify", "web"]);
}

/// A client's file as Google offers it.
fn client(dir: &Path, id: &str) -> std::path::PathBuf {
    let path = dir.join("client.json");
    let text = serde_json::json!({ "installed": { "client_id": id, "client_secret": "hush" } });
    std::fs::write(&path, text.to_string()).unwrap();
    path
}

fn login(fake: &Fake, dir: &Path, id: &str, extra: &[&str]) -> (Child, std::path::PathBuf) {
    let told = dir.join("told");
    let child = chupacabra()
        .args(["drive", "login", "--endpoint", &fake.root(), "--client"])
        .arg(client(dir, id))
        .args(extra)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&told).unwrap())
        .spawn()
        .unwrap();
    (child, told)
}

/// Follows the page that the program names, as a browser does.
fn browse(told: &Path) {
    let read = || std::fs::read_to_string(told).unwrap_or_default();
    wait_until(Duration::from_secs(30), || read().contains("code_challenge"), read);
    let url = read().lines().find(|line| line.starts_with("http")).unwrap().to_owned();
    shell(&format!("curl -sSL -m 20 '{url}'"));
}

#[test]
fn a_login_by_browser_prints_the_secret_that_a_store_needs() {
    let (fake, dir) = (Fake::start(), scratch());
    let (child, told) = login(&fake, dir.path(), "client", &[]);
    browse(&told);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", std::fs::read_to_string(&told).unwrap());
    let secret = String::from_utf8(output.stdout).unwrap();
    let wanted = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"chupacabra-google-drive\"\ntype: Opaque\n\
                  stringData:\n  client_id: \"client\"\n  client_secret: \"hush\"\n  refresh_token: \
                  \"1//client-refresh\"\n";
    assert_eq!(secret, wanted);
}

#[test]
fn a_login_on_another_device_waits_for_the_user() {
    let (fake, dir) = (Fake::start(), scratch());
    let (child, told) = login(&fake, dir.path(), "client", &["--device"]);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("refresh_token: \"1//client-refresh\""));
    let told = std::fs::read_to_string(told).unwrap();
    assert_eq!(told, "Open https://www.google.com/device on any device and type GQVQ-JKEC\n");
}

#[test]
fn a_login_that_is_refused_or_of_the_wrong_client_says_so() {
    let (fake, dir) = (Fake::start(), scratch());
    let (child, told) = login(&fake, dir.path(), "refuses", &[]);
    browse(&told);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(4));
    assert!(
        std::fs::read_to_string(&told)
            .unwrap()
            .contains("cannot get the consent: it was refused in the browser")
    );
    std::fs::write(dir.path().join("web.json"), r#"{"web": {}}"#).unwrap();
    let wrong =
        chupacabra().args(["drive", "login", "--client"]).arg(dir.path().join("web.json")).output().unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(
        said.contains("it is a client of type Web application")
            && said.contains("make an OAuth client of type Desktop app")
    );
}

/// Told to stop while Drive takes its time to store an object, the program does not wait for it.
#[test]
fn a_backup_that_is_stopped_while_it_finishes_ends_in_seconds() {
    let fake = Fake::start();
    let site = site(&fake);
    std::fs::write(site.tree().join("hello"), "hello\n").unwrap();
    fake.world().faults.every("POST", "/upload/", Fault::Silence);
    let mut running = background(&site, &["backup"]);
    wait_until(Duration::from_secs(60), || fake.world().faults.met > 0, || "nothing was stored".into());
    let began = std::time::Instant::now();
    run(Command::new("kill").args(["-TERM", &running.id().to_string()]));
    wait_until(
        Duration::from_secs(20),
        || running.try_wait().unwrap().is_some(),
        || "it still runs".to_owned(),
    );
    assert_eq!(running.wait().unwrap().code(), Some(143), "after {:?}", began.elapsed());
    // The service may have stored what it did not answer; without a record it is no package.
    assert!(!objects(&fake).iter().any(|name| name.ends_with(".json")), "{:?}", objects(&fake));
}
