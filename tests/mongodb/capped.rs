//! Capped collections that are written to while a dump is made, by what servers since 5.0 allow: documents are deleted.

use chupacabra::sources::Request;

use crate::replay::{NOTHING, attempted_of, differ, dumped_while, restored};
use crate::support::mongodb::{How, Mongod, plan, restore};

/// What comes and goes before the collection is read comes and goes once more in the replay. Nothing else may give way
/// to it, and what was inserted once more stands where it did.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_gives_way_to_what_was_deleted_again() {
    let (source, dump) = dumped_while(
        "for name in ('s.few', 's.small'):\n\
         \x20   ring = direct.shop.create_collection(name, capped=True, size=4096, max={'s.few': 10}.get(name, 1000))\n\
         \x20   for n in range(20): ring.insert_one({'_id': n, 'pad': 'p' * 350})",
        "",
        "for name in ('s.few', 's.small'):\n\
         \x20   ring = direct.shop[name]\n\
         \x20   for n in range(20, 24): ring.insert_one({'_id': n, 'pad': 'p' * 350}); ring.delete_one({'_id': n})\n\
         \x20   ring.delete_one({'_id': 15}); ring.insert_one({'_id': 15, 'again': 1})\n\
         \x20   for n in range(24, 26): ring.insert_one({'_id': n})",
    )
    .await;
    let ids = source.python("print([one['_id'] for one in direct.shop['s.few'].find()])");
    assert_eq!(ids.trim(), "[12, 13, 14, 16, 17, 18, 19, 15, 24, 25]", "two have given way");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

const RING: &str = "direct.shop.m.drop()\n\
                    ring = direct.shop.create_collection('m', capped=True, size=64 << 20)\n\
                    for n in range(2000): ring.insert_one({'_id': n, 'pad': 'p' * 9000})";
const AGAIN: &str = "ring = direct.shop.m\n\
                     for n in range(3): ring.delete_one({'_id': n}); ring.insert_one({'_id': n, 'again': 1})\n\
                     ring.insert_one({'_id': 'last'})";

/// The dump has such documents twice.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_inserted_again_while_a_ring_was_read() {
    let (source, dump) = dumped_while(RING, "", AGAIN).await;
    assert_eq!(dump.object("shop.m").fingerprint.rows, 2_004, "three were read twice");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_inserted_again_in_a_ring_of_a_standalone() {
    let (_, dump) = attempted_of(None, RING, "", AGAIN).await;
    let dump = dump.unwrap();
    assert_eq!(dump.object("shop.m").fingerprint.rows, 2_004, "three were read twice");
    let target = Mongod::start(How::default());
    let restored = restore(&dump, plan(&target.url(None)), Request::default()).await.unwrap();
    assert_eq!(
        restored.notes,
        [
            "`shop.m`: 3 documents were deleted and inserted again while they were read; they are as they were before"
        ]
    );
    let ids = target
        .python("ids = [one['_id'] for one in direct.shop.m.find()]; print(len(ids), ids[:3], ids[-2:])");
    assert_eq!(ids.trim(), "2001 [0, 1, 2] [1999, 'last']");
}

/// Collections have no limits while the slice is replayed, and afterwards those of the source.
#[tokio::test(flavor = "multi_thread")]
async fn limits_are_those_of_the_end() {
    let (source, dump) = dumped_while(
        "for name in ('s.kept', 's.changed'):\n\
         \x20   direct.shop.create_collection(name, capped=True, size=8192, max=50)\n\
         \x20   direct.shop[name].insert_many([{'_id': n} for n in range(60)])\n\
         direct.shop['s.plain'].insert_many([{'_id': n} for n in range(60)])",
        "",
        "direct.shop.command('collMod', 's.changed', cappedSize=1 << 20, cappedMax=20, validator={'x': 1})\n\
         direct.shop['s.changed'].insert_one({'_id': 60, 'x': 1})\n\
         direct.shop.command('convertToCapped', 's.plain', size=4096)\n\
         made = direct.shop.create_collection('made', capped=True, size=4096, max=5)\n\
         for n in range(9): made.insert_one({'_id': n})\n\
         made.rename('moved')",
    )
    .await;
    let options = source.python("print(direct.shop['s.changed'].options())");
    assert!(options.contains("'max': 20"), "{options}");
    let target = restored(&dump, Request::default()).await;
    assert_eq!(differ(&source, &target), NOTHING);
    // The limits hold.
    target.python("for n in range(100, 110): direct.shop.moved.insert_one({'_id': n})");
    assert_eq!(target.python("print(direct.shop.moved.count_documents({}))").trim(), "5");
}
