//! Which member of a replica set is read.

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
