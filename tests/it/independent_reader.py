#!/usr/bin/env python3
"""A second reader, written from src/package/FORMAT.md alone: Python's standard library and the stock `age`.

Usage: independent_reader.py KEY_FILE PACKAGE INDEX RECORD [B3SUM]. Exits with 1 and a reason if anything does not fit.
BLAKE3 is not in the standard library; with no b3sum it checks everything else.
"""
import base64
import gzip
import hashlib
import json
import struct
import subprocess
import sys
import zlib


def fail(why):
    sys.exit(f"not a sound package: {why}")


def check(holds, why):
    if not holds:
        fail(why)


def decrypt(key, path):
    done = subprocess.run(["age", "-d", "-i", key, path], capture_output=True)
    check(done.returncode == 0, f"age: {done.stderr.decode()}")
    return done.stdout


def blocks_of(stream):
    """The gzip members by their own lengths, each decoded by itself."""
    position, plain = 0, 0
    while position < len(stream):
        head = stream[position : position + 20]
        check(head[:16] == b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x08\0CP\x04\0", f"gzip header at {position}")
        (length,) = struct.unpack("<I", head[16:20])
        member = stream[position : position + length]
        check(len(member) == length, f"gzip member at {position} is cut off")
        inflate = zlib.decompressobj(wbits=-15)
        content = inflate.decompress(member[20:-8]) + inflate.flush()
        check(inflate.eof and not inflate.unused_data, f"deflate data at {position}")
        crc, size = struct.unpack("<II", member[-8:])
        check(zlib.crc32(content) == crc and len(content) == size, f"CRC or size at {position}")
        check(len(content) <= 4 << 20, f"block at {position} is too large")
        yield plain, len(content), position, length, content
        position, plain = position + length, plain + len(content)


def octal(field):
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    return int(field.split(b"\0")[0].strip() or b"0", 8)


def header(tar, at):
    record = tar[at : at + 512]
    check(len(record) == 512, f"no header at {at}")
    total = sum(record[:148]) + 8 * 32 + sum(record[156:])
    check(octal(record[148:156]) == total, f"header checksum at {at}")
    return record


def padded(size):
    return (size + 511) // 512 * 512


def extensions(data):
    found = {}
    while data:
        length, _, rest = data.partition(b" ")
        record = rest[: int(length) - len(length) - 1]
        check(record.endswith(b"\n"), "pax record")
        key, _, value = record[:-1].partition(b"=")
        found[key] = value
        data = data[int(length) :]
    return found


KINDS = {b"0": "file", b"1": "hard_link", b"2": "symlink", b"3": "char_device", b"4": "block_device", b"5": "directory",
         b"6": "fifo"}


def read_member(tar, at):
    """Everything that the index says of a member, from the archive's own bytes."""
    start, pax = at, {}
    record = header(tar, at)
    if record[156:157] == b"x":
        size = octal(record[124:136])
        pax = extensions(tar[at + 512 : at + 512 + size])
        at += 512 + padded(size)
        record = header(tar, at)
    kind = KINDS.get(record[156:157])
    check(kind, f"typeflag at {at}")
    text = lambda a, b: record[a:b].split(b"\0")[0]
    stored = int(pax.get(b"size", octal(record[124:136])))
    at += 512
    content, size = [], stored
    if b"GNU.sparse.major" in pax:
        size = int(pax[b"GNU.sparse.realsize"])
        lines, used = [], at
        while len(lines) < 1 or len(lines) < 1 + 2 * lines[0]:
            end = tar.index(b"\n", used)
            lines.append(int(tar[used:end]))
            used = end + 1
        data = at + padded(used - at)
        check(all(b == 0 for b in tar[used:data]), "padding of a sparse map")
        length = sum(lines[2::2])
        check(data + length == at + stored, "sparse size")
        content = tar[data : data + length]
    else:
        content = tar[at : at + stored]
    end = at + padded(stored)
    check(all(b == 0 for b in tar[at + stored : end]), f"padding before {end}")
    path = pax.get(b"GNU.sparse.name") or pax.get(b"path") or text(0, 100)
    if kind == "directory":
        check(path.endswith(b"/"), "a directory's name")
        path = path[:-1]
    check(not path.startswith(b"/") and b".." not in path.split(b"/"), f"unsafe path {path}")
    seconds, nanos = octal(record[136:148]), 0
    if b"mtime" in pax:
        whole, _, fraction = pax[b"mtime"].decode().partition(".")
        nanos = int((fraction + "000000000")[:9])
        seconds = int(whole)
        if whole.startswith("-") and nanos:
            seconds, nanos = seconds - 1, 1_000_000_000 - nanos
    link = pax.get(b"linkpath", text(157, 257)) if kind in ("symlink", "hard_link") else None
    return {
        "path": path, "kind": kind, "offset": start, "length": end - start, "size": size if kind == "file" else 0,
        "mode": octal(record[100:108]), "uid": int(pax.get(b"uid", octal(record[108:116]))),
        "gid": int(pax.get(b"gid", octal(record[116:124]))), "mtime": [seconds, nanos], "link": link,
    }, content


def name(value):
    if value is None:
        return None
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()


def main():
    key, package, index, record_path = sys.argv[1:5]
    b3sum = sys.argv[5] if len(sys.argv) > 5 else None
    record = json.load(open(record_path))
    check(record["version"] == 1, "the record's version")
    for what, path in (("package", package), ("index", index)):
        raw = open(path, "rb").read()
        digest = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        check(digest == record[what], f"{what} is not as recorded")
    lines = gzip.decompress(decrypt(key, index)).decode().split("\n")
    check(lines.pop() == "", "the index's last line is cut off")
    lines = [json.loads(line) for line in lines]
    check(all(len(line) == 1 for line in lines), "a line with more than one key")
    check(lines[0] == {"index": {"version": 1, "package": record["key"]}}, "first line")
    end = lines[-1]["end"]
    rest = lines[1:-1]
    check(all(set(line) <= {"member", "object", "block"} for line in rest), "a line of an unknown kind")
    check(end["package"] == record["package"] and end["totals"] == record["totals"], "last line")

    found = list(blocks_of(decrypt(key, package)))
    check([list(b[:4]) for b in found] == [line["block"] for line in rest if "block" in line], "block lines")
    check(end["blocks"] == len(found), "count of blocks")
    tar = b"".join(b[4] for b in found)

    members = [line["member"] for line in rest if "member" in line]
    at, content_bytes = 0, 0
    for said in members:
        check(said["offset"] == at, f"a gap before {said['offset']}")
        seen, content = read_member(tar, at)
        for field in ("kind", "offset", "length", "size", "mode", "uid", "gid", "mtime"):
            check(seen[field] == said[field], f"{said['path']}: {field} is {seen[field]}, not {said[field]}")
        check(seen["path"] == name(said["path"]), f"path {said['path']}")
        check(seen["link"] == name(said.get("link")), f"link of {said['path']}")
        check(("blake3" in said) == (seen["kind"] == "file"), f"{said['path']}: digest where there should be none")
        if b3sum and "blake3" in said:
            digest = subprocess.run([b3sum], input=content, capture_output=True, check=True).stdout.decode()[:64]
            check(digest == said["blake3"], f"{said['path']}: digest")
        content_bytes += len(content)
        at += seen["length"]
    check(tar[at:] == bytes(1024), "end mark")
    objects = sum("object" in line for line in rest)
    counted = {"members": len(members), "objects": objects, "content_bytes": content_bytes, "tar_bytes": len(tar)}
    check(counted == end["totals"], f"totals: {counted}")
    print(json.dumps(counted))


main()
