//! SeaweedFS keeps the contract.

use std::sync::Arc;

use crate::buckets::{PART, config, new_bucket, seaweedfs, store};
use crate::contract::{Subject, store_contract};

async fn subject() -> Subject {
    let bucket = new_bucket().await;
    let store = store(config(&seaweedfs().endpoint(), &bucket)).await;
    Subject { store: Arc::new(store), boundary: PART, page: 1_000, keep: Box::new(()) }
}

store_contract!(subject);
