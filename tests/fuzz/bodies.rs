//! What is fuzzed: every parser of bytes from outside. None may panic, hang or take memory on the word of a length.

use std::io::{Cursor, Read};

use chupacabra::package::age::Identity;
use chupacabra::package::{gzip, index, open, tar};

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
