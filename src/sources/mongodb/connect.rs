//! Connecting, and choosing the one member that is read.

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{RawDocument, RawDocumentBuf, Timestamp, doc, rawdoc};
use mongodb::error::ErrorKind;
use mongodb::options::{
    ClientOptions, ReadPreference, ReadPreferenceOptions, RunCommandOptions, SelectionCriteria,
    ServerAddress, Tls, TlsOptions,
};
use mongodb::{Client, Database};

use super::config::{Plan, ReadFrom};
use super::{Error, scan};

/// One member of a deployment, and connections to it alone.
///
/// Everything of a dump is read from one member: another one may be ahead or behind, and then its documents do not fit
/// the oplog's slice.
#[derive(Debug, Clone)]
pub(super) struct Member {
    client: Client,
    /// What it said of itself at first.
    pub(super) hello: Hello,
    /// The server's version, for example `6.0.5`.
    pub(super) version: String,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hello {
    /// The replica set's name; `None`: standalone.
    pub(super) set: Option<String>,
    /// The name that the replica set has for this member.
    pub(super) name: String,
    /// Whether it is the primary.
    pub(super) primary: bool,
    /// The election that made the primary, if the member knows it.
    pub(super) election: Option<String>,
    /// The newest operation that a majority has: everything up to it can be read, and cannot be rolled back.
    pub(super) majority: Option<Timestamp>,
    /// The server's clock, in milliseconds since 1970.
    pub(super) millis: i64,
    /// How many members its set shows to clients; 0: it is of no set.
    pub(super) members: usize,
}

impl Hello {
    /// The role as people say it.
    pub(super) fn role(&self) -> String {
        let role = match (&self.set, self.primary) {
            (None, _) => "standalone",
            (_, true) => "primary",
            (_, false) => "secondary",
        };
        match &self.election {
            Some(election) if self.primary => format!("{role} by election {election}"),
            _ => role.to_owned(),
        }
    }
}

/// Reads the connection string. The driver's message is told only if it cannot repeat the password.
pub(super) async fn options(url: &str, plan: &Plan) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::parse(url).await.map_err(|error| match *error.kind {
        ErrorKind::DnsResolve { ref message, .. } => Error::Unreachable(message.clone()),
        _ => Error::Url(without_credentials(&error.to_string(), url)),
    })?;
    options.app_name.get_or_insert_with(|| "chupacabra".into());
    options.server_selection_timeout.get_or_insert(Duration::from_secs(10));
    if let Some(path) = &plan.ca_file {
        let mut tls = match options.tls.take() {
            Some(Tls::Enabled(tls)) => tls,
            _ => TlsOptions::default(),
        };
        tls.ca_file_path = Some(path.clone());
        options.tls = Some(Tls::Enabled(tls));
    }
    Ok(options)
}

fn without_credentials(message: &str, url: &str) -> String {
    let credentials = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(who, _)| who);
    let secrets =
        credentials.iter().flat_map(|who| who.split([':', '@', '/'])).filter(|part| !part.is_empty());
    let repeats = secrets.clone().any(|part| message.contains(part));
    if repeats {
        "it is not well formed (is the password percent-encoded?)".into()
    } else {
        message.to_owned()
    }
}

/// How long a secondary is waited for while only the primary is known.
const DISCOVERY: Duration = Duration::from_secs(10);

/// Connects to the member that the plan asks for.
pub(super) async fn member(plan: &Plan) -> Result<Member, Error> {
    let mut options = options(plan.url.expose(), plan).await?;
    let fresh = Some(ReadPreferenceOptions::builder().max_staleness(plan.max_staleness).build());
    let criteria = SelectionCriteria::ReadPreference(match plan.read_from {
        ReadFrom::Primary => ReadPreference::Primary,
        ReadFrom::Secondary => ReadPreference::SecondaryPreferred { options: fresh.clone() },
    });
    options.selection_criteria = Some(criteria.clone());
    options.max_pool_size = Some(u32::try_from(plan.parallel).unwrap_or(64) + 4);
    let first = client(options.clone())?;
    let found = ask(&first, Some(criteria)).await;
    let mut hello = match found {
        Err(Error::Unreachable(why)) => return Err(unreachable(options, why).await),
        other => other?,
    };
    // The driver prefers secondaries among the members that have answered; here it was the primary that came first.
    if matches!(plan.read_from, ReadFrom::Secondary) && hello.primary && hello.members > 1 {
        let criteria = SelectionCriteria::ReadPreference(ReadPreference::Secondary { options: fresh });
        let secondary = tokio::time::timeout(DISCOVERY, ask(&first, Some(criteria))).await;
        if let Ok(Ok(found)) = secondary {
            hello = found;
        } else {
            tracing::info!(
                member = hello.name,
                "no secondary answered that is fresh enough, the primary is read"
            );
        }
    }
    let client = direct(options, first, &hello).await?;
    let info = client.database("admin").run_command(doc! { "buildInfo": 1 }).await;
    let info = info.map_err(|error| Error::driver("ask for the version", error))?;
    let version = info.get_str("version").map_err(|error| Error::reply("buildInfo", error))?.to_owned();
    Ok(Member { client, hello, version })
}

/// A client that talks to the chosen member only.
async fn direct(mut options: ClientOptions, first: Client, hello: &Hello) -> Result<Client, Error> {
    if hello.set.is_none() || options.direct_connection == Some(true) {
        return Ok(first);
    }
    let address = ServerAddress::parse(&hello.name).map_err(|error| Error::reply("hello", error))?;
    options.hosts = vec![address];
    options.direct_connection = Some(true);
    let client = client(options)?;
    first.shutdown().immediate(true).await;
    Ok(client)
}

pub(super) fn client(options: ClientOptions) -> Result<Client, Error> {
    Client::with_options(options).map_err(|error| Error::Url(error.to_string()))
}

/// Asks a server what it is. Refuses a `mongos` and a config server.
async fn ask(client: &Client, criteria: Option<SelectionCriteria>) -> Result<Hello, Error> {
    let mut options = RunCommandOptions::default();
    options.selection_criteria = criteria;
    let reply = client.database("admin").run_command(doc! { "hello": 1 }).with_options(options).await;
    let reply = reply.map_err(|error| Error::driver("ask the server what it is", error))?;
    let raw = RawDocumentBuf::try_from(&reply).map_err(|error| Error::reply("hello", error))?;
    if raw.get_str("msg").is_ok_and(|msg| msg == "isdbgrid") {
        return Err(Error::Mongos);
    }
    if raw.get("configsvr").is_ok_and(|value| value.is_some()) {
        return Err(Error::ConfigServer);
    }
    let majority = raw
        .get_document("lastWrite")
        .and_then(|write| write.get_document("majorityOpTime"))
        .and_then(|time| time.get_timestamp("ts"));
    Ok(Hello {
        set: raw.get_str("setName").ok().map(str::to_owned),
        name: raw.get_str("me").unwrap_or_default().to_owned(),
        primary: raw.get_bool("isWritablePrimary").unwrap_or_default(),
        election: raw.get_object_id("electionId").ok().map(ObjectId::to_hex),
        majority: majority.ok().filter(|ts| ts.time > 0),
        millis: raw.get_datetime("localTime").map_err(|e| Error::reply("hello", e))?.timestamp_millis(),
        members: ["hosts", "passives"].map(|list| shown(&raw, list)).iter().sum(),
    })
}

/// How many members a list of the reply has.
fn shown(hello: &RawDocument, list: &str) -> usize {
    hello.get_array(list).map_or(0, |members| members.into_iter().count())
}

/// Finds out whether servers could not be reached at all or are only of another replica set.
async fn unreachable(mut options: ClientOptions, why: String) -> Error {
    let Some(wanted) = options.repl_set_name.take() else { return Error::Unreachable(why) };
    options.hosts.truncate(1);
    options.direct_connection = Some(true);
    options.server_selection_timeout = Some(Duration::from_secs(3));
    let Ok(client) = client(options) else { return Error::Unreachable(why) };
    match ask(&client, None).await {
        Ok(Hello { set: Some(found), .. }) if found != wanted => {
            Error::ReplicaSet { wanted, found: format!("`{found}`") }
        }
        Ok(Hello { set: None, .. }) => Error::ReplicaSet { wanted, found: "it is in none".into() },
        _ => Error::Unreachable(why),
    }
}

impl Member {
    /// A database as this member has it.
    pub(super) fn database(&self, name: &str) -> Database {
        self.client.database(name)
    }

    /// Runs a command whose reply is a cursor, and reads it in raw batches.
    pub(super) async fn cursor(
        &self,
        database: &str,
        command: RawDocumentBuf,
        batch: u32,
        what: impl Into<String>,
    ) -> Result<scan::Batches, Error> {
        scan::Batches::open(&self.client.database(database), command, batch, what.into()).await
    }

    /// The first document that a `find` command yields.
    pub(super) async fn first(
        &self,
        database: &str,
        command: RawDocumentBuf,
        what: &str,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        let mut batches = self.cursor(database, command, 1, what).await?;
        let Some(batch) = batches.next().await? else { return Ok(None) };
        let first = batch.documents()?.next().transpose()?;
        Ok(first.map(ToOwned::to_owned))
    }

    /// Asks again what the member is, and fails if it is no longer what it was.
    pub(super) async fn unchanged(&self) -> Result<Hello, Error> {
        let now = ask(&self.client, None).await?;
        if now.role() == self.hello.role() && now.set == self.hello.set && now.name == self.hello.name {
            return Ok(now);
        }
        Err(Error::SteppedDown { member: now.name.clone(), was: self.hello.role(), is: now.role() })
    }

    /// Whether something may be read: one document of a collection.
    pub(super) async fn may_read(&self, database: &str, collection: &str) -> Result<(), Error> {
        let find = rawdoc! { "find": collection, "limit": 1_i32, "projection": { "_id": 1_i32 } };
        self.first(database, find, &format!("read `{database}.{collection}`")).await.map(|_| ())
    }
}
