//! age: recipients and identities, sealing and opening streams.
//!
//! The format is that of age-encryption.org/v1; any age program opens what this writes. Private keys never reach a
//! log, an error or a `Debug` output.

mod identity;
mod recipient;
mod stream;

pub use identity::{Identity, keygen};
pub use recipient::Recipient;
pub use stream::{Opened, Sealed, open, seal};

/// How much work a passphrase costs, as a power of two (scrypt's N): what the reference program of age asks for. Always the
/// same, because the memory that it takes, 256 MiB, must not depend on how fast a machine is, nor what a passphrase is
/// worth on how busy it was.
const WORK: u8 = 18;
/// The most work that a header may ask for: what the reference program of age accepts.
const MOST_WORK: u8 = 22;

/// Why a key could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a public key that age knows.
    #[error("`{0}` is not a recipient: expected age1…, ssh-ed25519 … or ssh-rsa …")]
    Recipient(String),
    /// A kind of public key that this program cannot encrypt to.
    #[error("recipients of the kind {0} are not supported yet; use an X25519 key (age1…) or an ssh key")]
    UnsupportedRecipient(&'static str),
    /// A text that holds no private key. The text is not repeated.
    #[error("line {line} is neither an age identity (AGE-SECRET-KEY-1…) nor part of an OpenSSH private key")]
    Identity {
        /// The line, from 1.
        line: usize,
    },
    /// A kind of private key that this program cannot use.
    #[error("{0}")]
    UnsupportedIdentity(&'static str),
    /// The file holds no private key at all.
    #[error("there is no identity in the file")]
    NoIdentity,
    /// There is nobody to encrypt to.
    #[error("no recipients")]
    NoRecipients,
    /// A passphrase beside other recipients.
    #[error("a passphrase must be the only recipient")]
    MixedPassphrase,
    /// Encrypting to the recipients failed.
    #[error("cannot encrypt to the recipients: {0}")]
    Encrypt(String),
}
