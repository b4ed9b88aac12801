//! Packages without this program: `age`, `gzip`, GNU tar, bsdtar and Python read what it writes, and it reads theirs.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use chupacabra::package::age::Identity;
use chupacabra::package::member::{Header, Kind, Time};
use chupacabra::package::open::members;
use chupacabra::package::{Selection, Settings};

use crate::support::package::{
    Keep, Step, empty, file, key, keys, member, package, record, settings, store, try_seal,
};
use crate::support::{run, scratch, shell, tool};

const MIB: u64 = 1 << 20;

fn long_name() -> Vec<u8> {
    let part = "a-long-part-of-a-name-".repeat(9);
    format!("tree/{part}/{part}/{part}-ü").into_bytes()
}

/// Members of every kind, with the odd and the large.
fn members_of_every_kind() -> Vec<(Header, Vec<u8>)> {
    let text = |path: &[u8], content: &[u8]| (file(path, content.len()), content.to_vec());
    let xattrs = vec![
        (b"user.plain".to_vec(), b"value".to_vec()),
        (b"user.odd=name%3D".to_vec(), vec![0, 10, 255, b'=', 10]),
    ];
    let fraction = Time { seconds: 1_234_567_890, nanos: 123_456_789 };
    let early = Time { seconds: -86_401, nanos: 500_000_000 };
    let segments = vec![(0, 4_096), (8 * MIB, 8_192), (32 * MIB, 4_096)];
    let sparse = Header { size: 64 * MIB, sparse: Some(segments), ..file("tree/sparse", 0) };
    let hole = Header { size: 3 * MIB, sparse: Some(Vec::new()), ..file("tree/only-a-hole", 0) };
    let large: Vec<u8> = (0..3_000_000u32).flat_map(|i| (i / 5).to_le_bytes()).collect();
    let parent = |path: &[u8]| {
        let cut = path.iter().rposition(|byte| *byte == b'/').unwrap();
        (empty(&path[..cut], Kind::Directory), Vec::<u8>::new())
    };
    let long = long_name();
    let above = parent(&long);
    vec![
        (Header { mode: 0o755, ..empty("tree", Kind::Directory) }, Vec::new()),
        (Header { mtime: fraction, ..file("tree/nanoseconds", 3) }, b"abc".to_vec()),
        (Header { mtime: early, ..file("tree/before-1970", 0) }, Vec::new()),
        text(b"tree/not-utf8-\xff\xfe", b"bytes"),
        text(b"tree/new\nline", b"line"),
        (Header { mode: 0o755, ..parent(&above.0.path).0 }, Vec::new()),
        (Header { mode: 0o755, ..above.0 }, Vec::new()),
        text(&long, b"long"),
        (Header { xattrs, ..file("tree/xattrs", 1) }, b"x".to_vec()),
        (sparse, (0..16_384u32).map(|i| (i % 255) as u8 + 1).collect()),
        (hole, Vec::new()),
        (Header { mode: 0o4_711, uid: 12_345, gid: 54_321, ..file("tree/set-uid", 0) }, Vec::new()),
        (Header { uid: 4_000_000_000, ..file("tree/large-uid", 0) }, Vec::new()),
        (empty("tree/symlink", Kind::Symlink(b"../some/\xc3\xbcmlaut".to_vec())), Vec::new()),
        (empty("tree/hard", Kind::HardLink(long)), Vec::new()),
        (empty("tree/fifo", Kind::Fifo), Vec::new()),
        (empty("tree/device", Kind::CharDevice(1, 3)), Vec::new()),
        (file("tree/large", large.len()), large),
        (Header { mode: 0o500, mtime: fraction, ..empty("tree/read-only", Kind::Directory) }, Vec::new()),
    ]
}

/// Seals members into `dir` as `package`, `index` and, for age, `key.txt`.
async fn sealed_into(
    dir: &Path,
    members: Vec<(Header, Vec<u8>)>,
    settings: Option<Settings>,
) -> Vec<Identity> {
    let keys = keys();
    let settings = settings.unwrap_or_else(|| settings_of(&keys));
    let steps = members.into_iter().map(|(header, content)| member(header, content));
    let (packed, sealed, index) = try_seal(&settings, &key("web"), steps).await.unwrap();
    fs::write(dir.join("package"), sealed).unwrap();
    fs::write(dir.join("index"), index).unwrap();
    fs::write(dir.join("record.json"), serde_json::to_vec(&record(&key("web"), &packed)).unwrap()).unwrap();
    fs::write(dir.join("key.txt"), &keys.text).unwrap();
    keys.identities
}

fn settings_of(keys: &crate::support::package::Keys) -> Settings {
    settings(&keys.recipient)
}

/// What a file system shows of a member, compared with what was sealed.
fn compare(out: &Path, header: &Header, content: &[u8], by: &str) {
    let path = out.join(PathBuf::from(std::ffi::OsStr::from_bytes(&header.path)));
    let what = format!("{} by {by}", path.display());
    let metadata = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{what}: {error}"));
    let kind = metadata.file_type();
    match &header.kind {
        Kind::File => {
            assert_eq!(metadata.len(), header.size, "{what}");
            let read = fs::read(&path).unwrap();
            let segments = header.sparse.clone().unwrap_or_else(|| vec![(0, header.size)]);
            let (mut at, mut from) = (0, 0);
            for (offset, length) in segments.into_iter().chain([(header.size, 0)]) {
                let (start, end) =
                    (usize::try_from(offset).unwrap(), usize::try_from(offset + length).unwrap());
                assert!(read[at..start].iter().all(|byte| *byte == 0), "{what}: not a hole");
                assert!(read[start..end] == content[from..from + end - start], "{what}: other content");
                (at, from) = (end, from + end - start);
            }
            if header.sparse.is_some() {
                assert!(metadata.blocks() * 512 < header.size / 2, "{what}: holes were filled");
            }
        }
        Kind::Directory => assert!(kind.is_dir(), "{what}"),
        Kind::Symlink(target) => {
            assert!(kind.is_symlink(), "{what}: {kind:?} {}", metadata.len());
            assert_eq!(fs::read_link(&path).unwrap().as_os_str().as_bytes(), target, "{what}");
            return;
        }
        Kind::HardLink(target) => {
            let target = fs::metadata(out.join(std::ffi::OsStr::from_bytes(target))).unwrap();
            assert_eq!((metadata.ino(), metadata.nlink()), (target.ino(), 2), "{what}");
            return;
        }
        Kind::Fifo => assert!(kind.is_fifo(), "{what}"),
        Kind::CharDevice(major, minor) => {
            assert!(kind.is_char_device(), "{what}");
            assert_eq!(metadata.rdev(), rustix::fs::makedev(*major, *minor), "{what}");
        }
        Kind::BlockDevice(..) => assert!(kind.is_block_device(), "{what}"),
    }
    assert_eq!(metadata.permissions().mode() & 0o7777, header.mode, "{what}");
    assert_eq!((u64::from(metadata.uid()), u64::from(metadata.gid())), (header.uid, header.gid), "{what}");
    assert_eq!(metadata.mtime(), header.mtime.seconds, "{what}");
    assert_eq!(metadata.mtime_nsec(), i64::from(header.mtime.nanos), "{what}");
    for (name, value) in &header.xattrs {
        let mut found = vec![0; 100];
        let name = std::ffi::OsStr::from_bytes(name);
        let length =
            rustix::fs::getxattr(&path, name, &mut found[..]).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(&found[..length], value, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_tools_extract_everything() {
    assert!(rustix::process::geteuid().is_root(), "owners and devices need root");
    let dir = scratch();
    let sealed = members_of_every_kind();
    sealed_into(dir.path(), sealed.clone(), None).await;
    let decrypt = format!("cd {}; {} -d -i key.txt package", dir.path().display(), tool("age").display());
    let ways = [
        ("gnu", "tar xzp --xattrs --xattrs-include='*' --same-owner"),
        ("gnu-c-locale", "LC_ALL=C tar xzp --xattrs --xattrs-include='*' --same-owner"),
        ("gunzip", "gzip -dc | tar xp --xattrs --xattrs-include='*' --same-owner"),
        ("bsd", "LC_ALL=C.UTF-8 bsdtar -xpzS"),
    ];
    for (by, way) in ways {
        let out = dir.path().join(by);
        fs::create_dir(&out).unwrap();
        let way = way
            .replace("tar x", &format!("tar -C {by} -x"))
            .replace("bsdtar -x", &format!("bsdtar -C {by} -x"));
        let said = run(Command::new("bash").args(["-euo", "pipefail", "-c", &format!("{decrypt} | {way}")]));
        if by != "bsd" {
            // Nothing lost, nothing guessed: GNU tar may only mention the character set of odd names.
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            let other: Vec<_> = said
                .lines()
                .filter(|line| !line.contains("hdrcharset") && !line.contains("before 1970"))
                .collect();
            assert!(other.iter().all(|line| line.contains("implausibly old")), "{by}: {other:?}");
        }
        for (header, content) in &sealed {
            let mut header = header.clone();
            if by == "bsd" {
                // bsdtar has its own key for attributes with odd names.
                header.xattrs.truncate(1);
                if header.path == b"tree/before-1970" {
                    // libarchive counts the fraction of a negative time forwards.
                    header.mtime.seconds += 1;
                }
            }
            compare(&out, &header, content, by);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_reads_every_member() {
    let dir = scratch();
    let sealed = members_of_every_kind();
    sealed_into(dir.path(), sealed.clone(), None).await;
    let script = r#"
import gzip, hashlib, sys, tarfile
# tarfile's own "r|gz" stops after the first gzip member, the gzip module does not.
with tarfile.open(fileobj=gzip.open(sys.stdin.buffer), mode="r|") as archive:
    for m in archive:
        data = archive.extractfile(m).read() if m.isreg() else b""
        print(m.name.encode("utf-8", "surrogateescape").hex(), oct(m.mode), m.uid, m.gid, m.size, m.mtime,
              hashlib.sha256(data).hexdigest())
"#;
    fs::write(dir.path().join("read.py"), script).unwrap();
    let listed = shell(&format!("cd {}; age -d -i key.txt package | python3 read.py", dir.path().display()));
    let listed = String::from_utf8(listed).unwrap();
    assert_eq!(listed.lines().count(), sealed.len());
    for (line, (header, content)) in listed.lines().zip(&sealed) {
        let fields: Vec<_> = line.split(' ').collect();
        assert_eq!(hex::decode(fields[0]).unwrap(), header.path, "{line}");
        assert_eq!(fields[1], format!("0o{:o}", header.mode), "{line}");
        assert_eq!((fields[2], fields[3]), (&*header.uid.to_string(), &*header.gid.to_string()), "{line}");
        if header.kind == Kind::File {
            assert_eq!(fields[4], header.size.to_string(), "{line}");
        }
        if header.kind == Kind::File && header.sparse.is_none() {
            use sha2::Digest as _;
            assert_eq!(fields[6], hex::encode(sha2::Sha256::digest(content)), "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_reader_made_from_the_specification_agrees() {
    let dir = scratch();
    let many = (0..3_000u32).map(|n| (file(format!("tree/many/{n}"), 4), n.to_le_bytes().to_vec()));
    let all: Vec<_> = members_of_every_kind().into_iter().chain(many).collect();
    let count = all.len();
    sealed_into(dir.path(), all, None).await;
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/independent_reader.py");
    let read = |index: &str| {
        let line = format!(
            "cd {}; python3 {reader} key.txt package {index} record.json {}",
            dir.path().display(),
            tool("b3sum").display()
        );
        Command::new("bash").args(["-c", &line]).output().unwrap()
    };
    let output = read("index");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("\"members\": {count}")));
    // It is not a reader that agrees with everything.
    let mut index = fs::read(dir.path().join("index")).unwrap();
    let at = index.len() / 2;
    index[at] ^= 1;
    fs::write(dir.path().join("damaged"), index).unwrap();
    assert!(!read("damaged").status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_members_concatenate() {
    let dir = scratch();
    let parts: Vec<(Header, Vec<u8>)> = (0..5)
        .map(|n| {
            let text = format!("INSERT {n};\n").repeat(50_000);
            (
                Header::data(format!("dump/{n}.sql"), "t", text.len() as u64, Time::default()),
                text.into_bytes(),
            )
        })
        .collect();
    let whole: Vec<u8> = parts.iter().flat_map(|(_, text)| text.clone()).collect();
    sealed_into(dir.path(), parts, None).await;
    let read = shell(&format!("cd {}; age -d -i key.txt package | tar xzO", dir.path().display()));
    assert!(read == whole);
}

/// What stock tools pack.
fn tree(dir: &Path) {
    shell(&format!(
        "cd {}; mkdir -p in/sub/$(printf 'x%.0s' {{1..200}}); cd in
         printf abc > a; head -c 5000000 /dev/urandom > sub/noise; ln a hard; ln -s a soft; mkfifo fifo
         (cd sub/xxx*; printf long > $(printf 'y%.0s' {{1..200}})); touch -d @1234567890.123456789 a
         truncate -s 20M holes; printf data | dd of=holes bs=1 seek=10000000 conv=notrunc status=none
         setfattr -n user.note -v value a",
        dir.display()
    ));
}

fn opened(dir: &Path, identities: &[Identity]) -> Vec<(Header, Vec<u8>)> {
    let source = fs::File::open(dir.join("foreign")).unwrap();
    let all = Arc::new(Mutex::new(Vec::new()));
    let count = members(identities, source, |member, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        all.lock().unwrap().push((member.header, bytes));
        Ok(())
    })
    .unwrap();
    let all = std::mem::take(&mut *all.lock().unwrap());
    assert_eq!(count, all.len() as u64);
    all
}

#[test]
fn packages_of_stock_tools_open() {
    let dir = scratch();
    tree(dir.path());
    let keys = keys();
    let find = |all: &[(Header, Vec<u8>)], name: &str| {
        let found = all.iter().find(|(header, _)| header.path.ends_with(name.as_bytes()));
        found.unwrap_or_else(|| panic!("{name} is missing")).clone()
    };
    for way in [
        "tar c in | gzip",
        "tar c -C in . | gzip",
        "tar c --format=posix --xattrs -S in | gzip -1",
        "tar c --format=gnu in | gzip",
        "bsdtar -cf - --format pax in | gzip",
        "python3 -c 'import sys, tarfile\nwith tarfile.open(fileobj=sys.stdout.buffer, mode=\"w|\") as t: t.add(\"in\")' | gzip",
        "tar cf all in; split -b 700000 --filter=gzip all",
    ] {
        let recipient = keys.recipient.to_string();
        shell(&format!("cd {}; {way} | age -r {recipient} > foreign", dir.path().display()));
        let all = opened(dir.path(), &keys.identities);
        assert_eq!(find(&all, "noise").1, fs::read(dir.path().join("in/sub/noise")).unwrap(), "{way}");
        assert_eq!(find(&all, "yyy").1, b"long", "{way}");
        assert!(matches!(find(&all, "soft").0.kind, Kind::Symlink(target) if target == b"a"), "{way}");
        assert!(all.iter().any(|(header, _)| matches!(&header.kind, Kind::HardLink(_))), "{way}");
        let holes = find(&all, "holes");
        assert_eq!(holes.0.size, 20 << 20, "{way}");
        if way.contains("-S") {
            assert!(holes.0.sparse.is_some() && holes.1.len() < 1 << 20, "{way}");
            // Whichever name of the two comes first has the metadata.
            let first = |(header, _): &&(Header, Vec<u8>)| {
                header.kind == Kind::File && [&b"in/a"[..], b"in/hard"].contains(&&header.path[..])
            };
            let a = &all.iter().find(first).unwrap().0;
            assert_eq!(a.mtime, Time { seconds: 1_234_567_890, nanos: 123_456_789 });
            assert_eq!(a.xattrs, [(b"user.note".to_vec(), b"value".to_vec())]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ssh_keys_and_passphrases_open_too() {
    let dir = scratch();
    for kind in ["ed25519", "rsa"] {
        shell(&format!("cd {}; ssh-keygen -q -t {kind} -N '' -C me@here -f {kind}", dir.path().display()));
        let public = fs::read_to_string(dir.path().join(format!("{kind}.pub"))).unwrap();
        let identity = Identity::parse_file(&fs::read_to_string(dir.path().join(kind)).unwrap()).unwrap();
        let recipient: chupacabra::package::age::Recipient = public.parse().unwrap();
        assert_eq!(identity[0].to_recipient().unwrap(), recipient);
        let settings = settings(&recipient);
        let steps = [member(file("a", 5), "hello")];
        let (packed, sealed, index) = try_seal(&settings, &key("web"), steps).await.unwrap();
        fs::write(dir.path().join("package"), &sealed).unwrap();
        let said = shell(&format!("cd {}; age -d -i {kind} package | tar xzO", dir.path().display()));
        assert_eq!(said, b"hello");
        let memory = crate::support::memory_store::MemoryStore::default();
        store(&memory, &key("web"), sealed, index);
        let keys = crate::support::package::Keys { text: String::new(), identities: identity, recipient };
        let opened = package(&memory, &record(&key("web"), &packed), &keys);
        assert_eq!(opened.read(Selection::All, Keep::default()).await.unwrap().take().len(), 1);
        // A key with a passphrase of its own is refused by name, not taken for a wrong one.
        shell(&format!("cd {}; ssh-keygen -q -t {kind} -N 'secret' -f locked-{kind}", dir.path().display()));
        let locked = fs::read_to_string(dir.path().join(format!("locked-{kind}"))).unwrap();
        assert!(Identity::parse_file(&locked).unwrap_err().to_string().contains("ssh-keygen -p"));
    }
    let recipient = chupacabra::package::age::Recipient::passphrase("correct horse");
    let steps = [Step::Member(file("a", 5), chupacabra::package::member::Content::Bytes("hello".into()))];
    let (packed, sealed, index) = try_seal(&settings(&recipient), &key("web"), steps).await.unwrap();
    for sealed in [&sealed, &index] {
        // What a passphrase costs to try, in work and in memory, is the same wherever it was sealed.
        let header = String::from_utf8_lossy(&sealed[..200]).into_owned();
        let stanza = header.lines().find_map(|line| line.strip_prefix("-> scrypt ")).unwrap();
        assert_eq!(stanza.split(' ').nth(1), Some("18"), "{header}");
    }
    let memory = crate::support::memory_store::MemoryStore::default();
    store(&memory, &key("web"), sealed, index);
    for (words, good) in [("correct horse", true), ("wrong horse", false)] {
        let identities = vec![Identity::passphrase(words)];
        let keys =
            crate::support::package::Keys { text: String::new(), identities, recipient: recipient.clone() };
        let opened = package(&memory, &record(&key("web"), &packed), &keys);
        assert_eq!(opened.read(Selection::All, Keep::default()).await.is_ok(), good);
    }
    let mixed = Settings { recipients: vec![recipient, keys().recipient], ..settings(&keys().recipient) };
    assert!(try_seal(&mixed, &key("web"), []).await.is_err());
    let none = Settings { recipients: Vec::new(), ..mixed };
    assert!(try_seal(&none, &key("web"), []).await.is_err());
}
