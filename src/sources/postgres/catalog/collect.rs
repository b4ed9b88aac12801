//! Reads all classes into items, and ties them together by what they need.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::Error;
use super::super::item::{Address, Item, Phase};
use super::super::paths;
use super::super::select::Selector;
use super::super::session::Session;
use super::{CLASSES, expand, notes, visible};
use crate::sources::Missing;

/// What is in a database, as far as it is wanted.
#[derive(Debug, Default)]
pub(in crate::sources::postgres) struct Catalog {
    /// The objects, in no order yet.
    pub items: Vec<Item>,
    /// Grants and revokes, in the order in which they are to be given.
    pub privileges: Vec<Privilege>,
    /// How many objects of each class there are.
    pub counts: BTreeMap<&'static str, u64>,
    /// What the server has and this role may not see.
    pub missing: Vec<Missing>,
    /// What `pg_dump` does not dump either: what stands on tables of extensions and seems not to be the extension's own,
    /// because what the extension brings by itself cannot be told from it with certainty; and states of foreign keys.
    pub notes: Vec<String>,
    /// Every address that is accounted for: emitted, left out by configuration, or part of something emitted.
    pub known: BTreeSet<Address>,
}

/// The statements that make one object's privileges what they are.
#[derive(Debug)]
pub(in crate::sources::postgres) struct Privilege {
    /// The object, for messages.
    pub target: String,
    /// The statements.
    pub sql: String,
    /// The table that it belongs to.
    pub relation: Option<String>,
}

/// Reads the catalog of the connected database.
pub(in crate::sources::postgres) async fn collect(
    session: &mut Session,
    selector: &Selector,
) -> Result<Catalog, Error> {
    let mut reader = Reader {
        catalog: Catalog::default(),
        by_address: HashMap::new(),
        left_out: BTreeSet::new(),
        relations: relations(session).await?,
        overlooked: BTreeMap::new(),
        without_schema: BTreeMap::new(),
        everything: selector.takes_all_schemas(),
    };
    reader.catalog.missing = visible::missing(session, selector).await?;
    for (index, class) in CLASSES.iter().enumerate() {
        if session.major >= class.since && visible::may_read(session, class.label).await? {
            let read = reader.class(session, selector, index).await;
            read.map_err(|error| error.at(format!("reading the catalog: class {}", class.label)))?;
        }
    }
    reader.overlooked(&session.database);
    if !reader.everything {
        let note = notes::without_schema(session, &reader.without_schema).await?;
        reader.catalog.notes.extend(note);
    }
    reader.catalog.notes.extend(notes::encoding(session).await?);
    reader.catalog.notes.extend(notes::unfinished(session, selector).await?);
    reader.extension_tables(session).await?;
    reader.disabled_keys(session).await?;
    let aliases = reader.aliases(session).await?;
    reader.dependencies(session, &aliases).await?;
    reader.implied();
    reader
        .annotations(session, include_str!("comments.sql"))
        .await
        .map_err(|e| e.at("reading the catalog: comments"))?;
    reader.annotations(session, include_str!("security_labels.sql")).await?;
    reader.annotations(session, include_str!("extension_dependencies.sql")).await?;
    reader.privileges(session).await.map_err(|e| e.at("reading the catalog: privileges"))?;
    reader.catalog.known.extend(aliases.keys());
    reader.catalog.known.extend(reader.by_address.keys());
    reader.catalog.known.extend(&reader.left_out);
    Ok(reader.catalog)
}

/// The oid of `pg_class` itself, fixed in the server's source (`pg_class.h`).
const RELATIONS: u32 = 1259;
/// The same of `pg_type`.
const TYPES: u32 = 1247;
/// The same of `pg_constraint`.
const CONSTRAINTS: u32 = 2606;
/// What a domain can need itself; everything else is its default's.
const DOMAIN_NEEDS: &[&str] = &[
    "schema",
    "extension",
    "collation",
    "enum",
    "composite",
    "domain",
    "range",
    "base_type",
    "shell_type",
    "table",
    "view",
    "materialized_view",
];

struct Reader {
    catalog: Catalog,
    by_address: HashMap<Address, usize>,
    left_out: BTreeSet<Address>,
    relations: HashMap<u32, Relation>,
    /// How many partitions no pattern names of tables that are named.
    overlooked: BTreeMap<(String, String), usize>,
    /// How many objects of each class no pattern can name.
    without_schema: BTreeMap<&'static str, u64>,
    /// Whether no pattern says what to include.
    everything: bool,
}

/// A relation's schema and name, and the table that it is an index or a sequence of.
struct Relation {
    schema: String,
    name: String,
    table: Option<u32>,
}

async fn relations(session: &mut Session) -> Result<HashMap<u32, Relation>, Error> {
    let sql = "SELECT c.oid, n.nspname, c.relname, coalesce(x.indrelid, d.refobjid) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index x ON x.indexrelid = c.oid
        LEFT JOIN pg_depend d ON d.classid = c.tableoid AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = c.tableoid
          AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') AND c.relkind = 'S'
        WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'i', 'I')";
    let mut relations = HashMap::new();
    for row in session.rows(sql).await? {
        let table = if row.is_null(3) { None } else { Some(row.number(3)?) };
        let (schema, name) = (row.text(1).to_owned(), row.text(2).to_owned());
        relations.insert(row.number(0)?, Relation { schema, name, table });
    }
    Ok(relations)
}

impl Reader {
    async fn class(&mut self, session: &mut Session, selector: &Selector, index: usize) -> Result<(), Error> {
        let class = &CLASSES[index];
        for row in session.rows(&expand(class.sql, session.major)).await? {
            let mode = row.text(7);
            let shell = mode == "shell";
            let address = Address { class: row.number(0)?, oid: row.number(1)? };
            let address = if class.borrowed || shell { address.borrowed(index) } else { address };
            let table: Option<u32> = if row.is_null(8) { None } else { Some(row.number(8)?) };
            let oid = address.oid;
            let item = Item {
                class: index,
                address,
                of: self.of(class.label, oid, table),
                schema: row.text(2).to_owned(),
                name: row.text(3).to_owned(),
                owner: row.optional(4).map(str::to_owned),
                identity: row.optional(5).map(str::to_owned),
                sql: row.text(6).to_owned(),
                placeholder: (class.label == "view" || class.label == "function" && !mode.is_empty())
                    .then(|| mode.to_owned()),
                table,
                relation: None,
                phase: if mode == "post" || class.label == "refresh" { Phase::Post } else { Phase::Pre },
                notes: Vec::new(),
                needs: BTreeSet::new(),
            };
            let parent = match class.label {
                "partition" | "index_attachment" => table.and_then(|table| self.named(table)),
                _ => None,
            };
            let taken = parent.as_ref().is_none_or(|(schema, name)| selector.takes_table(schema, name));
            if !taken || !selector.takes(&item) {
                if let (true, Some(parent)) = (taken && selector.overlooks(&item), parent) {
                    *self.overlooked.entry(parent).or_default() += 1;
                }
                if !self.everything && (item.schema.is_empty() || class.label == "extension") {
                    *self.without_schema.entry(class.label).or_default() += 1;
                }
                self.left_out.insert(address);
                continue;
            }
            // A statement is put together from parts; one part that is not there any more makes all of it NULL.
            if row.is_null(6) {
                return Err(Error::Vanished(item.describe()));
            }
            *self.catalog.counts.entry(class.label).or_default() += u64::from(!shell);
            self.by_address.insert(address, self.catalog.items.len());
            self.catalog.items.push(item);
        }
        Ok(())
    }

    /// The relation whose patterns decide about an item.
    fn of(&self, label: &str, oid: u32, table: Option<u32>) -> Option<(String, String)> {
        match label {
            "table" | "view" | "materialized_view" | "sequence" | "refresh" | "partition"
            | "sequence_owner" | "index_attachment" => self.named(oid),
            _ => self.named(table?),
        }
    }

    /// A relation's schema and name, or those of the table that it is a part of.
    fn named(&self, oid: u32) -> Option<(String, String)> {
        let relation = self.relations.get(&oid)?;
        let table = relation.table.and_then(|table| self.relations.get(&table)).unwrap_or(relation);
        Some((table.schema.clone(), table.name.clone()))
    }

    /// A partitioned table has no rows of its own, and whoever names it alone may not know.
    fn overlooked(&mut self, database: &str) {
        for ((schema, table), count) in std::mem::take(&mut self.overlooked) {
            let note = format!(
                "no pattern of `include` names {count} of the partitions of {schema}.{table} of {database}, whose rows are left out"
            );
            self.catalog.notes.push(note);
        }
    }

    /// What stands on tables of extensions. It is no member of the extension itself, but comes with it.
    async fn extension_tables(&mut self, session: &mut Session) -> Result<(), Error> {
        for row in session.rows(include_str!("extension_tables.sql")).await? {
            let address = Address { class: row.number(0)?, oid: row.number(1)? };
            self.catalog.known.insert(address);
            // Made in no transaction that made a part of an extension.
            if row.text(4) == "f" && self.everything {
                let (part, extension) = (row.text(2), row.text(3));
                let note = format!(
                    "{part} of {} is not dumped: the table comes with the extension {extension}, and so must this",
                    session.database
                );
                self.catalog.notes.push(note);
            }
        }
        Ok(())
    }

    /// Foreign keys that are not enforced. Their triggers cannot be named on another server, where they are enforced.
    async fn disabled_keys(&mut self, session: &mut Session) -> Result<(), Error> {
        if !self.everything {
            return Ok(());
        }
        for row in session.rows(&expand(include_str!("disabled_keys.sql"), session.major)).await? {
            let note = format!(
                "{} of {} is not enforced, because its triggers are disabled; a restored one is",
                row.text(0),
                session.database
            );
            self.catalog.notes.push(note);
        }
        Ok(())
    }

    async fn aliases(&self, session: &mut Session) -> Result<HashMap<Address, Address>, Error> {
        let mut aliases = HashMap::new();
        for row in session.rows(&expand(include_str!("aliases.sql"), session.major)).await? {
            let from = Address { class: row.number(0)?, oid: row.number(1)? };
            aliases.insert(from, Address { class: row.number(2)?, oid: row.number(3)? });
        }
        Ok(aliases)
    }

    /// The item that stands for an address: itself, or what it is a part of.
    fn resolve(&self, aliases: &HashMap<Address, Address>, address: Address) -> Option<usize> {
        let mut address = address;
        // The longest chain: array of a row type of a table of an extension.
        for _ in 0..8 {
            if let Some(item) = self.by_address.get(&address) {
                return Some(*item);
            }
            address = *aliases.get(&address)?;
        }
        None
    }

    async fn dependencies(
        &mut self,
        session: &mut Session,
        aliases: &HashMap<Address, Address>,
    ) -> Result<(), Error> {
        for row in session.rows(&expand(include_str!("dependencies.sql"), session.major)).await? {
            let from_address = Address { class: row.number(0)?, oid: row.number(1)? };
            let to = Address { class: row.number(2)?, oid: row.number(3)? };
            let (Some(from), Some(to)) = (self.resolve(aliases, from_address), self.resolve(aliases, to))
            else {
                continue;
            };
            // A constraint that a table has from another one comes with that one's.
            let inherited = from_address.class == CONSTRAINTS && self.catalog.items[from].label() == "table";
            if from != to && !inherited {
                self.catalog.items[from].needs.insert(to);
            }
        }
        Ok(())
    }

    /// What `pg_depend` does not say, or says the other way round.
    fn implied(&mut self) {
        let label = |item: &Item| CLASSES[item.class].label;
        let mut checks: HashMap<u32, Vec<usize>> = HashMap::new();
        let mut shells: HashMap<u32, usize> = HashMap::new();
        let mut schemas: HashMap<String, usize> = HashMap::new();
        for (index, item) in self.catalog.items.iter().enumerate() {
            match label(item) {
                "check" => checks.entry(item.table.unwrap_or_default()).or_default().push(index),
                "schema" => {
                    schemas.insert(item.name.clone(), index);
                }
                "shell_type" => {
                    shells.insert(item.address.oid, index);
                }
                _ => {}
            }
        }
        for index in 0..self.catalog.items.len() {
            let item = &self.catalog.items[index];
            let own = Address { class: RELATIONS, oid: item.address.oid };
            let own = self.by_address.get(&own).copied();
            let table = item.table.map(|oid| Address { class: RELATIONS, oid });
            let table = table.and_then(|address| self.by_address.get(&address).copied());
            let mut needs: Vec<usize> = table.into_iter().collect();
            needs.extend(schemas.get(&item.schema));
            if label(item) == "domain_default" {
                let domain = Address { class: TYPES, oid: item.address.oid };
                needs.extend(self.default_of(domain));
                self.catalog.items[index].needs.extend(needs);
                continue;
            }
            let mut drops: Option<(usize, usize)> = None;
            match label(item) {
                "partition" => {
                    needs.extend(own);
                    for oid in [Some(item.address.oid), item.table].into_iter().flatten() {
                        needs.extend(
                            checks
                                .get(&oid)
                                .into_iter()
                                .flatten()
                                .filter(|check| self.catalog.items[**check].phase == Phase::Pre),
                        );
                    }
                    drops = own.zip(table);
                }
                "sequence_owner" => {
                    needs.extend(own);
                    drops = own.zip(table);
                }
                "index_attachment" | "row_security" | "refresh" => needs.extend(own),
                "base_type" => needs.extend(shells.get(&item.address.oid)),
                _ => {}
            }
            needs.retain(|need| *need != index);
            self.catalog.items[index].needs.extend(needs);
            if let Some((from, to)) = drops {
                self.catalog.items[from].needs.remove(&to);
            }
        }
        self.refreshes();
        self.relations();
    }

    /// What a domain's default needs: the domain, and what `pg_depend` says of the domain itself for the default's sake.
    fn default_of(&mut self, domain: Address) -> Vec<usize> {
        let Some(domain) = self.by_address.get(&domain).copied() else { return Vec::new() };
        let needs = std::mem::take(&mut self.catalog.items[domain].needs);
        let of_default =
            |need: &usize| !DOMAIN_NEEDS.contains(&self.catalog.items[*need].label()) && *need != domain;
        let (of_default, own): (BTreeSet<usize>, BTreeSet<usize>) = needs.into_iter().partition(of_default);
        self.catalog.items[domain].needs = own;
        of_default.into_iter().chain([domain]).collect()
    }

    /// Says of each item which table it belongs to. A sequence belongs to the table whose column owns it.
    fn relations(&mut self) {
        let name = |item: &Item| paths::relation(&item.schema, &item.name);
        let mut owners: HashMap<u32, u32> = HashMap::new();
        for item in self.catalog.items.iter().filter(|item| item.label() == "sequence_owner") {
            owners.extend(item.table.map(|table| (item.address.oid, table)));
        }
        for index in 0..self.catalog.items.len() {
            let item = &self.catalog.items[index];
            let table = item
                .table
                .or_else(|| owners.get(&item.address.oid).copied().filter(|_| item.label() == "sequence"));
            let table = table
                .map(|oid| Address { class: RELATIONS, oid })
                .and_then(|table| self.by_address.get(&table));
            // What is built on an index belongs to the index's table.
            let of_index =
                |index: &usize| Some(Address { class: RELATIONS, oid: self.catalog.items[*index].table? });
            let table = match table {
                Some(index) if self.catalog.items[*index].label() == "index" => {
                    of_index(index).and_then(|table| self.by_address.get(&table))
                }
                table => table,
            };
            let relation = match (table, item.label()) {
                (Some(table), _) => Some(name(&self.catalog.items[*table])),
                (None, "table" | "view" | "materialized_view" | "sequence" | "refresh") => Some(name(item)),
                _ => None,
            };
            self.catalog.items[index].relation = relation;
        }
    }

    /// A materialized view is filled after those that it reads, directly or through views.
    fn refreshes(&mut self) {
        let refresh = CLASSES.iter().position(|class| class.label == "refresh").unwrap_or_default();
        let by_view: HashMap<u32, usize> = self
            .catalog
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.class == refresh)
            .map(|(index, item)| (item.address.oid, index))
            .collect();
        let mut additions = Vec::new();
        for (oid, index) in &by_view {
            let mut seen = BTreeSet::new();
            let mut open: Vec<usize> = self.catalog.items[*index].needs.iter().copied().collect();
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(&self.catalog.items[next].needs);
                    let reached = self.catalog.items[next].address.oid;
                    if let Some(other) = by_view.get(&reached).filter(|_| reached != *oid) {
                        additions.push((*index, *other));
                    }
                }
            }
        }
        for (index, other) in additions {
            self.catalog.items[index].needs.insert(other);
        }
    }

    /// Adds statements that follow the creation of an object: comments, labels.
    async fn annotations(&mut self, session: &mut Session, sql: &str) -> Result<(), Error> {
        for row in session.rows(&expand(sql, session.major)).await? {
            let address = Address { class: row.number(0)?, oid: row.number(1)? };
            if let Some(item) = self.by_address.get(&address).copied() {
                if row.is_null(3) {
                    let what = self.catalog.items[item].describe();
                    return Err(Error::Vanished(format!("a comment or label on {what}")));
                }
                self.catalog.items[item].notes.push(row.text(3).to_owned());
            }
        }
        Ok(())
    }

    async fn privileges(&mut self, session: &mut Session) -> Result<(), Error> {
        for row in session.rows(&expand(include_str!("privileges.sql"), session.major)).await? {
            let address = Address { class: row.number(0)?, oid: row.number(1)? };
            if self.left_out.contains(&address) {
                continue;
            }
            let item = self.by_address.get(&address).map(|index| &self.catalog.items[*index]);
            // Members of extensions and the server's own objects, when only some schemas are wanted.
            if item.is_none() && !self.everything {
                continue;
            }
            let relation = item.and_then(|item| item.relation.clone());
            let (target, sql) = (row.text(3).to_owned(), row.text(4).to_owned());
            // The server writes the number of a function that is not there any more.
            let number = target.strip_prefix("FUNCTION ");
            if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err(Error::Vanished(target));
            }
            self.catalog.privileges.push(Privilege { target, sql, relation });
        }
        Ok(())
    }
}
