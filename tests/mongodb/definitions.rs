//! Indexes, options and names that change while a dump is held, and definitions as only old servers made them.

use std::collections::BTreeMap;

use bytes::Bytes;
use chupacabra::package::member::{Header, Object, Time};
use chupacabra::sources::mongodb::Error;
use chupacabra::sources::mongodb::archive::{self, Entry, Kind, Namespace};
use chupacabra::sources::{Consistency, ConsistencyKind, Request, Summary};

use crate::replay::{NOTHING, attempted, attempted_by, differ, dumped_while, only, restored};
use crate::support::mongodb::{Dump, How, Mongod, differences, dump, dump_by, plan, plan_with, restore};

const REPLACE: fn() -> Request = || Request { replace: true, ..Request::default() };

fn replica_set(name: &'static str) -> Mongod {
    Mongod::start(How { set: Some(name), ..How::default() })
}

/// A server with the commands for tests: they hold and fail what is asked for.
fn with_test_commands() -> Mongod {
    let args = vec!["--setParameter".into(), "enableTestCommands=1".into()];
    Mongod::start(How { set: Some("rs0"), args, ..How::default() })
}

const MADE: &str = "
direct.shop.created.insert_many([{'_id': n, 'from': 'slice'} for n in range(5)])
direct.shop.beside.insert_one({'_id': 'slice'})
direct.shop.beside.rename('renamed')
direct.shop.command('create', 'seen', viewOn='created', pipeline=[])
direct.shop.create_collection('series', timeseries={'timeField': 'at'})
direct.shop['system.js'].insert_one({'_id': 'twice', 'value': 2})
direct.elsewhere.things.insert_one({'_id': 'slice'})
";

/// What the slice makes is restored like the rest: it must not be there, or is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_during_the_dump_may_be_in_the_way() {
    let (source, dump) = dumped_while("", "", MADE).await;
    for (own, request) in [
        ("shop.created", only("shop.[mc]*")),
        ("shop.renamed", only("shop.[mr]*")),
        ("shop.seen", only("shop.[ms]*")),
        ("shop.series", only("shop.[ms]*")),
        ("elsewhere.things", Request::default()),
    ] {
        let target = replica_set("rs1");
        let (database, collection) = own.split_once('.').unwrap();
        let of = format!("direct.{database}.{collection}");
        target.python(&format!("{of}.insert_one({{'_id': 'own'}})"));
        let refused = restore(&dump, plan(&target.url(None)), request.clone()).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "the target is not empty, it has `{own}`: choose an empty one, or replace it (--replace)"
            )
        );
        assert_eq!(target.python(&format!("print(list({of}.find()))")).trim(), "[{'_id': 'own'}]");
        let replace = Request { replace: true, ..request };
        restore(&dump, plan(&target.url(None)), replace).await.unwrap();
        assert_eq!(target.python(&format!("print({of}.find_one({{'_id': 'own'}}))")).trim(), "None");
    }
    // The server that was dumped has all of it.
    let target = restored(&dump, Request::default()).await;
    restore(&dump, plan(&source.url(None)), REPLACE()).await.unwrap();
    assert_eq!(differences(&source, &target, ", ('shop', 'elsewhere'), False"), NOTHING);
}

/// A collection that will take another's place has a name of its own in the target until then, and what that name
/// means there is not touched.
#[tokio::test(flavor = "multi_thread")]
async fn options_follow_what_takes_anothers_place() {
    let (source, dump) = dumped_while(
        "direct.shop.b.insert_one({'_id': 'stale'})",
        "",
        "direct.shop.fresh.insert_one({'_id': 1})\n\
         direct.shop.command('collMod', 'fresh', validator={'x': {'$gt': 1}}, validationAction='warn')\n\
         direct.shop.fresh.rename('b', dropTarget=True)",
    )
    .await;
    let target = replica_set("rs1");
    target.python("direct.shop.fresh.insert_one({'_id': 'own'})");
    restore(&dump, plan(&target.url(None)), only("shop.b")).await.unwrap();
    let own = "print(direct.shop.fresh.find_one(), direct.shop.fresh.options())";
    assert_eq!(target.python(own).trim(), "{'_id': 'own'} {}");
    target.python("direct.shop.fresh.drop()");
    source.python("direct.shop.m.drop()");
    assert_eq!(differ(&source, &target), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_series_changes() {
    let series = "at = datetime.datetime(2020, 1, 1)\n\
                  def series(name):\n\
                  \x20   direct.shop.create_collection(name, timeseries={'timeField': 'at', 'metaField': 'where'})\n\
                  \x20   direct.shop[name].insert_many([{'at': at, 'where': {'room': n}, 'v': n} for n in range(5)])\n";
    let seed = format!(
        "{series}series('s')\n\
         direct.shop.s.create_index([('where.room', 1)], name='listed')\n\
         direct.shop.s.create_index([('where.room', -1)], name='listed and dropped')"
    );
    let (source, dump) = dumped_while(
        &seed,
        "",
        "at = datetime.datetime(2020, 1, 1)\n\
         s = direct.shop.s\n\
         s.create_index([('where.room', 1), ('at', -1)])\n\
         s.create_index('v')\n\
         s.create_index([('v', -1)], partialFilterExpression={'where.room': {'$gt': 1}}, hidden=True)\n\
         s.create_index([('at', 1)], name='built and dropped')\n\
         s.drop_index('built and dropped')\n\
         s.drop_index('listed and dropped')\n\
         direct.shop.command('collMod', 's', index={'name': 'listed', 'hidden': True})\n\
         direct.shop.command('collMod', 's', index={'name': 'v_-1', 'hidden': False})\n\
         direct.shop.create_collection('later', timeseries={'timeField': 'at', 'metaField': 'where'})\n\
         direct.shop.later.insert_one({'at': at, 'where': 1})\n\
         direct.shop.later.create_index([('where', 1), ('at', 1)])\n\
         direct.shop.command('collMod', 's', timeseries={'granularity': 'minutes'})\n\
         direct.shop.command('collMod', 's', timeseries={'granularity': 'hours'}, expireAfterSeconds=10**9)",
    )
    .await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    // How a bucket is read is part of the series' view, and no part of the comparison above.
    let views = "print(list(direct.shop['system.views'].find({}, {'pipeline': 1}).sort('_id')))";
    assert_eq!(source.python(views), target.python(views));
    assert!(source.python(views).contains("2592000"), "the span of hours");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_becomes_unique() {
    let (source, dump) = dumped_while(
        "direct.shop.s.insert_one({'_id': 1, 'a': 1})\n\
         for key in 'abc': direct.shop.s.create_index(key)",
        "",
        "change = lambda **what: direct.shop.command('collMod', 's', index=what)\n\
         for key in 'abc': change(name=f'{key}_1', prepareUnique=True)\n\
         change(name='a_1', unique=True)\n\
         change(name='b_1', prepareUnique=False)",
    )
    .await;
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// An index that is being built may never be finished: its build finds what breaks its rule only at the end.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_being_built() {
    let source = with_test_commands();
    source.python(
        "direct.shop.a.insert_many([{'_id': n, 'twice': n // 2} for n in range(100)])\n\
         direct.shop.a.create_index('twice', name='built')\n\
         direct.admin.command('configureFailPoint', 'hangAfterStartingIndexBuild', mode='alwaysOn')",
    );
    let building = source.beside(
        "try: direct.shop.a.create_index('twice', unique=True, name='never')\n\
         except Exception as error: assert 'E11000' in str(error), error\n",
    );
    source.python(
        "direct.admin.command('waitForFailPoint', 'hangAfterStartingIndexBuild', timesEntered=1, maxTimeMS=60000)",
    );
    let dump = dump(plan(&source.url(None))).await.unwrap();
    source.python("direct.admin.command('configureFailPoint', 'hangAfterStartingIndexBuild', mode='off')");
    building.finish();
    let expected = "index `never` of `shop.a` was still being built and is left out, unless that ended before the dump did";
    assert_eq!(dump.summary.notes, [expected]);
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// A server with `shop.a` and `shop.b`, and its dump, while which this happened between the listings of collections and
/// of indexes.
async fn dumped_between(meanwhile: &'static str) -> (Mongod, Dump) {
    let (source, dump) = attempted_between(Some("rs0"), meanwhile).await;
    (source, dump.unwrap())
}

async fn attempted_between(
    set: Option<&'static str>,
    meanwhile: &'static str,
) -> (Mongod, Result<Dump, Error>) {
    let args = vec!["--setParameter".into(), "enableTestCommands=1".into()];
    let source = Mongod::start(How { set, args, ..How::default() });
    source.python(
        "direct.shop.a.insert_one({'_id': 1}); direct.shop.b.insert_one({'_id': 1})\n\
         hold = {'failCommands': ['listIndexes'], 'appName': 'chupacabra', 'blockConnection': True, 'blockTimeMS': 3000}\n\
         direct.admin.command('configureFailPoint', 'failCommand', mode={'times': 1}, data=hold)",
    );
    let dumping = tokio::spawn(dump(plan(&source.url(None))));
    let held = "direct.admin.command('waitForFailPoint', 'failCommand', timesEntered=1, maxTimeMS=60000)";
    let changing = tokio::task::spawn_blocking(move || {
        source.python(&format!("{held}\n{meanwhile}"));
        source
    });
    let source = changing.await.unwrap();
    (source, dumping.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_between_its_name_and_its_indexes() {
    let (source, dump) = dumped_between("direct.shop.a.drop()").await;
    let names: Vec<&str> = dump.objects.iter().map(|object| object.name.as_str()).collect();
    assert!(names.contains(&"shop.b") && !names.contains(&"shop.a"), "{names:?}");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// Without an oplog nothing else says what became of it.
#[tokio::test(flavor = "multi_thread")]
async fn renamed_or_dropped_between_its_name_and_its_indexes_in_a_standalone() {
    for meanwhile in ["direct.shop.a.rename('z')", "direct.shop.a.drop()"] {
        let error = attempted_between(None, meanwhile).await.1.err().expect("it is nowhere").to_string();
        assert!(
            error.starts_with("`shop.a` was dropped, renamed or made anew before it was read"),
            "{error}"
        );
    }
}

/// The options are then those of the old one, and the indexes those of the new.
#[tokio::test(flavor = "multi_thread")]
async fn made_anew_between_its_name_and_its_indexes() {
    let (source, dump) = dumped_between(
        "direct.shop.a.drop(); direct.shop.b.drop()\n\
         direct.shop.command('create', 'a', clusteredIndex={'key': {'_id': 1}, 'unique': True})\n\
         direct.shop.create_collection('b', collation={'locale': 'de', 'strength': 1})\n\
         for name in 'ab': direct.shop[name].insert_many([{'_id': 'x'}, {'_id': 'y'}])",
    )
    .await;
    assert_eq!(dump.object("shop.a").fingerprint.rows, 2);
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

/// Servers whose counts are wrong after a crash cannot take documents at random.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_of_which_no_sample_can_be_had() {
    let source = with_test_commands();
    source.python(
        "direct.shop.a.insert_many([{'_id': n, 'pad': 'p' * 1000} for n in range(3000)])\n\
         fail = {'failCommands': ['aggregate'], 'appName': 'chupacabra', 'errorCode': 28799}\n\
         direct.admin.command('configureFailPoint', 'failCommand', mode='alwaysOn', data=fail)",
    );
    let dump = dump(plan_with(&source.url(None), "split_above: 1MiB")).await.unwrap();
    assert_eq!(dump.object("shop.a").fingerprint.rows, 3_000);
}

/// Servers keep text that is not UTF-8 as old drivers have sent it, as `_id`s too.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_between_ids_that_are_not_utf8() {
    let source = replica_set("rs0");
    source.python(
        "from mongodb_seed import document, element\n\
         def odd(n):\n\
         \x20   latin = b'caf\\xe9%04d\\0' % n\n\
         \x20   return document(element(2, '_id', len(latin).to_bytes(4, 'little') + latin), element(5, 'pad', b'\\0\\4\\0\\0\\0' + b'p' * 1024))\n\
         direct.shop.a.insert_many([odd(n) for n in range(3000)])",
    );
    let dump = dump(plan_with(&source.url(None), "split_above: 512KiB")).await.unwrap();
    assert_eq!(dump.read_back()["namespaces"]["shop.a"]["documents"], 3_000);
    let target = restored(&dump, Request::default()).await;
    assert_eq!(target.python("print(direct.shop.a.count_documents({}))").trim(), "3000");
}

/// Such a package could not be restored. The command is one for tests, and the only one of an unknown kind that this
/// version writes into its oplog.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_replay_knows_ends_the_dump() {
    let args = vec!["--setParameter".into(), "enableTestCommands=1".into()];
    let how = How { set: Some("rs0"), args, ..How::default() };
    let script = "direct.shop.command('emptycapped', 's')";
    let seed = "direct.shop.create_collection('s', capped=True, size=4096)";
    let (_, dump) = attempted_by(how, seed, "", script, &[6 << 20]).await;
    let error = dump.err().expect("a package that could not be restored").to_string();
    assert!(error.starts_with("the command `emptycapped` was run during the dump, which "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_left_out_of_the_slice_too() {
    let (_, dump) = attempted(
        "direct.shop.command('createUser', 'old', pwd='secret', roles=[])",
        "users_and_roles: false",
        "direct.shop.command('createUser', 'new', pwd='secret', roles=[])",
    )
    .await;
    let archive = dump.unwrap().archive();
    let has = |text: &str| archive.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(has("pppppppp") && !has("SCRAM-SHA-256") && !has("system.users"));
}

/// Conditions within conditions, as programs write them.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_many_conditions() {
    let source = replica_set("rs0");
    source.python(
        "nested = 0\n\
         for n in range(80): nested = {'$cond': [{'$eq': ['$n', n]}, n, nested]}\n\
         direct.shop.a.insert_one({'_id': 1, 'n': 70})\n\
         direct.shop.command('create', 'seen', viewOn='a', pipeline=[{'$set': {'x': nested}}])",
    );
    let dump = dump(plan(&source.url(None))).await.unwrap();
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    assert_eq!(target.python("print(direct.shop.seen.find_one()['x'])").trim(), "70");
}

/// An archive of these namespaces with this metadata, and without documents.
async fn archive_of(entries: &'static [(&'static str, Kind, &'static str)]) -> Dump {
    let handed = dump_by(async |outlet| {
        let mut members = Vec::new();
        let mut prelude = archive::prelude_begin(4, "6.0.5");
        for &(name, kind, metadata) in entries {
            let namespace = Namespace::parse(name).unwrap();
            let end = archive::end(&namespace, &archive::Crc::default());
            prelude.extend(archive::prelude_entry(&Entry { namespace, kind, metadata: metadata.into() }));
            members.push((format!("data/{name}.0001.bson"), name, end));
        }
        prelude.extend(archive::TERMINATOR);
        members.insert(0, ("prelude.0001.bson".to_owned(), "prelude", prelude));
        let time = Time { seconds: 0, nanos: 0 };
        for (path, object, bytes) in members {
            let header = Header::data(path, object, bytes.len() as u64, time);
            outlet.member(header, Bytes::from(bytes)).await?;
        }
        for (name, kind, _) in entries {
            let fingerprint = chupacabra::package::digest::Fingerprint::default();
            let object = Object { name: (*name).to_owned(), kind: kind.as_str().to_owned(), fingerprint };
            outlet.object(object).await?;
        }
        let consistency = Consistency { kind: ConsistencyKind::Fuzzy, coordinates: BTreeMap::new() };
        Ok(Summary { consistency, missing: Vec::new(), notes: Vec::new(), counts: BTreeMap::new() })
    });
    handed.await.unwrap()
}

/// Servers before 3.4 kept options of indexes that do not exist, those before 4.0 knew collections without an index on
/// `_id`, and all since list them.
#[tokio::test(flavor = "multi_thread")]
async fn options_of_old_that_no_server_takes() {
    let dump = archive_of(&[(
        "shop.a",
        Kind::Collection,
        r#"{"options":{"autoIndexId":false},"indexes":[{"v":{"$numberInt":"1"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_","ns":"shop.a"},{"v":{"$numberInt":"1"},"key":{"x":{"$numberInt":"1"}},"name":"x_1","ns":"shop.a","unique":true,"safe":true,"dropDups":true}],"collectionName":"a","type":"collection"}"#,
    )])
    .await;
    let target = Mongod::start(How::default());
    restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    let indexes = target.python("print([dict(index) for index in direct.shop.a.list_indexes()][1:])");
    assert_eq!(
        indexes.trim(),
        "[{'v': 1, 'key': SON([('x', 1)]), 'name': 'x_1', 'unique': True}]",
        "what is known of it"
    );
}

/// Extended JSON takes some documents for values of a type.
#[tokio::test(flavor = "multi_thread")]
async fn literals_that_look_like_extended_json() {
    let source = replica_set("rs0");
    source.python(
        "literal = lambda value: {'$literal': value}\n\
         oid = {'$oid': '0123456789abcdef01234567'}\n\
         odd = {'$expr': {'$ne': ['$x', literal({'$numberInt': 'x'})]}}\n\
         direct.shop.create_collection('a', validator=odd)\n\
         direct.shop.a.insert_one({'_id': 1})\n\
         direct.shop.a.create_index('x', partialFilterExpression={'y': {'$gt': {'$date': {'$numberLong': '1'}}}})\n\
         direct.shop.command('create', 'seen', viewOn='a', pipeline=[{'$set': {'x': literal(oid)}}])",
    );
    let dump = dump(plan(&source.url(None))).await.unwrap();
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    let seen = target.python("print(direct.shop.seen.find_one()['x'])");
    assert_eq!(seen.trim(), "{'$oid': '0123456789abcdef01234567'}");
}

const NO_OPTIONS: &str = r#"{"options":{},"indexes":[]}"#;

/// A restore that is broken off may leave the collections in which users and roles wait.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_wait_to_be_merged_are_nobodys_data() {
    let source = with_test_commands();
    source.python(
        "direct.shop.a.insert_one({'_id': 1})\n\
         direct.admin.command('createUser', 'alice', pwd='a', roles=[])\n\
         fail = {'failCommands': ['insert'], 'appName': 'chupacabra', 'errorCode': 1}\n\
         direct.admin.command('configureFailPoint', 'failCommand', mode={'times': 1}, data=fail)",
    );
    let dump = dump(plan(&source.url(None))).await.unwrap();
    restore(&dump, plan(&source.url(None)), REPLACE()).await.unwrap_err();
    let left = "print([name for name in direct.admin.list_collection_names() if 'chupacabra' in name])";
    assert_eq!(source.python(left).trim(), "[]", "a restore that fails leaves none");
    // One that is killed does.
    source.python(
        "direct.shop.a.insert_one({'_id': 2})\n\
         direct.admin.chupacabra_restore_users.insert_one({'_id': 'admin.eve'})\n\
         direct.admin.create_collection('chupacabra_restore_roles')",
    );
    let dump = self::dump(plan(&source.url(None))).await.unwrap();
    assert!(dump.objects.iter().all(|object| !object.name.contains("chupacabra")), "{:?}", dump.objects);
    let older = archive_of(&[
        ("admin.chupacabra_restore_roles", Kind::Collection, NO_OPTIONS),
        ("admin.chupacabra_restore_users", Kind::Collection, NO_OPTIONS),
        ("admin.system.users", Kind::Collection, NO_OPTIONS),
        ("shop.b", Kind::Collection, NO_OPTIONS),
    ])
    .await;
    restore(&older, plan(&source.url(None)), REPLACE()).await.unwrap();
    assert_eq!(source.python("print(sorted(direct.shop.list_collection_names()))").trim(), "['a', 'b']");
    assert_eq!(source.python(left).trim(), "[]");
}

/// A target may refuse a view or an option that the source has taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_refused_ends_nothing_else() {
    let dump = archive_of(&[
        ("shop.a", Kind::Collection, NO_OPTIONS),
        ("shop.b", Kind::Collection, r#"{"options":{"expireAfterSeconds":{"$numberInt":"7"}},"indexes":[]}"#),
        (
            "shop.c",
            Kind::Collection,
            r#"{"options":{"clusteredIndex":{"key":{"_id":{"$numberInt":"1"}},"unique":true},"expireAfterSeconds":{"$numberInt":"7"}},"indexes":[]}"#,
        ),
        ("shop.odd", Kind::View, r#"{"options":{"viewOn":"a","pipeline":[{"$nosuch":{}}]},"indexes":[]}"#),
        ("shop.view", Kind::View, r#"{"options":{"viewOn":"a","pipeline":[]},"indexes":[]}"#),
    ])
    .await;
    let target = Mongod::start(How::default());
    let said = restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap_err().to_string();
    let begin = "everything is restored but what the target refused: create the view `shop.odd`: ";
    assert!(
        said.starts_with(begin) && said.contains("$nosuch") && said.contains("; change `shop.b`: "),
        "{said}"
    );
    let options =
        "print(sorted(direct.shop.list_collection_names()), direct.shop.c.options()['expireAfterSeconds'])";
    assert_eq!(target.python(options).trim(), "['a', 'b', 'c', 'system.views', 'view'] 7");
}

/// A standalone server's dump can have documents of different moments, which break a rule that no moment broke.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_built_ends_nothing_else() {
    let (source, dump) = attempted_by(
        How::default(),
        "direct.shop.m.update_one({'_id': 0}, {'$set': {'place': 1}})\n\
         direct.shop.m.create_index('place', unique=True, sparse=True)\n\
         direct.shop.m.create_index('other')\n\
         direct.shop.s.create_index('other')\n\
         direct.shop.command('create', 'view', viewOn='m', pipeline=[])\n\
         direct.admin.command('createUser', 'alice', pwd='a', roles=[])",
        "",
        "direct.shop.m.update_one({'_id': 0}, {'$set': {'place': 2}})\n\
         direct.shop.m.update_one({'_id': 2999}, {'$set': {'place': 1}})",
        &[6 << 20],
    )
    .await;
    let target = Mongod::start(How::default());
    let error = restore(&dump.unwrap(), plan(&target.url(None)), Request::default()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("everything is restored but what the target refused: index `shop.m`: "),
        "{said}"
    );
    assert!(said.contains("place_1 dup key: { place: 1 }") && !said.contains("; "), "{said}");
    target.python(
        "direct.shop.m.update_one({'_id': 2999}, {'$set': {'place': 3}})\n\
                   direct.shop.m.create_index('place', unique=True, sparse=True)",
    );
    source.python(
        "direct.shop.m.update_one({'_id': 2999}, {'$set': {'place': 3}})\n\
         direct.shop.m.update_one({'_id': 0}, {'$set': {'place': 1}})",
    );
    assert_eq!(differences(&source, &target, ", ('shop',)"), NOTHING);
}

/// `$out` makes a collection and then gives it another's name. Where it runs all the time it has always begun before
/// the dump.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_being_made_when_the_dump_began() {
    let args = vec!["--setParameter".into(), "enableTestCommands=1".into()];
    let how = How { set: Some("rs0"), args, ..How::default() };
    let (source, dump) = attempted_by(
        how,
        "direct.shop.s.insert_many([{'_id': n} for n in range(100)])\n\
         direct.shop.out.insert_one({'_id': 'stale'})\n\
         hold = 'outWaitAfterTempCollectionCreation'\n\
         direct.admin.command('configureFailPoint', hold, mode='alwaysOn')\n\
         run = 'from pymongo import MongoClient; MongoClient(\"127.0.0.1\", %d).shop.s.aggregate([{\"$out\": \"out\"}])'\n\
         __import__('subprocess').Popen(['timeout', '100', 'python3', '-c', run % direct.address[1]], start_new_session=True)\n\
         direct.admin.command('waitForFailPoint', hold, timesEntered=1, maxTimeMS=60000)\n\
         for n in range(10): direct.shop.b.insert_one({'_id': n})",
        "",
        "direct.admin.command('configureFailPoint', 'outWaitAfterTempCollectionCreation', mode='off')\n\
         while direct.shop.out.find_one()['_id'] == 'stale': time.sleep(0.05)",
        &[6 << 20],
    )
    .await;
    let target = restored(&dump.unwrap(), Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}
