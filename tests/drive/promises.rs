//! Google Drive keeps the contract.

use std::sync::Arc;

use chupacabra::stores::Store as _;

use crate::contract::{Subject, store_contract};
use crate::drives::{CHUNK, config, store};
use crate::support::drive::Fake;

async fn subject() -> Subject {
    let fake = Fake::start();
    let store = store(config(&fake)).await;
    // Reading makes no folder.
    store.check().await;
    Subject { store: Arc::new(store), boundary: CHUNK, page: 1_000, keep: Box::new(fake) }
}

store_contract!(subject);
