//! Restoring into a running server: key by key, or by playing its master once.

mod fit;
mod functions;
mod keys;
mod only;
mod replication;
mod target;
mod unpack;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connect::Client;
use super::fingerprint::{Keyspace, LIBRARIES};
use super::probe::Info;
use super::psync::DEPTH;
use super::{Error, Plan, probe};
use crate::package::member::Object;
use crate::package::{self, Package};
use crate::sources::{Request, Restored};
use keys::{Done, Task, work};
use only::Only;
use target::Order;
use unpack::{Unpacked, unpack};
use users::Users;

/// How many batches may wait for a worker.
const BATCHES: usize = 2;

/// Puts a package's keys into a server and compares them.
pub(super) async fn restore(
    plan: &Plan,
    package: &Package,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    let order = Arc::new(Order::of(plan, request).await?);
    let stopped = tokio::select! {
        () = stop.cancelled() => Error::Stopped,
        result = carry_out(&order, package) => return result,
    };
    Err(replication::let_go(&order, stopped).await)
}

async fn carry_out(order: &Arc<Order>, package: &Package) -> Result<Restored, Error> {
    let objects = package.objects().await?;
    refuse_strays(order, &objects)?;
    refuse_collisions(order, &objects)?;
    if order.dry_run {
        let (unpacked, _) = fit::survey(order, package).await?;
        refuse_unmet(order)?;
        return Ok(restored(order, &unpacked, &Done::default(), Users::default()));
    }
    let mut client = Client::open(&order.endpoint, 0).await?;
    let mut info = probe::info(&mut client).await?;
    probe::stay(&order.endpoint, &info);
    evictions(order, &info)?;
    let product = probe::product(&info);
    let named = |error| match error {
        Error::TooNew { version, .. } => {
            Error::TooNew { from: package.record().product.clone(), version, target: product.clone() }
        }
        other => other,
    };
    let (unpacked, done) = if order.replication {
        replication::refuse(order, &mut client, &info).await?;
        let (unpacked, samples) = fit::survey(order, package).await?;
        check_index(&objects, &unpacked)?;
        fit::refuse_unfit(databases(&objects), &unpacked, &samples, &mut client).await.map_err(&named)?;
        replication::replicate(order, package).await?;
        // What it evicted until now was not the package's, or is missed below.
        info = probe::info(&mut client).await?;
        run(order, package, Task::Compare).await?
    } else {
        refuse_occupied(order, &mut client, &objects, package).await?;
        run(order, package, Task::Restore).await.map_err(&named)?
    };
    refuse_unmet(order)?;
    check_index(&objects, &unpacked)?;
    check(order, &unpacked, &done)?;
    functions::check(order, &mut client, &unpacked).await?;
    let after = probe::info(&mut client).await?;
    check_role(order, &info, &after)?;
    check_evictions(order, &info, &after)?;
    if order.replication {
        check_sizes(&after, &unpacked)?;
    }
    let users = users::restore(order, &mut client, &unpacked.users).await?;
    Ok(restored(order, &unpacked, &done, users))
}

/// Fails if what was asked for by name is not in the package.
fn refuse_unmet(order: &Order) -> Result<(), Error> {
    order.only.as_ref().map_or(Ok(()), Only::refuse_unmet)
}

/// The databases that a package has keys of.
fn databases(objects: &BTreeMap<String, Object>) -> impl Iterator<Item = u64> {
    objects.keys().filter_map(|name| name.strip_prefix("db")?.parse().ok())
}

/// A database that is to go elsewhere must be one of the package: else those that the package has would go to their own
/// places, where they are not meant to go.
fn refuse_strays(order: &Order, objects: &BTreeMap<String, Object>) -> Result<(), Error> {
    let databases: BTreeSet<u64> = databases(objects).collect();
    let Some(stray) = order.stray(&databases) else { return Ok(()) };
    let all: Vec<String> = databases.iter().map(u64::to_string).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Err(Error::Request(format!(
        "the package has no keys of database {stray}, which `db=FROM:TO` is to send elsewhere; it has keys of: {all}"
    )))
}

/// Two databases that go into one may have keys of the same name. Without leave to replace the second is refused; with it
/// the first would be lost, and nobody could tell.
fn refuse_collisions(order: &Order, objects: &BTreeMap<String, Object>) -> Result<(), Error> {
    let mut taken = BTreeMap::new();
    for from in databases(objects) {
        let into = order.database(from);
        if let (Some(other), true) = (taken.insert(into, from), order.replace) {
            return Err(Error::Request(format!(
                "databases {other} and {from} of the package would both go into database {into}, and with `--replace` \
                 one of two keys of the same name be lost: send one of them elsewhere with `db=FROM:TO`, or leave \
                 `--replace` out"
            )));
        }
    }
    Ok(())
}

/// Fails if the target has become another's replica since: then it has what its master has, not what was compared.
fn check_role(order: &Order, before: &Info, after: &Info) -> Result<(), Error> {
    let role = |info: &Info| info.get("role").cloned().unwrap_or_default();
    let (was, is) = (role(before), role(after));
    if was == is {
        return Ok(());
    }
    let server = order.endpoint.server();
    Err(Error::Differs(format!(
        "the role of {server} was `{was}` and is `{is}` after the restore: what was compared may be gone"
    )))
}

/// How many keys the target has evicted since it started.
fn evictions(order: &Order, info: &Info) -> Result<u64, Error> {
    info.get("evicted_keys").and_then(|count| count.parse().ok()).ok_or_else(|| {
        let server = order.endpoint.server();
        Error::Request(format!(
            "INFO of {server} has no `evicted_keys`: keys that it throws away would not be missed"
        ))
    })
}

/// Each key was compared once: fails if the target has thrown keys away since, whosever they were.
fn check_evictions(order: &Order, before: &Info, after: &Info) -> Result<(), Error> {
    let server = order.endpoint.server();
    match evictions(order, after)?.checked_sub(evictions(order, before)?) {
        Some(0) => Ok(()),
        Some(keys) => Err(Error::Evicted { server, keys }),
        None => Err(Error::Differs(format!(
            "{server} forgot during the restore how many keys it had evicted: some may be gone"
        ))),
    }
}

/// After a replication the target has no other keys than the package's. That it has those was seen key by key; of them
/// some may have expired since.
fn check_sizes(after: &Info, unpacked: &Unpacked) -> Result<(), Error> {
    for (database, found) in probe::sizes(after) {
        let keyspace = unpacked.tally.databases.get(&database);
        let most = keyspace.map_or(0, |keyspace| keyspace.fingerprint.rows);
        if found > most {
            return Err(Error::Differs(format!("database {database} has {found} keys, the package {most}")));
        }
    }
    Ok(())
}

/// Without leave to replace, refuses before anything is written if one of the keys or libraries is there already.
async fn refuse_occupied(
    order: &Arc<Order>,
    client: &mut Client,
    objects: &BTreeMap<String, Object>,
    package: &Package,
) -> Result<(), Error> {
    if order.replace {
        return Ok(());
    }
    if order.is_whole() && objects.contains_key(LIBRARIES) && functions::are_there(client).await? {
        return run(order, package, Task::Look).await.map(drop);
    }
    let into = databases(objects).map(|number| order.database(number));
    for database in into.collect::<BTreeSet<u64>>() {
        client.select(database).await?;
        let keys: u64 = client.run("DBSIZE", &[]).await?;
        if keys > 0 {
            return run(order, package, Task::Look).await.map(drop);
        }
    }
    Ok(())
}

/// Reads the package once and gives its keys to the workers.
async fn run(order: &Arc<Order>, package: &Package, task: Task) -> Result<(Unpacked, Done), Error> {
    let (pieces, receive_pieces) = mpsc::channel(DEPTH);
    let (batches, receive_batches) = mpsc::channel(BATCHES);
    let (read, unpacked, worked) = tokio::join!(
        unpack::read(package, pieces),
        unpack(receive_pieces, batches, Arc::clone(order)),
        work(order, receive_batches, task)
    );
    // Whoever fails ends the others: what they then say is not the reason.
    match read {
        Err(error) if !matches!(error, package::Error::Visit(_)) => Err(error.into()),
        read => {
            let worked = worked?;
            let unpacked = unpacked?;
            read?;
            Ok((unpacked, worked))
        }
    }
}

/// Compares what was read with what the index says.
fn check_index(objects: &BTreeMap<String, Object>, unpacked: &Unpacked) -> Result<(), Error> {
    for object in unpacked.tally.objects() {
        if objects.get(&object.name) != Some(&object) {
            let name = &object.name;
            return Err(Error::Differs(format!("the package's `{name}` is not what the index says of it")));
        }
    }
    if objects.len() != unpacked.tally.objects().len() {
        return Err(Error::Differs("the package lacks databases that the index names".to_owned()));
    }
    Ok(())
}

/// Compares what the target has with what was read.
fn check(order: &Order, unpacked: &Unpacked, done: &Done) -> Result<(), Error> {
    for (database, wanted) in &unpacked.wanted.databases {
        let mut found = Keyspace::default();
        for part in [&done.found, &done.expired] {
            part.get(database).iter().for_each(|part| found.merge(part));
        }
        if found != *wanted {
            return Err(Error::Differs(format!(
                "database {} of {} has {}, the package {}",
                order.database(*database),
                order.endpoint.server(),
                found.fingerprint,
                wanted.fingerprint
            )));
        }
    }
    Ok(())
}

fn restored(order: &Order, unpacked: &Unpacked, done: &Done, users: Users) -> Restored {
    let rows = |keyspaces: &BTreeMap<u64, Keyspace>| -> u64 {
        keyspaces.values().map(|keyspace| keyspace.fingerprint.rows).sum()
    };
    let (found, expired) = (rows(&done.found), rows(&done.expired));
    let wanted = rows(&unpacked.wanted.databases);
    let mut counts = BTreeMap::from([
        ("keys".to_owned(), wanted),
        ("functions".to_owned(), unpacked.wanted.functions.rows),
        ("databases".to_owned(), unpacked.wanted.databases.len() as u64),
    ]);
    let mut notes = Vec::new();
    if expired > 0 {
        counts.insert("keys_expired".to_owned(), expired);
        notes.push(format!("{expired} keys or fields of hashes had expired before they could be compared"));
    }
    if users.count > 0 {
        counts.insert("users".to_owned(), users.count);
    }
    notes.extend(users.note);
    if !order.dry_run && !order.endpoint.stays() {
        notes.push(
            "the server does not tell its `run_id`: had another taken its place meanwhile, nobody would know"
                .to_owned(),
        );
    }
    if !order.is_whole() && unpacked.tally.functions.rows > 0 {
        notes.push("functions were left out because of `--only`".to_owned());
    }
    let compared = if order.dry_run {
        String::new()
    } else {
        format!("{found} keys by value and expiry, read back from {}", order.endpoint.server())
    };
    Restored { counts, bytes: unpacked.bytes, compared, notes }
}
