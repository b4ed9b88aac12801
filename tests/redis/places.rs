//! Where servers are: behind TLS, a Unix socket, sentinels, in a cluster.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use redis::{Value, cmd};

use crate::site::Site;
use crate::support::redis::{Instance, Product, Sentinel, differences};
use crate::support::server::{free_port, wait_until};

/// An authority, and a certificate of it for `127.0.0.1`, as PEM files.
fn certificates(dir: &Path) -> [PathBuf; 3] {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    // An authority and a certificate of the same name would look like one that signed itself.
    server.distinguished_name.push(rcgen::DnType::CommonName, "the server");
    let certificate = server.signed_by(&key, &issuer).unwrap();
    let files =
        [("ca.pem", authority_pem), ("cert.pem", certificate.pem()), ("key.pem", key.serialize_pem())];
    files.map(|(name, text)| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        path
    })
}

#[test]
fn tls_both_ways_and_only_with_the_right_authority() {
    let dir = crate::support::scratch();
    let [ca, cert, key] = certificates(dir.path());
    let port = free_port();
    let text = |path: &Path| path.display().to_string();
    let server = Instance::start(
        Product::Redis,
        &[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &text(&cert),
            "--tls-key-file",
            &text(&key),
            "--tls-ca-cert-file",
            &text(&ca),
        ],
    );
    server.seed();
    let tls =
        format!("tls: {{ ca_file: {0}, cert_file: {1}, key_file: {2} }}", text(&ca), text(&cert), text(&key));
    for mode in ["psync", "scan"] {
        let site = Site::at(port, &format!(", mode: {mode}, {tls}"));
        site.good(&["backup"]);
        let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
        assert_eq!(differences(&copy.state(), &server.state()), Vec::<String>::new());
        server.run(0, "FLUSHALL");
        server.run(0, "FUNCTION FLUSH");
        site.good(&["restore", "cache"]);
        assert_eq!(differences(&copy.state(), &server.state()), Vec::<String>::new());
    }
    let said = Site::at(port, ", tls: {}").bad(&["backup"]);
    assert!(said.contains("TLS with 127.0.0.1") && said.contains("UnknownIssuer"), "{said}");
    let said =
        Site::at(port, &format!(", tls: {{ ca_file: {}/none.pem }}", dir.path().display())).bad(&["backup"]);
    assert!(said.contains("none.pem"), "{said}");
}

#[test]
fn a_unix_socket() {
    let dir = crate::support::scratch();
    let socket = dir.path().join("redis.sock");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let path = socket.display().to_string();
    let server = Instance::start(Product::Redis, &["--unixsocket", &path, "--unixsocketperm", "777"]);
    server.seed();
    let site = Site::new(&format!("socket: {path}"));
    site.good(&["backup"]);
    let before = server.state();
    site.good(&["restore", "cache", "--replace", "--into", &format!("unix://{path}")]);
    site.good(&["restore", "cache", "--replace", "--switch", "via=replication"]);
    assert_eq!(differences(&server.state(), &before), Vec::<String>::new());
}

#[test]
fn sentinels_know_a_replica_and_the_master() {
    let master = Instance::start(Product::Redis, &[]);
    master.seed();
    let replica = Instance::start(Product::Redis, &["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let linked = || replica.info("master_link_status") == "up";
    wait_until(Duration::from_secs(30), linked, || replica.log());
    let sentinel = Sentinel::of("cache-group", &master);
    let port = sentinel.port;
    let knows = || {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let mut connection = client.get_connection().unwrap();
        let replicas: Value =
            cmd("SENTINEL").arg("REPLICAS").arg("cache-group").query(&mut connection).unwrap();
        let text = format!("{replicas:?}");
        text.contains(&replica.port.to_string()) && text.contains("\"ok\"")
    };
    wait_until(Duration::from_mins(1), knows, || sentinel.log());
    for (prefer, role, server) in [("replica", "slave", &replica), ("master", "master", &master)] {
        let sentinel =
            format!("nodes: ['127.0.0.1:1', '127.0.0.1:{port}'], master: cache-group, prefer: {prefer}");
        let site = Site::new(&format!("sentinel: {{ {sentinel} }}"));
        site.good(&["backup"]);
        let coordinates = &site.record()["consistency"]["coordinates"];
        assert_eq!(coordinates["role"], role);
        assert_eq!(coordinates["server"], format!("127.0.0.1:{}", server.port));
        let copy = Instance::on(Product::Redis, &site.rdb(), &[]);
        assert_eq!(differences(&copy.state(), &master.state()), Vec::<String>::new());
    }
    let site = Site::new(&format!("sentinel: {{ nodes: ['127.0.0.1:{port}'], master: nobody }}"));
    let said = site.bad(&["backup"]);
    assert!(said.contains("no sentinel knows where `nobody` is"), "{said}");
}

#[test]
fn a_node_of_a_cluster_says_which_slots_it_has() {
    for product in [Product::Redis, Product::Valkey] {
        let node = node(product);
        node.run(0, "SET a 1");
        node.run(0, "SET b 2");
        let site = Site::at(node.port, "");
        let said = site.bad(&["backup"]);
        assert!(said.contains("is a node of a cluster: it has only a part of the keys"), "{said}");
        assert!(
            said.contains("make one source of each master of the cluster, each with `cluster_node: true`"),
            "{said}"
        );
        let site = Site::at(node.port, ", cluster_node: true");
        site.good(&["backup"]);
        assert_eq!(site.record()["consistency"]["coordinates"]["cluster_slots"], "0-16383");
        assert_eq!(site.record()["counts"]["keys"], 2);
        let plain = Instance::start(product, &[]);
        site.good(&["restore", "cache", "--into", &plain.url()]);
        assert_eq!(plain.state().len(), 3);
        assert!(!site.record()["notes"].to_string().contains("on their way"));
        // To a node that this one only has heard of.
        let other = Instance::start(product, &["--cluster-enabled", "yes", "--databases", "1"]);
        node.run(0, &format!("CLUSTER MEET 127.0.0.1 {}", other.port));
        let id: String = cmd("CLUSTER").arg("MYID").query(&mut other.connect(0)).unwrap();
        let migrate = || {
            let slot = ["SETSLOT", "300", "MIGRATING", &id];
            cmd("CLUSTER").arg(&slot).query::<Value>(&mut node.connect(0)).is_ok()
        };
        wait_until(Duration::from_secs(30), migrate, || node.log());
        site.good(&["backup"]);
        let notes = site.record()["notes"].to_string();
        assert!(notes.contains(&format!("on their way to or from another node ([300->-{id}])")), "{notes}");
    }
    let plain = Instance::start(Product::Redis, &[]);
    let said = Site::at(plain.port, ", cluster_node: true").bad(&["backup"]);
    assert!(said.contains("is not a node of a cluster"), "{said}");
}

/// Slots that go while a snapshot is taken are told: their keys are nobody's, whatever the node had said before.
#[test]
fn a_node_of_a_cluster_whose_slots_go_while_it_is_read() {
    for mode in ["psync", "scan"] {
        let node = node(Product::Redis);
        node.run(0, "CONFIG SET cluster-require-full-coverage no");
        node.run(0, "CONFIG SET rdb-key-save-delay 50");
        // All of them in one slot, which stays.
        node.run(0, "DEBUG POPULATE 30000 {a} 100");
        let site = Site::at(node.port, &format!(", cluster_node: true, mode: {mode}"));
        site.good(&["backup"]);
        let record = site.record();
        assert_eq!(record["consistency"]["coordinates"]["cluster_slots"], "0-16383", "{record}");
        assert!(!record["notes"].to_string().contains("slots"), "{record}");
        let asked = || node.info("cmdstat_cluster|nodes");
        let before = asked();
        let backup = site.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(Duration::from_secs(30), || asked() != before, || node.log());
        node.run(0, "CLUSTER DELSLOTS 300");
        let output = backup.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let record = site.record();
        assert_eq!(
            record["consistency"]["coordinates"]["cluster_slots_after"], "0-299,301-16383",
            "{record}"
        );
        let note = "were 0-16383 before the backup and are 0-299,301-16383 after it; of those that came or went each of";
        assert!(record["notes"].to_string().contains(note), "{mode}: {record}");
    }
}

/// Valkey writes the keys of a slot that comes in into the snapshot, and that it comes; the slot is still the other's.
#[test]
fn a_node_of_a_cluster_to_which_slots_are_on_their_way() {
    let from = node(Product::Valkey);
    from.run(0, "SET {a}1 x");
    let to = Instance::start(Product::Valkey, &["--cluster-enabled", "yes", "--databases", "1"]);
    to.run(0, &format!("CLUSTER MEET 127.0.0.1 {}", from.port));
    let id: String = cmd("CLUSTER").arg("MYID").query(&mut to.connect(0)).unwrap();
    let nodes =
        |server: &Instance| -> String { cmd("CLUSTER").arg("NODES").query(&mut server.connect(0)).unwrap() };
    // Only one that has slots is given others.
    from.run(0, "CLUSTER DELSLOTS 16383");
    to.run(0, "CLUSTER ADDSLOTS 16383");
    let settled = || nodes(&from).contains(" connected 16383") && nodes(&to).contains(" connected 0-16382");
    wait_until(Duration::from_secs(30), settled, || nodes(&from) + &nodes(&to));
    let site = Site::at(to.port, ", cluster_node: true");
    let note = "slots were on their way to this node when the snapshot was taken";
    site.good(&["backup"]);
    assert!(!site.record()["notes"].to_string().contains(note), "{}", site.record());
    from.run(0, "DEBUG SLOTMIGRATION PREVENT-PAUSE 1");
    from.run(0, &format!("CLUSTER MIGRATESLOTS SLOTSRANGE 15495 15495 NODE {id}"));
    let comes = || format!("{:?}", to.run(0, "CLUSTER GETSLOTMIGRATIONS")).contains("waiting-for-paused");
    wait_until(Duration::from_secs(30), comes, || to.log());
    site.good(&["backup"]);
    let record = site.record();
    assert!(record["notes"].to_string().contains(note), "{record}");
    assert_eq!(record["consistency"]["coordinates"]["cluster_slots"], "16383", "{record}");
    assert_eq!(record["counts"]["keys"], 1, "{record}");
}

/// A cluster's node without data, all slots its own.
fn node(product: Product) -> Instance {
    let node = Instance::start(product, &["--cluster-enabled", "yes", "--databases", "1"]);
    node.run(0, "CLUSTER ADDSLOTSRANGE 0 16383");
    let settled = || {
        let info: String = cmd("CLUSTER").arg("INFO").query(&mut node.connect(0)).unwrap();
        info.contains("cluster_state:ok")
    };
    wait_until(Duration::from_secs(30), settled, || node.log());
    node
}

/// A node takes no transaction over keys of several slots, and a replica answers for its master only if it is told to.
#[test]
fn a_node_of_a_cluster_is_read_key_by_key_and_its_replica_too() {
    for product in [Product::Redis, Product::Valkey] {
        let master = node(product);
        for i in 0..1_000 {
            let _: Value = cmd("SET").arg(format!("key {i}")).arg(i).query(&mut master.connect(0)).unwrap();
        }
        let replica = Instance::start(product, &["--cluster-enabled", "yes", "--databases", "1"]);
        replica.run(0, &format!("CLUSTER MEET 127.0.0.1 {}", master.port));
        let id: String = cmd("CLUSTER").arg("MYID").query(&mut master.connect(0)).unwrap();
        let follow =
            || cmd("CLUSTER").arg("REPLICATE").arg(&id).query::<Value>(&mut replica.connect(0)).is_ok();
        wait_until(Duration::from_secs(30), follow, || replica.log());
        let linked = || replica.info("role") == "slave" && replica.info("master_link_status") == "up";
        wait_until(Duration::from_secs(30), linked, || replica.log());
        for server in [&master, &replica] {
            let site = Site::at(server.port, ", mode: scan, cluster_node: true");
            site.good(&["backup"]);
            assert_eq!(site.record()["counts"]["keys"], 1_000);
            assert_eq!(site.record()["consistency"]["coordinates"]["cluster_slots"], "0-16383");
            let plain = Instance::start(product, &[]);
            site.good(&["restore", "cache", "--into", &plain.url()]);
            assert_eq!(plain.run(0, "DBSIZE"), Value::Int(1_000));
        }
    }
}

/// Few rights never make a part of a cluster a whole.
#[test]
fn a_node_of_a_cluster_is_noticed_whatever_the_user_may() {
    for product in [Product::Redis, Product::Valkey] {
        let node = node(product);
        node.run(0, "SET a 1");
        node.run(0, "ACL SETUSER backup on >word +psync +replconf +ping");
        let site = Site::at(node.port, "");
        let file = site.dir.path().join("password");
        std::fs::write(&file, "word").unwrap();
        site.configure(&format!(
            "host: 127.0.0.1, port: {}, username: backup, password: {{ file: {} }}",
            node.port,
            file.display()
        ));
        let said = site.bad(&["backup"]);
        assert!(said.contains("may not run `info`"), "{said}");
        node.run(0, "ACL SETUSER backup +info");
        let said = site.bad(&["backup"]);
        assert!(said.contains("is a node of a cluster: it has only a part of the keys"), "{said}");
        assert!(!site.has_record());
    }
}

/// What some managed services say of a node of a cluster, and that they do not say which process they are.
const ALONE: [&[u8]; 2] = [b"cluster_enabled:1", b"cluster_enabled:0"];
const NAMELESS: [&[u8]; 2] = [b"run_id:", b"hidden:"];

/// In front of a server of which INFO says something else, as long as what it says.
fn disguised(to: u16, [said, instead]: [&'static [u8]; 2]) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).unwrap();
            let (mut from, mut up) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut up));
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = server.read(&mut buffer) {
                    if let Some(at) = buffer[..count].windows(said.len()).position(|bytes| bytes == said) {
                        buffer[at..at + said.len()].copy_from_slice(instead);
                    }
                    if client.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

/// Only nodes of clusters write what slots hold into the stream: whatever INFO says, such a stream is of a node.
#[test]
fn a_node_of_a_cluster_that_does_not_say_so_is_noticed_by_its_stream() {
    let node = node(Product::Valkey);
    node.run(0, "SET a 1");
    let site = Site::at(disguised(node.port, ALONE), "");
    let said = site.bad(&["backup"]);
    assert!(said.contains("is a node of a cluster: it has only a part of the keys"), "{said}");
    assert!(!site.has_record());
    // The negative control: a server that is none of a cluster passes the same way.
    let plain = Instance::start(Product::Valkey, &[]);
    plain.run(0, "SET a 1");
    Site::at(disguised(plain.port, ALONE), "").good(&["backup"]);
}

/// Whoever does not say which process it is can be read and restored into; that another would not be noticed is said.
#[test]
fn a_server_that_does_not_say_which_process_it_is() {
    let server = Instance::start(Product::Redis, &[]);
    server.run(0, "SET a 1");
    let (hidden, plain) = (disguised(server.port, NAMELESS), server.port);
    for (port, is_told) in [(hidden, true), (plain, false)] {
        let site = Site::at(port, ", mode: scan");
        site.good(&["backup"]);
        let notes = site.record()["notes"].to_string();
        assert_eq!(notes.contains("does not tell its `run_id`"), is_told, "{notes}");
        let said = site.good(&["restore", "cache", "--replace"]);
        assert_eq!(said.contains("does not tell its `run_id`"), is_told, "{said}");
    }
}
