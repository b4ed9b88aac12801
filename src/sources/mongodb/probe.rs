//! Whether a deployment can be dumped, before anything is uploaded.

use mongodb::bson::rawdoc;

use super::connect::{self, Member};
use super::{Error, Plan, listing};
use crate::sources::Facts;
use crate::stores::{Finding, Severity};

pub(super) async fn probe(plan: &Plan) -> Result<Facts, Error> {
    let member = connect::member(plan).await?;
    rights(&member, plan).await?;
    let listed = listing::list(&member, &plan.selection, plan.users_and_roles).await?;
    let mut findings = vec![consistency(&member)];
    findings.push(Finding {
        severity: Severity::Good,
        topic: "rights".into(),
        what: format!("everything that a dump reads may be read; {} collections and views", listed.len()),
        help: String::new(),
    });
    let databases: std::collections::BTreeSet<_> =
        listed.iter().map(|l| &l.entry.namespace.database).collect();
    let mut estimate = Some(0);
    for database in databases {
        estimate = add(estimate, data_size(&member, database).await);
    }
    Ok(Facts { product: format!("MongoDB {}", member.version), estimate, findings })
}

/// Tries what a dump will do, with a document each: privileges can come from any role. Refuses a shard.
pub(super) async fn rights(member: &Member, plan: &Plan) -> Result<(), Error> {
    if plan.users_and_roles {
        for collection in listing::AUTH_COLLECTIONS {
            member.may_read("admin", collection).await?;
        }
    }
    if member.hello.set.is_some() {
        member.may_read("local", "oplog.rs").await?;
        member.may_read("config", "transactions").await?;
        not_a_shard(member).await?;
    }
    Ok(())
}

/// Refuses a shard. Each has documents that are no longer its own, and only the config servers know which.
pub(super) async fn not_a_shard(member: &Member) -> Result<(), Error> {
    let find = rawdoc! { "find": "system.version", "filter": { "_id": "shardIdentity" }, "limit": 1_i32 };
    match member.first("admin", find, "read `admin.system.version`").await? {
        Some(identity) => {
            Err(Error::Shard(identity.get_str("shardName").unwrap_or("of an unknown name").to_owned()))
        }
        None => Ok(()),
    }
}

fn consistency(member: &Member) -> Finding {
    match &member.hello.set {
        Some(set) => Finding {
            severity: Severity::Good,
            topic: "consistency".into(),
            what: format!("{} of replica set `{set}`: consistent by the oplog", member.hello.role()),
            help: String::new(),
        },
        None => Finding {
            severity: Severity::Notice,
            topic: "consistency".into(),
            what: "standalone: collections are read one after the other while others write".into(),
            help: "make it a replica set of one member: then it has an oplog and dumps are consistent".into(),
        },
    }
}

/// The size of a database's documents, for those who may ask.
async fn data_size(member: &Member, database: &str) -> Option<u64> {
    let stats = member.database(database).run_command(mongodb::bson::doc! { "dbStats": 1 }).await.ok()?;
    let size = stats.get("dataSize")?;
    let size = size.as_f64().map(|size| format!("{size:.0}")).or_else(|| Some(size.as_i64()?.to_string()));
    size.or_else(|| stats.get_i32("dataSize").ok().map(|size| size.to_string()))?.parse().ok()
}

fn add(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    sum?.checked_add(more?)
}
