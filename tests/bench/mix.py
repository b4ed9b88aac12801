#!/usr/bin/env python3
"""Writes a mix like that of databases and volumes: rows, JSON, programs, noise. Usage: mix.py DIR MEBIBYTES"""
import glob
import json
import os
import random
import sys

target, mebibytes = sys.argv[1], int(sys.argv[2])
os.makedirs(target, exist_ok=True)
random.seed(7)
words = [w for w in open("/usr/share/common-licenses/GPL-3").read().split()]


def fill(name, share, chunk):
    size = int(mebibytes * share) << 20
    with open(os.path.join(target, name), "wb") as out:
        while out.tell() < size:
            out.write(chunk(out.tell())[: size - out.tell()])


def rows(at):
    lines = []
    for i in range(2000):
        text = " ".join(random.choices(words, k=random.randint(2, 14)))
        lines.append(
            f"{at + i}\t2026-{random.randint(1, 12):02}-{random.randint(1, 28):02} 12:{random.randint(0, 59):02}:00"
            f"\t{random.random() * 1000:.2f}\t{random.getrandbits(64):016x}\tcustomer-{random.randint(1, 99999)}\t{text}\n"
        )
    return "".join(lines).encode()


def documents(at):
    lines = []
    for i in range(1000):
        lines.append(json.dumps({
            "_id": f"{random.getrandbits(96):024x}", "seq": at + i, "tags": random.choices(words, k=5),
            "price": random.randint(1, 99999) / 100, "active": random.random() < 0.5,
            "note": " ".join(random.choices(words, k=20)),
        }) + "\n")
    return "".join(lines).encode()


programs = iter(sorted(glob.glob("/usr/lib/x86_64-linux-gnu/*.so*") + glob.glob("/usr/bin/*")) * 50)


def binaries(_):
    while True:
        path = next(programs)
        if os.path.isfile(path) and os.path.getsize(path) > 20000:
            return open(path, "rb").read(4 << 20)


fill("rows", 0.47, rows)
fill("documents", 0.25, documents)
fill("programs", 0.22, binaries)
fill("noise", 0.06, lambda _: os.urandom(1 << 20))
