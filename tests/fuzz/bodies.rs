//! What is fuzzed: every parser of bytes from outside. None may panic, hang or take memory on the word of a length.
//! And the compressor: whatever it is given, other programs' inflaters must give back.

use std::io::{Cursor, Read};

use bytes::Bytes;
use chupacabra::package::age::Identity;
use chupacabra::package::{gzip, index, open, tar};
use chupacabra::sources::redis::rdb;

/// The key of `seeds/open`; it protects nothing.
pub const KEY: &str = include_str!("seeds/key.txt");
/// The package that `seeds/index` speaks of.
pub const PACKAGE: &str = "web/web-20261121T183000.123Z.tar.gz.age";

/// A package object: the bytes as they are, as gzip below age, and as tar below gzip.
pub fn open(bytes: &[u8]) {
    let identities = Identity::parse_file(KEY).unwrap_or_default();
    let _ = open::members(&identities, Cursor::new(bytes.to_vec()), |_, content| {
        std::io::copy(content, &mut std::io::sink())?;
        Ok(())
    });
    if let Ok(mut plain) = gzip::Reader::new(Cursor::new(bytes.to_vec()), 1) {
        let _ = std::io::copy(&mut (&mut plain).take(64 << 20), &mut std::io::sink());
    }
    let mut archive = tar::Reader::new(Cursor::new(bytes), 0);
    while let Ok(Some(_)) = archive.member() {}
}

/// The plain lines of an index.
pub fn index(bytes: &[u8]) {
    let _ = index::check(Cursor::new(bytes), PACKAGE);
}

/// A record.
pub fn record(bytes: &[u8]) {
    let _ = chupacabra::catalog::record::parse(bytes);
}

/// A configuration.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = chupacabra::config::load::plan(text, std::path::Path::new("fuzz.yaml"));
    }
}

/// An RDB file, and the same bytes as the payloads of DUMP and of FUNCTION DUMP, with the footer that makes them worth
/// a look.
pub fn rdb(bytes: &[u8]) {
    let _ = walks(bytes);
    for format in [rdb::Format { valkey: false, version: 12 }, rdb::Format { valkey: true, version: 80 }] {
        let mut payload = bytes.to_vec();
        rdb::write::footer(format, &mut payload);
        let _ = rdb::walk::payload(&payload);
        let _ = rdb::walk::functions(payload);
    }
}

/// A block, and one of several parts in which it repeats.
pub fn deflate(bytes: &[u8]) {
    let times =
        bytes.first().map_or(1, |first| usize::from(*first) + 1).min((400 << 10) / bytes.len().max(1)).max(1);
    for plain in [bytes.to_vec(), bytes.repeat(times)] {
        let mut out = vec![0; gzip::fast::Deflater::bound(plain.len())];
        let Ok(length) = gzip::fast::Deflater::default().deflate(&plain, &mut out) else { panic!("refused") };
        let mut back = Vec::with_capacity(plain.len());
        let mut inflater = flate2::bufread::DeflateDecoder::new(&out[..length]);
        assert!(
            inflater.read_to_end(&mut back).is_ok() && inflater.into_inner().is_empty(),
            "it has one end"
        );
        assert!(back == plain, "zlib gives back what was compressed");
        back.fill(!0);
        let result = libdeflater::Decompressor::new().deflate_decompress(&out[..length], &mut back);
        assert!(result.is_ok_and(|count| count == plain.len()) && back == plain, "and so does libdeflate");
    }
}

/// Whether the bytes are a sound RDB file.
pub fn walks(bytes: &[u8]) -> bool {
    // The magic begins with a letter, so that a file's pieces have about 80 bytes: shorter than most of its values.
    let step = bytes.first().map_or(1, |first| usize::from(*first) + 1);
    let feed = Pieces { rest: Bytes::copy_from_slice(bytes), step, passed: 0 };
    let Ok(mut walker) = rdb::Walker::new(feed) else { return false };
    let mut ended = false;
    while let Ok(Some(item)) = walker.item() {
        ended |= matches!(item, rdb::Item::End { .. });
    }
    assert!(!ended || walker.into_feed().passed == bytes.len(), "every byte of a sound file is passed on");
    ended
}

/// Bytes that arrive in pieces and are counted as they are passed on.
struct Pieces {
    rest: Bytes,
    step: usize,
    passed: usize,
}

impl rdb::Feed for Pieces {
    const MARKS: bool = true;

    fn next(&mut self) -> Result<Option<Bytes>, rdb::Error> {
        let some = self.step.min(self.rest.len());
        Ok((some > 0).then(|| self.rest.split_to(some)))
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), rdb::Error> {
        self.passed += bytes.len();
        Ok(())
    }
}
