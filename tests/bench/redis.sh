#!/usr/bin/env bash
# Compares dump and restore of a Redis server with redis-cli, and prints ratios of medians.
#
#   tests/bench/redis.sh [PROGRAM] [MEGABYTES] [RUNS]
#
# Dump: against `redis-cli --rdb - | pigz -1 | age`, and against `redis-cli --rdb -` alone, which is as fast as the
# server can be: with the other processor idle, and with a `gzip -1` on it at the lowest priority, as any tool that
# compresses has it. Each run does all of them in turn. Restore: against `redis-cli --pipe` of the same RESTORE commands,
# which compares nothing afterwards. `repl-diskless-sync-delay` is 0. Needs redis-server, redis-cli, pigz, age, time.
set -euo pipefail
program=$(realpath "${1:-target/release/chupacabra}")
megabytes=${2:-500}
runs=${3:-5}
work=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
target=$((port + 1))
trap 'kill "${pids[@]}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
pids=()
start() {
    mkdir -p "$work/$1"
    redis-server --port "$1" --bind 127.0.0.1 --dir "$work/$1" --save '' --repl-diskless-sync-delay 0 \
        --enable-debug-command yes >"$work/$1/log" &
    pids+=($!)
    until redis-cli -p "$1" ping >/dev/null 2>&1; do sleep 0.1; done
}
start "$port"
start "$target"
# Half of it small keys, half hashes and lists; values that compress about as data does.
python3 - "$megabytes" >"$work/seed" <<'PYTHON'
import random, sys
random.seed(1)
words = [bytes(random.choices(b"abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9))) for _ in range(4000)]
out = sys.stdout.buffer
def text(size):
    value = b" ".join(random.choices(words, k=size // 7 + 1))
    return value[:size]
def command(*parts):
    out.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
left, n = int(sys.argv[1]) * 1_000_000, 0
while left > 0:
    n += 1
    if n % 2:
        for i in range(20):
            command(b"SET", b"session:%d:%d" % (n, i), text(300))
        left -= 6_400
    else:
        command(b"HSET", b"user:%d" % n, *(part for i in range(20) for part in (b"field%d" % i, text(150))))
        command(b"RPUSH", b"queue:%d" % n, *(text(150) for _ in range(20)))
        left -= 6_400
PYTHON
redis-cli -p "$port" --pipe <"$work/seed" >/dev/null
rm "$work/seed"
age-keygen -o "$work/key" 2>/dev/null
recipient=$(age-keygen -y "$work/key")
cat >"$work/config.yaml" <<YAML
encryption: { recipients: [$recipient], identity: { file: $work/key } }
stores: { here: { local: { path: $work/store } } }
sources: { cache: { redis: { host: 127.0.0.1, port: $port } } }
YAML
ours() {
    rm -rf "$work/store"
    mkdir "$work/store"
    "$program" --config "$work/config.yaml" backup >/dev/null 2>&1
}
# The server's processor seconds and those of its children that have ended (proc(5), stat, fields 14 to 17).
server_used() { awk -v ticks="$(getconf CLK_TCK)" '{ printf "%.2f\n", ($14 + $15 + $16 + $17) / ticks }' "/proc/${pids[0]}/stat"; }
# What a dump leaves to be won: how long the server's child, which writes the snapshot, had a processor, and how long it
# waited for one because something else had it. And the least time that the work of both sides takes on these processors.
watched() {
    local what=$1 child="" ran=0 waited=0 server begin end TIMEFORMAT='%U %S'
    # The server counts what its child used when it has noticed its end.
    sleep 0.5
    server=$(server_used)
    begin=$EPOCHREALTIME
    { time "$what"; } 2>"$work/used" &
    local dump=$!
    # Nothing but what the shell itself can do, and `sleep`: looking must not take what is measured.
    while kill -0 "$dump" 2>/dev/null; do
        [ -n "$child" ] || read -r child _ <"/proc/${pids[0]}/task/${pids[0]}/children" || true
        [ -z "$child" ] || read -r ran waited _ 2>/dev/null <"/proc/$child/schedstat" || true
        sleep 0.05
    done
    wait "$dump"
    end=$EPOCHREALTIME
    sleep 0.5
    echo "$server $(server_used) $(cat "$work/used")" | awk -v what="$what" -v processors="$(nproc)" '{ server = $2 - $1; client = $3 + $4
        printf "%-6s used %.2f s of processors, the server %.2f s: at least %.2f s on %d\n", what, client, server, (server + client) / processors, processors }'
    echo "$begin $end $ran $waited" | awk -v what="$what" '{ wall = $2 - $1
        printf "%-6s the server'"'"'s child had a processor for %.2f s and waited %.2f s for one: %.0f %% of %.2f s\n", what, $3 / 1e9, $4 / 1e9, ($3 + $4) / 1e7 / wall, wall }'
}
piped() { redis-cli -p "$port" --rdb - 2>/dev/null | pigz -1 | age -r "$recipient" >"$work/peer.age"; }
bare() { redis-cli -p "$port" --rdb - 2>/dev/null >/dev/null; }
shared() {
    # Many times the same file: more than can be compressed meanwhile.
    local again=()
    for _ in {1..50}; do again+=("$work/peer.age"); done
    nice -n 19 gzip -1 -c "${again[@]}" >/dev/null &
    local busy=$!
    bare
    kill "$busy"
    wait "$busy" 2>/dev/null || true
}
restore() {
    redis-cli -p "$target" flushall >/dev/null
    "$program" --config "$work/config.yaml" restore cache --into "redis://127.0.0.1:$target" >/dev/null 2>&1
}
pipe() {
    redis-cli -p "$target" flushall >/dev/null
    redis-cli -p "$target" --pipe <"$work/restores" >/dev/null
}
replicate() {
    "$program" --config "$work/config.yaml" restore cache --replace --into "redis://127.0.0.1:$target" \
        --switch via=replication >/dev/null 2>&1
}
seconds() {
    local begin=$EPOCHREALTIME
    "$@"
    echo "$begin $EPOCHREALTIME" | awk '{ printf "%.3f\n", $2 - $1 }'
}
median() { sort -n "$work/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for _ in $(seq "$runs"); do
    for what in ours piped bare shared; do seconds "$what" >>"$work/times-$what"; done
done
for what in ours bare shared; do watched "$what"; done
# The same RESTORE commands for redis-cli, without comparing.
python3 - "$port" >"$work/restores" <<'PYTHON'
import socket, sys
reader = socket.create_connection(("127.0.0.1", int(sys.argv[1]))).makefile("rwb")
def reply():
    line = reader.readline()
    kind, rest = line[:1], line[1:-2]
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else reader.read(size + 2)[:-2]
    if kind == b"*":
        return [reply() for _ in range(int(rest))]
    return rest
def encode(*parts):
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
cursor = b"0"
while True:
    reader.write(encode(b"SCAN", cursor, b"COUNT", b"1000")); reader.flush()
    cursor, keys = reply()
    for key in keys:
        reader.write(encode(b"DUMP", key))
    reader.flush()
    for key in keys:
        sys.stdout.buffer.write(encode(b"RESTORE", key, b"0", reply(), b"ABSTTL"))
    if cursor == b"0":
        break
PYTHON
for _ in $(seq "$runs"); do
    for what in restore pipe replicate; do seconds "$what" >>"$work/times-$what"; done
done
rss() { /usr/bin/time -f %M "$@" 2>&1 >/dev/null | tail -1; }
rm -rf "$work/store"; mkdir "$work/store"
dump_rss=$(rss "$program" --config "$work/config.yaml" backup)
sed "s|port: $port|port: $port, mode: scan|; s|$work/store|$work/scanned|" "$work/config.yaml" >"$work/scan.yaml"
mkdir "$work/scanned"
scan_rss=$(rss "$program" --config "$work/scan.yaml" backup)
redis-cli -p "$target" flushall >/dev/null
restore_rss=$(rss "$program" --config "$work/config.yaml" restore cache --into "redis://127.0.0.1:$target")
for what in ours piped bare shared restore pipe replicate; do eval "$what=$(median "times-$what")"; done
size=$(redis-cli -p "$port" info memory | tr -d '\r' | awk -F: '$1 == "used_memory_dataset" { print $2 }')
awk -v size="$size" -v ours="$ours" -v piped="$piped" -v bare="$bare" -v shared="$shared" -v restore="$restore" -v pipe="$pipe" \
    -v replicate="$replicate" -v dump_rss="$dump_rss" -v scan_rss="$scan_rss" -v restore_rss="$restore_rss" 'BEGIN {
    printf "dataset %.0f MB in memory\n", size / 1e6
    printf "dump     %.2f s   redis-cli|pigz|age %.2f s (%.2f x)   redis-cli alone %.2f s (%.0f %%), with a busy neighbour %.2f s (%.0f %%)\n",
        ours, piped, piped / ours, bare, 100 * bare / ours, shared, 100 * shared / ours
    printf "restore  %.2f s with every key compared   redis-cli --pipe %.2f s (%.2f x)   via replication %.2f s\n", restore, pipe, pipe / restore, replicate
    printf "peak RSS %.1f MiB (dump), %.1f MiB (dump, mode scan), %.1f MiB (restore)\n", dump_rss / 1024, scan_rss / 1024, restore_rss / 1024
}'
