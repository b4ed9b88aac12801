//! Everything that can be written reads back as it was.

use std::io::{Cursor, Read as _};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::package::member::{Header, Kind, Time};

fn part() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![8 => 0x20u8..0x7f, 1 => 1u8..=255], 1..40)
        .prop_filter("a plain part", |part| !part.contains(&b'/') && part != b"." && part != b"..")
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    vec(part(), 1..12).prop_map(|parts| parts.join(&b'/'))
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    vec(1u8..=255, 0..50)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        6 => Just(Kind::File),
        2 => Just(Kind::Directory),
        2 => vec(1u8..=255, 1..300).prop_map(Kind::Symlink),
        1 => path().prop_map(Kind::HardLink),
        1 => Just(Kind::Fifo),
        1 => any::<(u32, u32)>().prop_map(|(major, minor)| Kind::CharDevice(major, minor)),
        1 => (0u32..4_096, 0u32..1_048_576).prop_map(|(major, minor)| Kind::BlockDevice(major, minor)),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    let seconds = prop_oneof![-3_000_000_000i64..6_000_000_000, i64::MIN + 2..i64::MAX];
    let nanos = prop_oneof![Just(0u32), 0u32..1_000_000_000];
    (seconds, nanos).prop_map(|(seconds, nanos)| Time { seconds, nanos })
}

/// Gaps and lengths of segments, and what follows the last.
fn holes() -> impl Strategy<Value = (Vec<(u64, u64)>, u64)> {
    (vec((1u64..1 << 40, 1u64..600), 0..20), prop_oneof![Just(0), 1u64..1 << 50], any::<bool>()).prop_map(
        |(gaps, tail, from_start)| {
            let (mut segments, mut at) = (Vec::new(), 0);
            for (number, (gap, length)) in gaps.into_iter().enumerate() {
                at += if number == 0 && from_start { 0 } else { gap };
                segments.push((at, length));
                at += length;
            }
            (segments, at + tail)
        },
    )
}

fn header() -> impl Strategy<Value = Header> {
    let owner = (0u32..=0o7777, prop_oneof![0u64..100_000, any::<u64>()], any::<u64>(), name(), name());
    let xattr = (vec(1u8..=255, 1..30), vec(any::<u8>(), 0..100));
    let content = (0u64..3_000, proptest::option::weighted(0.3, holes()));
    (path(), kind(), owner, time(), vec(xattr, 0..4), content).prop_map(
        |(path, kind, (mode, uid, gid, user, group), mtime, xattrs, (size, holes))| {
            let is_file = kind == Kind::File;
            let (sparse, size) = match (is_file, holes) {
                (false, _) => (None, 0),
                (true, None) => (None, size),
                (true, Some((segments, size))) => (Some(segments), size),
            };
            let object = String::new();
            Header { path, kind, mode, uid, gid, user, group, mtime, xattrs, size, sparse, object }
        },
    )
}

fn content(header: &Header) -> Vec<u8> {
    (0..header.stored()).map(|at| (at % 253) as u8).collect()
}

fn archive(headers: &[Header]) -> Vec<u8> {
    let mut out = Vec::new();
    for header in headers {
        frame(header, &mut out).unwrap();
        out.extend_from_slice(&content(header));
        out.extend_from_slice(padding(header.stored()));
    }
    out.extend_from_slice(end());
    out
}

proptest! {
    #[test]
    fn what_is_written_reads_back(headers in vec(header(), 0..8)) {
        let archive = archive(&headers);
        let mut reader = Reader::new(Cursor::new(&archive), 0);
        for header in &headers {
            let member = reader.member().unwrap().unwrap();
            prop_assert_eq!(&member.header, header);
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            prop_assert!(bytes == content(header));
        }
        prop_assert_eq!(reader.member().unwrap(), None);
        reader.finish().unwrap();
        prop_assert_eq!(reader.offset(), archive.len() as u64);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..2_000), at in any::<prop::sample::Index>(), headers in vec(header(), 1..3)) {
        let mut archive = archive(&headers);
        let at = at.index(archive.len());
        for (from, byte) in bytes.iter().enumerate().take(archive.len() - at) {
            archive[at + from] = *byte;
        }
        let mut reader = Reader::new(Cursor::new(&archive), 0);
        while let Ok(Some(_)) = reader.member() {}
        let mut reader = Reader::new(Cursor::new(&bytes), 0);
        while let Ok(Some(_)) = reader.member() {}
    }
}

#[test]
fn sizes_beyond_8_gib_are_written() {
    let header = Header { size: 9 << 30, ..Header::data("big", "", 0, Time::default()) };
    let mut out = Vec::new();
    frame(&header, &mut out).unwrap();
    let mut reader = Reader::new(Cursor::new(&out), 0);
    assert_eq!(reader.member().unwrap().unwrap().header, header);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let good = Header::data("a", "", 10, Time::default());
    let with = |change: fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        frame(&header, &mut Vec::new())
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert!(matches!(with(|h| h.path = b"../x".to_vec()), Err(Error::Path(_))));
    assert!(matches!(with(|h| h.kind = Kind::HardLink(b"/x".to_vec())), Err(Error::Path(_))));
    assert_eq!(with(|h| h.sparse = Some(vec![(0, 5), (5, 5)])), Err(Error::Segments));
    assert_eq!(with(|h| h.sparse = Some(vec![(8, 5)])), Err(Error::Segments));
    assert_eq!(with(|h| h.sparse = Some(vec![(5, 0)])), Err(Error::Segments));
    assert_eq!(with(|h| h.sparse = Some(vec![(u64::MAX, 2)])), Err(Error::Segments));
    assert!(matches!(with(|h| h.kind = Kind::Fifo), Err(Error::Unrepresentable(_))));
    assert!(matches!(with(|h| h.mode = 0o10_000), Err(Error::Unrepresentable(_))));
    assert!(matches!(with(|h| h.xattrs = vec![(b"a".to_vec(), vec![0; MAX_PAX])]), Err(Error::TooLarge(_))));
}

#[test]
fn hostile_lengths_do_not_allocate() {
    let mut record = tar::Header::new_ustar();
    record.set_entry_type(tar::EntryType::XHeader);
    record.set_size(1 << 40);
    record.set_cksum();
    let error = Reader::new(Cursor::new(record.as_bytes()), 0).member().unwrap_err();
    assert_eq!(error.to_string(), "the extended header is beyond the limit");
}
