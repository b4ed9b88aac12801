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

/// Whoever needs room moves a source's packages to another disk and leaves a link.
#[tokio::test]
async fn packages_behind_a_link_in_place_of_a_sources_directory_are_seen() {
    let dir = scratch();
    shell(&format!(
        "cd '{}'; mkdir -p store/web elsewhere store/+foreign; touch elsewhere/db-1 elsewhere/.db-2.0123456789abcdef.part
         ln -s ../elsewhere store/db; ln -s nowhere store/+dangling; ln -s ../../elsewhere store/web/inner",
        dir.path().display()
    ));
    let store = Local::new(&Plan { path: dir.path().join("store") });
    let names = async |prefix| {
        let listed = store.list(prefix).await.unwrap();
        listed.into_iter().map(|listed| listed.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["db/db-1"]);
    assert_eq!(names("db/").await, ["db/db-1"]);
    assert_eq!(names("web/").await, [""; 0], "only in the root");
    let later = chupacabra::clock::Timestamp::from_second(4_000_000_000).unwrap();
    assert_eq!(store.sweep("db/", later, false).await.unwrap().len(), 1);
    // A disk that is gone is not an empty one.
    shell(&format!("mv '{0}/elsewhere' '{0}/gone'", dir.path().display()));
    assert_eq!(store.list("db/").await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(store.list("").await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(names("web/").await, [""; 0]);
}

#[tokio::test]
async fn partial_files_of_other_programs_are_not_swept() {
    let dir = scratch();
    let ours = ".web-20261129T174710.588Z.json.0123456789abcdef.part";
    shell(&format!(
        "mkdir -p '{0}/web'; cd '{0}/web'; touch {ours} .film.mkv.part .x.0123456789abcde.part .x.0123456789ABCDEF.part",
        dir.path().display()
    ));
    let store = Local::new(&Plan { path: dir.path().to_owned() });
    let later = chupacabra::clock::Timestamp::from_second(4_000_000_000).unwrap();
    assert_eq!(store.sweep("web/", later, false).await.unwrap(), [format!("web/{ours}")]);
    assert_eq!(std::fs::read_dir(dir.path().join("web")).unwrap().count(), 3);
}
