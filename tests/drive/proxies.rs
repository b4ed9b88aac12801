//! A proxy before Drive: what goes through it, and what is told when it does not do what it is there for.

use bytes::Bytes;
use chupacabra::stores::google_drive::Config;
use chupacabra::stores::{Intent, Store};
use futures_util::TryStreamExt as _;

use crate::contract::{name, pattern, same};
use crate::drives::{CHUNK, config, secret, store};
use crate::support::drive::Fake;
use crate::support::http_proxy::{HttpProxy, Manner, certificate};
use crate::support::scratch;

const HOST: &str = "drive.example.test";

/// A store whose service is known to the proxy alone.
fn behind(fake: &Fake, proxy: &str, ca: &std::path::Path) -> Config {
    Config {
        endpoint: Some(format!("https://{HOST}")),
        proxy: Some(secret(proxy)),
        ca_bundle: Some(ca.to_owned()),
        max_attempts: Some(2),
        ..config(fake)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_metadata_and_uploads_go_through_the_proxy() {
    let dir = scratch();
    let ca = dir.path().join("ca.pem");
    let fake = Fake::start_tls(certificate(&[HOST], &ca));
    let proxy = HttpProxy::start(fake.port, Manner::Wants("user:hunter2"), None).await;
    let address = format!("http://user:hunter2@127.0.0.1:{}", proxy.port);
    let store = store(behind(&fake, &address, &ca)).await;
    for size in [1_000, 30 * CHUNK + 7] {
        let (object, content) = (name(&format!("web/object-{size}")), pattern(size, 3));
        let mut upload = store.create(&object, &Intent::default()).await.unwrap();
        upload.write(content.clone()).await.unwrap();
        assert_eq!(upload.finish().await.unwrap().size, size as u64);
        let read: Vec<Bytes> = store.open(&object, None).await.unwrap().try_collect().await.unwrap();
        same(&read.concat().into(), &content);
    }
    let log = proxy.log();
    assert!(
        !log.is_empty() && log.iter().all(|line| line.starts_with(&format!("CONNECT {HOST}:443 "))),
        "{log:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_does_not_do_its_work_is_named() {
    let dir = scratch();
    let ca = dir.path().join("ca.pem");
    let fake = Fake::start_tls(certificate(&[HOST], &ca));
    for (manner, said, transient) in [
        (Manner::Wants("user:other"), "wants other credentials (407)", false),
        (Manner::Refuses(403), "does not connect to the service", true),
        (Manner::HangsUp, "breaks the connection off", true),
    ] {
        let proxy = HttpProxy::start(fake.port, manner, None).await;
        let address = format!("http://user:hunter2@127.0.0.1:{}", proxy.port);
        let error = store(behind(&fake, &address, &ca)).await.list("").await.unwrap_err();
        let named = format!("the proxy {} {said}", proxy.address());
        assert!(error.to_string().contains(&named), "{manner:?}: {error:?}");
        assert_eq!(error.is_transient(), transient, "{error:?}");
        assert!(error.help.is_some() && !format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let port = crate::support::server::free_port();
    let store = store(behind(&fake, &format!("http://127.0.0.1:{port}"), &ca)).await;
    let error = store.list("").await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("the proxy http://127.0.0.1:{port} cannot be reached")),
        "{error}"
    );
}
