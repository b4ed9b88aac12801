#!/usr/bin/env bash
# Builds the shipped Dockerfile, unmodified, and runs the image as the chart's pods run it: no root, no capabilities,
# a read-only file system, 128 MiB. Needs root, buildah, podman, runc, debootstrap and this machine's Rust toolchain.
#
#   tests/kubernetes/image.sh              builds with the release profile
#   PROFILE=dev tests/kubernetes/image.sh  builds sooner; sizes and times then mean nothing
#   BINARY=FILE tests/kubernetes/image.sh  takes a static binary instead of compiling. Says that it did.
#
# No public registry is needed: the base image is made here, under its real name, from Debian and the toolchain.
set -euo pipefail
cd "$(dirname "$0")/../.."
profile=${PROFILE:-release}
binary=${BINARY:-}
venv=${CHUPACABRA_TEST_VENV:-/opt/chupacabra-tests}
export PATH="$venv/bin:$PATH"
[ "$(id -u)" = 0 ] || { echo "image.sh needs root"; exit 1; }

work=$(mktemp -d /var/tmp/chupacabra-image.XXXXXX)
store=$work/containers
image=localhost/chupacabra:test
export CONTAINERS_STORAGE_CONF=$work/storage.conf CONTAINERS_REGISTRIES_CONF=$work/registries.conf
printf '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n' "$store" "$store" > "$CONTAINERS_STORAGE_CONF"
# A container may not raise its own limits where the tests themselves run in one.
export CONTAINERS_CONF=$work/containers.conf
printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n' > "$CONTAINERS_CONF"
# Short names mean what they mean to Docker.
printf 'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "disabled"\n' > "$CONTAINERS_REGISTRIES_CONF"
podman=(podman --runtime runc --cgroup-manager cgroupfs --events-backend none)
servers=()
cleanup() {
    "${podman[@]}" rm --all --force --time 0 > /dev/null 2>&1 || true
    if [ ${#servers[@]} -gt 0 ]; then kill "${servers[@]}" 2> /dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT
step() { printf '\n=== %s\n' "$*"; }
fail() { echo "FAILED: $*"; exit 1; }

step "the image"
if [ -n "$binary" ]; then
    echo "NOT THE SHIPPED DOCKERFILE: only its last stage, around $binary"
    mkdir -p "$work/context/image/usr/local/bin" "$work/context/image/etc/ssl/certs"
    install -m 755 "$binary" "$work/context/image/usr/local/bin/chupacabra"
    cp /etc/ssl/certs/ca-certificates.crt "$work/context/image/etc/ssl/certs/"
    sed -n '/^FROM scratch/,$p' Dockerfile | sed 's|^COPY --from=build /image/ /|COPY image/ /|' > "$work/context/Dockerfile"
    buildah --storage-driver vfs bud --quiet --isolation chroot --pull-never --tag "$image" "$work/context" > /dev/null
else
    base=docker.io/library/rust:1.95-slim-bookworm
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$work/root" > "$work/debootstrap.log" \
        || { tail "$work/debootstrap.log"; fail debootstrap; }
    toolchain=$(rustc --print sysroot)
    mkdir -p "$work/root/usr/local/rustup" "$work/root/usr/local/cargo"
    cp -a "$toolchain/." "$work/root/usr/local/"
    for file in config.toml config; do
        [ -f "${CARGO_HOME:-$HOME/.cargo}/$file" ] && cp "${CARGO_HOME:-$HOME/.cargo}/$file" "$work/root/usr/local/cargo/"
    done
    cp -a "${CARGO_HOME:-$HOME/.cargo}/registry" "$work/root/usr/local/cargo/" 2> /dev/null || true
    cp /etc/apt/sources.list "$work/root/etc/apt/" 2> /dev/null || true
    cp -a /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/trusted.gpg.d "$work/root/etc/apt/" 2> /dev/null || true
    tar -C "$work/root" -c . | podman import --change 'ENV CARGO_HOME=/usr/local/cargo' --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' - "$base" > /dev/null
    rm -r "$work/root"
    buildah --storage-driver vfs bud --isolation chroot --pull-never --network host --build-arg "PROFILE=$profile" --tag "$image" . \
        > "$work/build.log" 2>&1 || { tail -40 "$work/build.log"; fail "the Dockerfile does not build"; }
fi
size=$("${podman[@]}" image inspect --format '{{.Size}}' "$image")
echo "size: $((size / 1000000)) MB"
if [ -z "$binary" ] && [ "$profile" = release ]; then
    [ "$size" -lt 40000000 ] || fail "the image has $size bytes; 40 MB is the limit"
fi
user=$("${podman[@]}" image inspect --format '{{.User}}' "$image")
[ "$user" = 65532:65532 ] || fail "the image's user is $user"

restricted=(--read-only --cap-drop ALL --security-opt no-new-privileges --user 65532:65532 --memory 128m
    --pids-limit 100 --ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
run() { "${podman[@]}" run --rm "${restricted[@]}" "$@"; }

step "start-up, and nothing but the program in it"
start=$(date +%s%N)
run --network none "$image" --version
echo "start-up, container and all: $((($(date +%s%N) - start) / 1000000)) ms"
if run --network none --entrypoint /bin/sh "$image" -c true 2> /dev/null; then fail "there is a shell in the image"; fi

step "files: a real backup and restore, without network and without rights"
mkdir -p "$work/data/sub" "$work/store" "$work/out" "$work/conf"
head -c 300000000 /dev/urandom > "$work/data/sub/noise"
echo hello > "$work/data/greeting"
ln -s sub/noise "$work/data/link"
age-keygen -o "$work/conf/key.txt" 2> /dev/null
chmod 644 "$work/conf/key.txt"
cat > "$work/conf/config.yaml" <<YAML
encryption: { recipients: [$(age-keygen -y "$work/conf/key.txt")], identity: { file: /etc/chupacabra/key.txt } }
stores: { nas: { local: { path: /mnt/backup/store } } }
sources: { web: { files: { path: /data/web } } }
YAML
chown -R 65532:65532 "$work/data" "$work/store" "$work/out"
mounts=(--volume "$work/conf:/etc/chupacabra:ro" --volume "$work/data:/data/web:ro" --volume "$work/store:/mnt/backup" --volume "$work/out:/restore")
run --network none "${mounts[@]}" "$image" backup
run --network none "${mounts[@]}" "$image" restore web --into /restore/web
diff -r --no-dereference "$work/data" "$work/out/web" || fail "what was restored differs"
# The negative control: a difference would be seen.
echo changed >> "$work/out/web/greeting"
if diff -r "$work/data" "$work/out/web" > /dev/null; then fail "diff sees nothing"; fi
mkdir "$work/stock"
age -d -i "$work/conf/key.txt" "$work"/store/store/web/*.tar.gz.age | tar xz -C "$work/stock"
cmp "$work/data/sub/noise" "$(find "$work/stock" -name noise)" || fail "stock tools restore something else"

step "redis: a real backup and restore over the network, with the same rights"
redis=$(command -v redis-server || command -v valkey-server) || fail "neither redis-server nor valkey-server is installed"
serve() { # PORT
    mkdir -p "$work/redis-$1"
    "$redis" --port "$1" --bind 127.0.0.1 --dir "$work/redis-$1" --save '' --daemonize no > "$work/redis-$1/log" 2>&1 &
    servers+=($!)
    for _ in $(seq 100); do
        if ask "$1" PING 2> /dev/null | grep -q PONG; then return; fi
        sleep 0.1
    done
    fail "the server on $1 does not start: $(cat "$work/redis-$1/log")"
}
ask() { # PORT COMMAND
    local line
    exec 3<> "/dev/tcp/127.0.0.1/$1" || return 1
    printf '%s\r\nQUIT\r\n' "$2" >&3
    while read -r line <&3; do printf '%s\n' "$line"; done
    exec 3>&-
}
serve 26391
serve 26392
for number in $(seq 200); do ask 26391 "SET key:$number value-$number" > /dev/null; done
cat > "$work/conf/redis.yaml" <<YAML
encryption: { recipients: [$(age-keygen -y "$work/conf/key.txt")], identity: { file: /etc/chupacabra/key.txt } }
stores: { nas: { local: { path: /mnt/backup/redis } } }
sources: { cache: { redis: { host: 127.0.0.1, port: 26391 } } }
YAML
over_redis=(--network host "${mounts[@]}" --env CHUPACABRA_CONFIG=/etc/chupacabra/redis.yaml "$image")
run "${over_redis[@]}" backup
run "${over_redis[@]}" restore cache --into redis://127.0.0.1:26392
ask 26392 DBSIZE | grep -qx $':200\r*' || fail "not all keys were restored: $(ask 26392 DBSIZE)"
ask 26392 "GET key:77" | grep -q value-77 || fail "a value is not what it was"
kill "${servers[@]}"
servers=()
rm -rf "$work/store/redis"

step "PostgreSQL: a real backup and restore over the network, with the same rights"
pgbin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -1)
[ -x "$pgbin/initdb" ] || fail "PostgreSQL's server is not installed"
mkdir "$work/pg"
printf 'correct horse' > "$work/pg/password"
chmod 755 "$work"
chown -R nobody:nogroup "$work/pg"
as_nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
postgres() { # PORT
    "${as_nobody[@]}" "$pgbin/initdb" -D "$work/pg/$1" -U postgres -A scram-sha-256 --pwfile "$work/pg/password" -E UTF8 --locale C.UTF-8 -N > "$work/initdb.log"
    "${as_nobody[@]}" "$pgbin/postgres" -D "$work/pg/$1" -p "$1" -k "$work/pg" -c listen_addresses=127.0.0.1 -c fsync=off > "$work/postgres-$1.log" 2>&1 &
    servers+=($!)
    for _ in $(seq 100); do
        if sql "$1" postgres 'SELECT 1' > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "the server on $1 does not start: $(cat "$work/postgres-$1.log")"
}
sql() { # PORT DATABASE STATEMENT
    PGPASSWORD='correct horse' psql -X -At -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$1" -U postgres -d "$2" -c "$3"
}
# The definitions as pg_dump sees them, and the rows in one order: a restore loads them in parallel.
text() { # PORT
    PGPASSWORD='correct horse' pg_dump --schema-only -h 127.0.0.1 -p "$1" -U postgres shop | grep -v '^.\(un\)\?restrict '
    sql "$1" shop 'SELECT * FROM orders ORDER BY id'
}
postgres 26393
postgres 26394
sql 26393 postgres 'CREATE DATABASE shop' > /dev/null
sql 26393 shop "CREATE TABLE orders (id int PRIMARY KEY, what text, at timestamptz DEFAULT now());
    INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 50000) n; CREATE VIEW late AS SELECT * FROM orders WHERE id > 100" > /dev/null
cat > "$work/conf/postgres.yaml" <<YAML
encryption: { recipients: [$(age-keygen -y "$work/conf/key.txt")], identity: { file: /etc/chupacabra/key.txt } }
stores: { nas: { local: { path: /mnt/backup/postgres } } }
sources: { shop: { postgres: { host: 127.0.0.1, port: 26393, user: postgres, password: { env: PASSWORD }, databases: [shop] } } }
YAML
over_postgres=(--network host "${mounts[@]}" --env CHUPACABRA_CONFIG=/etc/chupacabra/postgres.yaml --env "PASSWORD=correct horse" "$image")
run "${over_postgres[@]}" backup
run "${over_postgres[@]}" restore shop --into "postgres://postgres:correct%20horse@127.0.0.1:26394/shop"
cmp <(text 26393) <(text 26394) || fail "pg_dump sees another database than the source"
# The negative control: pg_dump would see one row.
sql 26394 shop "UPDATE orders SET what = '' WHERE id = 7" > /dev/null
if cmp -s <(text 26393) <(text 26394); then fail "the comparison sees nothing"; fi
rm -rf "$work/store/postgres"

step "SIGTERM in mid-upload leaves no record, and the exit code says so"
rm -rf "${work:?}/store/store"
sed -i 's|path: /mnt/backup/store } }|path: /mnt/backup/store }, limits: { upload: 2MiB/s } }|' "$work/conf/config.yaml"
id=$("${podman[@]}" run --detach "${restricted[@]}" --network none "${mounts[@]}" "$image" backup)
uploading() { [ -n "$(find "$work/store" -type f -size +1M 2> /dev/null | head -1)" ]; }
for _ in $(seq 100); do
    if uploading; then break; fi
    sleep 0.1
done
uploading || fail "the upload does not begin: there is nothing to stop"
"${podman[@]}" stop --time 30 "$id" > /dev/null
code=$("${podman[@]}" inspect --format '{{.State.ExitCode}}' "$id")
"${podman[@]}" rm "$id" > /dev/null
[ "$code" = 143 ] || fail "exit code $code, 143 was expected"
left=$(find "$work/store" -name '*.json' | wc -l)
[ "$left" = 0 ] || fail "there is a record of a backup that was stopped"
if uploading; then fail "the upload was not aborted: $(find "$work/store" -type f)"; fi

step "the chart's own pod, with its ConfigMap, by podman kube play"
sed -i 's|, limits: { upload: 2MiB/s }||' "$work/conf/config.yaml"
printf 'config: |\n' > "$work/values.yaml"
# Without the private key: pods that make backups have none.
sed 's/^/  /; s/, identity: {[^}]*}//' "$work/conf/config.yaml" >> "$work/values.yaml"
cat >> "$work/values.yaml" <<YAML
image: { repository: localhost/chupacabra, tag: test, pullPolicy: Never }
volumes:
  - { name: web, claim: web, path: /data/web }
  - { name: nas, claim: nas, path: /mnt/backup, readOnly: false }
YAML
helm4 template shop deploy/chart --kube-version 1.33 --values "$work/values.yaml" > "$work/all.yaml"
cat > "$work/pod.py" <<'PYTHON'
import sys, yaml
documents = [one for one in yaml.safe_load_all(open(sys.argv[1])) if one]
config = next(one for one in documents if one["kind"] == "ConfigMap")
job = next(one for one in documents if one["kind"] == "CronJob" and one["metadata"]["name"].endswith("-nightly"))
spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
# The claims' contents on this machine; all else is as rendered.
for volume in spec["volumes"]:
    claim = volume.pop("persistentVolumeClaim", None)
    if claim:
        path = {"web": "/data", "nas": "/store"}[claim["claimName"]]
        volume["hostPath"] = {"path": sys.argv[2] + path, "type": "Directory"}
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shop"}, "spec": spec}
print(yaml.safe_dump_all([config, pod]))
PYTHON
"$venv/bin/python" "$work/pod.py" "$work/all.yaml" "$work" > "$work/pod.yaml"
"${podman[@]}" kube play --network none "$work/pod.yaml" > "$work/play.log" 2>&1 || { cat "$work/play.log"; fail "kube play"; }
code=$("${podman[@]}" wait shop-chupacabra)
"${podman[@]}" logs shop-chupacabra 2>&1 | tail -3
[ "$code" = 0 ] || fail "the pod ended with $code"
[ "$(find "$work/store" -name '*.json' | wc -l)" = 1 ] || fail "the pod made no backup"
"${podman[@]}" kube down "$work/pod.yaml" > /dev/null 2>&1

step "a pod whose password comes from a Secret"
rm -rf "${work:?}/store/store"
printf 'config: |\n' > "$work/values.yaml"
sed 's/^/  /; s/, identity: {[^}]*}//' "$work/conf/postgres.yaml" >> "$work/values.yaml"
cat >> "$work/values.yaml" <<YAML
image: { repository: localhost/chupacabra, tag: test, pullPolicy: Never }
secrets:
  env: [{ name: PASSWORD, secret: shop-postgres, key: password }]
volumes:
  - { name: nas, claim: nas, path: /mnt/backup, readOnly: false }
YAML
helm4 template shop deploy/chart --kube-version 1.33 --values "$work/values.yaml" > "$work/all.yaml"
"$venv/bin/python" "$work/pod.py" "$work/all.yaml" "$work" > "$work/pod.yaml"
secret() { # PASSWORD; podman 4 keeps a Secret as the JSON of its keys
    printf '{"password": "%s"}' "$(printf %s "$1" | base64)" | "${podman[@]}" secret create shop-postgres - > /dev/null
}
secret 'correct horse'
"${podman[@]}" kube play --network host "$work/pod.yaml" > "$work/play.log" 2>&1 || { cat "$work/play.log"; fail "kube play"; }
code=$("${podman[@]}" wait shop-chupacabra)
"${podman[@]}" logs shop-chupacabra > "$work/pod.log" 2>&1
tail -3 "$work/pod.log"
[ "$code" = 0 ] || fail "the pod ended with $code"
if grep -q 'correct horse' "$work/pod.log"; then fail "the password is in the log"; fi
"${podman[@]}" kube down "$work/pod.yaml" > /dev/null 2>&1
# The negative control: with another Secret there is no backup, and the pod says why.
"${podman[@]}" secret rm --all > /dev/null
secret wrong
"${podman[@]}" kube play --network host "$work/pod.yaml" > "$work/play.log" 2>&1 || { cat "$work/play.log"; fail "kube play"; }
code=$("${podman[@]}" wait shop-chupacabra)
[ "$code" = 4 ] || fail "with a wrong password the pod ended with $code"
"${podman[@]}" logs shop-chupacabra 2>&1 | grep -i password | tail -1
kill "${servers[@]}" 2> /dev/null || true
printf '\nthe image passed\n'
