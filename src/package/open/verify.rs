//! Verifying without a key.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Error, Fetch, Package};
use crate::catalog::key::Part;
use crate::package::digest::ObjectDigest;
use crate::stores::{ObjectName, Store};

/// Reads an object once and returns its size and SHA-256.
async fn digest(store: Arc<dyn Store>, name: ObjectName) -> Result<ObjectDigest, Error> {
    let stop = CancellationToken::new();
    let _guard = stop.clone().drop_guard();
    let mut fetch = Fetch::start(&Handle::current(), store, name, None, stop);
    let outcome = fetch.outcome();
    let read = tokio::task::spawn_blocking(move || drain(&mut fetch)).await;
    read.map_err(|_| Error::Abandoned)?.map_err(Error::from_read)?;
    outcome.digest().ok_or(Error::Abandoned)
}

fn drain(source: &mut impl Read) -> io::Result<()> {
    let mut waste = vec![0; 1 << 18];
    while source.read(&mut waste)? > 0 {}
    Ok(())
}

impl Package {
    /// Reads both objects once and compares sizes and digests with the record. Needs no key.
    pub async fn verify_objects(&self) -> Result<(), Error> {
        for (what, part, recorded) in
            [("package", Part::Package, &self.record().package), ("index", Part::Index, &self.record().index)]
        {
            let name = ObjectName::new(self.record().key.object(&part))?;
            let actual = digest(self.store.clone(), name).await?;
            if actual != *recorded {
                return Err(Error::not_as_recorded(what, recorded, &actual));
            }
        }
        Ok(())
    }
}
