//! Credentials and certificates: what of them stands in the configuration.
//!
//! What does not stand there is the SDK's business, in the order that the whole ecosystem knows: environment,
//! profile, web identity (IRSA), container (EKS Pod Identity), instance (IMDS).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::config::{Config, KeyRefs, Keys};
use super::provider::Provider;
use crate::clock::Clock;
use crate::config::context::Context;
use crate::config::secret;
use crate::stores::trust;

/// What tells the SDK where credentials are, besides the instance's own service.
const AMBIENT: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
];

/// The keys, if the configuration has them. Half of a pair is a problem, and so is having none where none can be had.
pub(super) fn plan(config: &Config, context: &mut Context) -> Option<Keys> {
    let (id, secret) = (config.access_key_id.as_ref(), config.secret_access_key.as_ref());
    match (id.is_some(), secret.is_some()) {
        (true, true) => {
            let token = config.session_token.as_ref();
            let renewed = token.filter(|token| token.file.is_some()).zip(id.zip(secret)).map(
                |(token, (id, secret))| {
                    let (id, secret, token) = (id.clone(), secret.clone(), token.clone());
                    KeyRefs { id, secret, token }
                },
            );
            let id = context.secret("access_key_id", id);
            let secret = context.secret("secret_access_key", secret);
            let token = context.secret("session_token", token);
            return Some(Keys { id: id?, secret: secret?, token, renewed });
        }
        (false, false) => {}
        (true, false) => {
            context.problem("secret_access_key", "the key is missing", "it belongs to `access_key_id`");
        }
        (false, true) => {
            context.problem("access_key_id", "the key is missing", "it belongs to `secret_access_key`");
        }
    }
    let instance = config.provider == Provider::Aws;
    if id.is_none() && secret.is_none() && !instance && config.profile.is_none() && !is_ambient() {
        let what = "there are no credentials, here or in the environment";
        let help = "write `access_key_id: { env: NAME }` and `secret_access_key: { env: NAME }`";
        context.problem("access_key_id", what, help);
    }
    None
}

fn is_ambient() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let shared = || {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        home.is_some_and(|home| home.join(".aws/credentials").exists())
    };
    AMBIENT.iter().any(|name| set(name)) || shared()
}

/// The certificates to trust besides the system's, known to be sound: the SDK's client would panic over others.
pub(super) fn trusted(written: Option<&Path>, context: &mut Context) -> Option<Vec<u8>> {
    let ambient = || std::env::var_os("AWS_CA_BUNDLE").filter(|value| !value.is_empty()).map(PathBuf::from);
    let path = written.map(Path::to_owned).or_else(ambient)?;
    trust::certificates(&path, context)
}

/// How long temporary credentials from files are used before the files are read again.
const RENEWAL: Duration = Duration::from_mins(1);

/// Credentials from the configuration.
///
/// A package may be on its way for longer than temporary credentials last. Where the token is in a file, whoever renews
/// it there (a sidecar, a mounted Secret) is heeded within a minute; what cannot be read then, or changes while it is
/// read, leaves those before in use.
#[derive(Debug)]
pub(super) struct Configured {
    last: Mutex<Keys>,
    clock: Clock,
}

impl Configured {
    pub(super) fn new(keys: &Keys, clock: Clock) -> Self {
        Self { last: Mutex::new(keys.clone()), clock }
    }

    fn now(&self) -> Credentials {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(renewed) = last.renewed.clone() else { return credentials(&last, None) };
        // Three files are not replaced in one moment: they are what they are when two looks agree.
        if let (Ok(first), Ok(second)) = (read(&renewed), read(&renewed))
            && (&first.id, &first.secret, &first.token) == (&second.id, &second.secret, &second.token)
        {
            *last = second;
        }
        credentials(&last, Some(SystemTime::from(self.clock.now()) + RENEWAL))
    }
}

impl ProvideCredentials for Configured {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Ok(self.now()))
    }
}

fn read(refs: &KeyRefs) -> Result<Keys, secret::Error> {
    let (id, secret, token) = (refs.id.resolve()?, refs.secret.resolve()?, refs.token.resolve()?);
    Ok(Keys { id, secret, token: Some(token), renewed: Some(refs.clone()) })
}

fn credentials(keys: &Keys, until: Option<SystemTime>) -> Credentials {
    let token = keys.token.as_ref().map(|token| token.expose().to_owned());
    Credentials::new(keys.id.expose(), keys.secret.expose(), token, until, "configuration")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::SecretRef;

    #[test]
    fn a_renewed_token_is_taken_and_a_missing_one_leaves_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| SecretRef { env: None, file: Some(dir.path().join(name)) };
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        for (name, text) in [("id", "ID"), ("secret", "SECRET"), ("token", "first\n")] {
            write(name, text);
        }
        let refs = KeyRefs { id: file("id"), secret: file("secret"), token: file("token") };
        let configured = Configured::new(&read(&refs).unwrap(), Clock::system());
        let token = || configured.now().session_token().map(str::to_owned);
        assert_eq!(token().as_deref(), Some("first"));
        assert!(configured.now().expiry().is_some(), "it would never be asked for again");
        write("token", "second\n");
        assert_eq!(token().as_deref(), Some("second"));
        let keys = read(&refs).unwrap();
        std::fs::remove_file(dir.path().join("token")).unwrap();
        assert_eq!(token().as_deref(), Some("second"));
        // Without a token in a file they last for ever.
        let keys = Keys { token: None, renewed: None, ..keys };
        assert_eq!(Configured::new(&keys, Clock::system()).now().expiry(), None);
    }
}
