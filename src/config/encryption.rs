//! For whom packages are encrypted: every way in which the keys of a configuration can be wrong.

use super::Encryption;
use super::context::Context;
use super::secret::Secret;
use crate::package::age::{Identity, Recipient};

const NO_RECIPIENT: &str = "run `chupacabra keygen -o key.txt` and write the public key that it prints under \
                            `recipients`; keep key.txt away from this machine";

/// What seals, and what opens.
pub(super) struct Keys {
    pub(super) recipients: Vec<Recipient>,
    pub(super) identity: Option<Secret>,
    pub(super) passphrase: Option<Secret>,
}

/// Reads the keys; every problem with them is told.
pub(super) fn plan(written: &Encryption, context: &mut Context) -> Keys {
    let mut recipients = Vec::new();
    for (index, text) in written.recipients.iter().enumerate() {
        recipients.extend(recipient(text, &format!("recipients[{index}]"), context));
    }
    if let Some(path) = &written.recipients_file {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let lines =
                    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
                let before = recipients.len();
                for line in lines {
                    recipients.extend(recipient(line, "recipients_file", context));
                }
                if recipients.len() == before {
                    let what = format!("no public key is in `{}`", path.display());
                    context.problem("recipients_file", what, "write one public key (`age1…`) on each line");
                }
            }
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", path.display());
                context.problem("recipients_file", what, "name a file with one public key on each line");
            }
        }
    }
    let keys = !written.recipients.is_empty() || written.recipients_file.is_some();
    let passphrase = context.secret("passphrase", written.passphrase.as_ref());
    match &passphrase {
        Some(_) if keys => {
            let help =
                "keep the recipients and remove the passphrase: whoever can back up could also read with it";
            context.problem("passphrase", "a passphrase and recipients exclude each other", help);
        }
        Some(passphrase) => recipients.push(Recipient::passphrase(passphrase.expose())),
        None if !keys && written.passphrase.is_none() => {
            context.problem("", "no recipient is given: nobody could ever open the packages", NO_RECIPIENT);
        }
        None => {}
    }
    let identity = context.secret("identity", written.identity.as_ref());
    if let Some(identity) = &identity {
        let help = "name the file that `chupacabra keygen` or `age-keygen` wrote, or an ssh private key without passphrase";
        context.check("identity", Identity::parse_file(identity.expose()).map(drop), help);
    }
    Keys { recipients, identity, passphrase }
}

fn recipient(text: &str, key: &str, context: &mut Context) -> Option<Recipient> {
    let shouted = text.to_ascii_uppercase();
    if shouted.contains("AGE-SECRET-KEY")
        || shouted.contains("PRIVATE KEY")
        || shouted.contains("AGE-PLUGIN-")
    {
        let what = "this is a PRIVATE key; it must not stand here";
        let help = "write the public key (`age-keygen -y key.txt` prints it), and if others could read this file, \
                    make a new pair: this one is no longer secret";
        context.problem(key, what, help);
        return None;
    }
    // The error may quote the text, and the text may be anything: it is not repeated.
    let parsed = text.trim().parse::<Recipient>().map_err(|_| "this is not a public key");
    context.check(key, parsed, "write `age1…`, `ssh-ed25519 …` or `ssh-rsa …`, the whole of it")
}
