//! Credentials and certificates: what of them stands in the configuration.
//!
//! What does not stand there is the SDK's business, in the order that the whole ecosystem knows: environment,
//! profile, web identity (IRSA), container (EKS Pod Identity), instance (IMDS).

use std::path::{Path, PathBuf};

use super::config::{Config, Keys};
use super::provider::Provider;
use crate::config::context::Context;
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
            let id = context.secret("access_key_id", id);
            let secret = context.secret("secret_access_key", secret);
            let token = context.secret("session_token", config.session_token.as_ref());
            return Some(Keys { id: id?, secret: secret?, token });
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
