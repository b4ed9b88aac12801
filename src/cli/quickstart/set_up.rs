//! Where a quickstart lives, and what must be there before its backup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::{Problem, keygen};

/// The places of one quickstart, absolute.
#[derive(Debug)]
pub(super) struct SetUp {
    pub(super) dir: PathBuf,
    pub(super) home: PathBuf,
    pub(super) key: PathBuf,
    pub(super) config: PathBuf,
    pub(super) store: PathBuf,
    pub(super) restored: PathBuf,
}

impl SetUp {
    /// Finds the places. Makes nothing.
    pub(super) fn new(dir: &Path, home: &Path) -> Result<Self, Problem> {
        let shown = dir.display();
        let dir = fs::canonicalize(dir).map_err(|error| {
            let help = "name a directory that exists and that you may read";
            Problem::usage(format!("cannot back `{shown}` up"), help).because(error)
        })?;
        if !dir.is_dir() {
            let help = "name the directory that it is in";
            return Err(Problem::usage(format!("`{shown}` is not a directory"), help));
        }
        let home = absolute(home)?;
        if dir.starts_with(&home) {
            let help = "choose another place for the quickstart's own files with `--home`";
            return Err(Problem::usage(format!("`{shown}` lies in the quickstart's own directory"), help));
        }
        let below = |name: &str| home.join(name);
        let (key, config, store, restored) =
            (below("key.txt"), below("chupacabra.yaml"), below("store"), below("restored"));
        Ok(Self { dir, home, key, config, store, restored })
    }

    /// What would be done.
    pub(super) fn intended(&self) -> String {
        format!(
            "would make a key pair and a configuration in {home}\nwould back {dir} up to {store}\n\
             would verify the package, restore it into {restored}, and compare the two trees",
            home = self.home.display(),
            dir = self.dir.display(),
            store = self.store.display(),
            restored = self.restored.display(),
        )
    }

    /// Makes key and configuration, or keeps those of an earlier quickstart of the same directory. Says what it did.
    pub(super) fn prepare(&self) -> Result<Vec<String>, Problem> {
        let foreign = self.home.exists()
            && !self.config.exists()
            && fs::read_dir(&self.home).is_ok_and(|mut dir| dir.next().is_some());
        if foreign {
            let what = format!("`{}` is not empty and holds no quickstart", self.home.display());
            return Err(Problem::usage(what, "choose another place with `--home`"));
        }
        fs::create_dir_all(&self.home).map_err(|error| self.unwritable(error))?;
        let recipient = if self.key.exists() { self.known_recipient()? } else { keygen::write(&self.key)? };
        let text = self.text(&recipient)?;
        let told = match fs::read_to_string(&self.config) {
            Ok(known) if known == text => {
                vec!["key and configuration are those of the last time; this adds a package".to_owned()]
            }
            Ok(_) => {
                let what = format!("`{}` belongs to another directory or was edited", self.config.display());
                let help = format!(
                    "choose another place with `--home`, delete `{}`, or use it: `chupacabra --config '{}' backup`",
                    self.home.display(),
                    self.config.display()
                );
                return Err(Problem::usage(what, help));
            }
            Err(_) => {
                fs::write(&self.config, &text).map_err(|error| self.unwritable(error))?;
                vec![
                    format!("private key     {}", self.key.display()),
                    format!("public key      {recipient}"),
                    format!("configuration   {}", self.config.display()),
                    format!("local store     {}", self.store.display()),
                ]
            }
        };
        Ok(told)
    }

    /// Removes what an earlier quickstart restored: it is this command's own output.
    pub(super) fn clear_restored(&self) -> Result<(), Problem> {
        match fs::remove_dir_all(&self.restored) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let what = format!("cannot remove `{}`, restored the last time", self.restored.display());
                Err(Problem::failed(what, "remove it yourself and run this again").because(error))
            }
            _ => Ok(()),
        }
    }

    fn unwritable(&self, error: io::Error) -> Problem {
        let what = format!("cannot write into `{}`", self.home.display());
        Problem::usage(what, "choose a place that you may write to with `--home`").because(error)
    }

    /// The public key of the private key that is already there.
    fn known_recipient(&self) -> Result<String, Problem> {
        let unusable = || {
            let what = format!("`{}` holds no usable private key", self.key.display());
            Problem::usage(what, "choose another place with `--home`, or move the file away")
        };
        let text = fs::read_to_string(&self.key).map_err(|error| unusable().because(error))?;
        let identities =
            crate::package::age::Identity::parse_file(&text).map_err(|error| unusable().because(error))?;
        let recipient = identities.first().and_then(crate::package::age::Identity::to_recipient);
        recipient.map(|recipient| recipient.to_string()).ok_or_else(unusable)
    }

    fn text(&self, recipient: &str) -> Result<String, Problem> {
        let exclude = match self.home.strip_prefix(&self.dir) {
            Ok(own) => {
                format!("      # This command's own output.\n      exclude: [{}]\n", quoted(&glob(own))?)
            }
            Err(_) => String::new(),
        };
        Ok(format!(
            "# Made by `chupacabra quickstart`. `chupacabra config reference` explains every key.\n\
             encryption:\n  recipients: [{recipient}]\n  \
             # Here only for the try: keep the private key away from the machine that backs up.\n  \
             identity: {{ file: {key} }}\n\
             stores:\n  here:\n    local: {{ path: {store} }}\n\
             sources:\n  {name}:\n    files:\n      path: {dir}\n{exclude}      \
             # What can be made again: the content of directories with a CACHEDIR.TAG.\n      \
             exclude_caches: true\n",
            key = quoted(&text(&self.key)?)?,
            store = quoted(&text(&self.store)?)?,
            dir = quoted(&text(&self.dir)?)?,
            name = name(&self.dir),
        ))
    }
}

/// The absolute path of something that need not exist, its parents resolved as far as they do.
fn absolute(path: &Path) -> Result<PathBuf, Problem> {
    let resolved = fs::canonicalize(path).or_else(|_| {
        let path = std::path::absolute(path)?;
        match (path.parent().map(fs::canonicalize), path.file_name()) {
            (Some(Ok(parent)), Some(name)) => Ok(parent.join(name)),
            _ => Ok(path),
        }
    });
    resolved.map_err(|error: io::Error| {
        Problem::usage(format!("`{}` is not a usable path", path.display()), "choose another with `--home`")
            .because(error)
    })
}

fn text(path: &Path) -> Result<String, Problem> {
    let help = "a configuration is text: choose a directory whose path is UTF-8";
    let what = || format!("`{}` is not UTF-8", path.display());
    path.to_str().map(str::to_owned).ok_or_else(|| Problem::usage(what(), help))
}

/// JSON's strings are YAML's double-quoted scalars.
fn quoted(text: &str) -> Result<String, Problem> {
    serde_json::to_string(text)
        .map_err(|error| Problem::usage("the path cannot be written", "choose another").because(error))
}

/// A glob that matches this one path below the source's directory.
fn glob(path: &Path) -> String {
    let mut escaped = String::new();
    for letter in path.to_string_lossy().chars() {
        if "*?[]{}\\!".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    format!("/{escaped}")
}

/// A source's name made of the directory's.
fn name(dir: &Path) -> String {
    let base = dir.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let letters: String =
        base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let name = letters.trim_matches('-');
    if name.is_empty() { "files".to_owned() } else { name.to_owned() }
}
