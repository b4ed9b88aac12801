//! Everything that a server holds, as text that two servers can be compared by. Asked with the stock client, so nothing
//! of the code under test has a say in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::mariadb::MariaDb;
use crate::support::run;

/// Facts by name.
pub type Facts = BTreeMap<String, String>;

/// All facts of the given databases, and of users and grants if `system`.
pub fn facts(server: &MariaDb, databases: &[&str], system: bool) -> Facts {
    let mut facts = Facts::new();
    for database in databases {
        facts.insert(
            format!("database {database}"),
            server.sql(&format!("SHOW CREATE DATABASE {}", quoted(database))),
        );
        tables(server, database, &mut facts);
        programs(server, database, &mut facts);
        facts.insert(format!("mariadb-dump {database}"), stock_dump(server, database));
    }
    if system {
        accounts(server, &mut facts);
    }
    facts
}

/// Fails with the differences.
pub fn assert_same(source: &Facts, target: &Facts) {
    let differing = differences(source, target);
    assert!(differing.is_empty(), "{} facts differ\n{}", differing.len(), differing.join("\n"));
    assert!(!source.is_empty());
}

/// What differs, each with what both sides say.
pub fn differences(source: &Facts, target: &Facts) -> Vec<String> {
    let names: BTreeSet<&String> = source.keys().chain(target.keys()).collect();
    names
        .into_iter()
        .filter(|name| source.get(*name) != target.get(*name))
        .map(|name| {
            let show = |facts: &Facts| {
                facts
                    .get(name)
                    .map_or("(absent)", |text| text.as_str())
                    .chars()
                    .take(2000)
                    .collect::<String>()
            };
            format!("=== {name}\n--- source\n{}\n--- target\n{}", show(source), show(target))
        })
        .collect()
}

fn tables(server: &MariaDb, database: &str, facts: &mut Facts) {
    let list = server.sql(&format!(
        "SELECT HEX(TABLE_NAME), TABLE_TYPE, ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}'",
        escaped(database)
    ));
    for line in list.lines() {
        let mut parts = line.split('\t');
        let (name, class, engine) =
            (unhex(parts.next().unwrap()), parts.next().unwrap(), parts.next().unwrap());
        let full = format!("{}.{}", quoted(database), quoted(&name));
        let show = match class {
            "VIEW" => "VIEW",
            "SEQUENCE" => "SEQUENCE",
            _ => "TABLE",
        };
        facts.insert(
            format!("definition {full}"),
            server.sql(&format!("USE {}; SHOW CREATE {show} {full}", quoted(database))),
        );
        if class == "VIEW" {
            continue;
        }
        facts.insert(format!("content {full}"), content(server, database, &name, class));
        // Of a table with a virtual column the server now and then says another number than it did.
        let computed = server.sql(&format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{}' \
             AND EXTRA LIKE '%VIRTUAL GENERATED%'",
            escaped(database),
            escaped(&name)
        ));
        let sound = class != "SEQUENCE" && computed.trim() == "0";
        if sound && !["BLACKHOLE", "MRG_MyISAM"].contains(&engine) {
            facts.insert(format!("checksum {full}"), server.sql(&format!("CHECKSUM TABLE {full} EXTENDED")));
        }
    }
}

/// Every value of every row as hexadecimal of its bytes, rows sorted. FLOAT goes through DOUBLE, which has all its
/// digits; ENUM and SET show their numbers too.
fn content(server: &MariaDb, database: &str, table: &str, class: &str) -> String {
    let columns = server.sql(&format!(
        "SELECT HEX(COLUMN_NAME), DATA_TYPE FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{}' ORDER BY ORDINAL_POSITION",
        escaped(database),
        escaped(table)
    ));
    let mut values = Vec::new();
    for line in columns.lines() {
        let (name, data_type) = line.split_once('\t').unwrap();
        let name = quoted(&unhex(name));
        values.push(match data_type {
            "float" => format!("HEX(CAST(CAST({name} AS DOUBLE) AS BINARY))"),
            "enum" | "set" => format!("HEX(CAST({name} AS BINARY)), CAST({name} AS UNSIGNED)"),
            _ => format!("HEX(CAST({name} AS BINARY))"),
        });
    }
    let history = class == "SYSTEM VERSIONED";
    let definition = server.sql(&format!("SHOW CREATE TABLE {}.{}", quoted(database), quoted(table)));
    if history && !definition.contains("PERIOD FOR SYSTEM_TIME") {
        values.push("row_start, row_end".to_owned());
    }
    let all = if history { "FOR SYSTEM_TIME ALL" } else { "" };
    let query = format!("SELECT {} FROM {}.{} {all}", values.join(", "), quoted(database), quoted(table));
    let rows = server.sql(&query);
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_unstable();
    rows.join("\n")
}

fn programs(server: &MariaDb, database: &str, facts: &mut Facts) {
    let escaped = escaped(database);
    let list = server.sql(&format!(
        "SELECT ROUTINE_TYPE, HEX(ROUTINE_NAME) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{escaped}' \
         UNION ALL SELECT 'TRIGGER', HEX(TRIGGER_NAME) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{escaped}' \
         UNION ALL SELECT 'EVENT', HEX(EVENT_NAME) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{escaped}'"
    ));
    for line in list.lines() {
        let (class, name) = line.split_once('\t').unwrap();
        let name = quoted(&unhex(name));
        let shown = server.sql(&format!("SHOW CREATE {class} {}.{name}", quoted(database)));
        facts.insert(format!("{class} {database}.{name}"), shown);
    }
    for query in [
        "SELECT HEX(ROUTINE_DEFINITION), SECURITY_TYPE, SQL_DATA_ACCESS, HEX(ROUTINE_COMMENT), DATABASE_COLLATION, DEFINER, ROUTINE_NAME \
         FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '?' ORDER BY 7, 1",
        "SELECT TRIGGER_NAME, ACTION_ORDER, HEX(ACTION_STATEMENT), SQL_MODE, DATABASE_COLLATION, CREATED FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA = '?' ORDER BY 1",
        "SELECT EVENT_NAME, HEX(EVENT_DEFINITION), STATUS, TIME_ZONE, STARTS, ENDS, EXECUTE_AT, CREATED FROM information_schema.EVENTS \
         WHERE EVENT_SCHEMA = '?' ORDER BY 1",
    ] {
        facts.insert(format!("list {database} {query:.30}"), server.sql(&query.replace('?', &escaped)));
    }
}

fn accounts(server: &MariaDb, facts: &mut Facts) {
    let list =
        server.sql("SELECT HEX(User), HEX(Host), JSON_VALUE(Priv, '$.is_role') FROM mysql.global_priv");
    for line in list.lines() {
        let mut parts = line.split('\t');
        let (user, host) = (unhex(parts.next().unwrap()), unhex(parts.next().unwrap()));
        let role = parts.next().unwrap() != "NULL";
        let name = match (role, user.as_str()) {
            (true, "PUBLIC") => "PUBLIC".to_owned(),
            (true, _) => quoted(&user),
            (false, _) => format!("{}@{}", quoted(&user), quoted(&host)),
        };
        // An account that the server has loaded can be asked about; others it ignores.
        let Ok(grants) = server.try_sql(&format!("SHOW GRANTS FOR {name}")) else { continue };
        if !role {
            facts.insert(format!("user {name}"), server.sql(&format!("SHOW CREATE USER {name}")));
        }
        // The columns of a grant come in the order of a hash table in the server's memory.
        let mut grants: Vec<String> = grants.lines().map(with_sorted_columns).collect();
        grants.sort_unstable();
        facts.insert(format!("grants {name}"), grants.join("\n"));
    }
    for table in ["plugin", "func", "servers", "roles_mapping"] {
        facts.insert(
            format!("mysql.{table}"),
            server.sql(&format!("SELECT * FROM mysql.{table} ORDER BY 1, 2")),
        );
    }
}

fn with_sorted_columns(grant: &str) -> String {
    let mut out = String::new();
    let mut rest = grant;
    while let Some((before, (inside, after))) =
        rest.split_once('(').and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    {
        let mut columns: Vec<&str> = inside.split(", ").collect();
        columns.sort_unstable();
        out.push_str(&format!("{before}({})", columns.join(", ")));
        rest = after;
    }
    out + rest
}

/// What the stock tool says of the definitions.
fn stock_dump(server: &MariaDb, database: &str) -> String {
    let options = [
        "--no-data",
        "--routines",
        "--triggers",
        "--events",
        "--skip-comments",
        "--force",
        "--databases",
        database,
    ];
    let output = run(&mut server.tool("mariadb-dump", &options));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn unhex(text: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    String::from_utf8((0..text.len()).step_by(2).map(byte).collect()).unwrap()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}
