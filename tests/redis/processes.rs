//! An address that leads to another process than before: a server that was started again, or one of several.

use std::process::Stdio;
use std::time::{Duration, Instant};

use chupacabra::config::context::Context;
use chupacabra::package::pipe::pipe;
use chupacabra::package::seal;
use chupacabra::sources::Summary;
use chupacabra::sources::redis::config::Mode;
use chupacabra::sources::redis::{Config, Error, Redis};
use redis::{Value, cmd};
use tokio_util::sync::CancellationToken;

use crate::site::Site;
use crate::support::package::{collect, keys, settings};
use crate::support::proxy::Proxy;
use crate::support::redis::{Instance, Product};
use crate::support::server::wait_until;

/// How many keys are read: values that nothing compresses, more than may wait for a package.
const KEYS: usize = 15_000;

fn noisy() -> Instance {
    let server = Instance::start(Product::Redis, &[]);
    let noise: Vec<u8> = (0..1_000_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).rotate_left(i % 31).to_le_bytes())
        .collect();
    let mut connection = server.connect(0);
    for from in (0..KEYS).step_by(1_000) {
        let mut pipe = redis::pipe();
        for i in from..from + 1_000 {
            pipe.cmd("SET").arg(format!("key:{i}")).arg(&noise[i * 131..i * 131 + 3_000]).ignore();
        }
        let () = pipe.query(&mut connection).unwrap();
    }
    server
}

/// Reads key by key through `port` into a package of which nobody takes anything until `server` has not been read for
/// longer than a connection is kept, and `act` is done.
async fn scan_with_a_pause(port: u16, server: &Instance, act: impl FnOnce()) -> Result<Summary, Error> {
    let config =
        Config { host: Some("127.0.0.1".into()), port: Some(port), mode: Mode::Scan, ..Config::default() };
    let source = Redis::new(config.plan(&mut Context::default()).unwrap());
    let (package_writer, package_reader) = pipe(1);
    let (index_writer, index_reader) = pipe(1);
    let settings = settings(&keys().recipient);
    let (outlet, _sealing) = seal(&settings, "cache", package_writer, index_writer).unwrap();
    let dump = tokio::spawn(async move { source.dump(outlet, &CancellationToken::new()).await });
    tokio::task::block_in_place(|| {
        let (mut read, mut since) = (0, Instant::now());
        let silent = || {
            let now = server.dumps();
            if now != read {
                (read, since) = (now, Instant::now());
            }
            now > 0 && since.elapsed() > Duration::from_millis(1_500)
        };
        wait_until(Duration::from_mins(1), silent, || server.log());
        assert!((500..KEYS as u64).contains(&read), "{read}: it stands in the middle");
        act();
    });
    let (_package, _index) = (tokio::spawn(collect(package_reader)), tokio::spawn(collect(index_reader)));
    dump.await.unwrap()
}

/// The cursor of SCAN means something to the process alone that gave it out: another one passes over an arbitrary part
/// of the keys, and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_does_not_go_on_with_another_process() {
    let server = noisy();
    server.run(0, "SAVE");
    let twin = Instance::on(Product::Redis, &server.dir.path().join("dump.rdb"), &[]);
    assert_eq!(twin.run(0, "DBSIZE"), server.run(0, "DBSIZE"));
    let proxy = Proxy::start(server.port);
    // The negative control: the connection is opened again, and leads to the same process.
    let summary = scan_with_a_pause(proxy.port, &server, || ()).await.unwrap();
    assert_eq!(summary.counts["keys"], KEYS as u64);
    server.run(0, "CONFIG RESETSTAT");
    let error = scan_with_a_pause(proxy.port, &server, || proxy.turn_to(twin.port)).await.unwrap_err();
    assert!(matches!(error, Error::Replaced(_)), "{error}");
    let said =
        format!("127.0.0.1:{} is another process than before: the server was started again", proxy.port);
    assert!(error.to_string().starts_with(&said), "{error}");
    assert!(error.may_pass(), "a dump from the beginning may succeed");
}

/// What was restored into one process and compared there is not in the one that answers at the end.
#[test]
fn a_restore_does_not_end_with_another_process() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "SET early 1");
    source.run(1, "DEBUG POPULATE 150000 key 100");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let (target, empty) = (Instance::start(Product::Redis, &[]), Instance::start(Product::Redis, &[]));
    let proxy = Proxy::start(target.port);
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    let mut restore = site.command(&["restore", "cache", "--into", &url]);
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(Duration::from_secs(30), || target.dumps() > 0, || target.log());
    let begun = Instant::now();
    proxy.turn_to(empty.port);
    let output = restore.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(begun.elapsed() > Duration::from_secs(1), "the machine is too fast for this test: {said}");
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("is another process than before") && said.contains("--replace"), "{said}");
    assert_eq!(empty.run(1, "DBSIZE"), Value::Int(0));
}

/// A target that follows somebody else since has what that one has.
#[test]
fn a_target_that_becomes_a_replica_while_it_is_restored() {
    let source = Instance::start(Product::Redis, &[]);
    source.run(0, "DEBUG POPULATE 100000 key 100");
    let site = Site::at(source.port, "");
    site.good(&["backup"]);
    let target = Instance::start(Product::Redis, &["--replica-read-only", "no"]);
    let mut restore = site.command(&["restore", "cache", "--into", &target.url()]);
    let restore = restore.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until(Duration::from_secs(30), || target.dumps() > 0, || target.log());
    // Of a master that is not there: its data stays as it is, for now.
    let nobody = crate::support::server::free_port();
    let _: Value = cmd("REPLICAOF").arg("127.0.0.1").arg(nobody).query(&mut target.connect(0)).unwrap();
    let output = restore.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("was `master` and is `slave` after the restore"), "{said}");
}
