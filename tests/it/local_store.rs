//! The local store keeps the contract of stores.

use std::sync::Arc;

use chupacabra::stores::local::{Local, Plan};
use chupacabra::stores::{Reason, Severity, Store as _};

use crate::contract::{Subject, store_contract};
use crate::support::{scratch, shell};
use crate::unprivileged::{as_nobody, nobodys};

async fn local() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let store = Local::new(&Plan { path: dir.path().join("store") });
    Subject { store: Arc::new(store), boundary: 1 << 20, page: 50, keep: Box::new(dir) }
}

store_contract!(local);

const STORE: &str = "CHUPACABRA_TEST_STORE";

/// What only root may read lies beside what is the store's.
#[test]
fn what_others_keep_in_the_root_is_in_nobodys_way() {
    if !rustix::process::geteuid().is_root() {
        println!("not root: foreign directories are not covered by this run");
        return;
    }
    let dir = scratch();
    let root = dir.path().join("store");
    nobodys(&root);
    shell(&format!(
        "cd '{}'; mkdir -p web/inner locked lost+found .snapshots/web .Trash-0; touch web/web-1 web/inner/x
         chmod 700 locked lost+found .snapshots/web .Trash-0",
        root.display()
    ));
    let root = root.to_str().unwrap();
    as_nobody("local_store::foreign_directories_as_nobody", &[(STORE, root)]);
}

#[tokio::test]
#[ignore = "run by the test above, as nobody"]
async fn foreign_directories_as_nobody() {
    let root = std::path::PathBuf::from(std::env::var_os(STORE).unwrap());
    let store = Local::new(&Plan { path: root.clone() });
    let later = chupacabra::clock::Timestamp::from_second(4_000_000_000).unwrap();
    let names = async |prefix| store.list(prefix).await.map(|listed| listed.len());
    // One source's packages can be listed whatever lies beside them.
    assert_eq!(names("web/").await.unwrap(), 2);
    assert_eq!(names("we").await.unwrap(), 2);
    store.sweep("web/", later, false).await.unwrap();
    // A name that a source can have may be one's packages: what is in it must not be taken for absent.
    assert_eq!(names("").await.unwrap_err().reason, Reason::Denied);
    assert_eq!(names("locked/").await.unwrap_err().reason, Reason::Denied);
    let findings = store.check().await;
    assert!(
        findings.iter().any(|finding| finding.severity == Severity::Bad && finding.what.contains("locked"))
    );
    std::fs::remove_dir(root.join("locked")).unwrap();
    assert_eq!(names("").await.unwrap(), 2);
    store.sweep("", later, false).await.unwrap();
    assert!(store.check().await.iter().all(|finding| finding.severity == Severity::Good));
}
