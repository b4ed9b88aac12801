//! Private keys.

use std::fmt;
use std::io::Cursor;

use age::secrecy::{ExposeSecret as _, SecretString};

use super::{Error, MOST_WORK, Recipient, recipient};

/// A private key that opens packages. `Debug` never prints it.
#[derive(Clone)]
pub struct Identity(Kind);

#[derive(Clone)]
enum Kind {
    X25519(age::x25519::Identity),
    Ssh(age::ssh::Identity),
    Passphrase(SecretString),
}

impl Identity {
    /// The passphrase that a package was sealed with.
    pub fn passphrase(passphrase: impl Into<String>) -> Self {
        Self(Kind::Passphrase(SecretString::from(passphrase.into())))
    }

    /// Reads an identity file: `AGE-SECRET-KEY-1…` lines with comments, or one unencrypted OpenSSH private key.
    ///
    /// Errors name a line, never its text.
    pub fn parse_file(text: &str) -> Result<Vec<Self>, Error> {
        if text.trim_start().starts_with("-----BEGIN AGE ENCRYPTED FILE") {
            return Err(Error::UnsupportedIdentity(
                "the identity file is itself encrypted; decrypt it first with `age -d`",
            ));
        }
        if text.trim_start().starts_with("-----BEGIN") {
            return Self::parse_ssh(text).map(|identity| vec![identity]);
        }
        let mut identities = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with("AGE-SECRET-KEY-PQ-") {
                return Err(Error::UnsupportedIdentity(
                    "post-quantum identities (AGE-SECRET-KEY-PQ-…) are not supported yet",
                ));
            }
            if line.starts_with("AGE-PLUGIN-") {
                return Err(Error::UnsupportedIdentity("plugin identities (AGE-PLUGIN-…) are not supported"));
            }
            let identity = line.parse().map_err(|_| Error::Identity { line: number + 1 })?;
            identities.push(Self(Kind::X25519(identity)));
        }
        if identities.is_empty() { Err(Error::NoIdentity) } else { Ok(identities) }
    }

    fn parse_ssh(text: &str) -> Result<Self, Error> {
        let parsed = age::ssh::Identity::from_buffer(Cursor::new(text.trim_start()), None);
        match parsed.map_err(|_| Error::Identity { line: 1 })? {
            age::ssh::Identity::Encrypted(_) => Err(Error::UnsupportedIdentity(
                "the ssh key is protected by a passphrase; make a copy without one with `ssh-keygen -p`",
            )),
            age::ssh::Identity::Unsupported(_) => Err(Error::UnsupportedIdentity(
                "the ssh key is of a kind that age cannot use (ed25519 and rsa work)",
            )),
            key @ age::ssh::Identity::Unencrypted(_) => Ok(Self(Kind::Ssh(key))),
        }
    }

    /// The public side, where it follows from the private one.
    pub fn to_recipient(&self) -> Option<Recipient> {
        match &self.0 {
            Kind::X25519(key) => Some(Recipient(recipient::Kind::X25519(key.to_public()))),
            Kind::Ssh(key) => age::ssh::Recipient::try_from(key.clone())
                .ok()
                .map(|key| Recipient(recipient::Kind::Ssh(key))),
            Kind::Passphrase(passphrase) => Some(Recipient(recipient::Kind::Passphrase(passphrase.clone()))),
        }
    }

    /// The identity as the age crate takes it.
    pub(super) fn as_age(&self) -> Box<dyn age::Identity> {
        match &self.0 {
            Kind::X25519(key) => Box::new(key.clone()),
            Kind::Ssh(key) => Box::new(key.clone()),
            Kind::Passphrase(passphrase) => {
                let mut identity = age::scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MOST_WORK);
                Box::new(identity)
            }
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::X25519(_) => "Identity(X25519)",
            Kind::Ssh(_) => "Identity(ssh)",
            Kind::Passphrase(_) => "Identity(passphrase)",
        })
    }
}

/// Makes a key pair: the text of an identity file, and its recipient.
pub fn keygen() -> (String, Recipient) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public();
    let text = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
    (text, Recipient(recipient::Kind::X25519(recipient)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_reads_back_and_is_never_printed() {
        let (text, recipient) = keygen();
        let identities = Identity::parse_file(&text).unwrap();
        assert_eq!(identities.len(), 1);
        assert_eq!(identities[0].to_recipient().unwrap(), recipient);
        assert_eq!(recipient.to_string().parse::<Recipient>().unwrap(), recipient);
        assert!(!format!("{identities:?}").contains("AGE-SECRET"));
        assert!(!format!("{:?}", Recipient::passphrase("swordfish")).contains("swordfish"));
    }

    #[test]
    fn errors_do_not_repeat_secrets() {
        let broken = "# note\nAGE-SECRET-KEY-1QQQQ\n";
        let error = Identity::parse_file(broken).unwrap_err();
        assert_eq!(error, Error::Identity { line: 2 });
        assert!(!error.to_string().contains("QQQQ"));
        let (text, _) = keygen();
        let secret = text.lines().last().unwrap();
        let error = secret.parse::<Recipient>().unwrap_err().to_string();
        assert!(!error.contains(secret));
        assert_eq!(Identity::parse_file("# nothing\n").unwrap_err(), Error::NoIdentity);
    }

    #[test]
    fn kinds_that_cannot_be_used_are_refused_by_name() {
        let error = "age1pq1qqqq".parse::<Recipient>().unwrap_err().to_string();
        assert!(error.contains("post-quantum"), "{error}");
        assert!(matches!("age1tag1qqqq".parse::<Recipient>(), Err(Error::UnsupportedRecipient(_))));
        assert!(matches!("nonsense".parse::<Recipient>(), Err(Error::Recipient(_))));
        assert!(matches!(Identity::parse_file("AGE-SECRET-KEY-PQ-1QQ"), Err(Error::UnsupportedIdentity(_))));
    }
}
