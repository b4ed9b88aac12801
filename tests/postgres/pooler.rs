//! PgBouncer in between, in each of its modes.

use std::time::Duration;

use chupacabra::sources::Request;
use serde_json::json;

use crate::compare::content;
use crate::faults::ROWS;
use crate::support::postgres::{chain, dump, restore, shared, source};
use crate::support::server::{Server, free_port, unprivileged};
use crate::support::{scratch, tool};

struct Pooler {
    server: Server,
    _dir: tempfile::TempDir,
}

fn pooler(mode: &str) -> Pooler {
    let (cluster, dir, port) = (shared(), scratch(), free_port());
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap_or_default();
    let (ini, users) = (dir.path().join("pgbouncer.ini"), dir.path().join("users"));
    std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
        cluster.port,
        users.display()
    );
    std::fs::write(&ini, text).unwrap();
    let (program, ini) = (tool("pgbouncer").display().to_string(), ini.display().to_string());
    let line = unprivileged(&program, &[&ini]);
    let log = dir.path().join("log");
    let server = Server::start(port, &log, line[0], &line[1..], &[]);
    server.wait_for_port(&log, Duration::from_secs(20));
    Pooler { server, _dir: dir }
}

const REFUSAL: &str = "the server is reached through a pooler that does not keep sessions; connect to the server itself, or set `pool_mode = session`";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_and_statements_are_refused_and_sessions_work() {
    let cluster = shared();
    cluster.database("pooled", ROWS);
    for mode in ["transaction", "statement"] {
        let pooler = pooler(mode);
        let config = json!({ "host": "127.0.0.1", "port": pooler.server.port, "database": "pooled", "globals": false });
        let error = source(config.clone()).unwrap().probe().await.err().unwrap();
        assert_eq!(chain(&error), REFUSAL, "{mode}");
        let error = dump(config).await.err().unwrap();
        assert_eq!(chain(&error), REFUSAL, "{mode}");
        assert!(error.help().unwrap().contains("session mode"));
    }
    let pooler = pooler("session");
    let config = json!({ "host": "127.0.0.1", "port": pooler.server.port, "database": "pooled", "globals": false, "jobs": 3 });
    source(config.clone()).unwrap().probe().await.unwrap();
    let dumped = dump(config).await.unwrap();
    restore(&dumped, &cluster.url("pooled_copy"), Request::default()).await.unwrap();
    assert_eq!(content(cluster, "pooled_copy"), content(cluster, "pooled"));
}
