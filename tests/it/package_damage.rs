//! Whatever is not exactly what was sealed is refused. Beside each refusal stands the sound package, which is not.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use chupacabra::catalog::Record;
use chupacabra::catalog::key::Part;
use chupacabra::package::member::{Content, Kind, Large, Object, Settled};
use chupacabra::package::open::{Discard, members};
use chupacabra::package::{Error, Package, Selection};
use chupacabra::stores::{self, Download, Finding, Intent, Listed, ObjectName, Reason, Store, Upload};
use futures_util::StreamExt as _;

use crate::support::memory_store::MemoryStore;
use crate::support::package::{
    Keep, Keys, Step, digest, empty, encrypted, file, gzipped, key, keys, member, package, reseal, sealed,
    settings, store, try_seal, unseal,
};

/// A sound package and what it takes to make unsound ones of it.
pub struct Sound {
    pub keys: Keys,
    pub record: Record,
    pub package: Vec<u8>,
    pub index: Vec<u8>,
}

pub async fn sound(source: &str) -> Sound {
    let keys = keys();
    let steps = [
        member(empty("d", Kind::Directory), ""),
        member(file("d/a", 3_000), vec![b'a'; 3_000]),
        Step::Object(Object { name: "t".into(), kind: "table".into(), fingerprint: Default::default() }),
        member(file("d/b", 700), (0..700u32).map(|i| (i * i % 251) as u8).collect::<Vec<_>>()),
    ];
    let (store, record) = sealed(&keys, source, steps).await;
    let package = store.get(&record.key.object(&Part::Package)).to_vec();
    let index = store.get(&record.key.object(&Part::Index)).to_vec();
    Sound { keys, record, package, index }
}

impl Sound {
    /// Package and index as given, and a record that agrees with both: only their content can give them away.
    fn recorded(&self, package: &[u8], index: &[u8]) -> Package {
        let mut record = self.record.clone();
        record.package = digest(package);
        record.index = digest(index);
        self.with(package, index, &record)
    }

    fn with(&self, sealed: &[u8], index: &[u8], record: &Record) -> Package {
        let memory = MemoryStore::default();
        store(&memory, &self.record.key, sealed.to_vec(), index.to_vec());
        package(&memory, record, &self.keys)
    }

    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(unseal(&self.keys.identities, &self.index)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The package with an index of other lines; the lines' word on the package object is kept true.
    fn with_lines(&self, lines: &[String]) -> Package {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.recorded(&self.package, &reseal(&self.keys.recipient, text.as_bytes()))
    }

    /// Another tar stream, with the index of the sound one; its last line is made true of the new object.
    fn with_tar(&self, tar: &[u8]) -> Package {
        self.with_gzip(&gzipped(tar))
    }

    fn with_gzip(&self, gzip: &[u8]) -> Package {
        let sealed = encrypted(&self.keys.recipient, gzip);
        let (old, new) = (&self.record.package, digest(&sealed));
        let lines: String = self.lines().iter().map(|line| line.clone() + "\n").collect();
        let lines = lines.replace(&old.sha256, &new.sha256).replace(
            &format!("\"size\":{},\"sha256\"", old.size),
            &format!("\"size\":{},\"sha256\"", new.size),
        );
        self.recorded(&sealed, &reseal(&self.keys.recipient, lines.as_bytes()))
    }

    pub fn tar(&self) -> Vec<u8> {
        unseal(&self.keys.identities, &self.package)
    }

    fn opens(&self, package: &[u8]) -> Result<u64, Error> {
        members(&self.keys.identities, std::io::Cursor::new(package.to_vec()), |_, _| Ok(()))
    }
}

async fn all(package: &Package) -> Result<(), Error> {
    package.read(Selection::All, Discard).await.map(drop)
}

async fn some(package: &Package) -> Result<(), Error> {
    package.read(Selection::Where(Box::new(|entry| entry.path == b"d/b")), Discard).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sound_package_passes_every_check_used_here() {
    let sound = sound("web").await;
    let whole = sound.with(&sound.package, &sound.index, &sound.record);
    all(&whole).await.unwrap();
    some(&whole).await.unwrap();
    whole.verify_objects().await.unwrap();
    assert_eq!(sound.opens(&sound.package).unwrap(), 3);
    // Taking apart and putting together as the tests below do is no damage.
    all(&sound.with_lines(&sound.lines())).await.unwrap();
    some(&sound.with_lines(&sound.lines())).await.unwrap();
    all(&sound.with_tar(&sound.tar())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_2000_bit_flips_is_found() {
    let sound = sound("web").await;
    let bits = sound.package.len() * 8;
    assert!(bits > 2_000);
    // A damaged header may look like one for other keys.
    let mark = sound.package.windows(5).position(|bytes| bytes == b"\n--- ").unwrap();
    for n in 0..2_000 {
        let bit = n * 7_919 % bits;
        let mut flipped = sound.package.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // By its content alone, without record or index.
        assert!(sound.opens(&flipped).is_err(), "bit {bit} of the package");
        if n % 20 == 0 {
            let stored = sound.with(&flipped, &sound.index, &sound.record);
            let error = all(&stored).await.unwrap_err();
            assert!(error.is_mismatch() || bit / 8 < mark, "bit {bit}: {error:?} (header to {mark})");
            let error = stored.verify_objects().await.unwrap_err();
            assert!(matches!(error, Error::NotAsRecorded { what: "package", .. }), "bit {bit}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_500_bit_flips_of_the_index_is_found() {
    let sound = sound("web").await;
    for n in 0..500 {
        let bit = n * 7_919 % (sound.index.len() * 8);
        let mut flipped = sound.index.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let stored = sound.recorded(&sound.package, &flipped);
        assert!(stored.index(|_| Ok(())).await.is_err(), "bit {bit}");
        let stored = sound.with(&sound.package, &flipped, &sound.record);
        assert!(matches!(stored.verify_objects().await, Err(Error::NotAsRecorded { what: "index", .. })));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_shorter_object_is_found() {
    let sound = sound("web").await;
    for length in 0..sound.package.len() {
        assert!(sound.opens(&sound.package[..length]).is_err(), "{length} bytes of the package");
    }
    for length in (0..sound.index.len()).step_by(7) {
        let stored = sound.recorded(&sound.package, &sound.index[..length]);
        assert!(stored.index(|_| Ok(())).await.is_err(), "{length} bytes of the index");
    }
    let longer = [&sound.package[..], b"x"].concat();
    assert!(sound.opens(&longer).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncation_below_the_encryption_is_found() {
    let sound = sound("web").await;
    let tar = sound.tar();
    let gzip = gzipped(&tar);
    for length in 0..gzip.len() {
        assert!(sound.opens(&encrypted(&sound.keys.recipient, &gzip[..length])).is_err(), "{length} of gzip");
    }
    for length in (0..tar.len()).step_by(512).chain([1, tar.len() - 1, tar.len() - 511]) {
        let error = sound.opens(&reseal(&sound.keys.recipient, &tar[..length])).unwrap_err();
        assert!(
            matches!(error, Error::Archive(_) | Error::Truncated(_) | Error::Damaged(_)),
            "{length}: {error:?}"
        );
    }
    for extra in [&b"x"[..], b"\x1f\x8b\x08", &[0; 30]] {
        let longer = [&gzip[..], extra].concat();
        assert!(sound.opens(&encrypted(&sound.keys.recipient, &longer)).is_err(), "{extra:?} behind gzip");
    }
    let longer = [&tar[..], &[1; 512]].concat();
    assert!(sound.opens(&reseal(&sound.keys.recipient, &longer)).is_err());
    // A dropped chunk of age: the stream must be longer than one.
    let noise: Vec<u8> = blake3::hash(b"n").as_bytes().repeat(4);
    let mut large = vec![0; 400_000];
    blake3::Hasher::new().update(&noise).finalize_xof().fill(&mut large);
    let steps = [member(file("a", large.len()), large)];
    let (store, record) = sealed(&sound.keys, "web", steps).await;
    let object = store.get(&record.key.object(&Part::Package)).to_vec();
    let chunk = 65_552;
    let header = object.len() % chunk + chunk - (400_000 % chunk);
    for chunks in 0..object.len() / chunk {
        for cut in [chunks * chunk, chunks * chunk + header % chunk] {
            assert!(sound.opens(&object[..cut]).is_err(), "{cut} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_opens_nothing() {
    let sound = sound("web").await;
    let memory = MemoryStore::default();
    store(&memory, &sound.record.key, sound.package.clone(), sound.index.clone());
    let other = keys();
    let error = all(&package(&memory, &sound.record, &other)).await.unwrap_err();
    assert!(matches!(error, Error::WrongKey), "{error:?}");
    assert!(matches!(some(&package(&memory, &sound.record, &other)).await, Err(Error::WrongKey)));
    let both = Package::new(
        Arc::new(memory),
        sound.record.clone(),
        [other.identities, sound.keys.identities].concat(),
    );
    all(&both).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_does_not_fit_is_refused() {
    let sound = sound("web").await;
    let lines = sound.lines();
    let position =
        |kind: &str| lines.iter().position(|line| line.starts_with(&format!("{{\"{kind}\""))).unwrap();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let with = |at: usize, line: String| {
        let mut changed = lines.clone();
        changed[at] = line;
        changed
    };
    let (first, block, end) = (position("member"), position("block"), position("end"));
    let file_line = lines.iter().position(|line| line.contains("\"d/b\"")).unwrap();
    let newer = lines[0].replace("\"version\":1", "\"version\":2");
    let error = all(&sound.with_lines(&with(0, newer))).await.unwrap_err();
    assert!(matches!(error, Error::NewerVersion(_)), "{error:?}");
    let mut unknown = lines.clone();
    unknown.insert(2, "{\"colour\":\"green\"}".into());
    let error = all(&sound.with_lines(&unknown)).await.unwrap_err();
    assert!(matches!(error, Error::NewerVersion(_)), "{error:?}");
    let mut twice = lines.clone();
    twice.insert(first, lines[first].clone());
    let mut trailing = lines.clone();
    trailing.push(lines[first].clone());
    let digest = lines[file_line].split("\"blake3\":\"").nth(1).unwrap()[..64].to_owned();
    let cases = [
        ("no first line", without(0)),
        ("a member line missing", without(first)),
        ("the last member line missing", without(file_line)),
        ("the object line missing", without(position("object"))),
        ("the block line missing", without(block)),
        ("no last line", without(end)),
        ("a member twice", twice),
        ("something after the last line", trailing),
        ("another digest", with(file_line, lines[file_line].replace(&digest, &"0".repeat(64)))),
        ("no digest", with(file_line, lines[file_line].replace(&format!("\"blake3\":\"{digest}\","), ""))),
        ("another path", with(file_line, lines[file_line].replace("d/b", "d/c"))),
        ("another size", with(file_line, lines[file_line].replace("\"size\":700", "\"size\":701"))),
        ("another mode", with(file_line, lines[file_line].replace("\"mode\":420", "\"mode\":511"))),
        ("other totals", with(end, lines[end].replace("\"members\":3", "\"members\":4"))),
        ("another package", with(end, lines[end].replace(&sound.record.package.sha256, &"0".repeat(64)))),
        ("not JSON", with(first, "{\"member\":".into())),
    ];
    for (what, changed) in cases {
        assert_ne!(changed, lines, "{what}");
        let error =
            all(&sound.with_lines(&changed)).await.err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(error.is_mismatch(), "{what}: {error:?}");
        if !["another path", "another mode"].contains(&what) {
            let selected =
                sound.with_lines(&changed).read(Selection::Where(Box::new(|_| true)), Discard).await;
            assert!(selected.is_err(), "{what} was accepted for a selection");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swapped_index_is_refused() {
    let (web, other) = (sound("web").await, sound("other").await);
    // Same key pair, same content: only the name in the index differs.
    let foreign = reseal(&web.keys.recipient, &unseal(&other.keys.identities, &other.index));
    let error = all(&web.with(&web.package, &foreign, &web.record)).await.unwrap_err();
    assert!(error.is_mismatch(), "{error:?}");
    let error = all(&web.recorded(&web.package, &foreign)).await.unwrap_err();
    assert!(matches!(&error, Error::ForeignIndex { found, .. } if found.starts_with("other/")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_the_index_does_not_know_are_refused() {
    let sound = sound("web").await;
    let tar = sound.tar();
    let end = tar.len() - 1_024;
    let mut extra = Vec::new();
    chupacabra::package::tar::frame(&file("extra", 0), &mut extra).unwrap();
    let more = [&tar[..end], &extra, &tar[end..]].concat();
    let error = all(&sound.with_tar(&more)).await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch(what) if what.contains("extra")), "{error:?}");
    let first_behind = [&extra[..], &tar].concat();
    assert!(all(&sound.with_tar(&first_behind)).await.unwrap_err().is_mismatch());
    // `d/b`: header, 700 bytes, padding.
    let fewer = [&tar[..end - 512 - 1_024], &tar[end..]].concat();
    let error = all(&sound.with_tar(&fewer)).await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch(what) if what.contains("d/b")), "{error:?}");
    assert!(some(&sound.with_tar(&fewer)).await.is_err());
    // The same archive, cut into other blocks.
    let (left, right) = tar.split_at(1_024);
    let error = all(&sound.with_gzip(&[gzipped(left), gzipped(right)].concat())).await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch(what) if what.contains("blocks")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_leave_the_target_are_refused() {
    let sound = sound("web").await;
    for path in ["../evil", "/etc/passwd", "a/../../evil", "a//b", ".."] {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let archive = [&header.as_bytes()[..], &[0; 1_024]].concat();
        let error = sound.opens(&reseal(&sound.keys.recipient, &archive)).unwrap_err();
        assert!(
            matches!(&error, Error::Archive(chupacabra::package::tar::Error::Path(_))),
            "{path}: {error:?}"
        );
        let error =
            try_seal(&settings(&sound.keys.recipient), &key("web"), [member(file(path, 0), "")]).await;
        assert!(matches!(error, Err(Error::Member { .. })), "{path} was packed");
    }
}

struct Short(usize, bool);

impl std::io::Read for Short {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 && self.1 {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let count = self.0.min(out.len()).min(1_000);
        out[..count].fill(7);
        self.0 -= count;
        Ok(count)
    }
}

impl Large for Short {
    fn settle(self: Box<Self>) -> std::io::Result<Settled> {
        Ok(Settled::Superseded)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_of_the_wrong_size_fails_the_package() {
    let keys = keys();
    let settings = settings(&keys.recipient);
    let large =
        |size, fails| Step::Member(file("big", 3_000_000), Content::Reader(Box::new(Short(size, fails))));
    for size in [2_999_999, 3_000_001, 0] {
        let error = try_seal(&settings, &key("web"), [large(size, false)]).await.unwrap_err();
        assert!(matches!(error, Error::ContentSize { .. }), "{error:?}");
    }
    let error = try_seal(&settings, &key("web"), [large(1_000_000, true)]).await.unwrap_err();
    assert!(matches!(error, Error::Content { .. }), "{error:?}");
    let error = try_seal(&settings, &key("web"), [member(file("x", 2), "abc")]).await.unwrap_err();
    assert!(matches!(error, Error::ContentSize { .. }), "{error:?}");
    let (packed, _, index) = try_seal(&settings, &key("web"), [large(3_000_000, false)]).await.unwrap();
    assert_eq!(packed.totals.content_bytes, 3_000_000);
    let lines = String::from_utf8(unseal(&keys.identities, &index)).unwrap();
    assert!(lines.contains("\"superseded\":true"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_is_given_up_never_ends() {
    use chupacabra::package::pipe::pipe;
    use chupacabra::package::seal;
    let keys = keys();
    let (package_out, package_in) = pipe(2);
    let (index_out, index_in) = pipe(2);
    let (outlet, sealing) = seal(&settings(&keys.recipient), "k", package_out, index_out).unwrap();
    outlet.member(file("a", 1), "a".into()).await.unwrap();
    drop(sealing);
    // The outlet is still held: the pipes break all the same.
    let collected = crate::support::package::collect;
    assert!(collected(package_in).await.1.is_err());
    assert!(collected(index_in).await.1.is_err());
    let mut refused = false;
    for _ in 0..1_000 {
        refused |= outlet.member(file("b", 1), "b".into()).await.is_err();
    }
    assert!(refused, "the outlet still takes members");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_ends_early_closes_the_outlet_and_fails_the_package() {
    use chupacabra::package::pipe::pipe;
    use chupacabra::package::seal;
    for lost in ["package", "index"] {
        let keys = keys();
        let (package_out, package_in) = pipe(1);
        let (index_out, index_in) = pipe(1);
        let (outlet, sealing) = seal(&settings(&keys.recipient), "k", package_out, index_out).unwrap();
        let kept = if lost == "package" {
            drop(package_in);
            index_in
        } else {
            drop(index_in);
            package_in
        };
        let drain = tokio::spawn(crate::support::package::collect(kept));
        let mut noise = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let noise = bytes::Bytes::from(noise);
        let mut closed = false;
        for n in 0..2_000 {
            // Small members make a long index, large ones a long package.
            let content = if lost == "package" { noise.clone() } else { noise.slice(..10) };
            let header = file(format!("{}/{n}", blake3::hash(&[n as u8])), content.len());
            closed = outlet.member(header, content).await.is_err();
            if closed {
                break;
            }
        }
        drop(outlet);
        let error = tokio::task::spawn_blocking(move || sealing.finish()).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Write(_)), "{lost}: {error:?}");
        assert!(closed || lost == "index");
        assert!(drain.await.unwrap().1.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_after_the_end_is_not_lost_in_silence() {
    use chupacabra::package::pipe::pipe;
    use chupacabra::package::seal;
    let keys = keys();
    let (package_out, package_in) = pipe(2);
    let (index_out, index_in) = pipe(2);
    let (outlet, sealing) = seal(&settings(&keys.recipient), "k", package_out, index_out).unwrap();
    let (a, b) = (
        tokio::spawn(crate::support::package::collect(package_in)),
        tokio::spawn(crate::support::package::collect(index_in)),
    );
    let finished = tokio::task::spawn_blocking(move || sealing.finish());
    let packed = finished.await.unwrap().unwrap();
    assert_eq!(packed.totals.members, 0);
    assert!(outlet.member(file("late", 1), "x".into()).await.is_err());
    a.await.unwrap().1.unwrap();
    b.await.unwrap().1.unwrap();
}

/// A store that is lost when the second half of an object is to come.
struct Lost(MemoryStore);

#[async_trait]
impl Store for Lost {
    async fn create(&self, name: &ObjectName, intent: &Intent) -> Result<Box<dyn Upload>, stores::Error> {
        self.0.create(name, intent).await
    }

    async fn open(&self, name: &ObjectName, range: Option<Range<u64>>) -> Result<Download, stores::Error> {
        let mut pieces: Vec<_> = self.0.open(name, range).await?.collect().await;
        if pieces.len() > 2 {
            pieces.truncate(pieces.len() / 2);
            pieces.push(Err(stores::Error::new(Reason::Denied, "the key was withdrawn")));
        }
        Ok(futures_util::stream::iter(pieces).boxed())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, stores::Error> {
        self.0.list(prefix).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), stores::Error> {
        self.0.delete(name).await
    }

    async fn check(&self) -> Vec<Finding> {
        Vec::new()
    }
}

/// Whoever restores reads the content, and gets the error before the package's reader does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_lost_while_a_member_is_read_is_no_damage() {
    let keys = keys();
    let mut noise = vec![0; 4 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let steps = [member(file("noise", noise.len()), noise)];
    let (memory, record) = sealed(&keys, "web", steps).await;
    let lost = Package::new(Arc::new(Lost(memory.clone())), record.clone(), keys.identities.clone());
    let chosen = || Selection::Where(Box::new(|_| true));
    for error in [
        lost.read(Selection::All, Keep::default()).await.map(drop).unwrap_err(),
        lost.read(chosen(), Keep::default()).await.map(drop).unwrap_err(),
        lost.read(Selection::All, Discard).await.map(drop).unwrap_err(),
    ] {
        let denied = matches!(&error, Error::Store(error) if error.reason == Reason::Denied);
        assert!(denied && !error.is_mismatch(), "{error:?}");
    }
    let whole = package(&memory, &record, &keys);
    whole.read(Selection::All, Keep::default()).await.map(drop).unwrap();
}
