#!/usr/bin/env bash
# How much of a package is read to restore one small file from it: counted by strace, against the package's size.
#   tests/bench/seek.sh [CHUPACABRA] [GIBIBYTES]      target: less than 0.1 % of the package, plus the index
set -euo pipefail
program=${1:-target/release/chupacabra} size=${2:-3}
program=$(realpath "$program")
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tree"
for part in $(seq -w $((size * 4))); do head -c 256M /dev/urandom > "$dir/tree/noise-$part"; done
mkdir "$dir/tree/middle"; echo "a small file" > "$dir/tree/middle/small"
"$program" keygen --output "$dir/key.txt" > /dev/null 2>&1
cat > "$dir/config.yaml" <<YAML
encryption: { recipients: [ "$(sed -n 's/^# public key: //p' "$dir/key.txt")" ], identity: { file: "$dir/key.txt" } }
stores: { here: { local: { path: "$dir/store" } } }
sources: { tree: { files: { path: "$dir/tree" } } }
YAML
"$program" --config "$dir/config.yaml" backup > /dev/null 2> "$dir/log" || { cat "$dir/log"; exit 1; }
package=$(find "$dir/store" -name '*.tar.gz.age') index=$(find "$dir/store" -name '*.index.age')
strace -f -qq -y -e trace=read,pread64,readv,preadv -o "$dir/reads" \
    "$program" --config "$dir/config.yaml" restore tree --only middle/small --into "$dir/out" > /dev/null 2> "$dir/log" \
    || { cat "$dir/log"; exit 1; }
cmp "$dir/tree/middle/small" "$dir/out/middle/small"
sum() { awk -v name="$1" 'index($0, name) { n = $NF; if (n > 0) total += n } END { printf "%d", total }' "$dir/reads"; }
whole=$(stat -c %s "$package") read=$(sum "$package")
printf 'package %d bytes, index %d bytes; read: %d bytes of the package (%.4f %%), %d of the index\n' \
    "$whole" "$(stat -c %s "$index")" "$read" "$(echo "100 * $read / $whole" | bc -l)" "$(sum "$index")"
[ "$read" -gt 0 ] && [ $((read * 1000)) -lt "$whole" ] || { echo "MISSED"; exit 1; }
