//! The database that is restored into: made, refused, put in place, or thrown away.

use rand::RngExt as _;
use sqlx::postgres::PgConnectOptions;

use super::super::Error;
use super::super::catalog::expand;
use super::super::data::quote;
use super::super::dump::literal;
use super::super::session::{Session, code};
use super::{Task, swap};
use crate::report::chain;
use crate::sources::Restored;

/// Where one database is restored to.
pub(super) struct Place {
    /// How to reach it.
    pub options: PgConnectOptions,
    /// Whether it must be created by the package's own statement.
    pub fresh: bool,
    /// The name that it shall have in the end.
    name: String,
    /// The name that it has while it is loaded.
    working: String,
}

/// What a database has of its own; one is enough to call it not empty.
const CONTENT: &str = "SELECT pg_describe_object(o.class, o.oid, 0) FROM (
  SELECT c.tableoid AS class, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE @user(n) AND @own(c)
  UNION ALL SELECT p.tableoid, p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE @user(n) AND @own(p)
  UNION ALL SELECT t.tableoid, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE @user(n) AND @own(t)
  UNION ALL SELECT n.tableoid, n.oid FROM pg_namespace n WHERE @user(n) AND n.nspname <> 'public' AND @own(n)
  UNION ALL SELECT e.tableoid, e.oid FROM pg_extension e WHERE e.oid >= 16384
  UNION ALL SELECT d.tableoid, d.oid FROM pg_default_acl d
  UNION ALL SELECT 'pg_largeobject'::regclass, l.oid FROM pg_largeobject_metadata l
) o LIMIT 1";

/// Finds or clears the place for a database; refuses one that has something, unless told to replace it.
pub(super) async fn prepare(task: &Task, database: &str) -> Result<Place, Error> {
    let name = task.name.clone().unwrap_or_else(|| database.to_owned());
    let mut server = maintenance(task, &name).await?;
    let exists = exists(&mut server, &name).await?;
    let place = |working: String, fresh: bool| Place {
        options: task.options.clone().database(&working),
        fresh,
        name: name.clone(),
        working,
    };
    if !task.only.is_empty() {
        server.close().await;
        return if exists { Ok(place(name.clone(), false)) } else { Ok(place(name.clone(), true)) };
    }
    if task.swap {
        server.close().await;
        let suffix: String =
            rand::rng().sample_iter(rand::distr::Alphanumeric).take(8).map(char::from).collect();
        // Names longer than 63 bytes are cut by the server, and the part that makes this one its own is the last.
        let mut stem = name.clone();
        while stem.len() > 40 {
            stem.pop();
        }
        let working = format!("{stem}_restoring_{suffix}");
        return Ok(place(working, true));
    }
    if !exists {
        server.close().await;
        return Ok(place(name.clone(), true));
    }
    let content = content(task, &name).await?;
    if let Some(content) = content {
        if !task.replace {
            return Err(Error::NotEmpty(format!("database {name} ({content} is there)")));
        }
        drop(&mut server, &name).await?;
        server.close().await;
        return Ok(place(name.clone(), true));
    }
    server.close().await;
    Ok(place(name.clone(), false))
}

/// Puts a database that was restored under another name into its place. If that fails, both are as they were.
pub(super) async fn settle(task: &Task, place: Place, restored: &mut Restored) -> Result<(), Error> {
    if place.working == place.name {
        return Ok(());
    }
    let old = swap::swap(task, &place.name, &place.working).await.map_err(|error| {
        error.at(format!(
            "putting the restored database, which is complete and called {}, into the place of {}",
            place.working, place.name
        ))
    })?;
    let Some(old) = old else { return Ok(()) };
    let note = format!("the database that was there before is now called {old}");
    if !task.replace {
        restored.notes.push(note);
        return Ok(());
    }
    let mut server = maintenance(task, &place.name).await?;
    if let Err(error) = drop(&mut server, &old).await {
        restored.notes.push(format!("{note} and could not be dropped: {}", chain(&error).join(": ")));
    }
    server.close().await;
    Ok(())
}

/// Drops a database that this restore created and could not finish.
pub(super) async fn discard(task: &Task, place: Place) {
    if !place.fresh {
        return;
    }
    let dropped = async {
        let mut server = maintenance(task, &place.working).await?;
        match drop(&mut server, &place.working).await {
            Err(error) if code(&error).as_deref() == Some("55006") => {
                unsubscribe(&place).await?;
                drop(&mut server, &place.working).await?;
            }
            dropped => dropped?,
        }
        server.close().await;
        Ok::<(), Error>(())
    };
    if let Err(error) = dropped.await {
        tracing::warn!(database = place.working, %error, "an unfinished database could not be dropped");
    }
}

/// Drops a database, if it is there, whoever is connected to it. A template is none any more then: the server drops none.
async fn drop(server: &mut Session, name: &str) -> Result<(), Error> {
    let template = format!("SELECT FROM pg_database WHERE datname = {} AND datistemplate", literal(name));
    if !server.rows(&template).await?.is_empty() {
        server.execute(&format!("ALTER DATABASE {} IS_TEMPLATE false", quote(name))).await?;
    }
    server.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(name))).await
}

/// Removes the subscriptions of a database that this restore created: with them it cannot be dropped. What they subscribe
/// to is not told, because it is still the other server's.
async fn unsubscribe(place: &Place) -> Result<(), Error> {
    let mut session = Session::open(&place.options).await?;
    let sql = "SELECT format('ALTER SUBSCRIPTION %1$I DISABLE; ALTER SUBSCRIPTION %1$I SET (slot_name = NONE); DROP SUBSCRIPTION %1$I', subname)
        FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    for row in session.rows(sql).await? {
        session.execute(row.text(0)).await?;
    }
    session.close().await;
    Ok(())
}

/// A connection from which the named database can be dropped and renamed.
pub(super) async fn maintenance(task: &Task, name: &str) -> Result<Session, Error> {
    let through = if name == "postgres" { "template1" } else { "postgres" };
    Session::open(&task.options.clone().database(through)).await
}

/// Whether there is a database of this name.
pub(super) async fn exists(server: &mut Session, name: &str) -> Result<bool, Error> {
    Ok(!server
        .rows(&format!("SELECT 1 FROM pg_database WHERE datname = {}", literal(name)))
        .await?
        .is_empty())
}

/// Something that the database has, if it has anything.
async fn content(task: &Task, name: &str) -> Result<Option<String>, Error> {
    let mut session = Session::open(&task.options.clone().database(name)).await?;
    let rows = session.rows(&expand(CONTENT, session.major)).await?;
    session.close().await;
    Ok(rows.first().map(|row| row.text(0).to_owned()))
}
