//! Grants, owners and comments of whatever there is.

use super::world::World;

/// Roles that both servers have, with their quotes.
pub(crate) const ROLES: &[&str] = &["alice", "\"bob-ß\"", "\"group \"\"g\"", "\"it's.a role\"", "carol"];

/// The statements that make them.
pub(crate) fn roles() -> String {
    let all: Vec<String> = ROLES.iter().map(|role| format!("CREATE ROLE {role};")).collect();
    format!("{} GRANT carol TO alice;", all.join(" "))
}

pub(crate) fn role(world: &mut World) -> String {
    world.chance.pick(ROLES).to_owned()
}

/// Everything that can be granted: its class as `GRANT` has it, as `COMMENT` and `ALTER` have it, its name with quotes,
/// whatever the generator called it. What belongs to an extension is the extension's, and
/// what somebody does to the constructors of a range `pg_dump` does not see.
const OBJECTS: &str = r#"
SELECT g || chr(1) || a || chr(1) || name FROM (
SELECT 'TABLE' AS g, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS a, c.oid::regclass::text AS name, c.oid
  FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL SELECT 'SEQUENCE', 'SEQUENCE', c.oid::regclass::text, c.oid FROM pg_class c WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'i')
UNION ALL SELECT 'FUNCTION', 'FUNCTION', p.oid::regprocedure::text, p.oid FROM pg_proc p WHERE prokind = 'f'
UNION ALL SELECT 'PROCEDURE', 'PROCEDURE', (SELECT identity FROM pg_identify_object('pg_proc'::regclass, p.oid, 0)), p.oid FROM pg_proc p WHERE prokind = 'p'
UNION ALL SELECT 'FUNCTION', 'AGGREGATE', (SELECT identity FROM pg_identify_object('pg_proc'::regclass, p.oid, 0)), p.oid FROM pg_proc p WHERE prokind = 'a'
UNION ALL SELECT 'TYPE', CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype::text, t.oid FROM pg_type t WHERE typtype IN ('d', 'e', 'r', 'b') AND typelem = 0
UNION ALL SELECT 'TYPE', 'TYPE', t.oid::regtype::text, t.oid FROM pg_type t JOIN pg_class c ON c.oid = typrelid AND relkind = 'c'
UNION ALL SELECT 'SCHEMA', 'SCHEMA', n.oid::regnamespace::text, n.oid FROM pg_namespace n WHERE nspname !~ '^pg_'
UNION ALL SELECT 'FOREIGN SERVER', 'SERVER', quote_ident(srvname), oid FROM pg_foreign_server
UNION ALL SELECT 'FOREIGN DATA WRAPPER', 'FOREIGN DATA WRAPPER', quote_ident(fdwname), oid FROM pg_foreign_data_wrapper
UNION ALL SELECT 'LARGE OBJECT', 'LARGE OBJECT', oid::text, oid FROM pg_largeobject_metadata
UNION ALL SELECT '', 'COLLATION', collnamespace::regnamespace || '.' || quote_ident(collname), oid FROM pg_collation
UNION ALL SELECT '', 'TEXT SEARCH CONFIGURATION', cfgnamespace::regnamespace || '.' || quote_ident(cfgname), oid FROM pg_ts_config
UNION ALL SELECT '', 'TEXT SEARCH DICTIONARY', dictnamespace::regnamespace || '.' || quote_ident(dictname), oid FROM pg_ts_dict
UNION ALL SELECT '', 'STATISTICS', stxnamespace::regnamespace || '.' || quote_ident(stxname), oid FROM pg_statistic_ext
UNION ALL SELECT '', 'PUBLICATION', quote_ident(pubname), oid FROM pg_publication
UNION ALL SELECT '', 'EXTENSION', quote_ident(extname), oid FROM pg_extension
) o WHERE (oid >= 16384 OR name = 'public') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype IN ('e', 'i') AND (deptype = 'e' OR g = 'FUNCTION'))
ORDER BY name COLLATE "C", a"#;

pub(crate) fn write(world: &mut World) {
    world.look();
    default_privileges(world);
    let listed =
        world.ask(&format!("SET search_path = ''; SELECT string_agg(x, chr(2)) FROM ({OBJECTS}) o(x)"));
    for line in listed.split('\u{2}').filter(|line| !line.is_empty()) {
        let parts: Vec<&str> = line.split('\u{1}').collect();
        let (class, altered, name) = (parts[0], parts[1], parts[2]);
        if world.chance.percent(35) {
            let text = world.text();
            world.say(format!("COMMENT ON {altered} {name} IS {text}"));
        }
        if world.chance.percent(20) && !class.is_empty() {
            grants(world, class, name);
        }
        if world.chance.percent(12)
            && altered != "EXTENSION"
            && (world.owned_views || !altered.contains("VIEW"))
        {
            let role = role(world);
            // An aggregate is granted as the function that it is, and everything else is altered as it is commented.
            world.say(format!("ALTER {altered} {name} OWNER TO {role}"));
        }
    }
    columns(world);
    world.tell();
}

fn grants(world: &mut World, class: &str, name: &str) {
    let (first, second) = (role(world), role(world));
    let some = match class {
        "TABLE" => ["SELECT", "INSERT, UPDATE", "TRIGGER, REFERENCES, TRUNCATE", "ALL"],
        "SEQUENCE" => ["USAGE", "SELECT", "UPDATE", "ALL"],
        "FUNCTION" | "PROCEDURE" => ["EXECUTE", "EXECUTE", "EXECUTE", "ALL"],
        "SCHEMA" => ["USAGE", "CREATE", "ALL", "USAGE, CREATE"],
        "LARGE OBJECT" => ["SELECT", "UPDATE", "ALL", "SELECT, UPDATE"],
        _ => ["USAGE", "USAGE", "USAGE", "ALL"],
    };
    let right = world.chance.pick(&some).to_owned();
    let option = world.chance.maybe(40, "WITH GRANT OPTION");
    match world.chance.below(6) {
        0 => world.say(format!("REVOKE ALL ON {class} {name} FROM PUBLIC")),
        1 => world.say(format!("GRANT {right} ON {class} {name} TO PUBLIC")),
        2 => world.say(format!("REVOKE {right} ON {class} {name} FROM postgres")),
        3 => {
            world.say(format!("GRANT {right} ON {class} {name} TO {first} WITH GRANT OPTION"));
            // Passed on by the one who has it.
            world.say(format!(
                "SET ROLE {first}; GRANT {right} ON {class} {name} TO {second} {option}; RESET ROLE"
            ));
        }
        _ => world.say(format!("GRANT {right} ON {class} {name} TO {first} {option}")),
    }
}

/// Grants and comments of columns.
fn columns(world: &mut World) {
    for table in world.tables.clone() {
        for column in &table.columns {
            let (name, role, text) = (&column.name, role(world), world.text());
            if world.chance.percent(12) {
                world.say(format!("COMMENT ON COLUMN {}.{name} IS {text}", table.name));
            }
            if world.chance.percent(6) {
                let right =
                    world.chance.pick(&["SELECT", "INSERT", "UPDATE", "REFERENCES", "ALL"]).to_owned();
                let option = world.chance.maybe(40, "WITH GRANT OPTION");
                world.say(format!("GRANT {right} ({name}) ON {} TO {role} {option}", table.name));
            }
        }
    }
}

fn default_privileges(world: &mut World) {
    for _ in 0..world.chance.of(0..4) {
        let (of, to, schema) = (role(world), role(world), world.chance.one(&world.schemas).unwrap().clone());
        let whose = world.chance.maybe(50, &format!("FOR ROLE {of}"));
        let within = world.chance.maybe(50, &format!("IN SCHEMA {schema}"));
        let what = world
            .chance
            .pick(&[
                "GRANT SELECT ON TABLES TO",
                "GRANT ALL ON SEQUENCES TO",
                "GRANT EXECUTE ON FUNCTIONS TO",
                "GRANT USAGE ON TYPES TO",
                "GRANT ALL ON SCHEMAS TO",
            ])
            .to_owned();
        let option = world.chance.maybe(30, "WITH GRANT OPTION");
        world.say(format!("ALTER DEFAULT PRIVILEGES {whose} {within} {what} {to} {option}"));
        if world.chance.percent(30) {
            let what = world.chance.pick(&["EXECUTE ON FUNCTIONS", "USAGE ON TYPES"]).to_owned();
            world.say(format!("ALTER DEFAULT PRIVILEGES {whose} REVOKE {what} FROM PUBLIC"));
        }
    }
}
