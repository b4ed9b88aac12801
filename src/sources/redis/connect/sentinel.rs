//! Asking sentinels where a server is.

use std::collections::BTreeMap;

use super::{Client, Endpoint};
use crate::sources::redis::Error;
use crate::sources::redis::config::{Address, Plan, Prefer, SentinelPlan};

/// The server that the plan means, asking its sentinels if it has any.
pub(in crate::sources::redis) async fn locate(plan: &Plan) -> Result<Endpoint, Error> {
    let Some(sentinel) = &plan.sentinel else {
        let missing = || Error::Request("the source has no address".to_owned());
        return Ok(Endpoint::at(plan, plan.address.clone().ok_or_else(missing)?));
    };
    let mut last = String::new();
    for node in &sentinel.nodes {
        let endpoint = Endpoint {
            username: sentinel.username.clone(),
            password: sentinel.password.clone(),
            ..Endpoint::at(plan, node.clone())
        };
        match ask(&endpoint, sentinel).await {
            Ok(address) => return Ok(Endpoint::at(plan, address)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(Error::Sentinel { master: sentinel.master.clone(), said: last })
}

async fn ask(endpoint: &Endpoint, sentinel: &SentinelPlan) -> Result<Address, Error> {
    let mut client = Client::open(endpoint, 0).await?;
    let name = sentinel.master.as_bytes();
    if sentinel.prefer == Prefer::Replica {
        let replicas: Vec<BTreeMap<String, String>> = client.run("SENTINEL REPLICAS", &[name]).await?;
        if let Some(address) = replicas.iter().find_map(healthy) {
            return Ok(address);
        }
    }
    let master: Option<(String, u16)> = client.run("SENTINEL GET-MASTER-ADDR-BY-NAME", &[name]).await?;
    let unknown = || endpoint.refused("SENTINEL GET-MASTER-ADDR-BY-NAME", "no such master");
    master.map(|(host, port)| Address::Tcp(host, port)).ok_or_else(unknown)
}

/// The address of a replica that is up and in step.
fn healthy(replica: &BTreeMap<String, String>) -> Option<Address> {
    let field = |name: &str| replica.get(name).map(String::as_str);
    let flags = field("flags")?;
    let down = ["s_down", "o_down", "disconnected"].iter().any(|flag| flags.contains(flag));
    if down || field("master-link-status") != Some("ok") {
        return None;
    }
    Some(Address::Tcp(field("ip")?.to_owned(), field("port")?.parse().ok()?))
}
