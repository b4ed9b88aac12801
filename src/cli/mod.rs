//! The command line: one file for each verb, and [`output`], the only place that prints.
//!
//! Verbs read the configuration, call the library and show what it says. They decide nothing about backups.

mod accept;
mod backup;
mod check;
mod compare;
mod completions;
mod config;
mod drive;
mod keygen;
mod list;
mod man;
pub mod output;
mod problem;
mod prune;
mod quickstart;
mod restore;
mod session;
mod show;
mod verify;
mod when;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use futures_util::future::BoxFuture;

pub use problem::Problem;
pub use session::Session;

use crate::clock::Clock;
use crate::exit::Exit;
use crate::mesh::Mesh;
use crate::shutdown::Shutdown;
use crate::telemetry;

/// Backs up databases and volumes, sealed with age, and restores them.
#[derive(Debug, Parser)]
#[command(name = "chupacabra", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "EXAMPLE:\n  chupacabra quickstart ~/Documents    try it out, with nothing configured\n  \
                        chupacabra config reference > chupacabra.yaml\n  chupacabra backup\n\n\
                        EXIT CODES:\n  0 all good   1 unexpected   2 usage or configuration   3 partial   \
                        4 every source failed\n  5 verification mismatch   6 stale   130/143 interrupted"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// The configuration [default: ./chupacabra.yaml or /etc/chupacabra/config.yaml]
    #[arg(long, global = true, value_name = "FILE", env = "CHUPACABRA_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// How events on standard error are written: `auto` is JSON unless it is a terminal
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "CHUPACABRA_LOG_FORMAT",
        hide_env_values = true,
        default_value = "auto"
    )]
    log_format: LogFormat,
    /// Tell a mesh's sidecar to quit at the end, so that the Job ends too (native sidecars need nothing)
    #[arg(
        long,
        global = true,
        value_name = "MESH",
        env = "CHUPACABRA_MESH",
        hide_env_values = true,
        default_value = "none"
    )]
    mesh: Mesh,
    /// Tell more; twice for more still
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Auto,
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Backup(backup::Args),
    List(list::Args),
    Show(show::Args),
    Restore(restore::Args),
    Verify(verify::Args),
    Prune(prune::Args),
    Accept(accept::Args),
    Check(check::Args),
    Keygen(keygen::Args),
    Quickstart(quickstart::Args),
    Config(config::Args),
    Drive(drive::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Cli {
    /// Sets up what the whole process shares.
    pub fn session(&self, shutdown: Shutdown) -> Session {
        let format = match self.log_format {
            LogFormat::Auto => telemetry::Format::Auto,
            LogFormat::Human => telemetry::Format::Human,
            LogFormat::Json => telemetry::Format::Json,
        };
        let clock = Clock::system();
        let screen = telemetry::init(format, self.verbose, clock);
        Session::new(self.config.clone(), clock, shutdown, screen)
    }

    /// The mesh whose sidecar is to be told to quit when everything is over, however it ended.
    pub fn mesh(&self) -> Mesh {
        self.mesh
    }

    /// Says what is wrong with a command line, or shows the help that was asked for.
    ///
    /// Returns the mesh too, as far as the environment names it: a Job with a wrong argument must end as well.
    pub fn refused(error: &clap::Error) -> (Exit, Mesh) {
        // There is nobody left to tell if the stream is gone.
        let _ = error.print();
        let named = std::env::var("CHUPACABRA_MESH").ok();
        let mesh = named.and_then(|name| Mesh::from_str(&name, false).ok()).unwrap_or(Mesh::None);
        (if error.use_stderr() { Exit::Usage } else { Exit::Good }, mesh)
    }

    /// Whether the verb heeds the first signal itself, because it must not stop just anywhere: it has uploads to give up,
    /// or a restore that is half done. The others only look, or do what may be cut anywhere, such as removing records
    /// before their data.
    pub fn ends_in_order(&self) -> bool {
        match &self.verb {
            Verb::Backup(args) => !args.only_looks(),
            Verb::Restore(_) | Verb::Quickstart(_) => true,
            _ => false,
        }
    }

    /// Runs the verb.
    ///
    /// A boxed future, so that everything below it is compiled with this library and not once more with the binary.
    pub fn run(self, session: &Session) -> BoxFuture<'_, anyhow::Result<Exit>> {
        Box::pin(self.verb.run(session))
    }
}

impl Verb {
    async fn run(self, session: &Session) -> anyhow::Result<Exit> {
        match self {
            Self::Backup(args) => Box::pin(args.run(session)).await,
            Self::List(args) => args.run(session).await,
            Self::Show(args) => args.run(session).await,
            Self::Restore(args) => args.run(session).await,
            Self::Verify(args) => args.run(session).await,
            Self::Prune(args) => args.run(session).await,
            Self::Accept(args) => args.run(session).await,
            Self::Check(args) => args.run(session).await,
            Self::Keygen(args) => args.run(),
            Self::Quickstart(args) => Box::pin(args.run(session)).await,
            Self::Config(args) => args.run(session),
            Self::Drive(args) => Box::pin(args.run(session)).await,
            Self::Completions(args) => args.run(),
            Self::Man(args) => args.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_verb_shows_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for verb in command.get_subcommands_mut() {
            let help = verb.render_long_help().to_string();
            assert!(help.contains("EXAMPLE"), "`{}` has no example:\n{help}", verb.get_name());
        }
    }
}
