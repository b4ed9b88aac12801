//! What belongs to the whole server: roles, tablespaces, and the databases themselves.

use super::Error;
use super::catalog::expand;
use super::config::Plan;
use super::data::quote;
use super::dump::literal;
use super::script::{self, Kind};
use super::session::Session;

const ROLES: &str = "SELECT rolname, format('ALTER ROLE %I WITH %s %s %s %s %s %s %s CONNECTION LIMIT %s%s;', rolname,
  CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
  CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
  CASE WHEN rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
  CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, rolconnlimit,
  @password || coalesce(' VALID UNTIL ' || quote_literal(rolvaliduntil), '')),
  shobj_description(oid, 'pg_authid')
FROM @roles WHERE rolname !~ '^pg_' ORDER BY rolname";

const MEMBERS: &str = "SELECT pg_get_userbyid(m.roleid), pg_get_userbyid(m.member), pg_get_userbyid(m.grantor), m.admin_option,
  m.grantor = 10 OR NOT EXISTS (SELECT FROM pg_roles g WHERE g.oid = m.grantor),
  format(' WITH ADMIN %s, INHERIT %s, SET %s', m.admin_option::text, m.inherit_option::text, m.set_option::text) --@>=16
  CASE WHEN m.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END --@<16
FROM pg_auth_members m WHERE EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.roleid) ORDER BY 1, 2, 3";

const TABLESPACES: &str = "SELECT spcname, format('CREATE TABLESPACE %I OWNER %I LOCATION %L;', spcname, pg_get_userbyid(spcowner), pg_tablespace_location(oid)),
  coalesce((SELECT format('ALTER TABLESPACE %I SET (%s);', spcname, @list(t.spcoptions)) WHERE t.spcoptions IS NOT NULL), ''),
  coalesce(format('COMMENT ON TABLESPACE %I IS ', spcname) || quote_literal(shobj_description(oid, 'pg_tablespace')) || ';', '')
FROM pg_tablespace t WHERE spcname !~ '^pg_' ORDER BY spcname";

/// Privileges on tablespaces, databases and parameters, which are shared by all databases.
const SHARED_PRIVILEGES: &str = "WITH changed AS (
  SELECT 'TABLESPACE ' || quote_ident(spcname) AS target, spcname AS name, 't' AS kind, spcacl AS acl, acldefault('t', spcowner) AS base, spcowner AS owner FROM pg_tablespace WHERE spcname !~ '^pg_' AND spcacl IS NOT NULL
  UNION ALL SELECT @database(datname), datname, 'd', datacl, acldefault('d', datdba), datdba FROM pg_database WHERE datacl IS NOT NULL
  UNION ALL SELECT 'PARAMETER ' || quote_ident(parname), parname, 'p', paracl, '{}', 10 FROM pg_parameter_acl --@>=15
)
SELECT c.kind, c.name, concat(
  (SELECT string_agg(format(E'REVOKE ALL ON %s FROM %s;\\n', c.target, @grantee(e)), '')
   FROM (SELECT DISTINCT x.grantee FROM unnest(c.base) item CROSS JOIN aclexplode(ARRAY[item]) x WHERE NOT item = ANY (c.acl)) e),
  (SELECT string_agg(CASE WHEN e.grantor = c.owner THEN '' ELSE format(E'SET SESSION AUTHORIZATION %I;\\n', pg_get_userbyid(e.grantor)) END
     || format(E'GRANT %s ON %s TO %s%s;\\n', e.privileges, c.target, @grantee(e), CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
     || CASE WHEN e.grantor = c.owner THEN '' ELSE E'RESET SESSION AUTHORIZATION;\\n' END, '' ORDER BY e.ord, e.is_grantable)
   FROM (SELECT u.ord, x.grantee, x.grantor, x.is_grantable, string_agg(x.privilege_type, ', ') AS privileges
     FROM unnest(c.acl) WITH ORDINALITY u(item, ord) CROSS JOIN aclexplode(ARRAY[u.item]) x WHERE NOT u.item = ANY (c.base) GROUP BY 1, 2, 3, 4) e)) AS statements
FROM changed c ORDER BY 1, 2";

/// `ALTER ROLE … SET`, `ALTER DATABASE … SET`: database, role, name, value.
const SETTINGS: &str = "SELECT coalesce(d.datname, ''), coalesce(r.rolname, ''), split_part(s.value, '=', 1), substr(s.value, strpos(s.value, '=') + 1)
FROM pg_db_role_setting x LEFT JOIN pg_database d ON d.oid = x.setdatabase LEFT JOIN pg_roles r ON r.oid = x.setrole
CROSS JOIN unnest(x.setconfig) WITH ORDINALITY s(value, ord) ORDER BY 1, 2, s.ord";

/// Security labels of roles, tablespaces and databases: catalog, name, statement. Those of subscriptions stand in the
/// same catalog and go with the subscription.
const LABELS: &str = r#"SELECT o.catalog, o.name, format('SECURITY LABEL FOR %I ON %s IS %L;', l.provider, o.target, l.label)
FROM pg_shseclabel l JOIN (
  SELECT 'pg_authid' AS catalog, oid, rolname AS name, 'ROLE ' || quote_ident(rolname) AS target FROM pg_roles WHERE rolname !~ '^pg_'
  UNION ALL SELECT 'pg_tablespace', oid, spcname, 'TABLESPACE ' || quote_ident(spcname) FROM pg_tablespace WHERE spcname !~ '^pg_'
  UNION ALL SELECT 'pg_database', oid, datname, 'DATABASE "' || replace(datname, '"', '""') || '"' FROM pg_database
) o ON l.classoid = o.catalog::regclass AND l.objoid = o.oid ORDER BY 1, 2, l.provider"#;

/// Settings whose stored value is a list of names, quoted or bare (`GUC_LIST_QUOTE`; extensions can make no such one).
const LISTS: &[&str] = &[
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Password hashes can be read, if they are wanted.
pub(super) async fn check_rights(session: &mut Session, plan: &Plan) -> Result<(), Error> {
    let superuser =
        session.value("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user").await? == "true";
    if plan.role_passwords && !superuser {
        return Err(Error::Right {
            what: "reading the password hashes of roles".into(),
            right: "a superuser; set `role_passwords: false` to back up roles without them, or `globals: false`",
        });
    }
    Ok(())
}

/// Appends roles, their memberships and settings, tablespaces, and privileges on these.
pub(super) async fn server(session: &mut Session, plan: &Plan, script: &mut Vec<u8>) -> Result<(), Error> {
    check_rights(session, plan).await?;
    let (roles, password) = if plan.role_passwords {
        ("pg_authid", "coalesce(' PASSWORD ' || quote_literal(rolpassword), '')")
    } else {
        ("pg_roles", "''")
    };
    let sql = ROLES.replace("@roles", roles).replace("@password", password);
    let roles = session.rows(&sql).await?;
    for role in &roles {
        let name = role.text(0);
        let create = format!(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN CREATE ROLE {}; END IF; END $$;",
            literal(name),
            quote(name)
        );
        // The name may hold what would end the quoting, so then there is no question asked.
        let create = if name.contains("$$") { format!("CREATE ROLE {};", quote(name)) } else { create };
        script::push(script, Kind::Global, name, &session.bytes(&create));
        script::push(script, Kind::Global, name, &session.bytes(role.text(1)));
        if let Some(comment) = role.optional(2) {
            let sql = format!("COMMENT ON ROLE {} IS {};", quote(name), literal(comment));
            script::push(script, Kind::Global, name, &session.bytes(&sql));
        }
    }
    let labels = session.rows(LABELS).await?;
    for label in labels.iter().filter(|label| label.text(0) == "pg_authid") {
        script::push(script, Kind::Global, label.text(1), &session.bytes(label.text(2)));
    }
    members(session, script).await?;
    for row in session.rows(&expand(TABLESPACES, session.major)).await? {
        for column in 1..=3 {
            if !row.text(column).is_empty() {
                script::push(script, Kind::Global, row.text(0), &session.bytes(row.text(column)));
            }
        }
    }
    for label in labels.iter().filter(|label| label.text(0) == "pg_tablespace") {
        script::push(script, Kind::Global, label.text(1), &session.bytes(label.text(2)));
    }
    for row in session.rows(&expand(SHARED_PRIVILEGES, session.major)).await? {
        if row.text(0) != "d" && !row.text(2).is_empty() {
            script::push(script, Kind::Global, row.text(1), &session.bytes(row.text(2)));
        }
    }
    for row in session.rows(SETTINGS).await?.iter().filter(|row| row.text(0).is_empty()) {
        let target = if row.text(1).is_empty() {
            "ROLE ALL".to_owned()
        } else {
            format!("ROLE {}", quote(row.text(1)))
        };
        let sql = setting(&target, row.text(2), row.text(3));
        script::push(script, Kind::Global, row.text(1), &session.bytes(&sql));
    }
    Ok(())
}

/// Who belongs to which role. A grant comes after the one that gave its grantor the right to give it.
async fn members(session: &mut Session, script: &mut Vec<u8>) -> Result<(), Error> {
    let mut open = session.rows(&expand(MEMBERS, session.major)).await?;
    let mut admins: Vec<(String, String)> = Vec::new();
    while !open.is_empty() {
        let may = |row: &super::session::Row| {
            row.text(4) == "t"
                || admins.iter().any(|(role, admin)| role == row.text(0) && admin == row.text(2))
        };
        let (mut now, later): (Vec<_>, Vec<_>) = open.into_iter().partition(may);
        open = later;
        if now.is_empty() {
            // Grantors that got their right some other way, as superusers do.
            now = std::mem::take(&mut open);
        }
        for row in now {
            let (role, member, grantor) = (row.text(0), row.text(1), row.text(2));
            let by =
                if row.text(4) == "t" { String::new() } else { format!(" GRANTED BY {}", quote(grantor)) };
            let sql = format!("GRANT {} TO {}{}{by};", quote(role), quote(member), row.text(5));
            script::push(script, Kind::Global, role, &session.bytes(&sql));
            if row.text(3) == "t" {
                admins.push((role.to_owned(), member.to_owned()));
            }
        }
    }
    Ok(())
}

/// The statements that create a database and give it its properties.
pub(super) async fn database(session: &mut Session, name: &str) -> Result<Vec<(Kind, String)>, Error> {
    let sql = expand(CREATE_DATABASE, session.major).replace("<name>", &literal(name));
    let rows = session.rows(&sql).await?;
    let row = rows.first().ok_or(Error::Answer("a database that is gone"))?;
    let mut parts = Vec::new();
    // These two exist on every server. How they were made is for a restore under another name.
    if matches!(name, "postgres" | "template1") {
        parts.push((Kind::Psql, format!("-- {}", row.text(0))));
    } else {
        parts.push((Kind::Database, row.text(0).to_owned()));
    }
    parts.push((Kind::Owner, row.text(1).to_owned()));
    for column in [2, 3] {
        if !row.text(column).is_empty() {
            parts.push((Kind::Property, row.text(column).to_owned()));
        }
    }
    for row in session.rows(LABELS).await? {
        if row.text(0) == "pg_database" && row.text(1) == name {
            parts.push((Kind::Property, row.text(2).to_owned()));
        }
    }
    for row in session.rows(&expand(SHARED_PRIVILEGES, session.major)).await? {
        if row.text(0) == "d" && row.text(1) == name && !row.text(2).is_empty() {
            parts.push((Kind::Privilege, row.text(2).to_owned()));
        }
    }
    for row in session.rows(SETTINGS).await?.iter().filter(|row| row.text(0) == name) {
        let target = match row.text(1) {
            "" => format!("DATABASE {}", quote(name)),
            role => format!("ROLE {} IN DATABASE {}", quote(role), quote(name)),
        };
        parts.push((Kind::Property, setting(&target, row.text(2), row.text(3))));
        // What is computed while the database is loaded may depend on these, and the session that loads it has begun.
        let times = ["timezone", "datestyle"].iter().any(|name| row.text(2).eq_ignore_ascii_case(name));
        if times && row.text(1).is_empty() {
            parts.push((Kind::Set, format!("SET {} TO {};", quote(row.text(2)), literal(row.text(3)))));
        }
    }
    Ok(parts)
}

const CREATE_DATABASE: &str = "SELECT format('CREATE %s WITH TEMPLATE = template0 ENCODING = %L', @database(datname), pg_encoding_to_char(encoding))
  || ' LOCALE_PROVIDER = ' || CASE datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END --@>=15
  || format(' LC_COLLATE = %L LC_CTYPE = %L', datcollate, datctype)
  || coalesce(' ICU_LOCALE = ' || quote_literal(daticulocale), '') --@>=15 --@<17
  || coalesce(CASE datlocprovider WHEN 'i' THEN ' ICU_LOCALE = ' WHEN 'b' THEN ' BUILTIN_LOCALE = ' END || quote_literal(datlocale), '') --@>=17
  || coalesce(' ICU_RULES = ' || quote_literal(daticurules), '') --@>=16
  || coalesce((SELECT format(' TABLESPACE = %I', s.spcname) FROM pg_tablespace s WHERE s.oid = d.dattablespace AND s.spcname <> 'pg_default'), '') || ';',
  format('ALTER %s OWNER TO %I;', @database(datname), pg_get_userbyid(datdba)),
  CASE WHEN datconnlimit <> -1 THEN format(E'ALTER %s CONNECTION LIMIT %s;\\n', @database(datname), datconnlimit) ELSE '' END
  || CASE WHEN datistemplate AND datname <> 'template1' THEN format(E'ALTER %s IS_TEMPLATE true;', @database(datname)) ELSE '' END,
  CASE WHEN shobj_description(d.oid, 'pg_database') IS NOT NULL AND datname NOT IN ('postgres', 'template1') OR shobj_description(d.oid, 'pg_database') NOT IN ('default administrative connection database')
       THEN format(E'COMMENT ON %s IS %L;', @database(datname), shobj_description(d.oid, 'pg_database')) ELSE '' END
FROM pg_database d WHERE datname = <name>";

/// The statement that gives a role or a database a setting.
///
/// The stored value of a list is text that its owner chose, so each of its elements becomes a literal: pasted as it is
/// it would be run by whoever restores.
fn setting(target: &str, name: &str, value: &str) -> String {
    let elements = if LISTS.contains(&name.to_ascii_lowercase().as_str()) { elements(value) } else { vec![] };
    let value = match elements.as_slice() {
        [] => literal(value),
        elements => elements.iter().map(|element| literal(element)).collect::<Vec<_>>().join(", "),
    };
    let name: Vec<String> = name.split('.').map(quote).collect();
    format!("ALTER {target} SET {} TO {value};", name.join("."))
}

/// The elements of a stored list, without their quotes. Whatever the text is, nothing of it is left out but commas and
/// the spaces around elements.
fn elements(value: &str) -> Vec<String> {
    let mut rest = value.trim();
    let mut elements = Vec::new();
    while !rest.is_empty() {
        let (element, after) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].trim_end().to_owned(), &rest[end..])
        };
        elements.push(element);
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    elements
}

/// The name that a quote began, and what follows its end.
fn unquoted(mut rest: &str) -> (String, &str) {
    let mut name = String::new();
    while let Some((before, after)) = rest.split_once('"') {
        name.push_str(before);
        let Some(more) = after.strip_prefix('"') else { return (name, after) };
        name.push('"');
        rest = more;
    }
    name.push_str(rest);
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_a_list_become_literals() {
        for (stored, written) in [
            ("app, public", "'app', 'public'"),
            (r#""$user", "odd schema",public"#, "'$user', 'odd schema', 'public'"),
            ("$user,public", "'$user', 'public'"),
            (r#""a""b, c'd", """#, r#"'a"b, c''d', ''"#),
            ("", "''"),
            (r#"a b , "c"#, "'a b', 'c'"),
            ("x;ALTER/**/ROLE/**/m/**/SUPERUSER;--", "'x;ALTER/**/ROLE/**/m/**/SUPERUSER;--'"),
            (r"x\', y", r"E'x\\''', 'y'"),
        ] {
            let sql = setting(r#"ROLE "r""#, "search_path", stored);
            assert_eq!(sql, format!(r#"ALTER ROLE "r" SET "search_path" TO {written};"#), "{stored}");
        }
    }

    #[test]
    fn what_is_no_list_stays_one_value() {
        let sql = setting("ROLE ALL", "my.value", r#"a, "b"; --"#);
        assert_eq!(sql, r#"ALTER ROLE ALL SET "my"."value" TO 'a, "b"; --';"#);
    }
}
