//! The fake is faithful: programs that no one here wrote work with it, and read what this agent has uploaded.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use chupacabra::stores::google_drive::Config;
use chupacabra::stores::{Intent, Store};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::contract::{name, pattern, same};
use crate::drives::{CHUNK, config, oauth, store};
use crate::support::drive::Fake;
use crate::support::drive::fault::Fault;
use crate::support::{run, scratch, tool};

/// A certificate for the names that clients ask for, in `dir/ca.pem`.
fn certificate(dir: &Path) -> rustls::ServerConfig {
    let names = ["www.googleapis.com", "oauth2.googleapis.com", "127.0.0.1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(dir.join("ca.pem"), made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config =
        rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap()
}

/// A proxy that leads every connection to the fake, whatever host it names.
async fn proxy(to: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    port
}

async fn upload(store: &dyn Store, object: &str, content: &Bytes) {
    let mut upload = store.create(&name(object), &Intent::default()).await.unwrap();
    upload.write(content.clone()).await.unwrap();
    upload.finish().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_works_with_it_and_reads_what_we_upload() {
    let dir = scratch();
    let fake = Fake::start_tls(certificate(dir.path()));
    let proxy = proxy(fake.port).await;
    let conf = dir.path().join("rclone.conf");
    let token =
        r#"{"access_token":"x","token_type":"Bearer","refresh_token":"r","expiry":"2020-01-01T00:00:00Z"}"#;
    std::fs::write(&conf, format!("[gd]\ntype = drive\nclient_id = fake\nclient_secret = fake\nscope = drive.file\ntoken = {token}\n")).unwrap();
    let rclone = async |args: &[&str]| {
        let mut command = Command::new(tool("rclone"));
        command.arg("--config").arg(&conf).arg("--http-proxy").arg(format!("http://127.0.0.1:{proxy}"));
        command.arg("--ca-cert").arg(dir.path().join("ca.pem")).args([
            "--timeout",
            "20s",
            "--retries",
            "1",
            "--drive-pacer-min-sleep",
            "1ms",
        ]);
        command.args(args);
        tokio::task::spawn_blocking(move || run(&mut command).stdout).await.unwrap()
    };
    let local = dir.path().join("local");
    std::fs::create_dir(&local).unwrap();
    for (file, size) in [("empty", 0), ("small", 1_000), ("cutoff", 8 << 20), ("large", (20 << 20) + 7)] {
        std::fs::write(local.join(file), pattern(size, size as u64)).unwrap();
    }
    let shown = local.to_str().unwrap();
    rclone(&["copy", shown, "gd:theirs"]).await;
    rclone(&["check", "--download", shown, "gd:theirs"]).await;
    rclone(&["check", shown, "gd:theirs"]).await;
    let listed = String::from_utf8(rclone(&["lsjson", "--hash", "-R", "gd:"]).await).unwrap();
    assert!(listed.contains("sha256") && listed.contains("theirs/large"), "{listed}");
    let cut = rclone(&["cat", "--offset", "1000000", "--count", "5000", "gd:theirs/large"]).await;
    same(&cut.into(), &pattern((20 << 20) + 7, (20 << 20) + 7).slice(1_000_000..1_005_000));
    // A stream of unknown length, with an answer that is lost on the way.
    fake.world().faults.at(6, Fault::Refused(503, "backendError", "Backend Error"));
    let line = format!("rcat gd:theirs/streamed < {shown}/large");
    let script = format!(
        "{} --config {} --http-proxy http://127.0.0.1:{proxy} --ca-cert {} {line}",
        tool("rclone").display(),
        conf.display(),
        dir.path().join("ca.pem").display()
    );
    tokio::task::spawn_blocking(move || crate::support::shell(&script)).await.unwrap();
    fake.world().faults.clear();
    same(&rclone(&["cat", "gd:theirs/streamed"]).await.into(), &pattern((20 << 20) + 7, (20 << 20) + 7));
    rclone(&["deletefile", "--drive-use-trash=false", "gd:theirs/small"]).await;
    rclone(&["about", "gd:"]).await;

    // What this agent uploads, over TLS, is there for rclone, byte for byte.
    let mut settings = config(&fake);
    settings.oauth = Some(oauth("fake"));
    settings.ca_bundle = Some(dir.path().join("ca.pem"));
    let store = store(settings).await;
    for size in [0, 1, CHUNK * 40 + 5] {
        let content = pattern(size, 9);
        upload(&store, &format!("web/object-{size}"), &content).await;
        // rclone writes the slash of a name in its own way: the file is picked by its end.
        let read = rclone(&["cat", "--include", &format!("*object-{size}"), "gd:Backups/prod"]).await;
        same(&read.into(), &content);
    }
    // And what rclone uploaded into our folder is an object under its name.
    rclone(&["copyto", &format!("{shown}/large"), "gd:Backups/prod/foreign"]).await;
    let read: Vec<Bytes> = store.open(&name("foreign"), None).await.unwrap().try_collect().await.unwrap();
    same(&read.concat().into(), &pattern((20 << 20) + 7, (20 << 20) + 7));
    store.delete(&name("web/object-1")).await.unwrap();
    let left = String::from_utf8(rclone(&["lsf", "gd:Backups/prod"]).await).unwrap();
    assert!(!left.contains("object-1\n") && left.contains("object-0"), "{left}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn googles_own_client_works_with_it_and_every_answer_fits_the_description() {
    let fake = Fake::start();
    let content = pattern(CHUNK * 40 + 5, 11);
    let ours = store(config(&fake)).await;
    upload(&ours, "web/object", &content).await;
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&content));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drive/google_client.py");
    let root = fake.root();
    let output = tokio::task::spawn_blocking(move || {
        run(Command::new(tool("python3")).args([script, &root, "web/object", &digest]))
    });
    let said = String::from_utf8(output.await.unwrap().stdout).unwrap();
    println!("{}", said.trim());
    assert!(said.contains("answers validated"), "{said}");
    assert!(fake.world().log.iter().any(|one| one.method == "PUT" && one.path.starts_with("/upload/")));
}

/// Everything that the store ever asks, held against Google's own description of what may be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_fits_googles_description() {
    const SHARED: &str = "0ASHAREDSHAREDUk9PVA";
    let fake = Fake::start();
    fake.world().add_drive(SHARED, "Team backups");
    fake.world().switches.page = 2;
    for (shared, trash, abuse) in [(None, true, true), (Some(SHARED.to_owned()), false, false)] {
        let settings =
            Config { shared_drive: shared, trash: Some(trash), acknowledge_abuse: abuse, ..config(&fake) };
        let store = store(settings).await;
        store.check().await;
        for size in [0, 1, CHUNK * 20] {
            upload(&store, &format!("web/it's \u{fc}-{size}"), &pattern(size, 1)).await;
        }
        fake.world().switches.abusive = abuse;
        let object = name(&format!("web/it's \u{fc}-{}", CHUNK * 20));
        let read: Vec<Bytes> = store.open(&object, Some(7..99)).await.unwrap().try_collect().await.unwrap();
        same(&read.concat().into(), &pattern(CHUNK * 20, 1).slice(7..99));
        fake.world().switches.abusive = false;
        // An upload that is given up.
        let mut given_up = store.create(&name("web/given-up"), &Intent::default()).await.unwrap();
        given_up.write(pattern(CHUNK * 20, 2)).await.unwrap();
        given_up.abort().await.unwrap();
        let now = chupacabra::clock::Clock::system().now();
        store.sweep("web/", now, false).await.unwrap();
        assert_eq!(store.list("web/").await.unwrap().len(), 3);
        store.delete(&object).await.unwrap();
    }
    let dir = scratch();
    let requests = dir.path().join("requests.json");
    std::fs::write(&requests, serde_json::to_vec(&fake.world().log).unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drive/requests.py");
    let output = tokio::task::spawn_blocking(move || {
        run(Command::new(tool("python3")).arg(script).arg(requests)).stdout
    });
    let said = String::from_utf8(output.await.unwrap()).unwrap();
    println!("{}", said.trim());
    let methods = "drive.about.get drive.drives.get drive.files.create drive.files.delete drive.files.generateIds \
                   drive.files.get drive.files.list drive.files.update";
    assert!(said.trim().ends_with(methods), "not every kind of request was made: {said}");
}
