//! Restoring key by key: RESTORE in pipelines over several connections, and each key compared right after.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::redis::Value;
use tokio::sync::{Mutex, mpsc};

use super::functions;
use super::target::Order;
use super::unpack::{Batch, Parcel};
use crate::clock::Clock;
use crate::sources::redis::connect::{Client, Endpoint};
use crate::sources::redis::fingerprint::{self, Keyspace};
use crate::sources::redis::rdb::{self, Key, shown};
use crate::sources::redis::scan::Together;
use crate::sources::redis::{Error, scan};

/// The longest argument (`proto-max-bulk-len`): the least that can be set, and what it is if nobody sets it.
const LEAST_LONGEST: u64 = 1 << 20;
const USUAL_LONGEST: u64 = 512 << 20;

/// Batches for several workers.
type Batches = Arc<Mutex<mpsc::Receiver<Batch>>>;

/// What the workers did.
#[derive(Default)]
pub(super) struct Done {
    /// What the target has, read back from it, by the package's database.
    pub(super) found: BTreeMap<u64, Keyspace>,
    /// Keys that expired before they could be compared.
    pub(super) expired: BTreeMap<u64, Keyspace>,
}

impl Done {
    fn merge(&mut self, other: Self) {
        for (all, part) in [(&mut self.found, other.found), (&mut self.expired, other.expired)] {
            for (database, keyspace) in part {
                all.entry(database).or_default().merge(&keyspace);
            }
        }
    }
}

/// What a worker does with keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Fails if one of them exists, or a library of the same name.
    Look,
    /// Restores and compares.
    Restore,
    /// Compares.
    Compare,
}

/// Runs the workers until there are no more batches.
pub(super) async fn work(
    order: &Arc<Order>,
    batches: mpsc::Receiver<Batch>,
    task: Task,
) -> Result<Done, Error> {
    let batches: Batches = Arc::new(Mutex::new(batches));
    let workers = (0..order.connections).map(|_| worker(order, &batches, task));
    let mut all = Done::default();
    for done in futures_util::future::try_join_all(workers).await? {
        all.merge(done);
    }
    Ok(all)
}

async fn worker(order: &Arc<Order>, batches: &Batches, task: Task) -> Result<Done, Error> {
    let mut worker = Worker {
        client: Client::open(&order.endpoint, 0).await?,
        database: 0,
        longest: None,
        order: Arc::clone(order),
        done: Done::default(),
    };
    // What is compared keeps the time or frequency of its last use that it was restored with.
    worker.client.read_untouched().await?;
    loop {
        let mut queue = batches.lock().await;
        let next = queue.recv().await;
        // Libraries come before all keys, and a target may refuse one for the name of a function: nobody takes keys until
        // it is restored.
        let held = matches!(next, Some(Batch::Function(_))).then_some(queue);
        match next {
            None => return Ok(worker.done),
            Some(batch) => worker.batch(batch, task).await?,
        }
        drop(held);
    }
}

struct Worker {
    client: Client,
    database: u64,
    /// The longest argument that the target takes, once it was asked.
    longest: Option<u64>,
    order: Arc<Order>,
    done: Done,
}

impl Worker {
    async fn batch(&mut self, batch: Batch, task: Task) -> Result<(), Error> {
        match batch {
            Batch::Keys(from, parcels, _lease) => {
                let into = self.order.database(from);
                if into != self.database {
                    self.client.select(into).await?;
                    self.database = into;
                }
                match task {
                    Task::Look => self.look(&parcels).await,
                    Task::Restore => {
                        self.restore(&parcels).await?;
                        self.compare(from, &parcels).await
                    }
                    Task::Compare => self.compare(from, &parcels).await,
                }
            }
            Batch::Function(payload) if task == Task::Restore => {
                let policy: &[u8] = if self.order.replace { b"REPLACE" } else { b"APPEND" };
                let answer: Result<(), Error> =
                    self.client.run("FUNCTION RESTORE", &[&payload, policy]).await;
                answer.map_err(|error| match error {
                    Error::Answer { said, .. } if is_too_new(&said) => self.too_new(&payload),
                    other => other,
                })
            }
            Batch::Function(payload) if task == Task::Look => {
                functions::refuse_occupied(&mut self.client, payload).await
            }
            Batch::Function(_) => Ok(()),
        }
    }

    async fn look(&mut self, parcels: &[Parcel]) -> Result<(), Error> {
        let mut pipeline = ::redis::pipe();
        for parcel in parcels {
            pipeline.cmd("EXISTS").arg(&parcel.key.name);
        }
        for (parcel, answer) in parcels.iter().zip(self.client.pipe("EXISTS", &pipeline).await?) {
            match answer {
                Value::Int(0) => {}
                Value::Int(_) => return Err(self.occupied(&parcel.key)),
                other => return Err(self.refused("EXISTS", &other)),
            }
        }
        Ok(())
    }

    fn occupied(&self, key: &Key) -> Error {
        Error::Occupied {
            server: self.endpoint().server(),
            found: "keys of the package".to_owned(),
            example: format!("`{}` in database {}", shown(&key.name), self.database),
        }
    }

    fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    fn refused(&self, command: &str, answer: &Value) -> Error {
        self.endpoint().refused(command, &said(answer))
    }

    async fn restore(&mut self, parcels: &[Parcel]) -> Result<(), Error> {
        self.refuse_too_long(parcels).await?;
        let mut pipeline = ::redis::pipe();
        for Parcel { key, payload } in parcels {
            // To RESTORE 0 means that the key never expires; whatever the file says, that is not what it says.
            let expires = key.expires.map_or(0, |at| at.max(1));
            let command = pipeline.cmd("RESTORE").arg(&key.name).arg(expires).arg(payload);
            command.arg("ABSTTL");
            if self.order.replace {
                command.arg("REPLACE");
            }
            if let Some(seconds) = key.idle {
                command.arg("IDLETIME").arg(seconds);
            } else if let Some(frequency) = key.freq {
                command.arg("FREQ").arg(frequency);
            }
        }
        let answers = self.client.pipe("RESTORE", &pipeline).await?;
        for (parcel, answer) in parcels.iter().zip(&answers) {
            if !matches!(answer, Value::Okay) {
                return Err(self.not_restored(parcel, answer));
            }
        }
        if answers.len() == parcels.len() { Ok(()) } else { Err(self.refused("RESTORE", &Value::Nil)) }
    }

    /// A server hangs up on whoever sends a longer argument than it takes: fails before that, by the key's name.
    async fn refuse_too_long(&mut self, parcels: &[Parcel]) -> Result<(), Error> {
        let Some(parcel) = parcels.iter().max_by_key(|parcel| parcel.payload.len()) else { return Ok(()) };
        let bytes = parcel.payload.len() as u64;
        if bytes <= LEAST_LONGEST {
            return Ok(());
        }
        let longest = match self.longest {
            Some(longest) => longest,
            None => *self.longest.insert(longest(&mut self.client).await?),
        };
        if bytes <= longest {
            return Ok(());
        }
        let (server, key) = (self.endpoint().server(), shown(&parcel.key.name));
        Err(Error::TooLong { server, key, bytes, longest })
    }

    /// Names why a key was not taken.
    fn not_restored(&self, parcel: &Parcel, answer: &Value) -> Error {
        let said = said(answer);
        let server = self.endpoint().server();
        let key = &parcel.key;
        if said.starts_with("BUSYKEY") {
            return self.occupied(key);
        }
        if let (true, Some(module)) = (said.contains("Bad data format"), &key.content.module) {
            return Error::ModuleMissing { server, module: module.clone(), key: shown(&key.name) };
        }
        if is_too_new(&said) {
            return self.too_new(&parcel.payload);
        }
        self.endpoint().refused(&format!("RESTORE {}", shown(&key.name)), &said)
    }

    /// The target does not read the version that stands in the payload's footer.
    fn too_new(&self, payload: &[u8]) -> Error {
        let footer = payload.last_chunk::<10>().copied().unwrap_or_default();
        let version = u32::from(u16::from_le_bytes([footer[0], footer[1]]));
        let target = self.endpoint().server();
        Error::TooNew { from: "values".to_owned(), version, target }
    }

    async fn compare(&mut self, database: u64, parcels: &[Parcel]) -> Result<(), Error> {
        // Reading back in small steps: the answers are as large as the values.
        let mut rest = parcels;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|parcel| {
                bytes += parcel.payload.len();
                bytes <= super::unpack::MEMORY / 8
            });
            let count = fits.count().max(1);
            let (some, after) = rest.split_at(count);
            let names: Vec<Vec<u8>> = some.iter().map(|parcel| parcel.key.name.clone()).collect();
            let fetched = scan::fetch(&mut self.client, &names, Together::None).await?;
            let mut now = None;
            for (parcel, found) in some.iter().zip(fetched) {
                self.compare_one(database, parcel, &found, &mut now).await?;
            }
            rest = after;
        }
        Ok(())
    }

    /// Compares a key with what was found of it; `now` is the target's time since then, once it was asked.
    async fn compare_one(
        &mut self,
        database: u64,
        parcel: &Parcel,
        found: &scan::Fetched,
        now: &mut Option<i64>,
    ) -> Result<(), Error> {
        let key = &parcel.key;
        let mut same = false;
        // What was found, with an expiry as near as the server tells it.
        let mut copy = None;
        if let Some((payload, expires)) = found {
            // Servers before 7.0 tell how long a key still lives, not until when: a second either way is the same.
            let near = |one: i64, other: i64| !self.client.exact_expiry && one.abs_diff(other) <= 1_000;
            let expires = match (*expires, key.expires) {
                (Some(found), Some(wanted)) if near(found, wanted) => Some(wanted),
                (found, _) => found,
            };
            copy = Some((payload.as_slice(), expires));
            // Mostly the server lays the value out as it was; else its content decides.
            same = if *payload == parcel.payload {
                expires == key.expires
            } else {
                let (_, code, content) = rdb::walk::payload(payload)?;
                let copy = Key { expires, code, content, ..key.clone() };
                fingerprint::one(&copy) == fingerprint::one(key) && count_alike(&copy, key)
                    || are_alike(&copy, key)
            };
        }
        let ends = [key.expires, key.content.field_expires].into_iter().flatten().min();
        let expired = match ends {
            Some(_) if !same => has_expired(parcel, copy, self.time(now).await?)?,
            _ => false,
        };
        let keyspaces = match (same, expired) {
            (true, _) => &mut self.done.found,
            (false, true) => &mut self.done.expired,
            (false, false) => {
                let lost = if found.is_none() { "is not there" } else { "has another value or expiry" };
                return Err(Error::Differs(format!(
                    "after the restore key `{}` of database {} of {} {lost}",
                    shown(&key.name),
                    self.database,
                    self.endpoint().server()
                )));
            }
        };
        keyspaces.entry(database).or_default().add(key);
        Ok(())
    }

    /// The time by the target's clock, which alone decides what has expired there; by ours if it may not be asked.
    async fn time(&mut self, now: &mut Option<i64>) -> Result<i64, Error> {
        if let Some(now) = now {
            return Ok(*now);
        }
        let time = match scan::server_time(&mut self.client).await {
            Err(Error::NotAllowed { .. }) => Clock::system().now().as_millisecond(),
            time => time?,
        };
        Ok(*now.insert(time))
    }
}

/// Whether nothing but time makes the difference between a key and what was found of it, with its expiry: the key has
/// expired by `now`, or it is a hash that has lost just those fields which have. One that has lost all of them is gone.
fn has_expired(parcel: &Parcel, found: Option<(&[u8], Option<i64>)>, now: i64) -> Result<bool, Error> {
    let key = &parcel.key;
    if key.expires.is_some_and(|at| at <= now) {
        return Ok(true);
    }
    if key.content.field_expires.is_none_or(|at| at > now) {
        return Ok(false);
    }
    let (_, _, left) = rdb::walk::payload_at(&parcel.payload, now)?;
    let Some((payload, expires)) = found else { return Ok(left.elements == 0) };
    let (_, _, copy) = rdb::walk::payload_at(payload, now)?;
    Ok(expires == key.expires && copy == left)
}

/// Whether two vector sets have the same elements, in whatever order.
fn are_alike(copy: &Key, key: &Key) -> bool {
    let (one, other) = (&copy.content, &key.content);
    copy.expires == key.expires
        && one.unordered.is_some()
        && (one.unordered, one.bytes, &one.module) == (other.unordered, other.bytes, &other.module)
}

/// Whether two streams of one layout count alike. In no fingerprint: packages of before have it without, and other
/// versions count otherwise.
fn count_alike(copy: &Key, key: &Key) -> bool {
    copy.code != key.code || copy.content.counters == key.content.counters
}

/// The longest argument that a server takes; what is the default if it does not say.
async fn longest(client: &mut Client) -> Result<u64, Error> {
    let told: Result<BTreeMap<String, u64>, Error> = client.run("CONFIG GET", &[b"proto-max-bulk-len"]).await;
    match told {
        Ok(told) => Ok(told.into_values().next().unwrap_or(USUAL_LONGEST)),
        Err(Error::NotAllowed { .. } | Error::Answer { .. }) => Ok(USUAL_LONGEST),
        Err(error) => Err(error),
    }
}

pub(super) fn is_too_new(said: &str) -> bool {
    said.contains("payload version or checksum")
}

/// An answer as text.
fn said(answer: &Value) -> String {
    match answer {
        Value::ServerError(error) => format!("{} {}", error.code(), error.details().unwrap_or_default()),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::redis::rdb::write;

    /// A hash as Valkey 9 dumps it.
    fn hash(fields: &[(&str, &str, i64)]) -> Vec<u8> {
        let mut payload = vec![22, u8::try_from(fields.len()).unwrap()];
        for (field, value, expires) in fields {
            write::string(field.as_bytes(), &mut payload);
            write::string(value.as_bytes(), &mut payload);
            payload.extend_from_slice(&expires.to_le_bytes());
        }
        write::footer(rdb::Format { valkey: true, version: 80 }, &mut payload);
        payload
    }

    fn parcel(expires: Option<i64>, payload: Vec<u8>) -> Parcel {
        let (_, code, content) = rdb::walk::payload(&payload).unwrap();
        let (idle, freq) = (None, None);
        Parcel { key: Key { database: 0, name: b"h".to_vec(), expires, idle, freq, code, content }, payload }
    }

    #[test]
    fn a_hash_may_lose_the_fields_that_have_expired_and_nothing_else() {
        let parcel = parcel(Some(900), hash(&[("a", "1", 100), ("b", "2", 200), ("c", "3", -1)]));
        let left = |fields: &[_], expires, now| {
            has_expired(&parcel, Some((hash(fields).as_slice(), expires)), now).unwrap()
        };
        let lives = Some(900);
        assert!(left(&[("b", "2", 200), ("c", "3", -1)], lives, 150));
        assert!(left(&[("c", "3", -1)], lives, 250));
        assert!(left(&[("b", "2", 200), ("c", "3", -1)], lives, 250), "not thrown away yet");
        assert!(!left(&[("b", "2", 200), ("c", "3", -1)], lives, 50), "none has expired");
        assert!(!left(&[("c", "3", -1)], lives, 150), "one too many is gone");
        assert!(!left(&[("b", "9", 200), ("c", "3", -1)], lives, 150), "another value");
        assert!(!left(&[("b", "2", 300), ("c", "3", -1)], lives, 150), "another expiry");
        assert!(!left(&[("b", "2", 200), ("c", "3", -1), ("d", "4", -1)], lives, 150), "one too many");
        assert!(!left(&[("b", "2", 200), ("c", "3", -1)], None, 150), "the key's expiry");
        assert!(!has_expired(&parcel, None, 250).unwrap(), "a field lives on");
        assert!(has_expired(&parcel, None, 900).unwrap(), "the key has expired");
    }

    #[test]
    fn streams_of_one_layout_count_alike() {
        let (mut one, other) = (parcel(None, hash(&[])).key, parcel(None, hash(&[])).key);
        one.content.counters = Some(1);
        assert!(!count_alike(&one, &other));
        one.code += 1;
        assert!(count_alike(&one, &other), "another layout");
    }

    #[test]
    fn a_hash_that_has_lost_all_its_fields_is_gone() {
        let parcel = parcel(None, hash(&[("a", "1", 100), ("b", "2", 200)]));
        assert!(has_expired(&parcel, None, 200).unwrap());
        assert!(!has_expired(&parcel, None, 199).unwrap());
    }
}
