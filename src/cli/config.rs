//! `config`: the reference, the schema, and what a configuration means.

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Map, Value, json};

use super::{Session, output};
use crate::config::units::{ByteSize, Span};
use crate::config::{Plan, REFERENCE, Require, schema};
use crate::exit::Exit;
use crate::package::age::Identity;
use crate::retention::Policy;

/// Print the annotated reference or the JSON Schema, or check a configuration
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "EXAMPLE:\n  chupacabra config reference > chupacabra.yaml\n  chupacabra config check"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print every key with its default and what it means: a configuration to edit
    Reference,
    /// Print the JSON Schema, for editors
    Schema,
    /// Read the configuration and say what it means; secrets are looked up and never printed
    Check {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> anyhow::Result<Exit> {
        match self.what {
            What::Reference => output::bytes(REFERENCE.as_bytes())?,
            What::Schema => output::line(serde_json::to_string_pretty(&schema())?)?,
            What::Check { json } => {
                let path = session.config_path()?;
                let meant = meant(&session.plan()?);
                if json {
                    output::json(&meant)?;
                } else {
                    output::line(format!("{} is sound. It means:", path.display()))?;
                    show(&meant, 0)?;
                }
            }
        }
        Ok(Exit::Good)
    }
}

/// A plan without its secrets.
fn meant(plan: &Plan) -> Value {
    let stores = plan.stores.iter().map(|(name, store)| (name.clone(), json!({ "kind": store.kind.word() })));
    let sources = plan.sources.iter().map(|(name, source)| {
        let stores =
            source.stores.iter().map(|(store, policy)| (store.clone(), json!({ "keeps": kept(policy) })));
        let require = if source.require == Require::Any { "any" } else { "all" };
        let meant = json!({
            "kind": source.source.kind(),
            "stores": stores.collect::<Map<_, _>>(),
            "require": require,
        });
        (name.to_string(), meant)
    });
    let recipients: Vec<String> = plan.package.recipients.iter().map(ToString::to_string).collect();
    let opens = plan.passphrase.is_some() || recipients.iter().any(|recipient| own(plan).contains(recipient));
    json!({
        "encryption": { "recipients": recipients, "can open packages here": opens },
        "package": {
            "compression level": plan.package.level,
            "threads": plan.package.threads,
            "memory": ByteSize(plan.package.memory as u64).to_string(),
        },
        "stores": stores.collect::<Map<_, _>>(),
        "sources": sources.collect::<Map<_, _>>(),
    })
}

/// The public sides of the configuration's private keys. What is sealed now opens with those of them that are recipients.
fn own(plan: &Plan) -> Vec<String> {
    let keys = plan.identity.as_ref().and_then(|identity| Identity::parse_file(identity.expose()).ok());
    keys.iter().flatten().filter_map(Identity::to_recipient).map(|recipient| recipient.to_string()).collect()
}

fn kept(policy: &Policy) -> String {
    let mut kept = vec![
        format!("everything within {} of the newest good package", Span(policy.keep_within)),
        format!("the newest {} good ones", policy.keep_last),
    ];
    kept.extend(
        policy.periods.iter().map(|(period, count)| {
            format!("one for each of {count} {}s", format!("{period:?}").to_lowercase())
        }),
    );
    kept.join("; ")
}

/// Prints nested names and values, indented.
fn show(value: &Value, depth: usize) -> anyhow::Result<()> {
    let indent = "  ".repeat(depth + 1);
    let entries = value.as_object().into_iter().flatten();
    for (name, value) in entries {
        match value {
            Value::Object(_) => {
                output::line(format!("{indent}{name}:"))?;
                show(value, depth + 1)?;
            }
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                output::line(format!("{indent}{name}: {}", items.join(", ")))?;
            }
            Value::String(text) => output::line(format!("{indent}{name}: {text}"))?,
            other => output::line(format!("{indent}{name}: {other}"))?,
        }
    }
    Ok(())
}
