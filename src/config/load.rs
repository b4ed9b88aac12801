//! From a file to a plan, or to everything that is wrong with it, each with its line.

use std::fmt;
use std::path::{Path, PathBuf};

use super::context::Problem;
use super::document::{self, Node, Place};
use super::{Config, Plan, schema, shape};

/// Where a configuration is looked for when neither an option nor the environment names one.
pub const PLACES: [&str; 2] = ["chupacabra.yaml", "/etc/chupacabra/config.yaml"];

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No configuration was named, and none is in the usual places.
    #[error("there is no configuration: neither `{}` nor `{}` exists", PLACES[0], PLACES[1])]
    NotFound,
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", Lines(.0))]
    Wrong(Vec<Located>),
}

/// A problem and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The file.
    pub file: PathBuf,
    /// The line and column.
    pub place: Place,
    /// The problem.
    pub problem: Problem,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, problem } = self;
        write!(f, "{}:{}:{}: ", file.display(), place.line, place.column)?;
        if !problem.path.is_empty() {
            write!(f, "{}: ", problem.path)?;
        }
        f.write_str(&problem.what)
    }
}

struct Lines<'a>(&'a [Located]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Error {
    /// What the user can do. Empty for [`Error::Wrong`], whose problems each have their own.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotFound => {
                "run `chupacabra quickstart` to try it out, or `chupacabra config reference > chupacabra.yaml` \
                 and edit that; `--config FILE` and the variable CHUPACABRA_CONFIG name another place"
            }
            Self::Unreadable { .. } => {
                "check the path and that the user that runs chupacabra may read the file"
            }
            Self::Wrong(_) => "",
        }
    }
}

/// The file to read: the one named, or the first of the usual places that exists.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Error> {
    let usual = || PLACES.iter().map(PathBuf::from).find(|place| place.is_file());
    named.map(Path::to_path_buf).or_else(usual).ok_or(Error::NotFound)
}

/// Reads a file and plans it.
pub fn load(path: &Path) -> Result<Plan, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_path_buf(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    plan(&text, path)
}

/// Plans a text; `file` is what problems call it.
pub fn plan(text: &str, file: &Path) -> Result<Plan, Error> {
    let (document, config) = read(text, file)?;
    config.plan().map_err(|problems| wrong(file, &document, problems))
}

/// Reads a text as far as it can be judged without the environment: no secret is looked up.
fn read(text: &str, file: &Path) -> Result<(Node, Config), Error> {
    let document = document::scan(text).map_err(|malformed| {
        let problem = Problem { path: String::new(), what: malformed.what, help: malformed.help };
        Error::Wrong(vec![Located { file: file.to_path_buf(), place: malformed.place, problem }])
    })?;
    let problems = shape::problems(&document, &schema::schema());
    if !problems.is_empty() {
        return Err(wrong(file, &document, problems));
    }
    match deserialize(text) {
        Ok(config) => Ok((document, config)),
        Err(problem) => Err(wrong(file, &document, vec![problem])),
    }
}

fn deserialize(text: &str) -> Result<Config, Problem> {
    let read = |deserializer: serde_saphyr::Deserializer<'_, '_>| {
        Ok(serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            Problem { path: if path == "." { String::new() } else { path }, ..said(error.inner()) }
        }))
    };
    serde_saphyr::with_deserializer_from_str(text, read).unwrap_or_else(|error| Err(said(&error)))
}

/// An error of the YAML reader in our words; its own location is left out, because ours is told.
fn said(error: &serde_saphyr::Error) -> Problem {
    let what = match error.without_snippet() {
        serde_saphyr::Error::Message { msg, .. } => msg.clone(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    let help = "see `chupacabra config reference` for what may stand here".to_owned();
    Problem { path: String::new(), what, help }
}

fn wrong(file: &Path, document: &Node, problems: Vec<Problem>) -> Error {
    let located = |problem: Problem| {
        let place = document.find(&problem.path);
        Located { file: file.to_path_buf(), place, problem }
    };
    let mut located: Vec<Located> = problems.into_iter().map(located).collect();
    located.sort_by_key(|located| located.place);
    Error::Wrong(located)
}
