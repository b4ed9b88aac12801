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
