//! A restore over the wire: members taken apart into statements, rows loaded by several connections at once, and every
//! table read again at the end and compared with the fingerprint that the dump took in its own snapshot.

mod compare;
mod contents;
mod definitions;
mod load;
mod packet;
mod rename;
mod replace;
mod server;
mod target;
mod trigger;
mod wanted;

use std::fmt::Write as _;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::config::Plan;
use super::connect::Session;
use super::schema::one::Objects;
use super::script::Label;
use crate::package::index::Entry;
use crate::package::{self, Package, Selection};
use crate::sources::{Request, Restored};
use contents::Contents;
use definitions::{Comparison, Found};
use load::{Loader, Members};
use server::Server;
use target::Target;
use wanted::Wanted;

/// Why a restore did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, or could not be reached.
    #[error(transparent)]
    Source(#[from] Box<super::Error>),
    /// The package could not be read.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The run was told to stop.
    #[error("stopped")]
    Stopped,
    /// `--into` cannot be meant.
    #[error("`--into {into}`: {why}")]
    Target {
        /// The text; empty if it holds a secret.
        into: String,
        /// What is wrong with it.
        why: String,
    },
    /// `--only` cannot be meant.
    #[error("`--only`: {0}")]
    Only(String),
    /// Nothing in the package matches these patterns of `--only`.
    #[error("nothing in the package matches {0}")]
    Nothing(String),
    /// A switch of another kind of source.
    #[error("`{0}` is no switch of a MariaDB restore; it knows `no-system`")]
    Switch(String),
    /// One name for several databases.
    #[error("{databases} databases cannot all be restored as `{name}`: choose one with `--only DATABASE.*`")]
    OneName {
        /// The name.
        name: String,
        /// How many databases there are.
        databases: usize,
    },
    /// The target has something where the package would go.
    #[error("the target is not empty: {0}; `--replace` drops it first")]
    NotEmpty(String),
    /// A member is not as this program writes it.
    #[error("the member {path} is not a script of this program: {why}")]
    Malformed {
        /// The member.
        path: String,
        /// Where it went wrong.
        why: String,
    },
    /// A row does not fit the target's `max_allowed_packet`.
    #[error(
        "a row of {table} needs a packet of {bytes} bytes and the target takes {limit}: {row}; raise max_allowed_packet"
    )]
    TooLarge {
        /// The table.
        table: String,
        /// The size of the smallest statement with this row.
        bytes: usize,
        /// What the target takes.
        limit: usize,
        /// The beginning of the row.
        row: String,
    },
    /// A definition names its database, and the name cannot be changed.
    #[error(
        "{what} cannot be restored under another name: it names its database in a way that cannot be changed"
    )]
    Fixed {
        /// What it defines.
        what: String,
    },
    /// Views and grants that name what is not there, and grants that this user may not give. Everything else is restored and
    /// compared.
    #[error(
        "everything is restored and compared but what names something that is not there, or is not this user's to give: {0}"
    )]
    Unmade(String),
    /// The server took a definition for another. Everything is restored, and its rows are compared.
    #[error("everything is restored and its rows are compared, but definitions differ from the dump: {0}")]
    Redefined(String),
    /// The restored content is not the dumped one.
    #[error("restored content differs from the dump: {0}")]
    Mismatch(String),
}

impl From<super::Error> for Error {
    fn from(error: super::Error) -> Self {
        Self::Source(Box::new(error))
    }
}

/// Restores a package. `own` is the configured server, if there is one.
pub(super) async fn restore(
    own: Option<&Plan>,
    package: &Package,
    request: &Request,
    stop: &CancellationToken,
) -> Result<Restored, Error> {
    tokio::select! {
        done = Box::pin(run(own, package, request)) => done,
        () = stop.cancelled() => Err(Error::Stopped),
    }
}

async fn run(own: Option<&Plan>, package: &Package, request: &Request) -> Result<Restored, Error> {
    let target = Target::new(own, request.into.as_deref())?;
    let only = Wanted::globs(request)?;
    let contents = Contents::read(package, &only).await?;
    let wanted = Arc::new(Wanted::new(request, &target, only, &contents)?);
    let objects: Vec<_> = contents.objects.iter().filter(|(name, _)| wanted.name(name)).collect();
    let mut server = Server::connect(&target.plan).await?;
    let occupied = server.occupied(&contents, &wanted).await?;
    if !occupied.is_empty() && !request.replace {
        let names: Vec<String> = occupied.iter().map(ToString::to_string).collect();
        return Err(Error::NotEmpty(names.join(", ")));
    }
    let mut restored = Restored::default();
    if request.dry_run {
        restored.notes.push(format!("would drop {} objects", occupied.len()));
        restored.notes.push(format!("would restore {} tables and sequences", objects.len()));
        return Ok(restored);
    }
    server.clear(&occupied).await?;
    let version = server.version.clone();
    let mut loader = Loader::new(&target.plan, server, Arc::clone(&wanted)).await?;
    let choose = Arc::clone(&wanted);
    let selection = if wanted.everything() && wanted.system {
        Selection::All
    } else {
        Selection::Where(Box::new(move |entry| choose.path(&String::from_utf8_lossy(&entry.path))))
    };
    load(package, selection, &mut loader, false).await?;
    tracing::info!(tables = objects.len(), "everything loaded, reading it back");
    let read_back = compare::compare(&target.plan, loader.sessions(), &wanted, &objects).await?;
    let compare::Compared { alike, folds, mut sessions } = read_back;
    // Only now: an event that fires changes rows.
    if contents.events {
        let choose = Arc::clone(&wanted);
        let events = move |entry: &Entry| {
            let path = String::from_utf8_lossy(&entry.path);
            load::is_of_events(&path) && choose.path(&path)
        };
        load(package, Selection::Where(Box::new(events)), &mut loader, true).await?;
    }
    let (unmade, why_unmade): (Vec<_>, Vec<_>) = loader.unmade().into_iter().unzip();
    let control = sessions.first_mut().ok_or(Error::Stopped)?;
    restored.compared = format!("{alike} tables and sequences by fingerprint");
    let record = package.record();
    let mut found = Found::default();
    let incomparable = definitions::incomparable(&record.agent, &record.product, &version, folds, &contents);
    if incomparable.is_none() {
        found = compare_definitions(package, control, &wanted, &contents, unmade).await?;
        let _ = write!(restored.compared, ", {} definitions by their text", found.alike);
    }
    restored.notes.extend(incomparable);
    (restored.counts, restored.bytes) = loader.close().await;
    for session in sessions {
        session.close().await;
    }
    if !found.differing.is_empty() {
        return Err(Error::Redefined([found.differing, why_unmade].concat().join("; ")));
    }
    if !why_unmade.is_empty() {
        return Err(Error::Unmade(why_unmade.join("; ")));
    }
    if !found.hidden.is_empty() {
        let hidden = found.hidden.join(", ");
        restored.notes.push(format!("the server does not show this user, so not compared: {hidden}"));
    }
    if wanted.renamed.is_some() {
        let note = "bodies of routines, triggers and events name databases as their authors wrote them";
        restored.notes.push(note.to_owned());
    }
    Ok(restored)
}

/// Compares what was made with the package's definitions. What is `unmade` is not there.
async fn compare_definitions(
    package: &Package,
    session: &mut Session,
    wanted: &Arc<Wanted>,
    contents: &Contents,
    unmade: Vec<Option<Label>>,
) -> Result<Found, Error> {
    let unmade = unmade.into_iter().flatten().map(|label| label.to_string()).collect();
    let mut comparison = Comparison {
        objects: Objects::new(session),
        wanted,
        contents,
        unmade: &unmade,
        found: Found::default(),
    };
    let choose = Arc::clone(wanted);
    let definitions = move |entry: &Entry| {
        let path = String::from_utf8_lossy(&entry.path);
        load::database_of(&path).is_some() && !path.contains("/2-data/") && choose.path(&path)
    };
    let (members, arriving) = Members::new(1);
    let reading = async { package.read(Selection::Where(Box::new(definitions)), members).await.map(drop) };
    let (read, compared) = tokio::join!(reading, comparison.run(arriving));
    compared?;
    read?;
    Ok(comparison.found)
}

/// Reads members and loads them.
async fn load(
    package: &Package,
    selection: Selection,
    loader: &mut Loader,
    events: bool,
) -> Result<(), Error> {
    let (members, arriving) = Members::new(loader.connections());
    // A loader that fails drops its end, which ends the reading with an error of less interest.
    let reading = async { package.read(selection, members).await.map(drop) };
    let (read, loaded) = tokio::join!(reading, loader.run(arriving, events));
    loaded?;
    read?;
    Ok(())
}
