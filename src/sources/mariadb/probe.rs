//! Whether the server can be reached, is one that can be dumped faithfully, and shows the user everything.

use super::config::Plan;
use super::connect::Session;
use super::{Error, catalog, privileges};
use crate::sources::{Facts, Missing};
use crate::stores::{Finding, Severity};

/// The oldest version whose `EXECUTE IMMEDIATE` knows every statement, which restores rely on.
const OLDEST: (u32, u32) = (10, 6);

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The version string, for example `10.11.19-MariaDB`.
    pub(super) version: String,
    /// Major and minor version.
    pub(super) number: (u32, u32),
}

impl Server {
    /// Whether history can be inserted, as `system_versioning_insert_history` allows.
    pub(super) fn inserts_history(&self) -> bool {
        self.number >= (10, 11)
    }
}

pub(super) async fn probe(plan: &Plan) -> Result<Facts, Error> {
    let mut session = Session::open(plan).await?;
    let server = server(&mut session).await?;
    session.close().await;
    let mut session = Session::reading(plan).await?;
    let mut estimate = 0;
    let databases = catalog::databases(&mut session, plan).await?;
    let missing = privileges::check(&mut session, plan, &databases).await?;
    catalog::check(&mut session, plan, &databases).await?;
    for database in &databases {
        let tables = catalog::tables(&mut session, plan, database).await?;
        estimate += tables.iter().map(|table| table.bytes).sum::<u64>();
    }
    let mut findings: Vec<Finding> = missing.iter().map(unseen).collect();
    if !privileges::may_lock(&mut session).await? {
        findings.push(Finding {
            severity: Severity::Notice,
            topic: "lock".to_owned(),
            what: "RELOAD is not granted: one connection will read everything".to_owned(),
            help: "grant RELOAD, so that several connections can share one snapshot".to_owned(),
        });
    }
    session.close().await;
    let product = format!("MariaDB {}", server.version);
    Ok(Facts { product, estimate: Some(estimate), findings })
}

fn unseen(missing: &Missing) -> Finding {
    Finding {
        severity: Severity::Notice,
        topic: "privileges".to_owned(),
        what: format!("{} will be missing: {}", missing.name, missing.why),
        help: "grant the privilege".to_owned(),
    }
}

/// Asks the server what it is, and refuses what was never tried.
pub(super) async fn server(session: &mut Session) -> Result<Server, Error> {
    let version =
        session.text("cannot read the server's version", "SELECT VERSION()").await?.unwrap_or_default();
    let mut parts = version.split(['.', '-']).map_while(|part| part.parse().ok());
    let number = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if !version.contains("MariaDB") {
        let why = "this source has been tried with MariaDB only".to_owned();
        return Err(Error::Unsupported { product: version, why });
    }
    if number < OLDEST {
        let why = "10.6 is the oldest version whose dump can be restored exactly".to_owned();
        return Err(Error::Unsupported { product: format!("MariaDB {version}"), why });
    }
    Ok(Server { version, number })
}
