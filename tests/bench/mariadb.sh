#!/usr/bin/env bash
# Compares dump and restore of a MariaDB server with the stock tools, and prints ratios of medians.
#
#   tests/bench/mariadb.sh [PROGRAM] [MEGABYTES] [RUNS]
#
# Dump: against `mariadb-dump --single-transaction --quick | pigz -1 | age` and `mydumper -t 2 --compress`. Restore:
# against `mariadb < dump` and `myloader -t 2`. Each run does all of them in turn, server and clients on the same
# processors. Needs mariadb-server, mydumper, pigz, age, time; starts its own server, as nobody if root.
set -euo pipefail
program=$(realpath "${1:-target/release/chupacabra}")
megabytes=${2:-1000}
runs=${3:-3}
work=$(mktemp -d)
chmod 755 "$work"
port=$((20000 + RANDOM % 10000))
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=nobody --regid=nogroup --clear-groups --)
    chown nobody:nogroup "$work"
fi
server=
trap '[ -n "$server" ] && kill "$server"; wait 2>/dev/null; rm -rf "$work"' EXIT
"${as[@]}" mariadb-install-db --no-defaults --datadir="$work/data" --auth-root-authentication-method=normal \
    --skip-test-db >"$work/install.log" 2>&1
"${as[@]}" /usr/sbin/mariadbd --no-defaults --datadir="$work/data" --socket="$work/s" --port="$port" \
    --bind-address=127.0.0.1 --innodb-buffer-pool-size=512M --innodb-flush-log-at-trx-commit=0 \
    --innodb-log-file-size=512M --skip-name-resolve >"$work/log" 2>&1 &
server=$!
sql() { mariadb --no-defaults --socket "$work/s" -uroot "$@"; }
until sql -e 'SELECT 1' >/dev/null 2>&1; do sleep 0.2; done
# Orders, their lines and some documents: numbers, dates, short and long text, about as a shop has them.
rows=$((megabytes * 900))
sql <<SQL
CREATE DATABASE shop; USE shop;
CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, total DECIMAL(10,2), placed DATETIME, state ENUM('new','paid','sent'),
  note VARCHAR(400), KEY (customer), KEY (placed));
INSERT INTO orders SELECT seq, RAND(seq) * 100000, RAND(seq + 1) * 1000, '2020-01-01' + INTERVAL seq SECOND, 1 + seq % 3,
  CONCAT_WS(' ', 'order of', MD5(seq DIV 7), 'to be sent to', MD5(seq % 1000), 'by', ELT(1 + seq % 4, 'rail', 'road', 'ship', 'mail')) FROM seq_1_to_$rows;
CREATE TABLE line (orders INT, n INT, product INT, price DECIMAL(10,2), amount INT, PRIMARY KEY (orders, n));
INSERT INTO line SELECT 1 + seq DIV 3, seq % 3, RAND(seq) * 5000, RAND(seq) * 100, seq % 9 FROM seq_1_to_$((rows * 3));
CREATE TABLE document (id INT PRIMARY KEY, body MEDIUMTEXT, picture MEDIUMBLOB);
INSERT INTO document SELECT seq, REPEAT(CONCAT('line ', seq, ' of a text that says ', MD5(seq), '\n'), 150), RANDOM_BYTES(1024) FROM seq_1_to_$((rows / 20));
SQL
age-keygen -o "$work/key" 2>/dev/null
recipient=$(age-keygen -y "$work/key")
cat >"$work/config.yaml" <<YAML
encryption: { recipients: [$recipient], identity: { file: $work/key } }
stores: { here: { local: { path: $work/store } } }
sources: { db: { mariadb: { host: 127.0.0.1, port: $port, user: root } } }
YAML
ours() { rm -rf "$work/store"; mkdir "$work/store"; "$program" backup --config "$work/config.yaml"; }
stock() { mariadb-dump --no-defaults --socket "$work/s" -uroot --single-transaction --quick --databases shop | pigz -1 | age -r "$recipient" >"$work/stock"; }
mydump() { rm -rf "$work/my"; mydumper -S "$work/s" -u root -t 2 --compress -B shop -o "$work/my"; }
restore_ours() { "$program" restore db --config "$work/config.yaml" --replace; }
restore_stock() { sql -e 'DROP DATABASE shop'; sql <"$work/plain.sql"; }
restore_my() { sql -e 'DROP DATABASE shop; CREATE DATABASE shop'; myloader -S "$work/s" -u root -t 2 -B shop -d "$work/my"; }
export TIMEFORMAT='%R %U %S'
measured() {
    local name=$1
    { time "$@" >"$work/$name.log" 2>&1 || { cat "$work/$name.log" >&3; exit 1; }; } 3>&2 2>>"$work/$name.times"
}
median() { sort -n "$work/$1.times" | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }
# Processor seconds of the client's side: what a machine that is busy otherwise cannot blur.
processor() { awk '{ print $2 + $3 }' "$work/$1.times" | sort -n | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }'; }
for _ in $(seq "$runs"); do measured ours; measured stock; measured mydump; done
# Peak memory, once, apart from the timing.
rm -rf "$work/store"; mkdir "$work/store"
/usr/bin/time -f %M -o "$work/memory" "$program" backup --config "$work/config.yaml" >"$work/memory.log" 2>&1
age -d -i "$work/key" "$work/stock" | pigz -d >"$work/plain.sql"
# When everything was loaded and the reading back began: what the other tools end with.
loaded() {
    python3 - "$work/restore_ours.log" <<'PYTHON' >>"$work/loaded.times"
import datetime, json, sys
at = {}
for line in open(sys.argv[1]):
    if line.startswith("{"):
        event = json.loads(line)
        at[event["message"].split(",")[0]] = datetime.datetime.fromisoformat(event["@timestamp"])
print((at["everything loaded"] - at["restore begins"]).total_seconds())
PYTHON
}
for _ in $(seq "$runs"); do measured restore_stock; measured restore_my; measured restore_ours; loaded; done
ratio() { echo "scale=2; $(median "$2") / $(median "$1")" | bc; }
printf 'dump, %s MB of script: ours %s s, mariadb-dump | pigz -1 | age %s s (ratio %s), mydumper %s s (ratio %s), peak %s MiB\n' \
    "$(($(stat -c %s "$work/plain.sql") / 1000000))" "$(median ours)" "$(median stock)" "$(ratio ours stock)" \
    "$(median mydump)" "$(ratio ours mydump)" "$(($(cat "$work/memory") / 1024))"
printf 'processor seconds of the clients: ours %s, mariadb-dump | pigz -1 | age %s, mydumper %s\n' \
    "$(processor ours)" "$(processor stock)" "$(processor mydump)"
printf 'restore with comparison: ours %s s, mariadb %s s (ratio %s), myloader %s s (ratio %s)\n' \
    "$(median restore_ours)" "$(median restore_stock)" "$(ratio restore_ours restore_stock)" \
    "$(median restore_my)" "$(ratio restore_ours restore_my)"
printf 'until everything was loaded, before the comparison: %s s (myloader ratio %s)\n' \
    "$(median loaded)" "$(ratio loaded restore_my)"
