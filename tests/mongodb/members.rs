//! Which member of a replica set is read.

use std::time::Duration;

use chupacabra::sources::Request;

use crate::support::mongodb::{How, Mongod, differences, dump, plan, plan_with, restore};

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_when_asked() {
    let primary = Mongod::start(How { set: Some("rs0"), ..How::default() });
    let secondary = Mongod::start(How { set: Some("rs0"), joins: true, ..How::default() });
    let (first, second) = (primary.port(), secondary.port());
    primary.python(&format!(
        "config = direct.admin.command('replSetGetConfig')['config']\n\
         config['version'] += 1\n\
         config['members'].append({{'_id': 1, 'host': '127.0.0.1:{second}', 'priority': 0, 'votes': 0}})\n\
         direct.admin.command('replSetReconfig', config)\n\
         other = MongoClient('127.0.0.1', {second}, directConnection=True)\n\
         while not other.admin.command('hello').get('secondary'): time.sleep(0.05)\n\
         import mongodb_seed; mongodb_seed.indexes(direct.zoo)\n\
         direct.zoo.last.with_options(write_concern=__import__('pymongo').WriteConcern(2)).insert_one({{'_id': 1}})\n\
         newest = direct.admin.command('hello')['lastWrite']['opTime']['ts']\n\
         while other.admin.command('hello')['lastWrite']['majorityOpTime']['ts'] < newest: time.sleep(0.05)"
    ));
    let url = format!("mongodb://127.0.0.1:{first},127.0.0.1:{second}/?replicaSet=rs0");
    let usual = dump(plan(&url)).await.unwrap();
    assert_eq!(usual.summary.consistency.coordinates["member"], format!("127.0.0.1:{first}"));
    let other = dump(plan_with(&url, "read_from: secondary")).await.unwrap();
    assert_eq!(other.summary.consistency.coordinates["member"], format!("127.0.0.1:{second}"));
    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    restore(&other, plan(&target.url(None)), Request::default()).await.unwrap();
    assert_eq!(differences(&primary, &target, ", ('zoo',)"), Vec::<String>::new());
}

/// By default an index is finished when every voting member has built it.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_down_holds_no_restore() {
    let source = Mongod::start(How::default());
    source
        .python("direct.shop.a.insert_many([{'_id': n} for n in range(9)]); direct.shop.a.create_index('x')");
    let dump = dump(plan(&source.url(None))).await.unwrap();
    let members =
        [false, true, true].map(|joins| Mongod::start(How { set: Some("rs1"), joins, ..How::default() }));
    let ports = [members[1].port(), members[2].port()];
    members[0].python(&format!(
        "for number, port in enumerate({ports:?}, 1):\n\
         \x20   config = direct.admin.command('replSetGetConfig')['config']\n\
         \x20   config['version'] += 1\n\
         \x20   config['members'].append({{'_id': number, 'host': f'127.0.0.1:{{port}}', 'priority': 0}})\n\
         \x20   direct.admin.command('replSetReconfig', config)\n\
         \x20   other = MongoClient('127.0.0.1', port, directConnection=True)\n\
         \x20   while not other.admin.command('hello').get('secondary'): time.sleep(0.05)"
    ));
    members[2].kill();
    let restoring = restore(&dump, plan(&members[0].url(None)), Request::default());
    tokio::time::timeout(Duration::from_secs(60), restoring).await.expect("in time").unwrap();
    assert_eq!(members[0].python("print(len(direct.shop.a.index_information()))").trim(), "2");
}
