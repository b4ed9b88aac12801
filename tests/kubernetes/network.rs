//! The network policy: open to what is configured, and to nothing else.

use std::collections::BTreeSet;

use serde_json::json;

use crate::rendered::{BASE, find, manifests};

#[test]
fn the_network_is_open_to_what_is_configured_and_to_nothing_else() {
    let rendered = manifests(&[BASE, "networkPolicy: { enabled: true }"]);
    let policy = &find(&rendered, "NetworkPolicy", "chupacabra")["spec"];
    let ports = |rule: usize| {
        let ports = policy["egress"][rule]["ports"].as_array().unwrap().iter();
        ports.map(|one| one["port"].as_u64().unwrap()).collect::<BTreeSet<_>>()
    };
    assert_eq!(ports(0), [53].into());
    // MariaDB's usual port, Redis's configured one, the store's, and that of notifications.
    assert_eq!(ports(1), [443, 3306, 6380, 8333].into());
    assert_eq!((&policy["policyTypes"], &policy["ingress"]), (&json!(["Ingress", "Egress"]), &json!([])));
    for (address, wanted) in [
        ("http://bot-api:8081", 8081),
        ("http://bot-api", 80),
        ("https://[fd00::1]/", 443),
        ("https://[fd00::1]:9000/bot", 9000),
    ] {
        let api = format!("config: {{ notifications: {{ team: {{ telegram: {{ api: '{address}' }} }} }} }}");
        let rendered = manifests(&[BASE, "networkPolicy: { enabled: true }", &api]);
        let egress = &find(&rendered, "NetworkPolicy", "chupacabra")["spec"]["egress"][1]["ports"];
        let open = |port: u64| egress.as_array().unwrap().iter().any(|one| one["port"] == port);
        assert!(open(wanted), "{address}: {egress}");
        assert_eq!(open(443), wanted == 443, "{address}: {egress}");
    }
}

/// To which ports a pod with these sources may connect, but for names (DNS).
fn open_for(sources: &str) -> BTreeSet<u64> {
    let sources = format!("config: {{ sources: {sources} }}");
    let rendered = manifests(&[BASE, "networkPolicy: { enabled: true }", &sources]);
    let policy = find(&rendered, "NetworkPolicy", "chupacabra");
    let ports = policy["spec"]["egress"][1]["ports"].as_array().unwrap().iter();
    ports.map(|one| one["port"].as_u64().unwrap()).collect()
}

#[test]
fn the_network_is_open_to_where_names_are_told() {
    for (values, wanted) in [
        ("{}", &[53][..]),
        ("networkPolicy: { dnsPorts: [53, 5353] }", &[53, 5353]),
        // No port at all would be every port.
        ("networkPolicy: { dnsPorts: null }", &[53]),
    ] {
        let rendered = manifests(&[BASE, "networkPolicy: { enabled: true }", values]);
        let rule = find(&rendered, "NetworkPolicy", "chupacabra")["spec"]["egress"][0].clone();
        let both = wanted
            .iter()
            .flat_map(|port| ["UDP", "TCP"].map(|protocol| json!({ "protocol": protocol, "port": port })));
        assert_eq!(rule, json!({ "ports": both.collect::<Vec<_>>() }), "{values}");
    }
}

#[test]
fn the_network_is_open_to_servers_in_whatever_way_they_are_named() {
    // As the program reads them (src/sources/redis/config.rs).
    for (sentinel, port) in [
        ("sentinel-0", 26379),
        ("10.0.4.17", 26379),
        ("::1", 26379),
        ("fd00::17", 26379),
        ("[fd00::17]", 26379),
        ("sentinel-0:26380", 26380),
        ("10.0.4.17:26380", 26380),
        ("[fd00::1]:26380", 26380),
    ] {
        let sentinel = format!(
            "{{ cache: {{ redis: {{ host: null, port: null, sentinel: {{ master: m, nodes: ['{sentinel}'] }} }} }} }}"
        );
        // Behind sentinels the server's port is the usual one.
        assert_eq!(open_for(&sentinel), [443, 3306, 6379, 8333, port].into(), "{sentinel}");
    }
    let sockets = "{ shop: { mariadb: { host: null, socket: /run/mysqld.sock } }, pg: { postgres: { host: /run/postgresql } }, \
                   cache: { redis: { host: null, port: null, socket: /run/redis.sock } } }";
    assert_eq!(open_for(sockets), [443, 8333].into());
    let usual = "{ pg: { postgres: { host: pg } }, own: { postgres: { host: pg, port: 5433 } }, docs: { mongodb: { url: { env: URL } } } }";
    assert_eq!(open_for(usual), [443, 3306, 5432, 5433, 6380, 8333, 27017].into());
}

/// Where each of the clouds hands out credentials: addresses and ports.
const GOOGLE: (&[&str], &[u64]) = (&["169.254.169.252/32", "169.254.169.254/32"], &[80, 988]);
const AWS: (&[&str], &[u64]) =
    (&["169.254.169.254/32", "169.254.170.23/32", "fd00:ec2::23/128", "fd00:ec2::254/128"], &[80]);

#[test]
fn the_network_is_open_to_where_credentials_come_from_and_only_if_they_do() {
    let drive = "config: { stores: { drive: { google_drive: { shared_drive: x, folder: f, workload_identity: { account: default } } } } }";
    let keyless = "config: { stores: { aws: { s3: { provider: aws, bucket: b, region: eu } } } }";
    let elsewhere = "config: { notifications: null, stores: { aws: { s3: { endpoint: 'https://s3.example.com:9000' } } } }";
    let by_account =
        "config: { stores: { drive: { google_drive: { folder: f, oauth: { client_id: { env: A } } } } } }";
    let keys = "secrets: { env: [{ name: AWS_ACCESS_KEY_ID, secret: s3, key: id }] }";
    let unseen = "config: \"\"\nexistingConfigMap: mine";
    for (values, wanted) in [
        (&["{}"][..], &[][..]),
        (&[by_account], &[]),
        (&[drive], &[GOOGLE]),
        (&[keyless], &[AWS]),
        (&[keyless, keys], &[]),
        (&[drive, keyless], &[GOOGLE, AWS]),
        (&[drive, keyless, "networkPolicy: { metadata: [] }"], &[]),
        (&[unseen], &[]),
        (&[unseen, "networkPolicy: { metadata: [google, aws] }"], &[GOOGLE, AWS]),
    ] {
        let rendered = manifests(&[&[BASE, "networkPolicy: { enabled: true }"], values].concat());
        let egress =
            find(&rendered, "NetworkPolicy", "chupacabra")["spec"]["egress"].as_array().unwrap().clone();
        let metadata = egress.iter().filter(|rule| rule["to"][0]["ipBlock"].is_object()).map(|rule| {
            let mut blocks: Vec<_> = rule["to"]
                .as_array()
                .unwrap()
                .iter()
                .map(|to| to["ipBlock"]["cidr"].as_str().unwrap())
                .collect();
            blocks.sort_unstable();
            let ports = rule["ports"].as_array().unwrap().iter();
            assert!(ports.clone().all(|one| one["protocol"] == "TCP"), "{rule}");
            (blocks, ports.map(|one| one["port"].as_u64().unwrap()).collect::<Vec<_>>())
        });
        let metadata: Vec<_> = metadata.collect();
        let wanted: Vec<_> = wanted.iter().map(|(to, ports)| (to.to_vec(), ports.to_vec())).collect();
        assert_eq!(metadata, wanted, "{values:?}");
    }
    // A role is exchanged for keys at 443, whatever the store's port.
    let port = |values: &[&str]| {
        let rendered =
            manifests(&[&[BASE, "networkPolicy: { enabled: true }", keyless, elsewhere], values].concat());
        let policy = find(&rendered, "NetworkPolicy", "chupacabra");
        policy["spec"]["egress"][1]["ports"].as_array().unwrap().iter().any(|one| one["port"] == 443)
    };
    assert!(port(&["{}"]) && !port(&[keys]));
}
