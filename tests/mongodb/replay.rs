//! What happens between two collections of a dump, and what a restore makes of it.

use std::time::Duration;

use chupacabra::sources::Request;
use chupacabra::sources::mongodb::Error;

use crate::support::mongodb::{Dump, How, Mongod, differences, dump, plan, plan_with, restore};
use crate::support::proxy::Proxy;
use crate::support::server::wait_until;

/// `shop.m` is what a dump is held in; before it stand `shop.b…`, after it `shop.s…`.
const LARGE: &str = "direct.shop.m.insert_many([{'_id': n, 'pad': 'p' * 10000} for n in range(3000)])\n";

/// A replica set with what `seed` makes, and a dump of it, one collection after the other, that was held in `shop.m`
/// while `script` ran.
pub(crate) async fn attempted(
    seed: &str,
    lines: &str,
    script: &'static str,
) -> (Mongod, Result<Dump, Error>) {
    attempted_of(Some("rs0"), seed, lines, script).await
}

pub(crate) async fn attempted_of(
    set: Option<&'static str>,
    seed: &str,
    lines: &str,
    script: &'static str,
) -> (Mongod, Result<Dump, Error>) {
    attempted_in_turns(set, seed, lines, script, &[6 << 20]).await
}

/// As [`attempted`], held after each of so many bytes.
async fn attempted_in_turns(
    set: Option<&'static str>,
    seed: &str,
    lines: &str,
    script: &'static str,
    turns: &'static [u64],
) -> (Mongod, Result<Dump, Error>) {
    attempted_by(How { set, ..How::default() }, seed, lines, script, turns).await
}

/// As [`attempted_in_turns`], of a server that is started so.
pub(crate) async fn attempted_by(
    how: How,
    seed: &str,
    lines: &str,
    script: &'static str,
    turns: &'static [u64],
) -> (Mongod, Result<Dump, Error>) {
    let source = Mongod::start(how);
    source.python(&format!("{LARGE}{seed}"));
    let proxy = Proxy::start(source.port());
    proxy.hold_after(turns[0]);
    let url = format!("mongodb://127.0.0.1:{}/?directConnection=true", proxy.port);
    let dumping = tokio::spawn(dump(plan_with(&url, &format!("parallel: 1\n{lines}"))));
    let source = tokio::task::spawn_blocking(move || {
        wait_until(Duration::from_secs(60), || proxy.has_held(), || "the dump does not read".into());
        source.python(script);
        for turn in &turns[1..] {
            proxy.hold_after(*turn);
            let limit = Duration::from_secs(60);
            wait_until(limit, || proxy.passed() > *turn, || "the dump does not read on".into());
            source.python(script);
        }
        proxy.release();
        source
    })
    .await
    .unwrap();
    (source, dumping.await.unwrap())
}

pub(crate) async fn dumped_while(seed: &str, lines: &str, script: &'static str) -> (Mongod, Dump) {
    let (source, dump) = attempted(seed, lines, script).await;
    (source, dump.unwrap())
}

pub(crate) async fn restored(dump: &Dump, request: Request) -> Mongod {
    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    restore(dump, plan(&target.url(None)), request).await.unwrap();
    target
}

/// Where source and target differ in the database `shop`.
pub(crate) fn differ(source: &Mongod, target: &Mongod) -> Vec<String> {
    differences(source, target, ", ('shop',), False")
}

pub(crate) const NOTHING: &[String] = &[];

pub(crate) fn only(pattern: &str) -> Request {
    Request { only: vec![pattern.into()], ..Request::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_and_deleted_before_it_was_read() {
    let (source, dump) = dumped_while(
        "direct.shop.s.insert_many([{'_id': n, 'v': 0, 'rest': 'of it'} for n in range(3000)])",
        "",
        "direct.shop.s.update_many({}, {'$set': {'v': 1}})\n\
         direct.shop.s.delete_many({'_id': {'$gte': 1000}})\n\
         direct.shop.s.insert_one({'_id': 2000, 'new': 1})",
    )
    .await;
    assert_eq!(dump.object("shop.s").fingerprint.rows, 1_001, "2,000 of the changed were not read any more");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// A server replaces a timestamp of zero at the top of whatever document is inserted, or put in another's place.
#[tokio::test(flavor = "multi_thread")]
async fn timestamps_of_zero_in_documents_that_take_anothers_place() {
    let (source, dump) = dumped_while(
        "for n in range(9): direct.shop.s.update_one({'_id': n}, [{'$set': {'ts': Timestamp(0, 0), 'b': 1}}], upsert=True)",
        "",
        "direct.shop.s.update_many({}, [{'$set': {'a': 7, 'c': []}}, {'$unset': 'b'}])",
    )
    .await;
    let whole = source.python(
        "print(direct.local['oplog.rs'].count_documents({'ns': 'shop.s', 'op': 'u', 'o.ts': Timestamp(0, 0)}))",
    );
    assert_eq!(whole.trim(), "9", "the oplog has whole documents, or this test proves nothing");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// Of what stands under a name when it is listed, the slice can have the time before it was of its kind: it begins where
/// `fresh` was made, which is renamed within it.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_were_of_another_kind() {
    let (source, dump) = dumped_while(
        "shop = direct.shop\n\
         shop.fresh.insert_one({'_id': 1})\n\
         def series(name):\n\
         \x20   shop.create_collection(name, timeseries={'timeField': 'at', 'metaField': 'where'})\n\
         \x20   shop[name].insert_one({'at': datetime.datetime(2020, 1, 1), 'where': 1})\n\
         \x20   shop[name].create_index([('where', 1), ('at', 1)])\n\
         shop.x.insert_one({'_id': 1}); shop.x.drop(); series('x')\n\
         series('y'); shop.y.drop(); shop.y.insert_one({'_id': 1}); shop.y.create_index('a')\n\
         shop.z.insert_one({'_id': 1}); shop.made.insert_one({'_id': 2}); shop.made.rename('z', dropTarget=True)\n\
         shop.z.drop(); series('z')\n\
         shop.u.insert_one({'_id': 1}); shop.u.rename('moved'); series('u')\n\
         shop.command('create', 'v', viewOn='m', pipeline=[]); shop.v.drop(); shop.v.insert_one({'_id': 1})\n\
         shop.w.insert_one({'_id': 1}); shop.w.drop(); shop.command('create', 'w', viewOn='m', pipeline=[])",
        "",
        "direct.shop.fresh.rename('last')",
    )
    .await;
    let archive = dump.archive();
    let made = b"\x02create\0\x02\0\0\0x\0";
    assert!(archive.windows(made.len()).any(|bytes| bytes == made), "or this test proves nothing");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_of_all() {
    const FIRST: &str = "direct.admin.command('createUser', 'first', pwd='p', roles=[])";
    let error = attempted("", "", FIRST).await.1.err().expect("there is no place for the user").to_string();
    assert!(
        error.starts_with("the first user or role of the deployment was made during the dump"),
        "{error}"
    );
    // Who dumps no users does not care.
    attempted("", "databases: [shop]", FIRST).await.1.unwrap();
}

/// No pattern means the collections of users and roles.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_role_beside_a_selection() {
    let lines = "databases: [shop]\nusers_and_roles: true";
    let (source, dump) = dumped_while(
        "direct.admin.command('createUser', 'alice', pwd='a', roles=[])",
        lines,
        "direct.admin.command('createRole', 'first', privileges=[], roles=[])\n\
         direct.admin.command('updateUser', 'alice', roles=['first'])",
    )
    .await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differences(&source, &target, ", ('shop',)"), NOTHING);
    let first = "direct.admin.command('createUser', 'first', pwd='p', roles=[])";
    let error =
        attempted("", lines, first).await.1.err().expect("there is no place for the user").to_string();
    assert!(
        error.starts_with("the first user or role of the deployment was made during the dump"),
        "{error}"
    );
}

/// What was read of it is a part of a collection that the slice has the end of.
#[tokio::test(flavor = "multi_thread")]
async fn dropped_or_replaced_while_it_was_read() {
    for script in [
        "direct.shop.m.drop()",
        "direct.shop.m.update_many({}, {'$set': {'v': 1}})\n\
         direct.shop.m.drop()\n\
         direct.shop.m.insert_many([{'_id': n, 'made': 'anew'} for n in range(2000, 2005)])",
        "direct.shop.s.aggregate([{'$out': 'm'}])",
        "direct.drop_database('shop')",
    ] {
        let seed = "direct.shop.s.insert_many([{'_id': n} for n in range(10)])";
        let (source, dump) = dumped_while(seed, "", script).await;
        let rows = dump.object("shop.m").fingerprint.rows;
        assert!((1..3_000).contains(&rows), "{rows} of 3,000 were read");
        let target = restored(&dump, Request::default()).await;
        assert_eq!(differ(&source, &target), NOTHING);
    }
}

const AGAIN: &str = "
direct.shop.m.delete_many({'_id': {'$lt': 50}})
direct.shop.m.insert_many([{'_id': n, 'again': n} for n in range(50)])
direct.shop.m.update_one({'_id': 7}, {'$set': {'again': 'once more'}})
";

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_inserted_again_while_it_was_read() {
    let (source, dump) = dumped_while("", "", AGAIN).await;
    assert_eq!(dump.object("shop.m").fingerprint.rows, 3_050, "the scan meets fifty `_id`s twice");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// Without an oplog nothing would say which of two is right, so none is met twice.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_inserted_again_in_a_standalone() {
    let collated = "pad = 'p' * 10000\ndirect.shop.m.drop()\n\
                    direct.shop.create_collection('m', collation={'locale': 'de', 'numericOrdering': True})\n\
                    direct.shop.m.insert_many([{'_id': n, 'pad': pad} for n in range(3000)])";
    for seed in ["", collated] {
        let (_, dump) = attempted_of(None, seed, "", AGAIN).await;
        let dump = dump.unwrap();
        assert_eq!(dump.object("shop.m").fingerprint.rows, 3_000);
        let target = Mongod::start(How::default());
        restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
        let found = target
            .python("print(direct.shop.m.find_one({'_id': 7}).keys(), direct.shop.m.count_documents({}))");
        assert_eq!(found.trim(), "dict_keys(['_id', 'pad']) 3000", "as it was when it was read");
    }
}

/// Whoever finds nothing under a name has read all there is. Without an oplog nothing else says what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn renamed_before_it_was_read_in_a_standalone() {
    let ten = "[{'_id': n} for n in range(10)]";
    let series = "direct.shop.create_collection('s', timeseries={'timeField': 'at'})\n\
                  direct.shop.s.insert_one({'at': datetime.datetime(2020, 1, 1)})";
    for (seed, script) in [
        (format!("direct.shop.s.insert_many({ten})"), "direct.shop.s.rename('a')"),
        (format!("direct.shop.s.insert_many({ten})"), "direct.shop.s.drop(); direct.shop.s.insert_one({})"),
        (series.to_owned(), "direct.shop.s.drop()"),
    ] {
        let error = attempted_of(None, &seed, "", script).await.1.err().expect("what it had").to_string();
        assert!(
            error.starts_with("`shop.s` was dropped, renamed or made anew before it was read"),
            "{error}"
        );
    }
    // What was read before, and what nothing happens to, is whole.
    let seed = format!(
        "{series}\ndirect.shop.b.insert_many({ten})\n\
         direct.shop.command('create', 'view', viewOn='b', pipeline=[])"
    );
    let (_, dump) = attempted_of(None, &seed, "", "direct.shop.b.rename('z'); direct.shop.view.drop()").await;
    let dump = dump.unwrap();
    assert_eq!((dump.object("shop.b").fingerprint.rows, dump.object("shop.s").fingerprint.rows), (10, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_keep_their_own_collation() {
    let (source, dump) = dumped_while(
        "words = direct.shop.create_collection('b', collation={'locale': 'de', 'strength': 1})\n\
         simple = {'locale': 'simple'}\n\
         words.insert_many([{'_id': 'a', 'a': 'x', 't': 'one', 'flat': [1, 2]}, {'_id': 'b', 'a': 'X', 't': 'two', 'flat': [2, 1]}])\n\
         words.create_index('a', collation=simple, unique=True)\n\
         words.create_index('a', name='collated')\n\
         words.create_index('a', name='other', collation={'locale': 'fr'})\n\
         words.create_index([('t', 'text')], collation=simple)\n\
         words.create_index([('flat', '2d')], collation=simple)",
        "",
        "later = direct.shop.create_collection('later', collation={'locale': 'sv'})\n\
         later.insert_many([{'_id': 1, 'a': 'x'}, {'_id': 2, 'a': 'X'}])\n\
         later.create_index('a', collation={'locale': 'simple'})\n\
         later.create_index('b')\n\
         later.rename('last')\n\
         direct.shop.b.create_index('c', collation={'locale': 'simple'})",
    )
    .await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    // The comparison sees a collation.
    target.python("direct.shop.b.drop_index('c_1'); direct.shop.b.create_index('c')");
    assert!(differ(&source, &target).iter().any(|line| line.starts_with("shop.b: indexes")));
}

/// A collection is made anew beside, twice, and takes another's place; then it is written to. So is one that nobody
/// wants.
const REBUILD: &str = "
direct.shop.source.aggregate([{'$match': {'_id': {'$lt': 100}}}, {'$out': 'b'}])
direct.shop.b.update_one({'_id': 3}, {'$set': {'after': 'out'}})
direct.shop.command('convertToCapped', 'b', size=1 << 20)
direct.shop.fresh.insert_many([{'_id': n, 'fresh': n} for n in range(10)])
direct.shop.fresh.create_index('fresh')
direct.shop.fresh.rename('b', dropTarget=True)
direct.shop.b.insert_one({'_id': 'last'})
direct.shop.source.aggregate([{'$project': {'secret': 'nobody wants this'}}, {'$out': 'private'}])
";
const REBUILT: &str = "direct.shop.b.insert_many([{'_id': n, 'stale': n} for n in range(50)])\n\
                       direct.shop.source.insert_many([{'_id': n} for n in range(200)])";

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_follows_what_takes_its_place() {
    for lines in ["collections: [shop.b, shop.m]", "databases: [shop]\nexclude: [shop.private, shop.source]"]
    {
        let (source, dump) = dumped_while(REBUILT, lines, REBUILD).await;
        assert_eq!(dump.object("shop.b").fingerprint.rows, 50, "it was read before it was replaced");
        let archive = dump.archive();
        let has = |text: &str| archive.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(has("agg_out") && !has("nobody wants this"), "only what takes the place of something wanted");
        let target = restored(&dump, Request::default()).await;
        source.python("direct.shop.source.drop(); direct.shop.private.drop()");
        assert_eq!(differ(&source, &target), NOTHING);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_restore_of_a_part() {
    let (source, dump) = dumped_while(REBUILT, "", REBUILD).await;
    let target = Mongod::start(How { set: Some("rs1"), ..How::default() });
    // What is not restored is not touched, whatever its name.
    target.python("direct.shop.fresh.insert_one({'_id': 'own'})");
    restore(&dump, plan(&target.url(None)), only("shop.b")).await.unwrap();
    assert_eq!(target.python("print(direct.shop.fresh.find_one())").trim(), "{'_id': 'own'}");
    target.python("direct.shop.fresh.drop()");
    source.python("direct.shop.source.drop(); direct.shop.private.drop(); direct.shop.m.drop()");
    assert_eq!(differ(&source, &target), NOTHING);
    // Everything comes to the same.
    let whole = restored(&dump, Request::default()).await;
    whole.python("direct.shop.source.drop(); direct.shop.private.drop(); direct.shop.m.drop()");
    assert_eq!(differ(&source, &whole), NOTHING);
}

/// Views stand in a collection whose name no pattern means.
#[tokio::test(flavor = "multi_thread")]
async fn a_selection_follows_its_views() {
    let seed = "direct.shop.b.insert_many([{'_id': n, 'v': n} for n in range(5)])\n\
                view = lambda name: direct.shop.command('create', name, viewOn='b', pipeline=[])\n\
                for name in ('v.turned', 'v.changed', 'v.gone', 'secret'): view(name)\n\
                for name in ('b.was', 'v.was'): direct.shop[name].insert_one({'_id': 1})";
    let script = "pipeline = [{'$match': {'v': {'$gt': 2}}}]\n\
                  direct.shop['v.turned'].drop(); direct.shop['v.turned'].insert_one({'_id': 1})\n\
                  direct.shop.command('collMod', 'v.changed', viewOn='b', pipeline=pipeline)\n\
                  direct.shop['v.gone'].drop()\n\
                  direct.shop['b.was'].drop(); direct.shop['v.was'].drop()\n\
                  for name in ('b.was', 'v.was', 'v.new'): direct.shop.command('create', name, viewOn='b', pipeline=pipeline)\n\
                  direct.shop.command('collMod', 'secret', viewOn='b', pipeline=[])\n\
                  direct.shop.command('create', 'secret.new', viewOn='b', pipeline=[])";
    for lines in ["collections: ['shop.[bm]*', 'shop.v*']", "exclude: ['shop.secret*']"] {
        let (source, dump) = dumped_while(seed, lines, script).await;
        let target = restored(&dump, Request::default()).await;
        source.python("direct.shop.secret.drop(); direct.shop['secret.new'].drop()");
        assert_eq!(differ(&source, &target), NOTHING, "{lines}");
    }
    let (source, dump) =
        dumped_while(seed, "collections: ['shop.[bm]*', 'shop.v*']", "direct.drop_database('shop')").await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_a_selection() {
    let script = "direct.shop.source.aggregate([{'$out': 'b'}]); direct.shop.b.rename('gone')";
    let (_, selected) = attempted(REBUILT, "collections: [shop.b, shop.m]", script).await;
    let error = selected.err().expect("what would stand under a name that is not wanted").to_string();
    assert!(error.starts_with("`shop.b` was renamed to `shop.gone` during the dump"), "{error}");
    let (_, dump) = dumped_while(REBUILT, "", script).await;
    let target = restored(&dump, only("shop.b")).await;
    assert_eq!(target.python("print(direct.shop.list_collection_names())").trim(), "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_expires_as_it_did_in_the_end() {
    let (source, dump) = dumped_while(
        "clustered = dict(clusteredIndex={'key': {'_id': 1}, 'unique': True})\n\
         for name in ('b', 'b.off', 'b.again', 'b.moved'):\n\
         \x20   direct.shop.command('create', name, expireAfterSeconds=10**9, **clustered)\n\
         \x20   direct.shop[name].insert_one({'_id': datetime.datetime(2020, 1, 1)})\n\
         direct.shop.command('create', 's.none', **clustered)\n\
         direct.shop.create_collection('series', timeseries={'timeField': 't'}, expireAfterSeconds=10**9)\n\
         direct.shop.indexed.create_index('at', expireAfterSeconds=10**9)",
        "",
        "clustered = dict(clusteredIndex={'key': {'_id': 1}, 'unique': True})\n\
         direct.shop.command('collMod', 'b', expireAfterSeconds=12 * 10**8)\n\
         direct.shop.command('collMod', 'b.off', expireAfterSeconds='off')\n\
         direct.shop.command('collMod', 's.none', expireAfterSeconds=13 * 10**8)\n\
         direct.shop.command('collMod', 'series', expireAfterSeconds=4 * 10**8)\n\
         direct.shop.command('collMod', 'series', timeseries={'granularity': 'hours'})\n\
         direct.shop.command('collMod', 'indexed', index={'name': 'at_1', 'expireAfterSeconds': 7})\n\
         direct.shop['b.again'].drop()\n\
         direct.shop.command('create', 'b.again', **clustered)\n\
         direct.shop.command('create', 'late', expireAfterSeconds=10**9, **clustered)\n\
         direct.shop.late.insert_one({'_id': datetime.datetime(2020, 1, 1)})\n\
         direct.shop.late.rename('latest')\n\
         direct.shop.create_collection('later', timeseries={'timeField': 't'}, expireAfterSeconds=5 * 10**8)",
    )
    .await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    target.python("direct.shop.command('collMod', 'latest', expireAfterSeconds='off')");
    assert!(differ(&source, &target).iter().any(|line| line.starts_with("shop.latest: options")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_capped_collection_that_is_written_to() {
    let (source, dump) = dumped_while(
        "direct.shop.m.drop()\n\
         ring = direct.shop.create_collection('m', capped=True, size=16 << 20)\n\
         for n in range(2000): ring.insert_one({'_id': n, 'v': 0, 'pad': 'p' * (9000 + n % 7 * 300)})",
        "",
        "ring = direct.shop.m\n\
         ring.update_many({}, {'$set': {'v': 1}})\n\
         for n in range(2000, 2500): ring.insert_one({'_id': n, 'v': 0, 'pad': 'p' * (9000 + n % 7 * 300)})",
    )
    .await;
    let count: u64 = source.python("print(direct.shop.m.count_documents({}))").trim().parse().unwrap();
    let rows = dump.object("shop.m").fingerprint.rows;
    assert!(rows >= count + 400, "{rows} documents were read of a collection that holds {count}");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// The slice has the insertion of documents that the target has dropped already, because newer ones have come.
#[tokio::test(flavor = "multi_thread")]
async fn a_capped_collection_that_is_written_to_more_than_it_holds() {
    let (source, dump) = attempted_in_turns(
        Some("rs0"),
        "direct.shop.m.drop()\n\
         ring = direct.shop.create_collection('m', capped=True, size=16 << 20, max=1500)\n\
         for n in range(1500): ring.insert_one({'_id': n, 'pad': 'p' * (9000 + n % 7 * 300)})",
        "",
        "ring = direct.shop.m\n\
         first = ring.find().sort('$natural', -1).limit(1)[0]['_id'] + 1\n\
         ring.update_one({'_id': first - 1}, {'$set': {'v': 1}})\n\
         for n in range(first, first + 550): ring.insert_one({'_id': n, 'pad': 'p' * (9000 + n % 7 * 300)})",
        &[6 << 20, 13 << 20, 19 << 20, 25 << 20],
    )
    .await;
    let dump = dump.unwrap();
    let rows = dump.object("shop.m").fingerprint.rows;
    assert!(
        rows > 3_000,
        "{rows} documents were read of a collection that holds 1,500, all of which went meanwhile"
    );
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}
