//! Through the stock client.

use crate::dumped::{config, dump};
use crate::support::mariadb::{MariaDb, feed};

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restores_with_the_stock_client() {
    let source = MariaDb::start(&[]);
    source.sql(include_str!("schema.sql"));
    let dumped = dump(config(&source)).await.unwrap();
    let target = MariaDb::start(&[]);
    let script = dumped.script(&[]);
    if let Some(path) = std::env::var_os("KEEP") {
        std::fs::write(path, &script).unwrap();
    }
    feed(&mut target.client(&[]), &script);
    let facts = |server: &MariaDb| {
        let output = crate::support::run(&mut server.tool(
            "mariadb-dump",
            &["--no-data", "--routines", "--triggers", "--events", "--databases", "shop", "--skip-comments"],
        ));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(facts(&source), facts(&target));
}
