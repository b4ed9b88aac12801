//! How a server is reached: URL or keys, TLS as libpq means it, passwords.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::config::{Config, TlsMode};
use crate::config::context::Context;

/// The connection that a configuration describes; problems are told to `context`.
pub(super) fn options(config: &Config, context: &mut Context) -> Option<PgConnectOptions> {
    let url = context.secret("url", config.url.as_ref());
    if config.url.is_some() && url.is_none() {
        return None;
    }
    let mut options = match &url {
        Some(url) => from_url(url.expose(), context)?,
        None => PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .port(5432)
            .username("postgres")
            .ssl_mode(PgSslMode::Prefer),
    };
    if let Some(host) = &config.host {
        // The driver prefers a socket to any host, and cannot be made to forget it.
        if !host.starts_with('/') && options.get_socket().is_some() {
            context.problem(
                "host",
                "the `url` names a socket, and a socket goes before any host",
                "take the socket out of `url`, or leave `host` out",
            );
            return None;
        }
        options = if host.starts_with('/') { options.socket(host) } else { options.host(host) };
    }
    if let Some(port) = config.port {
        options = options.port(port);
    }
    if let Some(user) = &config.user {
        options = options.username(user);
    }
    if let Some(database) = &config.database {
        options = options.database(database);
    } else if options.get_database().is_none() {
        options = options.database("postgres");
    }
    options = tls(options, config, url.as_ref().is_some_and(|url| names_authority(url.expose())), context)?;
    if let Some(reference) = &config.password {
        options = options.password(context.secret("password", Some(reference))?.expose());
    } else if let Some(path) = &config.passfile {
        let help = "make the file readable, with lines `host:port:database:user:password`";
        let text = context.check("passfile", std::fs::read_to_string(path), help)?;
        let Some(password) = password(&text, &options) else {
            context.problem("passfile", format!("no line for {}", target(&options)), help);
            return None;
        };
        options = options.password(&password);
    }
    Some(with_session_options(options))
}

/// The connection that a URL describes, for `restore --into`.
pub(super) fn from_url(url: &str, context: &mut Context) -> Option<PgConnectOptions> {
    // The driver's own message may repeat the URL, and with it the password.
    let help = "write `postgres://user:password@host:port/database`";
    if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
        context.problem("url", "not a postgres:// URL", help);
        return None;
    }
    let Ok(options) = PgConnectOptions::from_str(url) else {
        context.problem("url", "not a valid postgres:// URL", help);
        return None;
    };
    Some(if names_authority(url) { checked(options) } else { options })
}

/// Whether a URL says whom to trust, in any of the driver's spellings.
fn names_authority(url: &str) -> bool {
    let mut keys = url.split(['?', '&']).skip(1).filter_map(|pair| pair.split_once('='));
    keys.any(|(key, _)| matches!(key, "sslrootcert" | "ssl-root-cert" | "ssl-ca"))
}

/// libpq: with an authority at hand, `require` is as good as `verify-ca`; the driver would not look at it.
fn checked(options: PgConnectOptions) -> PgConnectOptions {
    match options.get_ssl_mode() {
        PgSslMode::Require => options.ssl_mode(PgSslMode::VerifyCa),
        _ => options,
    }
}

/// Settings that every connection of this program has.
pub(super) fn with_session_options(options: PgConnectOptions) -> PgConnectOptions {
    // A statement that is prepared under a name is lost when a pooler changes the server below it; and poolers refuse
    // settings that come with the connection, so those are made by `Session::open`. That a statement takes long is what
    // dumps and restores are made of, so the driver does not warn of it.
    options
        .statement_cache_capacity(0)
        .application_name("chupacabra")
        .extra_float_digits(None)
        .disable_statement_logging()
}

fn tls(
    mut options: PgConnectOptions,
    config: &Config,
    url_has_ca: bool,
    context: &mut Context,
) -> Option<PgConnectOptions> {
    let tls = &config.tls;
    if let Some(mode) = tls.mode {
        options = options.ssl_mode(match mode {
            TlsMode::Disable => PgSslMode::Disable,
            TlsMode::Prefer => PgSslMode::Prefer,
            TlsMode::Require => PgSslMode::Require,
            TlsMode::VerifyCa => PgSslMode::VerifyCa,
            TlsMode::VerifyFull => PgSslMode::VerifyFull,
        });
    }
    let readable = |key: &str, path: &Path, context: &mut Context| {
        context.check(key, std::fs::read(path), "name a readable PEM file")
    };
    if let Some(path) = &tls.ca_file {
        options = options.ssl_root_cert_from_pem(readable("tls.ca_file", path, context)?);
    }
    if tls.ca_file.is_some() || url_has_ca {
        options = checked(options);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            options = options.ssl_client_cert_from_pem(readable("tls.cert_file", cert, context)?);
            options = options.ssl_client_key_from_pem(readable("tls.key_file", key, context)?);
        }
        (None, None) => {}
        _ => {
            context.problem(
                "tls",
                "a client certificate needs its key",
                "give both `cert_file` and `key_file`",
            );
            return None;
        }
    }
    Some(options)
}

/// The password for a connection in libpq's password file.
fn password(text: &str, options: &PgConnectOptions) -> Option<String> {
    let host = match options.get_socket() {
        Some(_) => "localhost",
        None => options.get_host(),
    };
    let wanted = [
        host.to_owned(),
        options.get_port().to_string(),
        options.get_database().unwrap_or_default().to_owned(),
        options.get_username().to_owned(),
    ];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = fields(line);
        let (password, keys) = fields.split_last()?;
        let fits =
            keys.len() == 4 && keys.iter().zip(&wanted).all(|(key, wanted)| key == "*" || key == wanted);
        fits.then(|| password.clone())
    })
}

/// The fields of a line: separated by colons, a backslash before a colon or backslash that is meant.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.iter_mut().last().into_iter().for_each(|field| field.extend(chars.next())),
            c => fields.iter_mut().last().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

/// Where a connection goes, without secrets.
pub(super) fn target(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    let user = options.get_username();
    match options.get_socket() {
        Some(socket) => {
            format!("{}:{} (database {database}, user {user})", socket.display(), options.get_port())
        }
        None => format!("{}:{} (database {database}, user {user})", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        from_url(url, &mut Context::default()).unwrap().get_ssl_mode()
    }

    #[test]
    fn an_authority_is_asked_whatever_it_is_called() {
        for key in ["sslrootcert", "ssl-root-cert", "ssl-ca"] {
            let mode = mode(&format!("postgres://u@db/d?sslmode=require&{key}=/ca.pem"));
            assert!(matches!(mode, PgSslMode::VerifyCa), "{key}: {mode:?}");
        }
        assert!(matches!(mode("postgres://u@db/d?sslmode=require"), PgSslMode::Require));
        assert!(matches!(mode("postgres://u@db/d?sslrootcert=/ca.pem&sslmode=prefer"), PgSslMode::Prefer));
    }

    #[test]
    fn a_socket_does_not_hide_the_host() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |url: &str, host: &str, context: &mut Context| {
            std::fs::write(file.path(), url).unwrap();
            let config = serde_json::json!({ "url": { "file": file.path() }, "host": host });
            options(&serde_json::from_value(config).unwrap(), context)
        };
        let mut context = Context::default();
        let socket = "postgres:///d?host=/run/pg";
        assert!(read(socket, "db2", &mut context).is_none());
        assert_eq!(context.into_problems().len(), 1);
        let mut context = Context::default();
        let other = read(socket, "/run/other", &mut context).unwrap();
        assert_eq!(other.get_socket().map(std::path::PathBuf::as_path), Some(Path::new("/run/other")));
        let host = read("postgres://db1/d", "db2", &mut context).unwrap();
        assert_eq!((host.get_host(), host.get_socket()), ("db2", None));
    }

    #[test]
    fn passwords_come_from_the_first_line_that_fits() {
        let options =
            PgConnectOptions::new_without_pgpass().host("db").port(5433).username("u:x").database("d");
        let text = "# comment\nother:*:*:*:no\ndb:5433:d:u\\:x:pa\\:ss:word\\\\\n*:*:*:*:late\n";
        assert_eq!(password(text, &options).as_deref(), Some("pa:ss:word\\"));
        assert_eq!(password("db:1:d:*:no\n", &options), None);
    }
}
