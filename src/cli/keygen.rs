//! `keygen`: a key pair in the format of `age-keygen`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::{Problem, output};
use crate::exit::Exit;
use crate::package::age;

/// Make a key pair: the private key into a file, the public key printed
///
/// Packages are encrypted for the public key. Only the private key opens them: keep it where the backups are not
/// made, and keep a second copy. The file is in the format of `age-keygen`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "EXAMPLE:\n  chupacabra keygen -o key.txt\n  chupacabra keygen -o key.txt --dry-run")]
pub(super) struct Args {
    /// Where to write the private key; an existing file is never overwritten
    #[arg(short, long, value_name = "FILE", default_value = "key.txt")]
    output: PathBuf,
    /// Only say what would be written; nothing is made
    #[arg(long)]
    dry_run: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        if self.dry_run {
            free(&self.output)?;
            return self.say_what_would_be();
        }
        let recipient = write(&self.output)?;
        if self.json {
            output::json(&serde_json::json!({ "recipient": recipient, "identity_file": self.output }))?;
        } else {
            output::line(&recipient)?;
        }
        Ok(Exit::Good)
    }

    fn say_what_would_be(&self) -> anyhow::Result<Exit> {
        if self.json {
            output::json(&serde_json::json!({ "identity_file": self.output, "dry_run": true }))?;
        } else {
            output::line(format!("would write a new private key to `{}`", self.output.display()))?;
        }
        Ok(Exit::Good)
    }
}

/// Whether a key could be written there: nothing stands there yet, and the directory exists.
fn free(path: &Path) -> Result<(), Problem> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = path.symlink_metadata().map(|_| io::ErrorKind::AlreadyExists.into());
    let parent_missing = parent.metadata().err();
    match found.ok().or(parent_missing) {
        Some(error) => Err(refused(path, error)),
        None => Ok(()),
    }
}

/// Makes a pair, writes the private key and returns the public one.
pub(super) fn write(path: &Path) -> Result<String, Problem> {
    let (text, recipient) = age::keygen();
    // Created with its mode and never replaced: at no time can others read it, and no older key is lost.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| refused(path, error))?;
    Ok(recipient.to_string())
}

fn refused(path: &Path, error: io::Error) -> Problem {
    let shown = path.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        let help = "choose another file, or keep using that key: packages made for it need it";
        return Problem::usage(format!("`{shown}` exists and is not overwritten"), help);
    }
    let help = "choose a file in a directory that exists and that you may write to";
    Problem::usage(format!("cannot write `{shown}`"), help).because(error)
}
