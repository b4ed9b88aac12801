//! Encrypting and decrypting streams.

use std::io::{Read, Write};

use age::DecryptError;

use super::{Error, Identity, Recipient};
use crate::package;

/// Plain bytes in, age out. Must be ended with its `finish`; what was dropped instead does not open.
pub type Sealed<W> = age::stream::StreamWriter<W>;

/// age in, plain bytes out. An end that the writer did not make, and any change of a byte, is an error.
pub type Opened<R> = age::stream::StreamReader<R>;

/// Writes an age header for the recipients to `sink` and returns the writer of the content.
pub fn seal<W: Write>(recipients: &[Recipient], sink: W) -> Result<Sealed<W>, package::Error> {
    if recipients.is_empty() {
        return Err(Error::NoRecipients.into());
    }
    if recipients.len() > 1 && recipients.iter().any(Recipient::is_passphrase) {
        return Err(Error::MixedPassphrase.into());
    }
    let recipients: Vec<_> = recipients.iter().map(Recipient::as_age).collect();
    let encryptor = age::Encryptor::with_recipients(recipients.iter().map(|recipient| &**recipient))
        .map_err(|error| Error::Encrypt(error.to_string()))?;
    encryptor.wrap_output(sink).map_err(package::Error::Write)
}

/// Reads an age header from `source` and returns the reader of the content.
pub fn open<R: Read>(identities: &[Identity], source: R) -> Result<Opened<R>, package::Error> {
    let identities: Vec<_> = identities.iter().map(Identity::as_age).collect();
    age::Decryptor::new(source)
        .and_then(|decryptor| decryptor.decrypt(identities.iter().map(|identity| &**identity)))
        .map_err(|error| match error {
            DecryptError::Io(error) => package::Error::from_read(error),
            DecryptError::UnknownFormat => {
                // The crate says so of a damaged header too, and a newer age would be no kinder to this reader.
                package::Error::Damaged("the age header is damaged or of a newer version of age".into())
            }
            DecryptError::ExcessiveWork { .. } => {
                package::Error::Damaged("the age header asks for excessive work".into())
            }
            DecryptError::NoMatchingKeys
            | DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed => package::Error::WrongKey,
            other => package::Error::Damaged(format!("the age header: {other}")),
        })
}
