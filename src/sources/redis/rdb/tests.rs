use bytes::Bytes;
use proptest::prelude::*;

use super::types::{Kind, opcode};
use super::{Content, Error, Feed, Item, Walker, crc64, walk, write};

/// A stream in pieces of a given size, with everything that was passed on.
struct Pieces {
    bytes: Bytes,
    step: usize,
    passed: Vec<u8>,
}

impl Feed for Pieces {
    const MARKS: bool = false;

    fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let some = self.step.min(self.bytes.len());
        Ok((some > 0).then(|| self.bytes.split_to(some)))
    }

    fn passed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.passed.extend_from_slice(bytes);
        Ok(())
    }
}

/// Walks over a stream in pieces and returns its items, having checked that every byte was passed on.
fn walk_in(bytes: &[u8], step: usize) -> Result<Vec<Item>, Error> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut walker = Walker::new(Pieces { bytes: bytes.clone(), step, passed: Vec::new() })?;
    let mut items = Vec::new();
    while let Some(item) = walker.item()? {
        items.push(item);
    }
    assert!(walker.into_feed().passed == bytes);
    Ok(items)
}

/// A file with this body.
fn file(magic: &str, body: &[u8]) -> Vec<u8> {
    let mut file = magic.as_bytes().to_vec();
    file.extend_from_slice(body);
    file.push(opcode::END);
    let sum = crc64(&file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// The content of the value of type `code` with this body, walked in a file.
fn content(magic: &str, code: u8, body: &[u8]) -> Result<Content, Error> {
    let mut key = vec![code];
    write::string(b"key", &mut key);
    key.extend_from_slice(body);
    let items = walk_in(&file(magic, &key), 3)?;
    match items.into_iter().next() {
        Some(Item::Key(key)) => Ok(key.content),
        other => panic!("{other:?}"),
    }
}

fn redis(code: u8, body: &[u8]) -> Content {
    content("REDIS0012", code, body).unwrap()
}

fn text(parts: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        write::string(part.as_bytes(), &mut body);
    }
    body
}

fn counted(count: u64, parts: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    write::length(count, &mut body);
    body.extend_from_slice(&text(parts));
    body
}

fn wrapped(blob: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    write::string(blob, &mut body);
    body
}

/// A listpack of short strings and small numbers.
fn listpack(elements: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for element in elements {
        match element.parse::<u8>() {
            Ok(number @ 0..=127) if number.to_string() == *element => body.extend_from_slice(&[number, 1]),
            _ => {
                body.push(0x80 | u8::try_from(element.len()).unwrap());
                body.extend_from_slice(element.as_bytes());
                body.push(u8::try_from(element.len()).unwrap() + 1);
            }
        }
    }
    let mut blob = u32::try_from(body.len() + 7).unwrap().to_le_bytes().to_vec();
    blob.extend_from_slice(&u16::try_from(elements.len()).unwrap().to_le_bytes());
    blob.extend_from_slice(&body);
    blob.push(0xFF);
    blob
}

fn ziplist(elements: &[&str]) -> Vec<u8> {
    let (mut body, mut before) = (Vec::new(), 0u8);
    for element in elements {
        let start = body.len();
        body.push(before);
        match element.parse::<u8>() {
            Ok(number @ 0..=12) => body.push(0xF1 + number),
            Ok(number) => body.extend_from_slice(&[0xC0, number, 0]),
            Err(_) => {
                body.push(u8::try_from(element.len()).unwrap());
                body.extend_from_slice(element.as_bytes());
            }
        }
        before = u8::try_from(body.len() - start).unwrap();
    }
    let mut blob = u32::try_from(body.len() + 11).unwrap().to_le_bytes().to_vec();
    blob.extend_from_slice(&10u32.to_le_bytes());
    blob.extend_from_slice(&u16::try_from(elements.len()).unwrap().to_le_bytes());
    blob.extend_from_slice(&body);
    blob.push(0xFF);
    blob
}

fn intset(members: &[i16]) -> Vec<u8> {
    let mut blob = 2u32.to_le_bytes().to_vec();
    blob.extend_from_slice(&u32::try_from(members.len()).unwrap().to_le_bytes());
    for member in members {
        blob.extend_from_slice(&member.to_le_bytes());
    }
    blob
}

#[test]
fn the_checksum_is_the_one_of_redis() {
    assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}

#[test]
fn strings_are_what_clients_read() {
    let plain = redis(0, &text(&["12345"]));
    // The same as a 16-bit number, and as LZF.
    assert_eq!(redis(0, &[0xC1, 0x39, 0x30]), plain);
    assert_eq!(redis(0, &[0xC3, 6, 5, 4, b'1', b'2', b'3', b'4', b'5']), plain);
    assert_eq!((plain.kind, plain.bytes, plain.elements), (Kind::String, 5, 1));
    assert_ne!(redis(0, &text(&["12346"])).hash, plain.hash);
}

#[test]
fn one_set_in_every_layout() {
    let table = redis(2, &counted(3, &["1", "2", "100"]));
    assert_eq!(redis(2, &counted(3, &["100", "1", "2"])), table, "in the order of another seed");
    assert_eq!(redis(11, &wrapped(&intset(&[1, 2, 100]))), table);
    assert_eq!(redis(20, &wrapped(&listpack(&["1", "2", "100"]))), table);
    assert_ne!(redis(20, &wrapped(&listpack(&["1", "2", "101"]))), table);
}

#[test]
fn one_list_in_every_layout_and_its_order_matters() {
    let plain = redis(1, &counted(3, &["a", "7", "c"]));
    assert_eq!(redis(10, &wrapped(&ziplist(&["a", "7", "c"]))), plain);
    let ziplists = [vec![2], wrapped(&ziplist(&["a"])), wrapped(&ziplist(&["7", "c"]))].concat();
    assert_eq!(redis(14, &ziplists), plain);
    let nodes = [vec![2, 2], wrapped(&listpack(&["a", "7"])), vec![1], text(&["c"])].concat();
    assert_eq!(redis(18, &nodes), plain);
    assert_ne!(redis(1, &counted(3, &["a", "c", "7"])), plain);
}

#[test]
fn one_sorted_set_in_every_layout() {
    let binary =
        [vec![2], text(&["m"]), 1.5f64.to_le_bytes().to_vec(), text(&["n"]), 7f64.to_le_bytes().to_vec()];
    let binary = redis(5, &binary.concat());
    let ascii = [vec![2], text(&["m"]), b"\x031.5".to_vec(), text(&["n"]), b"\x017".to_vec()].concat();
    assert_eq!(redis(3, &ascii), binary);
    assert_eq!(redis(17, &wrapped(&listpack(&["m", "1.5", "n", "7"]))), binary);
    assert_eq!(redis(12, &wrapped(&ziplist(&["m", "1.5", "n", "7"]))), binary);
    assert_ne!(redis(17, &wrapped(&listpack(&["m", "1.5", "n", "8"]))), binary);
    let infinite = redis(3, &[vec![1], text(&["m"]), vec![254]].concat());
    assert_eq!(redis(5, &[vec![1], text(&["m"]), f64::INFINITY.to_le_bytes().to_vec()].concat()), infinite);
}

#[test]
fn one_hash_in_every_layout() {
    let table = redis(4, &counted(2, &["f", "v", "g", "5"]));
    assert_eq!(redis(16, &wrapped(&listpack(&["g", "5", "f", "v"]))), table);
    assert_eq!(redis(13, &wrapped(&ziplist(&["f", "v", "g", "5"]))), table);
    let zipmap = [&[2u8][..], b"\x01f\x01\x00v", b"\x01g\x01\x02\x35??", b"\xFF"].concat();
    assert_eq!(redis(9, &wrapped(&zipmap)), table, "with free bytes behind a value");
    assert_ne!(redis(4, &counted(2, &["f", "g", "v", "5"])), table);
}

/// Fields that expire: the layouts of Redis 7.4 and of Valkey 9 say the same.
#[test]
fn fields_that_expire() {
    let at = 1_700_000_000_000i64;
    let valkey =
        [vec![2], text(&["f", "v"]), at.to_le_bytes().to_vec(), text(&["g", "w"]), vec![0xFF; 8]].concat();
    let valkey = content("VALKEY080", 22, &valkey).unwrap();
    assert_eq!(valkey.field_expires, Some(at));
    let relative =
        [at.to_le_bytes().to_vec(), vec![2, 1], text(&["f", "v"]), vec![0], text(&["g", "w"])].concat();
    assert_eq!(redis(24, &relative), valkey);
    let mut pack = listpack(&["f", "v", "1700000000000", "g", "w", "0"]);
    let whole = [at.to_le_bytes().to_vec(), wrapped(&pack)].concat();
    assert_eq!(redis(25, &whole), valkey);
    assert_eq!(redis(23, &wrapped(&pack)), valkey);
    let before =
        [vec![2, 0x81], at.to_be_bytes().to_vec(), text(&["f", "v"]), vec![0], text(&["g", "w"])].concat();
    assert_eq!(redis(22, &before), valkey);
    pack[7] = b'x';
    assert_ne!(redis(23, &wrapped(&pack)), valkey);
    // The numbers of Redis are not those of Valkey.
    assert!(matches!(content("VALKEY080", 24, &relative), Err(Error::Unknown { code: 24, .. })));
}

/// At a given time the fields that have expired are as if they had never been, in every layout.
#[test]
fn fields_that_have_expired() {
    let at = 1_700_000_000_000i64;
    let left = redis(4, &counted(1, &["g", "w"]));
    let relative =
        [at.to_le_bytes().to_vec(), vec![2, 1], text(&["f", "v"]), vec![0], text(&["g", "w"])].concat();
    let compact = wrapped(&listpack(&["f", "v", "1700000000000", "g", "w", "0"]));
    for (code, body) in [(24, relative), (23, compact)] {
        let mut payload = [&[code][..], &body].concat();
        write::footer(super::Format { valkey: false, version: 12 }, &mut payload);
        let whole = walk::payload(&payload).unwrap().2;
        assert_eq!(whole.elements, 2);
        assert_eq!(walk::payload_at(&payload, at - 1).unwrap().2, whole);
        assert_eq!(walk::payload_at(&payload, at).unwrap().2, left);
    }
}

fn stream(version: u8, entries: &[u8], delivered: u8) -> Vec<u8> {
    let mut body = vec![1];
    write::string(&[0; 16], &mut body);
    write::string(entries, &mut body);
    body.extend_from_slice(&[2, 9, 1]);
    if version >= 2 {
        body.extend_from_slice(&[1, 1, 0, 0, 2]);
    }
    body.push(1);
    write::string(b"group", &mut body);
    body.extend_from_slice(&[5, 1]);
    if version >= 2 {
        body.push(1);
    }
    body.push(1);
    body.extend_from_slice(&[7; 16]);
    body.extend_from_slice(&[8; 8]);
    body.push(delivered);
    body.push(1);
    write::string(b"ann", &mut body);
    body.extend_from_slice(&[3; 8]);
    if version >= 3 {
        body.extend_from_slice(&[4; 8]);
    }
    body.push(1);
    body.extend_from_slice(&[7; 16]);
    if version >= 4 {
        // For 100 s and 50 messages at most, of one producer, who sent two; three were sent, one of them again.
        body.extend_from_slice(&[0x40, 100, 50, 1]);
        write::string(b"producer", &mut body);
        body.push(2);
        for id in [1, 2] {
            write::string(b"message", &mut body);
            body.extend_from_slice(&[id, 0]);
        }
        body.extend_from_slice(&[3, 1]);
    }
    body
}

#[test]
fn streams_of_every_version() {
    let entries = listpack(&["1", "a", "b"]);
    let newest = redis(21, &stream(3, &entries, 1));
    assert_eq!((newest.kind, newest.elements), (Kind::Stream, 2));
    let oldest = Content { counters: None, ..newest.clone() };
    assert_eq!(redis(15, &stream(1, &entries, 1)), oldest);
    assert_eq!(redis(19, &stream(2, &entries, 1)), newest);
    let body = stream(4, &entries, 1);
    assert_eq!(content("REDIS0013", 26, &body).unwrap(), newest);
    for end in 0..body.len() {
        assert!(content("REDIS0013", 26, &body[..end]).is_err(), "cut at {end}");
    }
    assert!(matches!(content("VALKEY080", 26, &body), Err(Error::Unknown { code: 26, .. })));
    assert_ne!(redis(21, &stream(3, &entries, 2)), newest, "one more delivery");
    let mut body = stream(3, &entries, 1);
    let added = body.windows(5).position(|bytes| bytes == [1, 1, 0, 0, 2]).unwrap() + 4;
    body[added] = 3;
    let more = redis(21, &body);
    assert_ne!(more.counters, newest.counters, "one more was added, and is no more");
    assert_eq!(Content { counters: newest.counters, ..more }, newest);
    assert_ne!(redis(21, &stream(3, &listpack(&["1", "a", "c"]), 1)), newest);
}

/// `ReJSON-RL` version 3, as a module's id.
fn module_id() -> [u8; 9] {
    id_of(b"ReJSON-RL")
}

fn id_of(name: &[u8; 9]) -> [u8; 9] {
    let characters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = |c: &u8| characters.iter().position(|known| known == c).unwrap() as u64;
    let id = name.iter().fold(0, |id, c| id << 6 | place(c)) << 10 | 3;
    let mut bytes = [0x81; 9];
    bytes[1..].copy_from_slice(&id.to_be_bytes());
    bytes
}

const PARTS: &[u8] = &[1, 5, 2, 6, 3, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, b'{', b'}', 0];

#[test]
fn modules_are_walked_and_named() {
    let value = redis(7, &[&module_id()[..], PARTS].concat());
    assert_eq!(value.module.as_deref(), Some("ReJSON-RL"));
    let wrong = [&module_id()[..], &[9]].concat();
    let error = content("REDIS0012", 7, &wrong).unwrap_err();
    assert!(error.to_string().contains("unknown RDB module part 9"), "{error}");
}

/// A vector set of elements in this order, each with a vector and two numbers.
fn vectors(flags: u8, elements: &[(&str, &str)]) -> Content {
    let mut body = id_of(b"vectorset").to_vec();
    for number in [8, u8::try_from(elements.len()).unwrap(), 16, flags] {
        body.extend_from_slice(&[2, number]);
    }
    if flags & 1 > 0 {
        body.extend_from_slice(&[2, 9, 5, 2, b'm', b'x']);
    }
    let string = |text: &str, body: &mut Vec<u8>| {
        body.push(5);
        write::string(text.as_bytes(), body);
    };
    for (name, vector) in elements {
        string(name, &mut body);
        if flags & 2 > 0 {
            string("attribute", &mut body);
        }
        string(vector, &mut body);
        body.extend_from_slice(&[2, 2, 2, 7, 2, 0]);
    }
    body.push(0);
    redis(7, &body)
}

#[test]
fn vector_sets_are_alike_in_whatever_order_and_only_then() {
    for flags in [0, 1, 2, 3] {
        let set = vectors(flags, &[("a", "one"), ("b", "two")]);
        assert!(set.unordered.is_some());
        let turned = vectors(flags, &[("b", "two"), ("a", "one")]);
        assert_eq!((turned.unordered, turned.bytes), (set.unordered, set.bytes));
        assert_ne!(turned.hash, set.hash);
        let exchanged = vectors(flags, &[("a", "two"), ("b", "one")]);
        assert_eq!(exchanged.bytes, set.bytes);
        assert_ne!(exchanged.unordered, set.unordered, "the vectors of two elements");
        assert_ne!(vectors(flags, &[("a", "one")]).unordered, set.unordered);
        assert_ne!(vectors(flags ^ 1, &[("a", "one"), ("b", "two")]).unordered, set.unordered);
    }
    let other = redis(7, &[&id_of(b"vectorset")[..], PARTS].concat());
    assert_eq!(other.unordered, None, "another layout");
    assert_eq!(redis(7, &[&module_id()[..], PARTS].concat()).unordered, None, "another module");
}

/// To Valkey 243 is a slot on its way in; to Redis what modules know of a key, which must not be taken for that.
#[test]
fn a_slot_on_its_way_in_is_valkeys_alone() {
    let mut body = vec![opcode::SLOT_IMPORT, 3, b'j', b'o', b'b', 1, 4, 5];
    write::key(b"key", None, 0, &text(&["v"]), &mut body);
    let items = walk_in(&file("VALKEY080", &body), 3).unwrap();
    assert!(matches!(&items[..], [Item::Key(_), Item::End { checked: true }]), "{items:?}");
    for (imports, body) in [(true, &body), (false, &Vec::new())] {
        let bytes = file("VALKEY080", body);
        let mut walker = Walker::new(Pieces { bytes: bytes.into(), step: 3, passed: Vec::new() }).unwrap();
        while walker.item().unwrap().is_some() {}
        assert_eq!((walker.has_imports(), walker.has_slots()), (imports, imports));
    }
    let said = walk_in(&file("REDIS0013", &body), 3).unwrap_err().to_string();
    assert_eq!(said, "unknown RDB opcode or value type 243 (0xF3) at byte 9, after key ``");
}

/// Everything that can stand in a file, together.
fn everything() -> Vec<u8> {
    let mut body = Vec::new();
    write::aux("redis-ver", b"7.0.15", &mut body);
    body.push(opcode::FUNCTION);
    write::string(b"#!lua name=x", &mut body);
    body.push(opcode::MODULE_AUX);
    body.extend_from_slice(&[&module_id()[..], &[2, 1], PARTS].concat());
    write::database(3, &mut body);
    body.extend_from_slice(&[opcode::RESIZE_DB, 9, 1, opcode::SLOT_INFO, 1, 2, 3]);
    body.extend_from_slice(&[opcode::IDLE, 0x40, 100]);
    write::key(b"idle", Some(1_700_000_000_000), 0, &text(&["v"]), &mut body);
    body.extend_from_slice(&[opcode::FREQ, 77, opcode::EXPIRE, 1, 0, 0, 0]);
    write::key(b"freq", None, 2, &counted(2, &["a", "b"]), &mut body);
    let lzf = [0xC3, 5, 12, 0, b'a', 0xE0, 2, 0];
    write::key(b"lzf", None, 0, &lzf, &mut body);
    for (code, value) in [
        (11, wrapped(&intset(&[1, 2]))),
        (16, wrapped(&listpack(&["f", "v"]))),
        (13, wrapped(&ziplist(&["f", "v"]))),
        (21, stream(3, &listpack(&["1", "a"]), 1)),
        (26, stream(4, &listpack(&["1", "a"]), 1)),
        (7, [&module_id()[..], PARTS].concat()),
        (18, [vec![1, 2], wrapped(&listpack(&["a", "7"]))].concat()),
        (5, [vec![1], text(&["m"]), 1f64.to_le_bytes().to_vec()].concat()),
        (24, [1i64.to_le_bytes().to_vec(), vec![1, 1], text(&["f", "v"])].concat()),
    ] {
        write::key(format!("key {code}").as_bytes(), None, code, &value, &mut body);
    }
    file("REDIS0012", &body)
}

#[test]
fn a_file_is_walked_alike_however_it_arrives() {
    let file = everything();
    let whole = walk_in(&file, file.len()).unwrap();
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(walk_in(&file, step).unwrap(), whole);
    }
    assert!(matches!(whole.last(), Some(Item::End { checked: true })));
    let keys: Vec<_> =
        whole.iter().filter_map(|i| if let Item::Key(key) = i { Some(key) } else { None }).collect();
    assert_eq!(keys.len(), 12);
    assert_eq!((keys[0].database, keys[0].idle, keys[0].expires), (3, Some(100), Some(1_700_000_000_000)));
    assert_eq!((keys[1].freq, keys[1].expires), (Some(77), Some(1_000)));
    assert_eq!(keys[2].content.bytes, 12);
    assert!(whole.contains(&Item::ModuleAux("ReJSON-RL".to_owned())));
}

#[test]
fn only_sizes_of_slots_tell_a_node_of_a_cluster() {
    let has_slots = |body: &[u8]| {
        let bytes = Bytes::from(file("REDIS0012", body));
        let mut walker = Walker::new(Pieces { bytes, step: 3, passed: Vec::new() }).unwrap();
        while walker.item().unwrap().is_some() {}
        walker.has_slots()
    };
    let aux = |name: &str| {
        let mut body = Vec::new();
        write::aux(name, b"15495,1,0,0", &mut body);
        body
    };
    assert!(has_slots(&[opcode::SLOT_INFO, 1, 2, 3]));
    assert!(has_slots(&aux("slot-info")));
    assert!(!has_slots(&aux("slot-inf")) && !has_slots(&[]));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_found() {
    let file = everything();
    for end in 0..file.len() {
        assert!(walk_in(&file[..end], 64).is_err(), "cut at {end}");
    }
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            assert!(walk_in(&damaged, 64).is_err(), "bit {bit} of byte {at}");
        }
    }
    assert!(matches!(walk_in(&[&file[..], b"x"].concat(), 64), Err(Error::Trailing)));
}

#[test]
fn the_unknown_is_named_with_its_place() {
    let mut body = Vec::new();
    write::key(b"last one", None, 0, &text(&["v"]), &mut body);
    body.push(30);
    let said = walk_in(&file("REDIS0012", &body), 64).unwrap_err().to_string();
    assert_eq!(said, "unknown RDB opcode or value type 30 (0x1E) at byte 21, after key `last one`");
    let said = walk_in(&file("REDIS0010", &[246]), 64).unwrap_err().to_string();
    assert_eq!(said, "unknown RDB opcode or value type 246 (0xF6) at byte 9, after key ``");
    assert_eq!(
        walk_in(b"HELLO0010rest", 64).unwrap_err().to_string(),
        "not an RDB file: it begins with `HELLO0010`"
    );
    assert!(matches!(walk_in(b"REDIS0008", 64), Err(Error::Version(8))));
    let malformed = content("REDIS0012", 16, &wrapped(&listpack(&["f"]))).unwrap_err();
    assert_eq!(malformed.to_string(), "key `key` of database 0: malformed compact hash at byte 25");
}

/// Lengths that were merely claimed must not become memory: each of these would need exabytes.
#[test]
fn hostile_lengths_end_as_errors() {
    let huge = [0x81, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    for code in [0u8, 1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26] {
        for tail in [&[][..], &[0xC3], &huge, &[2, b'a', b'b']] {
            let body = [&huge[..], tail].concat();
            assert!(content("REDIS0012", code, &body).is_err(), "type {code}");
            let body = [&[0; 8], &huge[..], tail].concat();
            assert!(content("REDIS0012", code, &body).is_err(), "type {code}");
        }
    }
    let lzf = [&[0xC3, 4][..], &huge, &[0, b'a', 0xE0, 2]].concat();
    assert!(content("REDIS0012", 0, &lzf).is_err());
    for blob in [listpack(&["a"]), ziplist(&["a"]), intset(&[1])] {
        for at in 0..blob.len() {
            for byte in [0, 0x7F, 0xEF, 0xF0, 0xFE, 0xFF] {
                let mut damaged = blob.clone();
                damaged[at] = byte;
                let _ = super::compact::listpack(&damaged, |_| ());
                let _ = super::compact::ziplist(&damaged, |_| ());
                let _ = super::compact::zipmap(&damaged, |_| ());
                let _ = super::compact::intset(&damaged, |_| ());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Damage with the checksum made right again: an error or a walk to the end, never a panic.
    #[test]
    fn damage_under_a_right_checksum_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        step in 1usize..40,
    ) {
        let mut body = everything();
        body.truncate(body.len() - 8);
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            let (from, to) = (cut.index(body.len()), (cut.index(body.len()) + 5).min(body.len()));
            body.drain(from..to);
        }
        let sum = crc64(&body);
        body.extend_from_slice(&sum.to_le_bytes());
        let _ = walk_in_unchecked(&body, step);
    }

    /// Bytes that were never a file.
    #[test]
    fn noise_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), valkey in any::<bool>()) {
        let magic = if valkey { "VALKEY080" } else { "REDIS0012" };
        let _ = walk_in_unchecked(&file(magic, &bytes), 16);
        let _ = walk::payload(&bytes);
        let _ = walk::functions(bytes);
    }

    /// A payload's content is that of the key it was cut out of.
    #[test]
    fn payloads_read_back(members in proptest::collection::btree_set("[a-z]{0,70}", 0..20)) {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let body = counted(members.len() as u64, &members);
        let mut payload = [&[2u8][..], &body].concat();
        write::footer(super::Format { valkey: false, version: 12 }, &mut payload);
        let (format, code, found) = walk::payload(&payload).unwrap();
        prop_assert_eq!((format.version, code), (12, 2));
        prop_assert_eq!(found, redis(2, &body));
        let last = payload.len() - 12;
        payload[last] ^= 1;
        prop_assert!(walk::payload(&payload).is_err());
    }
}

fn walk_in_unchecked(bytes: &[u8], step: usize) -> Result<(), Error> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut walker = Walker::new(Pieces { bytes, step, passed: Vec::new() })?;
    while walker.item()?.is_some() {}
    Ok(())
}
