//! `completions`: what a shell needs to complete the command line.

use clap::{Args as ClapArgs, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};
use crate::exit::Exit;

/// Print the completions for a shell
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra completions bash > /etc/bash_completion.d/chupacabra")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "chupacabra", &mut script);
        output::bytes(&script)?;
        Ok(Exit::Good)
    }
}
