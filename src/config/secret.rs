//! Secrets: where they come from, and how they are kept out of everything that is printed.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a secret comes from. Exactly one of the two keys is given.
///
/// A secret is never written into the configuration itself and never passed as an argument. One newline at its end is
/// dropped, wherever it comes from: a Kubernetes Secret that was made of a file has it as a variable too.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["env"] }, { "required": ["file"] }]))]
pub struct SecretRef {
    /// The name of an environment variable.
    pub env: Option<String>,
    /// The path of a file, for example of a mounted Kubernetes Secret.
    pub file: Option<PathBuf>,
}

/// A secret value. `Debug` and `Display` print `[secret]`, never the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value that came from the environment or a mounted file.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither or both of `env` and `file` are given.
    #[error("a secret needs exactly one of `env` and `file`")]
    NotOne,
    /// The environment variable is not set.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// The environment variable is set to what is no text.
    #[error("the environment variable `{0}` is no UTF-8 text")]
    NotText(String),
    /// The environment variable or file is empty.
    #[error("`{0}` is empty")]
    Empty(String),
    /// The file cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SecretRef {
    /// Reads the secret.
    ///
    /// Only the configuration calls this, before anything runs: a job never starts with a secret missing.
    pub fn resolve(&self) -> Result<Secret, Error> {
        let (value, name) = match (&self.env, &self.file) {
            (Some(name), None) => {
                let unusable = |error| match error {
                    std::env::VarError::NotPresent => Error::Unset(name.clone()),
                    std::env::VarError::NotUnicode(_) => Error::NotText(name.clone()),
                };
                (std::env::var(name).map_err(unusable)?, name.clone())
            }
            (None, Some(path)) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| Error::Unreadable { path: path.clone(), source })?;
                (text, path.display().to_string())
            }
            _ => return Err(Error::NotOne),
        };
        let value = without_newline(&value);
        if value.is_empty() { Err(Error::Empty(name)) } else { Ok(Secret::new(value)) }
    }
}

/// The text without the newline at its end.
fn without_newline(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {secret}"), "[secret] [secret]");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn exactly_one_place() {
        let both = SecretRef { env: Some("A".into()), file: Some("/b".into()) };
        assert!(matches!(both.resolve(), Err(Error::NotOne)));
        let none = SecretRef { env: None, file: None };
        assert!(matches!(none.resolve(), Err(Error::NotOne)));
        let unset = SecretRef { env: Some("CHUPACABRA_TEST_NOT_SET".into()), file: None };
        assert!(matches!(unset.resolve(), Err(Error::Unset(_))));
    }

    #[test]
    fn a_trailing_newline_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "hunter2\n").unwrap();
        let file = SecretRef { env: None, file: Some(path) };
        assert_eq!(file.resolve().unwrap().expose(), "hunter2");
        for (text, value) in
            [("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a"), (" a ", " a "), ("\n", ""), ("", "")]
        {
            assert_eq!(without_newline(text), value, "{text:?}");
        }
    }
}
