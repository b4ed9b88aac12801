//! Bandwidth limits and planned sizes, seen from outside.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chupacabra::config::units::ByteSize;
use chupacabra::stores::limit::{Limits, limited};
use chupacabra::stores::s3::Config;
use chupacabra::stores::{Intent, Reason, Store};

use crate::buckets::{PART, config, new_bucket, seaweedfs, store};
use crate::contract::{Subject, get, name, pattern, put};

/// Both directions take as long as the limit says, and no limit is much faster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_in_both_directions() {
    let endpoint = seaweedfs().endpoint();
    let bucket = new_bucket().await;
    let open: Arc<dyn Store> = Arc::new(store(config(&endpoint, &bucket)).await);
    let rate = 4 << 20;
    let slow = limited(Arc::clone(&open), Limits { upload: Some(rate), download: Some(rate) });
    let subject = |store| Subject { store, boundary: PART, page: 0, keep: Box::new(()) };
    let (open, slow) = (subject(open), subject(slow));
    let content = pattern(8 << 20, 1);

    let start = Instant::now();
    put(&slow, &name("slow"), &content).await.unwrap();
    let up = start.elapsed();
    let start = Instant::now();
    assert!(get(&slow, &name("slow"), None).await.unwrap() == content);
    let down = start.elapsed();
    assert!(up > Duration::from_millis(1_700) && down > Duration::from_millis(1_700), "{up:?} {down:?}");
    let start = Instant::now();
    put(&open, &name("open"), &content).await.unwrap();
    assert!(start.elapsed() < up, "a store without limits is as slow");
}

/// An object that outgrows the plan fails with a way out; one whose predecessor would not fit, before anything is sent.
/// An estimate alone refuses nothing: it may count what is not wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_outgrows_the_plan_is_refused() {
    let bucket = new_bucket().await;
    let config = Config { max_parts: Some(3), ..config(&seaweedfs().endpoint(), &bucket) };
    let config = Config { max_object_size: Some(ByteSize(3 * PART as u64 - 1)), ..config };
    let store = store(config.clone()).await;
    let mut upload = store.create(&name("object"), &Intent::default()).await.unwrap();
    upload.write(pattern(3 * PART - 1, 1)).await.unwrap();
    let error = upload.write(pattern(1, 1)).await.unwrap_err();
    upload.abort().await.unwrap();
    assert_eq!(error.reason, Reason::Rejected);
    assert!(error.help.unwrap().contains("max_object_size"));

    let store = crate::buckets::store(Config { max_object_size: None, ..config }).await;
    let intent = Intent { size_estimate: Some(1 << 40), ..Intent::default() };
    let upload = store.create(&name("object"), &intent).await.unwrap();
    upload.abort().await.unwrap();
    let intent = Intent { predecessor: Some(1 << 40), ..intent };
    let Err(error) = store.create(&name("object"), &intent).await else { panic!("1 TiB fits") };
    assert_eq!(error.reason, Reason::Rejected);
}
