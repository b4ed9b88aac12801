//! Users, roles and their grants.

use super::world::{World, quoted};

/// Users and roles of this database's, who are gone with it.
pub(crate) fn users(world: &mut World) {
    for _ in 0..world.chance.of(1..4) {
        let name = world.name();
        let host = world.chance.pick(&["%", "localhost", "192.0.2.0/255.255.255.0", "%.example"]).to_owned();
        let user = format!("{name}@{}", quoted(&host));
        let how = world
            .chance
            .pick(&[
                "",
                "IDENTIFIED BY 'it''s'",
                "IDENTIFIED VIA unix_socket",
                "REQUIRE SSL",
                "WITH MAX_QUERIES_PER_HOUR 7 MAX_USER_CONNECTIONS 3",
                "PASSWORD EXPIRE INTERVAL 9 DAY",
                "ACCOUNT LOCK",
                "REQUIRE SUBJECT '/CN=it''s' AND CIPHER 'x'",
                "IDENTIFIED VIA mysql_native_password USING PASSWORD('a') OR unix_socket",
            ])
            .to_owned();
        world.say(format!("CREATE USER {user} {how}"));
        world.users.push(user);
    }
    let database = quoted(&world.database);
    if let Some(first) = world.users.first().cloned() {
        world.say(format!("GRANT SELECT, SHOW VIEW, EXECUTE ON {database}.* TO {first}"));
    }
    if world.chance.percent(60) {
        let (role, user) = (world.name(), world.users[0].clone());
        let admin = world.chance.maybe(50, "WITH ADMIN OPTION");
        world.say(format!("CREATE ROLE {role}"));
        world.say(format!("GRANT {role} TO {user} {admin}"));
        let default = world.chance.maybe(60, &format!("SET DEFAULT ROLE {role} FOR {user}"));
        if !default.is_empty() {
            world.say(default);
        }
        world.users.push(role);
    }
    world.tell();
}

/// Grants of the database, its tables, columns and routines.
pub(crate) fn grants(world: &mut World) {
    let database = quoted(&world.database);
    let pattern = quoted(&world.database.replace('_', "\\_"));
    for user in world.users.clone() {
        let option = world.chance.maybe(30, "WITH GRANT OPTION");
        match world.chance.below(4) {
            0 => {
                world
                    .say(format!("GRANT SELECT, INSERT, SHOW VIEW, EVENT ON {pattern}.* TO {user} {option}"));
            }
            1 => world.say(format!("GRANT ALL ON {database}.* TO {user} {option}")),
            2 => world.say(format!("GRANT PROCESS, BINLOG MONITOR ON *.* TO {user}")),
            _ => {}
        }
        for _ in 0..world.chance.of(0..4) {
            let Some(table) = world.a_table(true) else { break };
            let mut column = || world.chance.one(&table.columns).unwrap().name.clone();
            let (first, second) = (column(), column());
            let right = world
                .chance
                .pick(&["SELECT", "INSERT, UPDATE", "ALL", "TRIGGER, DELETE HISTORY", "REFERENCES"])
                .to_owned();
            let grant = if world.chance.percent(50) {
                format!("GRANT {right} ON {database}.{} TO {user} {option}", table.name)
            } else {
                format!(
                    "GRANT SELECT ({first}), UPDATE ({second}), INSERT ({second}) ON {database}.{} TO {user} {option}",
                    table.name
                )
            };
            world.say(grant);
        }
        for (class, routine) in world.routines.clone() {
            if world.chance.percent(25) {
                let right =
                    world.chance.pick(&["EXECUTE", "EXECUTE, ALTER ROUTINE", "ALTER ROUTINE"]).to_owned();
                world.say(format!("GRANT {right} ON {class} {database}.{routine} TO {user} {option}"));
            }
        }
    }
    world.tell();
}

/// The statement that removes every user and role whom a database brought.
pub(crate) fn forget(server: &crate::support::mariadb::MariaDb) {
    let all = server.sql(
        "SELECT JSON_VALUE(Priv, '$.is_role') <=> 'true' OR JSON_VALUE(Priv, '$.is_role') <=> 1, QUOTE(User), QUOTE(Host) FROM mysql.global_priv \
         WHERE User NOT IN ('root', 'mariadb.sys', 'PUBLIC', '', 'mysql', 'nobody')",
    );
    for line in all.lines() {
        let parts: Vec<&str> = line.split('\t').collect();
        // What the client escapes on its way out is unescaped by the literal.
        let text = |part: &str| part.replace("\\\\", "\\");
        let statement = if parts[0] == "1" {
            format!("DROP ROLE {}", text(parts[1]))
        } else {
            format!("DROP USER {}@{}", text(parts[1]), text(parts[2]))
        };
        server.sql(&statement);
    }
}
