//! The local store keeps the contract of stores.

use std::sync::Arc;

use chupacabra::stores::local::{Local, Plan};

use crate::contract::{Subject, store_contract};

async fn local() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let store = Local::new(&Plan { path: dir.path().join("store") });
    Subject { store: Arc::new(store), boundary: 1 << 20, page: 50, keep: Box::new(dir) }
}

store_contract!(local);
