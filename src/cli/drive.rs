//! `drive`: what Google Drive needs before it can be a store.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{Problem, Session, output};
use crate::exit::Exit;
use crate::stores::google_drive::config::Scope;
use crate::stores::google_drive::login::{Login, OAuthClient, Wish};

/// Get access to Google Drive
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra drive login --client client.json | kubectl apply -f -")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Login(LoginArgs),
}

/// Let a user consent, and print the Kubernetes Secret that a store needs
///
/// Opens nothing by itself: it says which page to open. With an OAuth client of type Desktop app the browser must be on
/// this machine; with `--device` (type TVs and Limited Input devices) it may be anywhere.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra drive login --client client.json | kubectl apply -f -\n  \
                        chupacabra drive login --client client.json --device > secret.yaml")]
struct LoginArgs {
    /// The OAuth client's JSON, as Google offers it for download
    #[arg(long, value_name = "FILE")]
    client: PathBuf,
    /// Consent on another device: this machine has no browser
    #[arg(long)]
    device: bool,
    /// What the agent may see: `file` is what it made itself, `drive` is everything
    #[arg(long, value_name = "SCOPE", default_value = "file")]
    scope: ScopeArg,
    /// The name of the Secret
    #[arg(long, value_name = "NAME", default_value = "chupacabra-google-drive")]
    name: String,
    /// Another server than Google's, for tests
    #[arg(long, value_name = "URL", hide = true)]
    endpoint: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeArg {
    File,
    Drive,
}

impl Args {
    pub(super) async fn run(self, _session: &Session) -> anyhow::Result<Exit> {
        let Verb::Login(login) = self.verb;
        login.run().await
    }
}

impl LoginArgs {
    async fn run(self) -> anyhow::Result<Exit> {
        let text = std::fs::read_to_string(&self.client).map_err(|error| {
            let help = "download the OAuth client's JSON from Google's console and name it with `--client`";
            Problem::usage(format!("cannot read `{}`", self.client.display()), help).because(error)
        })?;
        let client = OAuthClient::parse(&text)?;
        let scope = match self.scope {
            ScopeArg::File => Scope::File,
            ScopeArg::Drive => Scope::Drive,
        };
        let login = Login::new(client.clone(), scope, self.endpoint.as_deref())?;
        let token = if self.device { login.by_device(tell).await? } else { login.by_browser(tell).await? };
        let text = |value: &str| serde_json::Value::from(value).to_string();
        output::line(format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {}\ntype: Opaque\nstringData:\n  client_id: {}\n  \
             client_secret: {}\n  refresh_token: {}",
            text(&self.name),
            text(&client.id),
            text(client.secret.expose()),
            text(token.expose()),
        ))?;
        Ok(Exit::Good)
    }
}

/// Says what the person is to do; on standard error, since standard output is the Secret.
fn tell(wish: &Wish) {
    let line = match &wish.code {
        Some(code) => format!("Open {} on any device and type {code}", wish.url),
        None => format!("Open in the browser of this machine:\n{}", wish.url),
    };
    output::notice(&line);
}
