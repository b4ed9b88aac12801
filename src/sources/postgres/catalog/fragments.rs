//! Words of the catalog queries that stand for longer SQL, and lines for some versions only.

/// An object as statements name it, from a row of `pg_identify_object` with the object's oid. A procedure is named with
/// the modes of its arguments, because another one may differ from it in these alone.
const KEYWORD: &str = r#"CASE
  WHEN $.type IN ('function', 'procedure', 'aggregate') THEN (SELECT CASE kp.prokind WHEN 'p' THEN 'PROCEDURE ' WHEN 'a' THEN 'AGGREGATE ' ELSE 'FUNCTION ' END
    || @signature(kp) FROM pg_proc kp JOIN pg_namespace kn ON kn.oid = kp.pronamespace WHERE kp.oid = $.oid)
  WHEN $.type = 'statistics object' THEN 'STATISTICS ' || $.identity
  WHEN $.type LIKE '% column' THEN 'COLUMN ' || $.identity
  WHEN $.type = 'composite type' THEN 'TYPE ' || $.identity
  WHEN $.type = 'table constraint' THEN 'CONSTRAINT ' || $.identity
  WHEN $.type = 'domain constraint' THEN 'CONSTRAINT ' || regexp_replace($.identity, '^("([^"]|"")+"|[^ "]+) on ', '\1 ON DOMAIN ')
  WHEN $.type = 'transform' THEN 'TRANSFORM ' || regexp_replace($.identity, ' on language ', ' LANGUAGE ')
  ELSE upper(replace($.type, '-', ' ')) || ' ' || $.identity END"#;

/// The fragments: `@name(argument)`, with `$` for the argument.
const FRAGMENTS: &[(&str, &str)] = &[
    ("user", "($.nspname !~ '^pg_' AND $.nspname <> 'information_schema')"),
    (
        "temporary",
        "EXISTS (SELECT FROM pg_namespace tn WHERE tn.oid = $ AND tn.nspname ~ '^pg_(toast|temp)')",
    ),
    ("fleeting", "EXISTS (SELECT FROM pg_class tc WHERE tc.oid = $ AND @temporary(tc.relnamespace))"),
    (
        "own",
        "NOT EXISTS (SELECT FROM pg_depend own WHERE own.classid = $.tableoid AND own.objid = $.oid AND own.deptype = 'e')",
    ),
    (
        "identity",
        "(SELECT @keyword(i) FROM (SELECT found.*, $.oid FROM pg_identify_object($.tableoid, $.oid, 0) found) i)",
    ),
    ("keyword", KEYWORD),
    (
        "signature",
        "format('%I.%I(%s)', kn.nspname, $.proname, CASE WHEN $.prokind = 'a' AND $.pronargs = 0 THEN '*' ELSE pg_get_function_identity_arguments($.oid) END)",
    ),
    (
        "function",
        "(SELECT format('%I.%I', fn.nspname, fp.proname) FROM pg_proc fp JOIN pg_namespace fn ON fn.oid = fp.pronamespace WHERE fp.oid = $)",
    ),
    (
        "operator",
        "(SELECT format('OPERATOR(%I.%s)', xn.nspname, xo.oprname) FROM pg_operator xo JOIN pg_namespace xn ON xn.oid = xo.oprnamespace WHERE xo.oid = $)",
    ),
    (
        "collate",
        "CASE WHEN $.attcollation <> 0 AND $.attcollation <> (SELECT ct.typcollation FROM pg_type ct WHERE ct.oid = $.atttypid) THEN ' COLLATE ' || $.attcollation::regcollation ELSE '' END",
    ),
    (
        "options",
        "coalesce(' OPTIONS (' || (SELECT string_agg(format('%I %L', option_name, option_value), ', ') FROM pg_options_to_table($)) || ')', '')",
    ),
    (
        "list",
        "(SELECT string_agg(format('%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest($) o)",
    ),
    // A column's, without what servers note there for themselves since the releases of November 2026; as `pg_dump` has it.
    (
        "settings",
        "(SELECT string_agg(format('%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest($.attoptions) o WHERE o !~ '^pg_attver=')",
    ),
    (
        "with",
        "coalesce(' WITH (' || nullif(concat_ws(', ', @list($.reloptions), (SELECT string_agg(format('toast.%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM pg_class tc, unnest(tc.reloptions) o WHERE tc.oid = $.reltoastrelid)), '') || ')', '')",
    ),
    ("column", r"format(E'\nALTER TABLE ONLY %I.%I ALTER COLUMN %I $', n.nspname, c.relname, a.attname)"),
    ("database", r#"('DATABASE "' || replace($, '"', '""') || '"')"#),
    ("modify", "CASE $ WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END"),
    (
        "enabled",
        "CASE $ WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END",
    ),
    ("grantee", "CASE $.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid($.grantee)) END"),
    (
        "amop",
        "format('OPERATOR %s %s', $.amopstrategy, $.amopopr::regoperator) || coalesce((SELECT format(' FOR ORDER BY %I.%I', sn.nspname, sf.opfname) FROM pg_opfamily sf JOIN pg_namespace sn ON sn.oid = sf.opfnamespace WHERE sf.oid = $.amopsortfamily), '')",
    ),
    (
        "amproc",
        "format('FUNCTION %s (%s, %s) %s', $.amprocnum, $.amproclefttype::regtype, $.amprocrighttype::regtype, $.amproc::regprocedure)",
    ),
    (
        "member",
        "EXISTS (SELECT FROM pg_depend md WHERE md.classid = $.tableoid AND md.objid = $.oid AND md.refclassid = 'pg_opclass'::regclass)",
    ),
    (
        "check",
        "(k.contype = 'c' AND k.conrelid <> 0 AND (k.conislocal OR (c.relispartition AND k.convalidated)))",
    ),
];

/// The query for a server of this major version.
pub(in crate::sources::postgres) fn expand(sql: &str, major: u32) -> String {
    let mut text: String = sql.lines().filter_map(|line| line_for(line, major)).collect();
    let locale = match major {
        17.. => "$.colllocale",
        15..=16 => "$.colliculocale",
        _ => "$.collcollate",
    };
    // A fragment may use another one, so this goes on until none is left.
    while let Some((before, name, argument, after)) = find(&text) {
        let body = FRAGMENTS.iter().find(|(known, _)| *known == name).map(|(_, body)| *body);
        let body = body.unwrap_or(if name == "locale" { locale } else { "" });
        text = format!("{before}{}{after}", body.replace('$', argument));
    }
    text
}

fn line_for(line: &str, major: u32) -> Option<String> {
    let mut body = line;
    while let Some((rest, condition)) = body.rsplit_once("--@") {
        let condition = condition.trim();
        let wanted = match (condition.strip_prefix(">="), condition.strip_prefix('<')) {
            (Some(since), _) => since.parse().is_ok_and(|since| major >= since),
            (_, Some(to)) => to.parse().is_ok_and(|to: u32| major < to),
            _ => false,
        };
        if !wanted {
            return None;
        }
        body = rest;
    }
    Some(format!("{body}\n"))
}

/// The first `@name(argument)` or `@name` of a text: what precedes it, its name, its argument, what follows.
fn find(text: &str) -> Option<(&str, &str, &str, &str)> {
    let at = text.find('@')?;
    let rest = &text[at + 1..];
    let name_end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
    let name = &rest[..name_end];
    let Some(inner) = rest[name_end..].strip_prefix('(') else {
        return Some((&text[..at], name, "", &rest[name_end..]));
    };
    let close = inner.find(')')?;
    Some((&text[..at], name, &inner[..close], &inner[close + 1..]))
}

#[cfg(test)]
mod tests {
    use super::super::CLASSES;
    use super::*;

    #[test]
    fn every_query_expands_for_every_version() {
        for class in CLASSES {
            for major in 13..=19 {
                let sql = expand(class.sql, major);
                assert!(!sql.contains('@') && !sql.contains('$'), "{} for {major}: {sql}", class.label);
            }
        }
    }

    #[test]
    fn lines_belong_to_versions() {
        assert_eq!(expand("a --@>=15\nb --@<15\nc", 14), "b \nc\n");
        assert_eq!(expand("a --@>=15\nb --@<15\nc", 15), "a \nc\n");
    }
}
