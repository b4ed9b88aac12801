//! A dump taken in this process, its members at hand.

use std::collections::BTreeMap;

use chupacabra::config::context::Context;
use chupacabra::package::budget::Budget;
use chupacabra::package::digest::Fingerprint;
use chupacabra::package::member::Content;
use chupacabra::package::outlet::{Outlet, Parcel};
use chupacabra::sources::Summary;
use chupacabra::sources::mariadb::{Config, Error, MariaDb as Source};
use tokio_util::sync::CancellationToken;

use crate::support::mariadb::MariaDb;

/// A dump: its members in archive order, its objects, its summary.
pub struct Dumped {
    pub members: Vec<(String, Vec<u8>)>,
    pub objects: BTreeMap<String, Fingerprint>,
    pub summary: Summary,
}

impl Dumped {
    /// What `tar xzO` would print.
    pub fn script(&self) -> Vec<u8> {
        self.members.iter().flat_map(|(_, data)| data.iter().copied()).collect()
    }
}

/// A configuration that reaches this server as root.
pub fn config(server: &MariaDb) -> Config {
    Config {
        host: Some("127.0.0.1".to_owned()),
        port: Some(server.port),
        user: "root".to_owned(),
        ..Config::default()
    }
}

/// The source of a configuration.
pub fn source(config: Config) -> Source {
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    let problems = context.into_problems();
    assert!(problems.is_empty(), "{problems:?}");
    Source::new(plan.unwrap())
}

/// Dumps.
pub async fn dump(config: Config) -> Result<Dumped, Error> {
    let (outlet, mut parcels) = Outlet::new(Budget::new(32 << 20), 16);
    let source = source(config);
    let task = tokio::spawn(async move { source.dump(outlet, &CancellationToken::new()).await });
    let (mut members, mut objects) = (Vec::new(), BTreeMap::new());
    while let Some(parcel) = parcels.recv().await {
        match parcel {
            Parcel::Member(header, Content::Bytes(data), _) => {
                assert_eq!(header.size, data.len() as u64);
                members.push((String::from_utf8(header.path).unwrap(), data.to_vec()));
            }
            Parcel::Member(..) => panic!("not in memory"),
            Parcel::Object(object) => {
                assert!(objects.insert(object.name.clone(), object.fingerprint).is_none(), "{object:?}");
            }
        }
    }
    let summary = task.await.unwrap()?;
    Ok(Dumped { members, objects, summary })
}
