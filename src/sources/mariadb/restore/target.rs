//! Where a restore goes: the server that the configuration names, or another one by URL.

use std::path::PathBuf;

use super::super::config::{Config, Plan, Tls};
use super::Error;
use crate::config::context::Context;
use crate::config::secret::SecretRef;

/// A server, and the name under which a single database is restored there.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// The server and how to log in.
    pub(super) plan: Plan,
    /// The other name; `None`: each database under its own.
    pub(super) database: Option<String>,
}

impl Target {
    /// Reads `--into`: nothing, a database's name, or
    /// `mysql://USER@HOST:PORT/DATABASE?password_env=NAME&password_file=PATH&tls=MODE&ca=PATH&socket=PATH`.
    pub(super) fn new(own: Option<&Plan>, into: Option<&str>) -> Result<Self, Error> {
        let Some(into) = into else {
            let plan =
                own.cloned().ok_or_else(|| bad("", "no server is configured; give `--into mysql://…`"))?;
            return Ok(Self { plan, database: None });
        };
        let rest = ["mysql://", "mariadb://"].into_iter().find_map(|scheme| into.strip_prefix(scheme));
        match rest {
            Some(rest) => url(own, into, rest),
            None if into.contains("://") => {
                Err(bad(into, "the URL must begin with `mysql://` or `mariadb://`"))
            }
            None => {
                let plan = own.cloned().ok_or_else(|| bad(into, "no server is configured; write a URL"))?;
                Ok(Self { plan, database: Some(into.to_owned()) })
            }
        }
    }
}

fn url(own: Option<&Plan>, whole: &str, rest: &str) -> Result<Target, Error> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        // The text is not repeated: it holds the password.
        return Err(bad(
            "",
            "a password must not stand in the URL; use `?password_env=` or `?password_file=`",
        ));
    }
    let mut config = Config { user: decoded(user.unwrap_or_default()), ..Config::default() };
    let mut reference = SecretRef { env: None, file: None };
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value);
        match key {
            "password_env" => reference.env = Some(value),
            "password_file" => reference.file = Some(PathBuf::from(value)),
            "tls" => config.tls = Some(tls(whole, &value)?),
            "ca" => config.ca = Some(PathBuf::from(value)),
            "socket" => config.socket = Some(PathBuf::from(value)),
            other => return Err(bad(whole, &format!("`{other}` is not known"))),
        }
    }
    if reference.env.is_some() || reference.file.is_some() {
        config.password = Some(reference);
    }
    if config.socket.is_none() {
        let (host, port) = host_and_port(whole, host)?;
        (config.host, config.port) = (Some(host), port);
    }
    let given = config.password.is_some();
    let unnamed = user.is_none();
    let mut context = Context::default();
    let plan = config.plan(&mut context);
    if let Some(problem) = context.into_problems().first() {
        return Err(bad(whole, &problem.what));
    }
    let mut plan = plan.ok_or_else(|| bad(whole, "not a server"))?;
    if let Some(own) = own {
        plan.inherit(own, unnamed, given);
    }
    let database = (!database.is_empty()).then(|| decoded(database));
    Ok(Target { plan, database })
}

fn tls(whole: &str, value: &str) -> Result<Tls, Error> {
    match value {
        "disabled" => Ok(Tls::Disabled),
        "required" => Ok(Tls::Required),
        "verify_ca" => Ok(Tls::VerifyCa),
        "verify_identity" => Ok(Tls::VerifyIdentity),
        _ => Err(bad(whole, "`tls` is one of disabled, required, verify_ca, verify_identity")),
    }
}

fn host_and_port(whole: &str, authority: &str) -> Result<(String, Option<u16>), Error> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => return Err(bad(whole, "the port is not a number")),
    };
    if host.is_empty() { Err(bad(whole, "the URL names no host")) } else { Ok((decoded(host), port)) }
}

/// Undoes percent-encoding; what is not an encoding stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'%')
            .then(|| tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = &tail[2..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    super::super::connect::lossy(out)
}

fn bad(into: &str, why: &str) -> Error {
    Error::Target { into: into.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(into: &str) -> String {
        Target::new(None, Some(into)).unwrap_err().to_string()
    }

    #[test]
    fn urls_name_a_server_and_a_database() {
        let target = Target::new(None, Some("mysql://r%40x@[::1]:3307/shop%2Fcopy?tls=required")).unwrap();
        assert_eq!(target.plan.server(), "::1:3307");
        assert_eq!(target.plan.user, "r@x");
        assert_eq!(target.plan.tls, Tls::Required);
        assert_eq!(target.database.as_deref(), Some("shop/copy"));
        let socket = Target::new(None, Some("mariadb://root@/?socket=/run/s")).unwrap();
        assert_eq!((socket.plan.server().as_str(), socket.database), ("/run/s", None));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let secret = refusal("mysql://root:hunter2@db/");
        assert!(secret.contains("must not stand in the URL") && !secret.contains("hunter2"), "{secret}");
        assert!(refusal("postgres://db/").contains("must begin with"));
        assert!(refusal("mysql://u@h:x/").contains("port is not a number"));
        assert!(refusal("mysql://u@/").contains("names no host"));
        assert!(refusal("mysql://u@h/?ssl=1").contains("`ssl` is not known"));
        assert!(refusal("copy").contains("no server is configured"));
    }
}
