//! Roles that the target does not have, or that shall have no part in it.

use chupacabra::sources::Request;
use serde_json::json;

use crate::restore::tampered;
use crate::support::postgres::{Cluster, Dumped, chain, dump, restore};

const OWNED: &str = "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY); INSERT INTO shop.orders SELECT generate_series(1, 10);
ALTER TABLE shop.orders OWNER TO \"the app\"; ALTER DEFAULT PRIVILEGES FOR ROLE \"the app\" IN SCHEMA shop GRANT SELECT ON TABLES TO reader;";

const OWNER: &str = "SELECT pg_get_userbyid(datdba), datconnlimit FROM pg_database WHERE datname =";
const SETTINGS: &str = "SELECT coalesce(r.rolname, '-'), s.setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole ORDER BY 1, datname";

fn switches(names: &[&str]) -> Request {
    let switches = names.iter().map(|name| (*name).to_owned()).collect();
    Request { switches, replace: true, ..Request::default() }
}

/// The package as it was written when the database's owner was a property and default privileges were objects.
async fn as_before(dumped: &Dumped) -> Dumped {
    let block = |kind: &str, label: &str, sql: &str| {
        format!("--: {kind} {:010} {:012} - {label}\n{sql}\n", sql.len() + 1, 0)
    };
    let owner = |kind: &str| block(kind, "owned", "ALTER DATABASE \"owned\" OWNER TO \"the app\";");
    let dumped = tampered(dumped, "db/owned/1-pre-data.sql", &owner("owner"), &owner("property")).await;
    let sql =
        "\nALTER DEFAULT PRIVILEGES FOR ROLE \"the app\" IN SCHEMA shop GRANT SELECT ON TABLES TO reader;";
    let default = |kind: &str| block(kind, "default privileges shop.the app r", sql);
    tampered(&dumped, "db/owned/3-post-data.sql", &default("privilege"), &default("object")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_owner_of_the_database() {
    let (source, target) = (Cluster::start(15, &[]), Cluster::start(15, &[]));
    source.psql("postgres", "CREATE ROLE \"the app\"; CREATE ROLE reader");
    source.psql("postgres", "CREATE DATABASE owned TEMPLATE template0 OWNER \"the app\" CONNECTION LIMIT 50");
    source.psql("owned", OWNED);
    source.psql("postgres", "ALTER ROLE \"the app\" IN DATABASE owned SET work_mem = '5MB'; ALTER DATABASE owned SET work_mem = '6MB'");
    let dumped = dump(source.config(json!({ "database": "owned", "globals": false }))).await.unwrap();
    let before = as_before(&dumped).await;
    let error = restore(&dumped, &target.url("owned"), Request::default()).await.unwrap_err();
    assert!(chain(&error).contains("role \"the app\" does not exist"), "{}", chain(&error));
    let url = target.url("owned");
    for dumped in [&dumped, &before] {
        let restored = restore(dumped, &url, switches(&["no-owner", "no-acl"])).await.unwrap();
        let note = "left out, because owners were not wanted: settings of roles for this database: the app";
        assert_eq!(restored.notes, [note]);
        assert_eq!(target.psql("postgres", &format!("{OWNER} 'owned'")), "postgres|50");
        assert_eq!(target.psql("postgres", SETTINGS), "-|{work_mem=6MB}");
        assert_eq!(
            target.psql("owned", "SELECT count(*), (SELECT count(*) FROM pg_default_acl) FROM shop.orders"),
            "10|0"
        );
    }
    // A role that happens to have the same name gets nothing that it was not to have.
    target.psql("postgres", "CREATE ROLE \"the app\"; CREATE ROLE reader");
    let privileges = "SELECT defaclrole::regrole, defaclacl FROM pg_default_acl";
    for dumped in [&dumped, &before] {
        restore(dumped, &url, switches(&["no-owner"])).await.unwrap();
        assert_eq!(target.psql("postgres", &format!("{OWNER} 'owned'")), "postgres|50");
        assert_eq!(target.psql("owned", privileges), source.psql("owned", privileges));
        restore(dumped, &url, switches(&["no-acl"])).await.unwrap();
        assert_eq!(target.psql("postgres", &format!("{OWNER} 'owned'")), "the app|50");
        assert_eq!(target.psql("postgres", SETTINGS), source.psql("postgres", SETTINGS));
        assert_eq!(target.psql("owned", privileges), "");
        // Under another name it is that one's owner.
        restore(dumped, &target.url("owned_copy"), switches(&[])).await.unwrap();
        assert_eq!(target.psql("postgres", &format!("{OWNER} 'owned_copy'")), "the app|50");
        assert_eq!(target.psql("owned_copy", privileges), source.psql("owned", privileges));
        target.psql("postgres", "DROP DATABASE owned_copy");
    }
}
