#!/usr/bin/env bash
# Peak memory of one stream into two S3 stores at once, with the default settings.
#
#   tests/bench/s3_memory.sh [GB]        default: 20 GB, which SeaweedFS keeps on the disk
#
# The first store is SeaweedFS, the second a service that counts and forgets. The stream does not compress: the same
# GB of noise, mounted as often as it takes, so that the disk holds it once. Needs root (bind mounts), weed, rclone,
# age, GNU time. Prints the memory every ten seconds and the peak. CHUPACABRA names another program.
set -euo pipefail
cd "$(dirname "$0")/../.."

gb=${1:-20}
program=${CHUPACABRA:-target/release/chupacabra}
[ -x "$program" ] || { echo "no $program: run \`cargo build --release\` first, or set CHUPACABRA" >&2; exit 2; }

work=$(mktemp -d)
export AWS_ACCESS_KEY_ID=AKBENCH AWS_SECRET_ACCESS_KEY=SKBENCH12345 AWS_DEFAULT_REGION=us-east-1
port=25433
weed mini -dir="$work" -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port=$port -master.port=$((port + 1)) \
    -volume.port=$((port + 2)) -filer.port=$((port + 3)) -admin.port=$((port + 4)) -admin.ui=false -webdav=false \
    -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 -bucket=one >"$work/weed.log" 2>&1 &
pids=($!)
python3 tests/bench/discard_s3.py $((port + 5)) >"$work/discarded" 2>&1 &
pids+=($!)
clean() {
    umount "$work"/tree/* 2>/dev/null || true
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
until curl -sf -m 2 "http://127.0.0.1:$((port + 1))/dir/assign" | grep -q fid; do sleep 0.2; done

mkdir "$work/noise"
head -c 1000000000 /dev/urandom >"$work/noise/data"
for at in $(seq "$gb"); do
    mkdir -p "$work/tree/$at"
    mount --bind "$work/noise" "$work/tree/$at"
done
age-keygen -o "$work/key.txt" 2>/dev/null
cat >"$work/config.yaml" <<CONF
encryption: { recipients: [$(age-keygen -y "$work/key.txt")] }
stores:
  one: { s3: { provider: seaweedfs, bucket: one, endpoint: "http://127.0.0.1:$port" } }
  two: { s3: { provider: other, bucket: two, endpoint: "http://127.0.0.1:$((port + 5))" } }
sources: { data: { files: { path: $work/tree } } }
CONF
"$program" --config "$work/config.yaml" backup >"$work/out" 2>"$work/error" & running=$!
status=/proc/$running/status
while sleep 10 && [ -e "$status" ]; do
    awk -v at=$SECONDS '/VmHWM|VmRSS/ { printf "%s %d MiB  ", $1, $2 / 1024 } END { print "after", at, "s" }' "$status" || true
    grep VmHWM "$status" >"$work/peak" || true
done
wait "$running" || { cat "$work/error" >&2; exit 1; }
cat "$work/out"
grep -h complete "$work/discarded"
awk -v gb="$gb" '{ printf "peak %d MiB for %d GB into two stores\n", $2 / 1024, gb }' "$work/peak"
