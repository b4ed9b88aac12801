//! The archive, read back by an independent reader.

use tokio_util::sync::CancellationToken;

use crate::support::mongodb::{How, Mongod, plan, plan_with, source};

#[tokio::test(flavor = "multi_thread")]
async fn reads_back() {
    let server = Mongod::start(How { set: Some("rs0"), ..How::default() });
    server.python("
for i in range(4):
    direct.shop['c%d' % i].insert_many([{'_id': k, 'text': 'x' * 500} for k in range(20000)])
direct.shop.command('create', 'v', viewOn='c0', pipeline=[])
direct.shop.create_collection('ts', timeseries={'timeField': 't'})
import datetime
direct.shop.ts.insert_one({'t': datetime.datetime(2020, 1, 1), 'v': 1})
");
    let (outlet, task) = chupacabra::package::outlet::temporary(chupacabra::package::budget::Budget::new(8 << 20));
    let stop = CancellationToken::new();
    let summary = source(plan_with(&server.url(None), "split_above: 1MiB\nparallel: 8")).dump(outlet, &stop).await.unwrap();
    println!("{summary:?}");
    let (members, objects) = task.await.unwrap();
    println!("{objects:#?}");
    for (header, _) in &members { println!("{} {}", String::from_utf8_lossy(&header.path), header.size); }
    let out = std::env::temp_dir().join("x.archive");
    std::fs::write(&out, members.iter().flat_map(|(_, b)| b.to_vec()).collect::<Vec<_>>()).unwrap();
    let _ = plan;
}
