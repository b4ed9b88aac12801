#!/usr/bin/env python3
"""Backs one seeded tree up with this program and with its peers, in turn, several rounds in one run.

    tests/bench/files.py [--rounds 3] [--small 100000] [--dir DIR] [--binary target/release/chupacabra] [--restore]
                         [--isal BINARY] [--tree DIR]

`--isal` names a program built with `--features isal`, which is measured too; `--tree` takes an existing tree instead
of a seeded one.

Prints MB/s of content, the size of the output against the input, CPU seconds and the peak memory of the largest
process, as medians, and every peer's time as a multiple of ours. Needs age, tar, pigz, restic and borgbackup (Debian
packages); the peer `igzip`, which is what ISA-L alone makes of the shell's pipeline, needs isal.
The figures of one machine say little; the ratios of one run say more.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ("the of and to in is that for it was on are as with his they be at one have this from or had by hot but "
         "some what there we can out other were all your when up use word how said an each she which do their time "
         "if will way about many then them would write like so these her long make thing see him two has look more "
         "day could go come did my sound no most number who over know water than call first people may down side "
         "been now find any new work part take get place made live where after back little only round man year came "
         "show every good me give our under name very through just form much great think say help low line before "
         "turn cause same mean differ move right boy old too does tell sentence set three want air well also play").split()


def words(rng, size):
    out, length = [], 0
    while length < size:
        word = rng.choice(WORDS) if rng.random() < 0.8 else f"{rng.getrandbits(40):x}"
        out.append(word)
        length += len(word) + 1
    return " ".join(out)[:size].encode()


def rows(rng, count):
    return "".join(
        f"{i}\t{rng.randrange(1 << 31)}\t{rng.choice(WORDS)} {rng.choice(WORDS)}\t2026-{rng.randrange(1, 13):02}-"
        f"{rng.randrange(1, 29):02} {rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(10**6):06}"
        f"\t{rng.random() * 1000:.2f}\t{{\"id\": \"{rng.getrandbits(64):016x}\", \"state\": \"{rng.choice(WORDS)}\"}}\n"
        for i in range(count)).encode()


def seed(root, small):
    """Small files of 1 to 12 KiB in 1,000 directories, three large ones of rows, one of noise."""
    rng = random.Random(7)
    pool = [words(rng, 1 << 20) for _ in range(8)]
    for n in range(small):
        folder = root / f"d{n % 31:02}" / f"e{n % 997:03}"
        folder.mkdir(parents=True, exist_ok=True)
        text = rng.choice(pool)
        size = rng.randrange(1_000, 12_000)
        start = rng.randrange(len(text) - size)
        (folder / f"file-{n}.txt").write_bytes(f"{n}\n".encode() + text[start:start + size])
    for n in range(3):
        with open(root / f"rows-{n}.tsv", "wb") as file:
            for _ in range(20):
                file.write(rows(rng, 80_000))
    (root / "noise.bin").write_bytes(rng.randbytes(64 << 20))
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def run(command, env=None):
    """Wall seconds, CPU seconds, peak KiB of the largest process."""
    began = time.monotonic()
    # A child of this process would be given this process' own peak; a child of `time` is not.
    with tempfile.NamedTemporaryFile() as peak:
        child = subprocess.Popen(["time", "-q", "-f", "%M", "-o", peak.name, "bash", "-euo", "pipefail", "-c", command],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(env or {})})
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        if status != 0:
            sys.exit(f"{command}\n{errors.decode()}")
        return time.monotonic() - began, usage.ru_utime + usage.ru_stime, int(peak.read())


def size_of(path):
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=100_000)
    parser.add_argument("--dir", default=None, help="where to work (default: a temporary directory)")
    parser.add_argument("--binary", default="target/release/chupacabra")
    parser.add_argument("--isal", default=None, help="a program built with ISA-L, measured too")
    parser.add_argument("--tree", default=None, help="an existing tree, instead of a seeded one")
    parser.add_argument("--peers", default="pigz1,pigz6,restic,borg")
    parser.add_argument("--restore", action="store_true", help="time restores instead of backups")
    args = parser.parse_args()
    binary = Path(args.binary).resolve()
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=args.dir))
    try:
        if args.tree:
            tree = Path(args.tree).resolve()
            content = size_of(tree)
        else:
            tree = work / "tree"
            tree.mkdir()
            # In a process of its own: a child's peak memory counts what its parent had when it was started.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                content = pool.apply(seed, (tree, args.small))
        key = work / "key.txt"
        subprocess.run(["age-keygen", "-o", key], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
        out = work / "out"
        (work / "chupacabra.yaml").write_text(
            f"encryption: {{ recipients: [{public}], identity: {{ file: {key} }} }}\n"
            f"stores: {{ here: {{ local: {{ path: {out} }} }} }}\n"
            f"sources: {{ tree: {{ files: {{ path: {tree} }} }} }}\n")
        ours = f"{binary} --config {work}/chupacabra.yaml"
        secret = {"RESTIC_PASSWORD": "x", "BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(work / "borg-home"),
                  "RESTIC_CACHE_DIR": str(work / "restic-cache")}
        pigz = lambda level: f"tar -C {tree} -c . | pigz -{level} | age -r {public} > {out}"
        if args.restore:
            subprocess.run(f"{ours} backup", shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            package = next(out.glob("tree/*.tar.gz.age"))
            into = work / "into"
            contenders = {
                "chupacabra restore": (f"{ours} restore tree --into {into}", None, into),
                "age -d | tar xz": (f"mkdir {into} && age -d -i {key} {package} | tar -C {into} -xz", None, into),
            }
        else:
            contenders = {"chupacabra": (f"{ours} backup", None, out)}
            if args.isal:
                isal = f"{Path(args.isal).resolve()} --config {work}/chupacabra.yaml"
                contenders["chupacabra (isal)"] = (f"{isal} backup", None, out)
            peers = {
                "pigz1": ("tar|pigz -1|age", (pigz(1), None, out)),
                "pigz6": ("tar|pigz -6|age", (pigz(6), None, out)),
                "igzip": ("tar|igzip -1|age", (f"tar -C {tree} -c . | igzip -1 -T 2 -c - | age -r {public} > {out}", None, out)),
                "restic": ("restic", (f"restic -q -r {out} backup {tree}", f"restic -q -r {out} init", out)),
                "borg": ("borg (lz4)", (f"borg create {out}::a {tree}", f"borg init -e repokey {out}", out)),
            }
            for peer in filter(None, args.peers.split(",")):
                name, contender = peers[peer]
                contenders[name] = contender
        figures = {name: [] for name in contenders}
        for _ in range(args.rounds):
            for name, (command, before, product) in contenders.items():
                if product.exists():
                    shutil.rmtree(product) if product.is_dir() else product.unlink()
                if before:
                    run(before, secret)
                os.sync()
                # Everybody finds the tree in memory: between two turns of minutes some of it may have left.
                run(f"tar -C {tree} -c . | cat > /dev/null")
                figures[name].append((*run(command, secret), size_of(product)))
        print(f"{content / 1e6:,.0f} MB of content, {args.rounds} rounds, medians")
        print(f"{'':22} {'seconds':>8} {'MB/s':>7} {'ratio':>6} {'CPU s':>7} {'RSS MiB':>8} {'× ours':>7}")
        bases = [statistics.median(wall for wall, *_ in runs) for name, runs in figures.items() if "chupacabra" in name]
        for name, runs in figures.items():
            wall, cpu, rss, size = (statistics.median(column) for column in zip(*runs))
            times = " ".join(f"{wall / base:7.2f}" for base in bases)
            print(f"{name:22} {wall:8.2f} {content / wall / 1e6:7.0f} {content / size:6.2f} {cpu:7.2f} {rss / 1024:8.0f} {times}")
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
