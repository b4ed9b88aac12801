//! `man`: the manual pages.

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory as _};

use super::{Cli, Problem, output};
use crate::exit::Exit;

/// Print the manual page, or write one page for each verb into a directory
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra man | man -l -\n  chupacabra man /usr/local/share/man/man1")]
pub(super) struct Args {
    /// The directory; without one, the main page is printed
    dir: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.dir {
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(Cli::command()).render(&mut page)?;
                output::bytes(&page)?;
            }
            Some(dir) => {
                clap_mangen::generate_to(Cli::command(), dir).map_err(|error| {
                    let what = format!("cannot write the pages into `{}`", dir.display());
                    Problem::usage(what, "name a directory that exists and that you may write to")
                        .because(error)
                })?;
            }
        }
        Ok(Exit::Good)
    }
}
