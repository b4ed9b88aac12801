//! Public keys.

use std::fmt;
use std::str::FromStr;

use age::secrecy::SecretString;

use super::{Error, WORK};

/// Someone for whom packages are encrypted: X25519 (`age1…`), `ssh-ed25519 …`, `ssh-rsa …`, or a passphrase.
#[derive(Clone)]
pub struct Recipient(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    X25519(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
    Passphrase(SecretString),
}

impl Recipient {
    /// A passphrase. Must be the only recipient of a package.
    pub fn passphrase(passphrase: impl Into<String>) -> Self {
        Self(Kind::Passphrase(SecretString::from(passphrase.into())))
    }

    /// Whether this is a passphrase.
    pub fn is_passphrase(&self) -> bool {
        matches!(self.0, Kind::Passphrase(_))
    }

    /// The recipient as the age crate takes it.
    pub(super) fn as_age(&self) -> Box<dyn age::Recipient> {
        match &self.0 {
            Kind::X25519(key) => Box::new(key.clone()),
            Kind::Ssh(key) => Box::new(key.clone()),
            Kind::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK);
                Box::new(recipient)
            }
        }
    }
}

impl FromStr for Recipient {
    type Err = Error;

    /// Reads a public key as age and OpenSSH write them; an ssh key's comment is allowed and dropped.
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("AGE-SECRET-KEY-")) {
            return Err(Error::Recipient("AGE-SECRET-KEY-… (a private key)".into()));
        }
        if text.starts_with("age1pq1") {
            return Err(Error::UnsupportedRecipient("age1pq1… (hybrid post-quantum)"));
        }
        if text.starts_with("age1tag1") || text.starts_with("age1tagpq1") {
            return Err(Error::UnsupportedRecipient("age1tag… (hardware keys)"));
        }
        let unknown = || Error::Recipient(text.chars().take(80).collect());
        if text.starts_with("ssh-") {
            return text.parse().map(|key| Self(Kind::Ssh(key))).map_err(|_| unknown());
        }
        text.parse().map(|key| Self(Kind::X25519(key))).map_err(|_| unknown())
    }
}

impl fmt::Display for Recipient {
    /// The public text, as it stands in the record: never a passphrase.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::X25519(key) => key.fmt(f),
            Kind::Ssh(key) => key.fmt(f),
            Kind::Passphrase(_) => f.write_str("passphrase"),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

impl PartialEq for Recipient {
    /// Two passphrases are never equal: comparing them is nobody's business.
    fn eq(&self, other: &Self) -> bool {
        !self.is_passphrase() && self.to_string() == other.to_string()
    }
}
