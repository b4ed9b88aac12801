//! Looking at the server before it is dumped.

use std::collections::BTreeMap;

use super::config::{Fallback, Mode};
use super::connect::{Client, Connection, Endpoint, Reply, locate};
use super::{Error, Plan, dump, psync};
use crate::sources::{Facts, Summary};
use crate::stores::{Finding, Severity};

/// The coordinate that names a node's slots, and the one of those on their way to or from another node.
const SLOTS: &str = "cluster_slots";
const MOVING: &str = "cluster_slots_moving";

/// The coordinate that names a node's slots after the dump, if they are others then.
const SLOTS_AFTER: &str = "cluster_slots_after";

/// What becomes of the keys of slots that move.
pub(super) const UNCERTAIN: &str =
    "each of their keys may be in the backup of either node, of both or of neither";

/// What `INFO` says, by field.
pub(super) type Info = BTreeMap<String, String>;

/// Looks whether the server can be dumped faithfully.
pub(super) async fn probe(plan: &Plan) -> Result<Facts, Error> {
    let endpoint = locate(plan).await?;
    reach(&endpoint).await?;
    let mut findings = Vec::new();
    let mut client = Client::open(&endpoint, 0).await?;
    let info = info(&mut client).await?;
    check_cluster(plan, &endpoint, &info)?;
    check_link(&endpoint, &info)?;
    if plan.mode == Mode::Psync {
        match replica_allowed(&endpoint, &mut client).await {
            Err(error) if plan.fallback == Fallback::Scan && dump::is_forbidden(&error) => {
                let what = format!("{error}; keys will be read one by one, not at one point in time");
                findings.push(notice("psync", what, &error.help().unwrap_or_default()));
            }
            other => other?,
        }
    } else {
        let _: (String, Vec<Vec<u8>>) = client.run("SCAN", &[b"0", b"COUNT", b"1"]).await?;
        let what = "keys are read one by one, not at one point in time";
        findings.push(notice("scan", what.to_owned(), "use `mode: psync` where the server lets replicas in"));
    }
    let estimate = info.get("used_memory_dataset").or(info.get("used_memory"));
    Ok(Facts { product: product(&info), estimate: estimate.and_then(|bytes| bytes.parse().ok()), findings })
}

fn notice(topic: &str, what: String, help: &str) -> Finding {
    Finding { severity: Severity::Notice, topic: topic.to_owned(), what, help: help.to_owned() }
}

/// Connects the way a replica does: this names protected mode and wrong passwords best.
async fn reach(endpoint: &Endpoint) -> Result<(), Error> {
    match Connection::open(endpoint).await?.ask(&["PING"]).await? {
        Reply::Text(_) => Ok(()),
        Reply::Error(said) => Err(endpoint.refused("ping", &said)),
    }
}

/// Asks for `INFO`.
pub(super) async fn info(client: &mut Client) -> Result<Info, Error> {
    let text: String = client.run("INFO", &[]).await?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}

/// How many keys each database has, as INFO says.
pub(super) fn sizes(info: &Info) -> BTreeMap<u64, u64> {
    let size = |(name, value): (&String, &String)| {
        let number = name.strip_prefix("db")?.parse().ok()?;
        let keys = value.split(',').find_map(|part| part.strip_prefix("keys=")?.parse().ok())?;
        Some((number, keys))
    };
    info.iter().filter_map(size).collect()
}

/// Stays with the process that answered; some services do not tell which it is.
pub(super) fn stay(endpoint: &Endpoint, info: &Info) {
    if let Some(run_id) = info.get("run_id") {
        endpoint.stay_with(run_id);
    }
}

/// What the server is and which version.
pub(super) fn product(info: &Info) -> String {
    match (info.get("valkey_version"), info.get("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (_, Some(version)) => format!("Redis {version}"),
        _ => "Redis or Valkey".to_owned(),
    }
}

/// A node of a cluster has a part of the keys, and that must be meant. Whoever may not ask for INFO does not get here.
fn check_cluster(plan: &Plan, endpoint: &Endpoint, info: &Info) -> Result<(), Error> {
    match (info.get("cluster_enabled").map(String::as_str), plan.cluster_node) {
        (Some("1"), false) => Err(Error::ClusterNode(endpoint.server())),
        (Some("0"), true) => Err(Error::NotClusterNode(endpoint.server())),
        _ => Ok(()),
    }
}

/// A replica without a link to its master has what was once there.
pub(super) fn check_link(endpoint: &Endpoint, info: &Info) -> Result<(), Error> {
    match info.get("master_link_status") {
        Some(status) if status != "up" => Err(Error::MasterLinkDown(endpoint.server())),
        _ => Ok(()),
    }
}

/// Whether the server lets us in as a replica.
async fn replica_allowed(endpoint: &Endpoint, client: &mut Client) -> Result<(), Error> {
    let server = endpoint.server();
    // Managed services take the command away; whoever may not ask is told when the snapshot is.
    let known: Result<Vec<::redis::Value>, Error> = client.run("COMMAND INFO", &[b"psync"]).await;
    if known.is_ok_and(|known| known.iter().all(|entry| matches!(entry, ::redis::Value::Nil))) {
        return Err(Error::NoReplicas { server, said: "unknown command 'psync'".to_owned() });
    }
    let user = endpoint.user();
    let dry: Result<String, Error> =
        client.run("ACL DRYRUN", &[user.as_bytes(), b"psync", b"?", b"-1"]).await;
    if dry.is_ok_and(|said| said.contains("permission")) {
        return Err(Error::NotAllowed { server, user, command: "psync".to_owned() });
    }
    psync::knock(endpoint).await
}

/// Adds what fixes the server's place: run id, role, cluster slots. The connection that is returned, and every later one
/// for commands, leads to the process of that run id.
pub(super) async fn coordinates(
    plan: &Plan,
    endpoint: &Endpoint,
    coordinates: &mut BTreeMap<String, String>,
) -> Result<Client, Error> {
    let mut client = Client::open(endpoint, 0).await?;
    let info = info(&mut client).await?;
    stay(endpoint, &info);
    check_cluster(plan, endpoint, &info)?;
    check_link(endpoint, &info)?;
    for field in ["run_id", "role"] {
        if let Some(value) = info.get(field) {
            coordinates.insert(field.to_owned(), value.clone());
        }
    }
    coordinates.insert("product".to_owned(), product(&info));
    if plan.cluster_node {
        let [own, moving] = slots(&mut client).await?;
        coordinates.insert(SLOTS.to_owned(), own);
        if !moving.is_empty() {
            coordinates.insert(MOVING.to_owned(), moving);
        }
    }
    Ok(client)
}

/// Asks a node of a cluster for its slots once more, after the dump, and names those that were moving before or after it.
///
/// A slot that has left before the snapshot has no keys in it, whatever was said before.
pub(super) async fn compare_slots(client: &mut Client, summary: &mut Summary) -> Result<(), Error> {
    let [after, moving] = slots(client).await?;
    let coordinates = &mut summary.consistency.coordinates;
    if !moving.is_empty() && coordinates.get(MOVING) != Some(&moving) {
        let before = coordinates.remove(MOVING).map(|before| before + ",");
        coordinates.insert(MOVING.to_owned(), before.unwrap_or_default() + &moving);
    }
    if let Some(moving) = coordinates.get(MOVING) {
        summary.notes.push(format!("slots are on their way to or from another node ({moving}): {UNCERTAIN}"));
    }
    let before = coordinates.get(SLOTS).cloned().unwrap_or_default();
    if after != before {
        let note = format!("the slots of the node were {before} before the backup and are {after} after it");
        summary.notes.push(format!("{note}; of those that came or went {UNCERTAIN}"));
        coordinates.insert(SLOTS_AFTER.to_owned(), after);
    }
    Ok(())
}

/// The slots of a node of a cluster: its own, and those on their way in or out.
async fn slots(client: &mut Client) -> Result<[String; 2], Error> {
    let nodes: String = client.run("CLUSTER NODES", &[]).await?;
    Ok([own_slots(&nodes, false), own_slots(&nodes, true)])
}

/// The slots of the node that was asked, or of its master, as `0-5460,7000`; or those on their way in or out.
fn own_slots(nodes: &str, moving: bool) -> String {
    let lines: Vec<Vec<&str>> = nodes.lines().map(|line| line.split(' ').collect()).collect();
    let myself = lines.iter().find(|line| line.get(2).is_some_and(|flags| flags.contains("myself")));
    let Some(myself) = myself else { return String::new() };
    let master = lines.iter().find(|line| line.first() == myself.get(3)).unwrap_or(myself);
    // Slots on their way in or out are written in brackets.
    let slots = master.iter().skip(8).filter(|slot| slot.starts_with('[') == moving);
    slots.copied().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_a_master_and_of_a_replica() {
        let master = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-100 200 [300->-b]\n";
        assert_eq!(own_slots(master, false), "0-100,200");
        assert_eq!(own_slots(master, true), "[300->-b]");
        let replica = "b 127.0.0.1:3@4 myself,slave a 0 0 1 connected\n\
                       a 127.0.0.1:1@2 master - 0 0 1 connected 5-6\n";
        assert_eq!((own_slots(replica, false), own_slots(replica, true)), ("5-6".to_owned(), String::new()));
    }
}
