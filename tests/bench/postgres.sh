#!/usr/bin/env bash
# Compares a PostgreSQL backup with what a shell script would do, over realistic rows, and prints ratios of medians.
#
#   tests/bench/postgres.sh [MEGABYTES] [RUNS]
#
# Needs Debian's postgresql-15, pigz, age and a release build. Server, client and everything else share the machine.
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
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
until $bin/psql -qAtX -h 127.0.0.1 -p $port -U postgres -c 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres

orders=$((megabytes * 2600)) events=$((megabytes * 1100)) posts=$((megabytes * 500))
$bin/psql -qX -v ON_ERROR_STOP=1 <<SQL
CREATE DATABASE bench;
\connect bench
CREATE TABLE words AS SELECT i, substr(md5(i::text), 1, 2 + i % 9) AS word FROM generate_series(0, 9999) i;
CREATE UNIQUE INDEX ON words (i);
CREATE TABLE orders AS SELECT i AS id, gen_random_uuid() AS token, (random() * 100000)::int AS customer, (random() * 1000)::numeric(10, 2) AS total,
  now() - random() * interval '900 days' AS created, (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4] AS state, 'user' || (random() * 100000)::int || '@example.org' AS email
  FROM generate_series(1, $orders) i;
CREATE TABLE events AS SELECT i AS id, now() - random() * interval '90 days' AS at, jsonb_build_object('kind', (ARRAY['view', 'click', 'buy'])[1 + i % 3],
  'session', md5(random()::text), 'path', '/item/' || (random() * 5000)::int, 'ms', (random() * 900)::int, 'tags', ARRAY[md5(i::text), 'x']) AS body
  FROM generate_series(1, $events) i;
CREATE TABLE posts AS SELECT i AS id, 'Title ' || i AS title,
  (SELECT string_agg(word, ' ') FROM generate_series(1, 70) g JOIN words ON words.i = (hashint8(g * 7919 + p.i) & 8191)) AS body FROM generate_series(1, $posts) p(i);
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

# Median of wall seconds, with CPU seconds (this process and its children, not the server) and peak memory of that run.
measure() {
    for _ in $(seq "$runs"); do
        rm -rf "$work/store" "$work/out" && mkdir -p "$work/store"
        /usr/bin/env python3 - "$1" <<'PY'
import resource, subprocess, sys, time
begin = time.monotonic()
subprocess.run(["bash", "-eo", "pipefail", "-c", sys.argv[1]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"{time.monotonic() - begin:.2f} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss // 1024}")
PY
    done | sort -n | sed -n "$(((runs + 1) / 2))p"
}

declare -A wall
row() {
    read -r seconds cpu memory < <(measure "$2")
    wall[$1]=$seconds
    printf '%-28s %8s s  %8s CPU s  %6s MiB\n' "$1" "$seconds" "$cpu" "$memory"
}
echo "bench: $($bin/psql -qAtX -d bench -c "SELECT pg_size_pretty(pg_database_size('bench'))") on $(nproc) processors, median of $runs"
row "pg_dump" "$bin/pg_dump bench"
row "pg_dump|pigz -1|age" "$bin/pg_dump bench | pigz -1 | age -r $recipient > $work/out"
row "pg_dump -Fc -Z1" "$bin/pg_dump -Fc -Z1 -f $work/out bench"
row "pg_dump -Fd -j2 -Z1" "$bin/pg_dump -Fd -j2 -Z1 -f $work/out bench"
row "chupacabra backup" "$program backup --config $work/c.yaml"
echo "pigz|age / ours = $(python3 -c "print(round(${wall['pg_dump|pigz -1|age']} / ${wall['chupacabra backup']}, 2))"),  -Fd -j2 / ours = $(python3 -c "print(round(${wall['pg_dump -Fd -j2 -Z1']} / ${wall['chupacabra backup']}, 2))")"
