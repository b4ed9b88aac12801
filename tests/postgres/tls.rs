//! Encrypted connections, with libpq's words and libpq's meaning.

use std::path::Path;
use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::{Value, json};

use crate::faults::ROWS;
use crate::support::postgres::{Cluster, chain, dump, restore, source};
use crate::support::server::wait_until;
use crate::support::{scratch, shell};

/// Two authorities; a server's certificate for `localhost` alone, clients' for two roles, one of the wrong authority.
fn certificates(dir: &Path) {
    shell(&format!(
        "cd '{}'
authority() {{ openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj \"/CN=$1\" -keyout $1.key -out $1.crt 2>/dev/null; }}
signed() {{ # name, authority, extensions
  openssl req -newkey rsa:2048 -nodes -subj \"/CN=$1\" -keyout $1.key -out $1.csr 2>/dev/null
  printf '%s\\n' \"$3\" > $1.ext
  openssl x509 -req -in $1.csr -CA $2.crt -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.crt 2>/dev/null
}}
authority ours; authority other
signed server ours 'subjectAltName = DNS:localhost'
signed postgres ours 'extendedKeyUsage = clientAuth'
signed somebody ours 'extendedKeyUsage = clientAuth'
signed stranger other 'extendedKeyUsage = clientAuth'
chmod 600 server.key; chown nobody server.key server.crt 2>/dev/null || true",
        dir.display()
    ));
}

struct Secured {
    cluster: Cluster,
    dir: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = scratch();
        certificates(dir.path());
        let file = |name: &str| dir.path().join(name).display().to_string();
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", file("server.crt")),
            format!("ssl_key_file={}", file("server.key")),
            format!("ssl_ca_file={}", file("ours.crt")),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let cluster = Cluster::start(15, &settings);
        cluster.database("secured", ROWS);
        Self { cluster, dir }
    }

    /// From here on connections over TCP are let in by these rules alone.
    fn rules(&self, rules: &str) {
        let cluster = &self.cluster;
        std::fs::write(cluster.dir.join("data/pg_hba.conf"), format!("local all all trust\n{rules}\n"))
            .unwrap();
        let psql = cluster.bin.join("psql").display().to_string();
        let socket = format!("-h {} -p {} -U postgres -d postgres", cluster.dir.display(), cluster.port);
        let ask = |sql: &str| shell(&format!("{psql} -qAtX {socket} -c \"SELECT {sql}\""));
        let before = ask("pg_conf_load_time()");
        ask("pg_reload_conf()");
        // Every new connection says when the server had read its rules.
        wait_until(Duration::from_secs(20), || ask("pg_conf_load_time()") != before, String::new);
    }

    fn config(&self, host: &str, tls: &Value) -> Value {
        let mut tls = tls.clone();
        for (key, value) in tls.as_object_mut().unwrap() {
            if key.ends_with("_file") {
                *value = json!(self.dir.path().join(value.as_str().unwrap()));
            }
        }
        json!({ "host": host, "port": self.cluster.port, "database": "secured", "globals": false, "tls": tls })
    }

    async fn connects(&self, host: &str, tls: Value) {
        let probed = source(self.config(host, &tls)).unwrap().probe().await;
        assert!(probed.is_ok(), "{host} {tls}: {}", chain(&probed.err().unwrap()));
    }

    async fn refused(&self, host: &str, tls: Value, why: &str) {
        let error = source(self.config(host, &tls)).unwrap().probe().await.err();
        let text = chain(&error.unwrap_or_else(|| panic!("{host} {tls} was let in")));
        assert!(text.starts_with("cannot connect to ") && text.contains(why), "{host} {tls}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_check_what_they_say() {
    let server = Secured::start();
    server.rules("hostssl all all 127.0.0.1/32 trust");
    let no_rule =
        "no pg_hba.conf entry for host \"127.0.0.1\", user \"postgres\", database \"secured\", no encryption";
    server.refused("localhost", json!({ "mode": "disable" }), no_rule).await;
    server.connects("localhost", json!({})).await;
    server.connects("localhost", json!({ "mode": "prefer" })).await;
    server.connects("127.0.0.1", json!({ "mode": "require" })).await;
    // With an authority at hand `require` verifies it, as libpq does.
    server.connects("127.0.0.1", json!({ "mode": "require", "ca_file": "ours.crt" })).await;
    let unknown = "UnknownIssuer";
    server.refused("localhost", json!({ "mode": "require", "ca_file": "other.crt" }), unknown).await;
    server.connects("127.0.0.1", json!({ "mode": "verify-ca", "ca_file": "ours.crt" })).await;
    server.refused("localhost", json!({ "mode": "verify-ca", "ca_file": "other.crt" }), unknown).await;
    server.refused("localhost", json!({ "mode": "verify-ca" }), unknown).await;
    server.connects("localhost", json!({ "mode": "verify-full", "ca_file": "ours.crt" })).await;
    let name = "certificate not valid for name \"127.0.0.1\"";
    server.refused("127.0.0.1", json!({ "mode": "verify-full", "ca_file": "ours.crt" }), name).await;
    server.refused("localhost", json!({ "mode": "verify-full", "ca_file": "other.crt" }), unknown).await;
    // Every connection of a dump is of the same kind.
    let config = server.config("localhost", &json!({ "mode": "verify-full", "ca_file": "ours.crt" }));
    let dumped = dump(config).await.unwrap();
    assert_eq!(dumped.summary.counts["rows"], 20_000);
    // Also for a target that a restore names, and however the authority is spelt.
    for key in ["sslrootcert", "ssl-ca"] {
        let into = |authority: &str| {
            let (port, path) = (server.cluster.port, server.dir.path().join(authority));
            format!(
                "postgres://postgres@127.0.0.1:{port}/into_{}?sslmode=require&{key}={}",
                key.replace('-', "_"),
                path.display()
            )
        };
        let error = restore(&dumped, &into("other.crt"), Request::default()).await.unwrap_err();
        assert!(chain(&error).contains(unknown), "{key}: {}", chain(&error));
        restore(&dumped, &into("ours.crt"), Request::default()).await.unwrap();
    }
    // `prefer` takes what is left.
    server.rules("hostnossl all all 127.0.0.1/32 trust");
    server.connects("localhost", json!({ "mode": "disable" })).await;
    server.refused("localhost", json!({ "mode": "require" }), "no pg_hba.conf entry").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_have_certificates() {
    let server = Secured::start();
    server.rules("hostssl all all 127.0.0.1/32 cert");
    let tls = |client: &str| json!({ "mode": "verify-full", "ca_file": "ours.crt", "cert_file": format!("{client}.crt"), "key_file": format!("{client}.key") });
    server
        .refused(
            "localhost",
            json!({ "mode": "verify-full", "ca_file": "ours.crt" }),
            "requires a valid client certificate",
        )
        .await;
    server
        .refused("localhost", tls("somebody"), "certificate authentication failed for user \"postgres\"")
        .await;
    server.refused("localhost", tls("stranger"), "").await;
    server.connects("localhost", tls("postgres")).await;
    let dumped = dump(server.config("localhost", &tls("postgres"))).await.unwrap();
    assert_eq!(dumped.summary.counts["rows"], 20_000);
}
