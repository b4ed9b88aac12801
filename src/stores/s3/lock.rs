//! Object Lock: protection that is extended, and how a refused deletion is told from a missing right.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

use super::client::Client;
use super::config::LockMode;
use super::list::timestamp;
use super::object::whole_seconds;
use crate::clock::Timestamp;
use crate::stores::{Error, ObjectName, Reason};

/// Protects an object until then, unless it is protected for longer already.
pub(super) async fn extend(client: &Client, name: &ObjectName, until: Timestamp) -> Result<(), Error> {
    let Some(lock) = client.plan.lock else { return Ok(()) };
    let key = client.key(name);
    if retained_until(client, &key, None).await?.is_some_and(|already| already >= until) {
        return Ok(());
    }
    let mode = match lock.mode {
        LockMode::Governance => ObjectLockRetentionMode::Governance,
        LockMode::Compliance => ObjectLockRetentionMode::Compliance,
    };
    let until = DateTime::from_secs(whole_seconds(until));
    let retention = ObjectLockRetention::builder().mode(mode).retain_until_date(until).build();
    let request = || {
        let put = client.sdk().put_object_retention().bucket(&client.plan.bucket).key(&key);
        put.retention(retention.clone()).send()
    };
    client.send("extend the object's protection", request).await.map(drop)
}

/// Until when a version is protected; `None` if it is not.
pub(super) async fn retained_until(
    client: &Client,
    key: &str,
    version: Option<&str>,
) -> Result<Option<Timestamp>, Error> {
    let request = || {
        let get = client.sdk().get_object_retention().bucket(&client.plan.bucket).key(key);
        get.set_version_id(version.map(str::to_owned)).send()
    };
    match client.send("ask for the object's protection", request).await {
        Ok(answer) => Ok(answer.retention().and_then(|lock| lock.retain_until_date).and_then(timestamp)),
        // Objects and buckets without a lock have no answer to give, in codes that differ from service to service.
        Err(error) if matches!(error.reason, Reason::NotFound | Reason::Rejected) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells a version that is protected from one that this key may not delete: services answer both with the same code.
/// A protection that has ended explains nothing: the right is missing, and waiting would not help.
pub(super) async fn why_refused(client: &Client, key: &str, version: Option<&str>, error: Error) -> Error {
    match retained_until(client, key, version).await {
        Ok(Some(until)) if until > client.clock.now() => {
            let until = until.strftime("%Y-%m-%d %H:%M UTC");
            Error::new(Reason::Locked, format!("the object is protected until {until}")).because(error)
        }
        _ => error,
    }
}
