"""Reads a mongodump archive by its published format alone, and checks everything that the format promises.

Written from mongo-tools' `common/archive/spec.md`; shares nothing with the program under test, BSON parsing included.

    archive.py < ARCHIVE

Prints a JSON object: the prelude, and for each namespace its documents' count, bytes, CRC and SHA-256 (of the raw
documents in archive order), how many segments it has, and the largest number of namespaces open at once. Exits with 1
and one line on standard error if anything is wrong: magic, lengths, order of blocks, CRC, a namespace without its EOF
block, more namespaces open than `concurrent_collections`, bytes after the end.
"""

import hashlib
import json
import struct
import sys

POLYNOMIAL = 0xC96C5795D7870F42
MASK = 0xFFFFFFFFFFFFFFFF


def _tables():
    """Slicing-by-8 tables of the reflected ECMA-182 polynomial."""
    first = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        first.append(crc)
    tables = [first]
    for _ in range(7):
        tables.append([(value >> 8) ^ first[value & 0xFF] for value in tables[-1]])
    return tables


TABLES = _tables()


class Crc64:
    """CRC-64/XZ, which is what Go's crc64.ECMA computes."""

    def __init__(self):
        self.state = MASK

    def update(self, data):
        crc = self.state
        t0, t1, t2, t3, t4, t5, t6, t7 = TABLES
        whole = len(data) - len(data) % 8
        for (word,) in struct.iter_unpack("<Q", memoryview(data)[:whole]):
            crc ^= word
            crc = (t7[crc & 255] ^ t6[crc >> 8 & 255] ^ t5[crc >> 16 & 255] ^ t4[crc >> 24 & 255]
                   ^ t3[crc >> 32 & 255] ^ t2[crc >> 40 & 255] ^ t1[crc >> 48 & 255] ^ t0[crc >> 56])
        for byte in data[whole:]:
            crc = (crc >> 8) ^ t0[(crc ^ byte) & 255]
        self.state = crc

    def value(self):
        return self.state ^ MASK


class Wrong(Exception):
    """The archive is not what the format says."""


def fields(document):
    """The top-level fields of a header document; only the types that headers have."""
    found, at = {}, 4
    while document[at] != 0:
        kind = document[at]
        end = document.index(0, at + 1)
        name, at = document[at + 1:end].decode(), end + 1
        if kind == 0x02:
            length = struct.unpack_from("<i", document, at)[0]
            found[name] = document[at + 4:at + 3 + length].decode()
            at += 4 + length
        elif kind == 0x08:
            found[name] = document[at] == 1
            at += 1
        elif kind == 0x10:
            found[name] = struct.unpack_from("<i", document, at)[0]
            at += 4
        elif kind == 0x12:
            found[name] = struct.unpack_from("<q", document, at)[0]
            at += 8
        else:
            raise Wrong(f"a header has a field `{name}` of type {kind:#x}")
    if at != len(document) - 1:
        raise Wrong("a header has bytes after its end")
    return found


class Input:
    """A stream of documents and terminators."""

    def __init__(self, stream):
        self.stream = stream

    def exactly(self, count, what):
        data = self.stream.read(count)
        if len(data) != count:
            raise Wrong(f"the archive ends in the middle of {what}")
        return data

    def block(self):
        """A document, `None` for a terminator, `False` at the end."""
        length = self.stream.read(4)
        if not length:
            return False
        if len(length) != 4:
            raise Wrong("the archive ends in the middle of a length")
        if length == b"\xff\xff\xff\xff":
            return None
        size = struct.unpack("<i", length)[0]
        if not 5 <= size <= 16 * 1024 * 1024 + 16 * 1024:
            raise Wrong(f"a document of {size} bytes")
        document = length + self.exactly(size - 4, "a document")
        if document[-1] != 0:
            raise Wrong("a document does not end with a zero byte")
        return document


def read_prelude(source):
    magic = source.exactly(4, "the magic number")
    if struct.unpack("<I", magic)[0] != 0x8199E26D:
        raise Wrong(f"magic number {magic.hex()}")
    header = fields(source.block())
    if set(header) != {"concurrent_collections", "version", "server_version", "tool_version"}:
        raise Wrong(f"the header has fields {sorted(header)}")
    if header["version"] != "0.1":
        raise Wrong(f"format version {header['version']}")
    entries = []
    while (block := source.block()) is not None:
        if block is False:
            raise Wrong("the archive ends in the prelude")
        entry = fields(block)
        if set(entry) != {"db", "collection", "metadata", "size", "type"}:
            raise Wrong(f"an entry has fields {sorted(entry)}")
        if entry["type"] not in ("collection", "view", "timeseries", ""):
            raise Wrong(f"an entry has type {entry['type']}")
        entry["metadata"] = json.loads(entry["metadata"]) if entry["metadata"] else None
        entries.append(entry)
    return header, entries


class Namespaces:
    """What has been seen of each namespace."""

    def __init__(self, entries, limit):
        self.expected = {}
        for entry in entries:
            name = entry["collection"]
            if entry["type"] == "timeseries":
                name = "system.buckets." + name
            if (entry["db"], name) in self.expected:
                raise Wrong(f"{entry['db']}.{name} is twice in the prelude")
            self.expected[entry["db"], name] = entry["type"]
        self.limit = limit
        self.open, self.done, self.most_open = {}, {}, 0

    def segment(self, key):
        if key not in self.expected:
            raise Wrong(f"{'.'.join(key)} is not in the prelude")
        if key in self.done:
            raise Wrong(f"{'.'.join(key)} goes on after its end")
        if key not in self.open:
            self.open[key] = {"documents": 0, "bytes": 0, "segments": 0, "crc": Crc64(), "sha": hashlib.sha256()}
        # Users, roles, their version and the oplog have readers of their own in mongorestore.
        usual = [k for k in self.open if k[0] and not (k[0] == "admin" and k[1].startswith("system."))]
        self.most_open = max(self.most_open, len(usual))
        if len(usual) > self.limit:
            raise Wrong(f"{len(usual)} namespaces are open at once, the header says {self.limit}")
        return self.open[key]

    def end(self, key, stated):
        state = self.segment(key)
        found = state.pop("crc").value()
        if found != stated & MASK:
            raise Wrong(f"{'.'.join(key)} has CRC {found:016x}, the archive says {stated & MASK:016x}")
        if self.expected[key] == "view" and state["documents"]:
            raise Wrong(f"the view {'.'.join(key)} has documents")
        state["crc"], state["sha256"] = f"{found:016x}", state.pop("sha").hexdigest()
        self.done[key] = self.open.pop(key)


def read(stream, each=None):
    """Reads and checks an archive. `each(db, collection, document)` sees every document."""
    source = Input(stream)
    header, entries = read_prelude(source)
    namespaces = Namespaces(entries, header["concurrent_collections"])
    while (block := source.block()) is not False:
        if block is None:
            raise Wrong("a terminator without a segment")
        head = fields(block)
        if set(head) != {"db", "collection", "EOF", "CRC"}:
            raise Wrong(f"a segment's header has fields {sorted(head)}")
        key = head["db"], head["collection"]
        if head["EOF"]:
            namespaces.end(key, head["CRC"])
            if source.block() is not None:
                raise Wrong("an EOF block with documents")
            continue
        state = namespaces.segment(key)
        state["segments"] += 1
        while (document := source.block()) is not None:
            if document is False:
                raise Wrong("the archive ends in the middle of a segment")
            state["documents"] += 1
            state["bytes"] += len(document)
            state["crc"].update(document)
            state["sha"].update(document)
            if each:
                each(*key, document)
    missing = sorted(".".join(key) for key in namespaces.expected if key not in namespaces.done)
    if missing:
        raise Wrong(f"without an end: {missing}")
    return {
        "header": header,
        "entries": entries,
        "most_open": namespaces.most_open,
        "namespaces": {".".join(key): state for key, state in namespaces.done.items()},
    }


def main():
    try:
        json.dump(read(sys.stdin.buffer), sys.stdout, ensure_ascii=False)
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
