//! The object classes in the order in which they are created when nothing else decides.

/// One class of objects.
#[derive(Debug)]
pub(in crate::sources::postgres) struct Class {
    /// Its name in scripts and messages.
    pub label: &'static str,
    /// The query that yields its objects.
    pub sql: &'static str,
    /// The first major version that has it.
    pub since: u32,
    /// Whether the rows' oids are those of the objects that they belong to, not their own.
    pub borrowed: bool,
}

macro_rules! class {
    ($label:literal, $file:literal) => {
        Class { label: $label, sql: include_str!($file), since: 13, borrowed: false }
    };
    ($label:literal, $file:literal, borrowed) => {
        Class { label: $label, sql: include_str!($file), since: 13, borrowed: true }
    };
    ($label:literal, $file:literal, since $since:literal) => {
        Class { label: $label, sql: include_str!($file), since: $since, borrowed: false }
    };
}

/// All classes, least dependent first.
pub(in crate::sources::postgres) static CLASSES: &[Class] = &[
    class!("schema", "schemas.sql"),
    class!("extension", "extensions.sql"),
    class!("language", "languages.sql"),
    class!("access_method", "access_methods.sql"),
    class!("collation", "collations.sql"),
    class!("shell_type", "shell_types.sql"),
    class!("enum", "enums.sql"),
    class!("composite", "composites.sql"),
    class!("domain", "domains.sql"),
    class!("range", "ranges.sql"),
    class!("base_type", "base_types.sql"),
    class!("domain_constraint", "domain_constraints.sql"),
    class!("function", "functions.sql"),
    class!("aggregate", "aggregates.sql"),
    class!("operator", "operators.sql"),
    class!("operator_family", "operator_families.sql"),
    class!("operator_class", "operator_classes.sql"),
    class!("operator_family_member", "operator_family_members.sql"),
    class!("cast", "casts.sql"),
    class!("transform", "transforms.sql"),
    class!("conversion", "conversions.sql"),
    class!("text_search_parser", "text_search_parsers.sql"),
    class!("text_search_template", "text_search_templates.sql"),
    class!("text_search_dictionary", "text_search_dictionaries.sql"),
    class!("text_search_configuration", "text_search_configurations.sql"),
    class!("foreign_data_wrapper", "foreign_data_wrappers.sql"),
    class!("foreign_server", "foreign_servers.sql"),
    class!("user_mapping", "user_mappings.sql"),
    class!("table", "tables.sql"),
    class!("sequence", "sequences.sql"),
    class!("domain_default", "domain_defaults.sql", borrowed),
    class!("default", "defaults.sql"),
    class!("check", "checks.sql"),
    class!("partition", "partitions.sql", borrowed),
    class!("view", "views.sql"),
    class!("materialized_view", "materialized_views.sql"),
    class!("sequence_owner", "sequence_owners.sql", borrowed),
    class!("index", "indexes.sql"),
    class!("index_attachment", "index_attachments.sql", borrowed),
    class!("foreign_key", "foreign_keys.sql"),
    class!("not_null", "late_not_nulls.sql", since 18),
    class!("statistics", "statistics.sql"),
    class!("rule", "rules.sql"),
    class!("trigger", "triggers.sql"),
    class!("trigger_state", "trigger_states.sql"),
    class!("row_security", "row_security.sql", borrowed),
    class!("policy", "policies.sql"),
    class!("publication", "publications.sql"),
    class!("publication_table", "publication_tables.sql"),
    class!("publication_schema", "publication_schemas.sql", since 15),
    class!("subscription", "subscriptions.sql"),
    class!("default_privileges", "default_privileges.sql"),
    class!("refresh", "refreshes.sql", borrowed),
    class!("event_trigger", "event_triggers.sql"),
];
