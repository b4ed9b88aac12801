#!/usr/bin/env bash
# Throughput, memory, requests and quota units of uploads to Google Drive's API on loopback, with chunks of 16 MiB.
#
#   tests/bench/drive.sh [MIB] [ROUNDS]        default: 2048 MiB, 5 rounds, medians
#
# The server is that of the tests; it keeps sizes and digests only. Measured are the store alone (256 KiB pieces in, a
# compared file out) and the whole program, which also reads, compresses and encrypts. The server runs on the same
# cores. Needs age and GNU time; builds what it runs. CHUPACABRA names another program than target/release/chupacabra.
set -euo pipefail
cd "$(dirname "$0")/../.."

mib=${1:-2048}
rounds=${2:-5}
program=${CHUPACABRA:-target/release/chupacabra}
cargo build --release --locked --quiet --example bench_drive
bench=target/release/examples/bench_drive
[ -x "$program" ] || cargo build --release --locked --quiet

work=$(mktemp -d)
export BENCH_ID=client BENCH_SECRET=secret BENCH_TOKEN=token
coproc server { exec "$bench" serve; }
trap 'kill "$server_PID" 2>/dev/null || true; rm -rf "$work"' EXIT
read -r root <&"${server[0]}"
asked() { echo >&"${server[1]}"; read -r line <&"${server[0]}"; echo "$line"; }

mkdir "$work/tree"
head -c "${mib}M" /dev/urandom >"$work/tree/data"
age-keygen -o "$work/key.txt" 2>/dev/null
cat >"$work/config.yaml" <<CONF
encryption: { recipients: [$(age-keygen -y "$work/key.txt")] }
stores:
  drive:
    google_drive:
      endpoint: "$root"
      chunk_size: 16MiB
      oauth: { client_id: { env: BENCH_ID }, client_secret: { env: BENCH_SECRET }, refresh_token: { env: BENCH_TOKEN } }
sources: { data: { files: { path: $work/tree } } }
CONF

# measure NAME COMMAND: the command in every round; medians of MB/s, the highest peak of memory.
measure() {
    local name=$1 speeds=() memory=0 start end peak cpu system requests=""
    shift
    for _ in $(seq "$rounds"); do
        start=$(date +%s%N)
        /usr/bin/time -f '%M %U %S' -o "$work/peak" "$@" >"$work/out" 2>"$work/error" || { cat "$work/error" >&2; exit 1; }
        end=$(date +%s%N)
        speeds+=($((mib * 1048576 * 1000 / (end - start))))
        read -r peak cpu system < <(tail -n 1 "$work/peak")
        cpu=$(awk -v a="$cpu" -v b="$system" -v mib="$mib" 'BEGIN { printf "%.1f", (a + b) * 1e9 / mib / 1048576 }')
        [ "$peak" -gt "$memory" ] && memory=$peak
        requests=$(asked)
    done
    printf '%-28s %5d MB/s   %s CPU-s/GB   %4d MiB peak   %s for %d MiB\n' "$name" \
        "$(printf '%s\n' "${speeds[@]}" | sort -n | sed -n "$(((rounds + 1) / 2))p")" "$cpu" $((memory / 1024)) "$requests" "$mib"
}

measure "the store alone" "$bench" upload "$root" "$mib" 16
measure "chupacabra backup" "$program" --config "$work/config.yaml" backup
