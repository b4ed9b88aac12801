//! age: recipients and identities, sealing and opening streams.

/// Someone for whom packages are encrypted: X25519 (`age1…`), `ssh-ed25519 …`, `ssh-rsa …`, or a passphrase.
#[derive(Debug, Clone)]
pub struct Recipient {}

/// A private key that opens packages. `Debug` never prints it.
#[derive(Clone)]
pub struct Identity {}

impl std::fmt::Display for Recipient {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl std::str::FromStr for Recipient {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("age1") { Ok(Self {}) } else { Err(String::new()) }
    }
}
impl Recipient {
    /// x
    pub fn passphrase(_: impl Into<String>) -> Self {
        Self {}
    }
    /// x
    pub fn is_passphrase(&self) -> bool {
        false
    }
}
impl Identity {
    /// x
    pub fn passphrase(_: impl Into<String>) -> Self {
        Self {}
    }
    /// x
    pub fn parse_file(_: &str) -> Result<Vec<Self>, super::Error> {
        Ok(vec![])
    }
    /// x
    pub fn to_recipient(&self) -> Option<Recipient> {
        None
    }
}
/// x
pub fn keygen() -> (String, Recipient) {
    (String::new(), Recipient {})
}
