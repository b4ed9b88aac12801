#!/usr/bin/env bash
# Compares backup and restore of a PostgreSQL database with what a shell script would do, over realistic rows, and
# prints medians and their ratios. The peers run in turn with this program, not one after the other's runs.
#
#   tests/bench/postgres.sh [MEGABYTES] [RUNS]
#
# CHUPACABRA names the program (default: target/release/chupacabra), CHUPACABRA_ISAL one built with `--features isal`,
# which is measured too if it is given. Needs Debian's postgresql-15, pigz, age. Server, client and everything else
# share the machine: its seconds and its memory count for nobody. A restore of ours also reads back what it wrote and
# compares it, and ANALYZEs; psql and pg_restore alone do neither, so a third peer adds that by stock tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

megabytes=${1:-1000}
runs=${2:-3}
bin=/usr/lib/postgresql/15/bin
program=${CHUPACABRA:-target/release/chupacabra}
work=$(mktemp -d)
chmod 755 "$work"
port=$((20000 + RANDOM % 10000))
as() { if [ "$(id -u)" = 0 ]; then setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"; else "$@"; fi; }
mkdir "$work/server" && { chown nobody "$work/server" 2>/dev/null || true; }
as $bin/initdb -D "$work/server/data" -U postgres --locale=C.UTF-8 -E UTF8 -A trust -N >/dev/null
as $bin/postgres -D "$work/server/data" -p $port -k "$work/server" -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=256MB >"$work/log" 2>&1 &
server=$!
trap 'kill -INT "$(head -1 "$work/server/data/postmaster.pid")"; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
until $bin/psql -qAtX -h 127.0.0.1 -p $port -U postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres

orders=$((megabytes * 2600)) events=$((megabytes * 1100)) posts=$((megabytes * 500))
$bin/psql -qX -v ON_ERROR_STOP=1 <<SQL
CREATE DATABASE bench;
\connect bench
CREATE TABLE orders AS SELECT i AS id, gen_random_uuid() AS token, (random() * 100000)::int AS customer, (random() * 1000)::numeric(10, 2) AS total,
  now() - random() * interval '900 days' AS created, (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4] AS state, 'user' || (random() * 100000)::int || '@example.org' AS email
  FROM generate_series(1, $orders) i;
CREATE TABLE events AS SELECT i AS id, now() - random() * interval '90 days' AS at, jsonb_build_object('kind', (ARRAY['view', 'click', 'buy'])[1 + i % 3],
  'session', md5(random()::text), 'path', '/item/' || (random() * 5000)::int, 'ms', (random() * 900)::int, 'tags', ARRAY[md5(i::text), 'x']) AS body
  FROM generate_series(1, $events) i;
CREATE TABLE posts AS SELECT i AS id, 'Title ' || i AS title,
  (SELECT string_agg(substr(md5(word::text), 1, 2 + word % 9), ' ')
   FROM generate_series(1, 70) g CROSS JOIN LATERAL (SELECT hashint8(g * 7919 + p.i) & 8191 AS word) w) AS body FROM generate_series(1, $posts) p(i);
ALTER TABLE orders ADD PRIMARY KEY (id); ALTER TABLE events ADD PRIMARY KEY (id); ALTER TABLE posts ADD PRIMARY KEY (id); CREATE INDEX ON orders (customer);
VACUUM ANALYZE;
SQL
age-keygen -o "$work/key.txt" 2>/dev/null
recipient=$(age-keygen -y "$work/key.txt")
cat >"$work/c.yaml" <<YAML
encryption: { recipients: [$recipient], identity: { file: $work/key.txt } }
stores: { here: { local: { path: $work/store } } }
sources: { db: { postgres: { host: 127.0.0.1, port: $port, database: bench } } }
YAML

# One run: wall seconds, CPU seconds of this command and its children (not the server), the peak memory of the largest.
measure() {
    python3 - "$1" <<'PY'
import resource, subprocess, sys, time
begin = time.monotonic()
done = subprocess.run(["bash", "-eo", "pipefail", "-c", sys.argv[1]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
if done.returncode:
    sys.exit(f"{sys.argv[1]}: {done.returncode}\n{done.stderr.decode()[-2000:]}")
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{time.monotonic() - begin:.2f} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss // 1024}")
PY
}

names=() commands=() before=()
row() { names+=("$1"); before+=("$2"); commands+=("$3"); }
# Runs all rows in turn, several times, and prints the median run of each.
table() {
    local run index result
    for run in $(seq "$runs"); do
        for index in "${!names[@]}"; do
            bash -eo pipefail -c "${before[$index]}" >/dev/null
            result=$(measure "${commands[$index]}")
            echo "$result" >>"$work/results.${names[$index]//[^a-zA-Z0-9]/_}"
        done
    done
    for index in "${!names[@]}"; do
        read -r seconds cpu memory < <(sort -n "$work/results.${names[$index]//[^a-zA-Z0-9]/_}" | sed -n "$(((runs + 1) / 2))p")
        printf '%-30s %8s s  %8s CPU s  %6s MiB\n' "${names[$index]}" "$seconds" "$cpu" "$memory"
        echo "$seconds" >"$work/wall.${names[$index]//[^a-zA-Z0-9]/_}"
    done
    names=() commands=() before=()
}
# How many times as long as the second the first takes.
ratio() {
    local of=$work/wall.${1//[^a-zA-Z0-9]/_} to=$work/wall.${2//[^a-zA-Z0-9]/_}
    python3 -c "print('$1 / $2 = %.2f' % (float('$(cat "$of")') / float('$(cat "$to")')))"
}

echo "bench: $($bin/psql -qAtX -d bench -c "SELECT pg_size_pretty(pg_database_size('bench'))") on $(nproc) processors, load $(cut -d' ' -f1 /proc/loadavg), median of $runs"
clean="rm -rf $work/store $work/out; mkdir -p $work/store"
row "pg_dump" "$clean" "$bin/pg_dump bench"
row "pg_dump|pigz -1|age" "$clean" "$bin/pg_dump bench | pigz -1 | age -r $recipient > $work/out"
row "pg_dump -Fc -Z1" "$clean" "$bin/pg_dump -Fc -Z1 -f $work/out bench"
row "pg_dump -Fd -j2 -Z1" "$clean" "$bin/pg_dump -Fd -j2 -Z1 -f $work/out bench"
row "chupacabra" "$clean" "$program backup --config $work/c.yaml"
[ -z "${CHUPACABRA_ISAL:-}" ] || row "chupacabra isal" "$clean" "$CHUPACABRA_ISAL backup --config $work/c.yaml"
table
for ours in chupacabra ${CHUPACABRA_ISAL:+"chupacabra isal"}; do
    ratio "pg_dump|pigz -1|age" "$ours"
    ratio "pg_dump -Fd -j2 -Z1" "$ours"
done

echo "restore:"
rm -rf "$work/store" && mkdir -p "$work/store"
"$program" backup --config "$work/c.yaml" >/dev/null 2>&1
$bin/pg_dump bench | pigz -1 | age -r "$recipient" >"$work/plain.sql.gz.age"
$bin/pg_dump -Fd -j2 -Z1 -f "$work/directory" bench
empty="$bin/dropdb --if-exists copy && $bin/psql -qX -d postgres -c CHECKPOINT"
row "age|pigz|psql" "$empty && $bin/createdb copy" "age -d -i $work/key.txt $work/plain.sql.gz.age | pigz -d | $bin/psql -qX -v ON_ERROR_STOP=1 -d copy"
row "pg_restore -j2" "$empty && $bin/createdb copy" "$bin/pg_restore -j2 -d copy $work/directory"
# The same by stock tools as far as they go: every table read back and hashed, two at a time, and analyzed.
cat >"$work/thorough" <<SH
set -euo pipefail
$bin/pg_restore -j2 -d copy $work/directory
$bin/psql -qAtX -d copy -c "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relpages DESC" |
    xargs -P2 -I{} sh -c '$bin/psql -qX -d copy -c "COPY {} TO STDOUT" | b2sum'
$bin/vacuumdb -q -j2 -Z copy
SH
row "pg_restore, COPY|b2sum, ANALYZE" "$empty && $bin/createdb copy" "bash $work/thorough"
row "chupacabra restore" "$empty && $bin/createdb copy" "$program restore db --config $work/c.yaml --into postgres://postgres@127.0.0.1:$port/copy"
table
ratio "age|pigz|psql" "chupacabra restore"
ratio "pg_restore -j2" "chupacabra restore"
ratio "pg_restore, COPY|b2sum, ANALYZE" "chupacabra restore"
# Where the time goes: the peers neither read back nor ANALYZE.
bash -ec "$empty && $bin/createdb copy" >/dev/null 2>&1
"$program" restore db --config "$work/c.yaml" --into "postgres://postgres@127.0.0.1:$port/copy" >"$work/restore.log" 2>&1
python3 - "$work/restore.log" <<'PY'
import datetime, json, sys
events = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")]
at = {event["message"].split(",")[0]: datetime.datetime.fromisoformat(event["@timestamp"]) for event in events}
since = lambda name: (at[name] - at["restore begins"]).total_seconds()
print(f"once more: rows loaded after {since('rows loaded'):.1f} s, compared and indexed after {since('rows compared'):.1f} s")
PY
