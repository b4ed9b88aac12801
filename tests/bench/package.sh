#!/usr/bin/env bash
# The package alone: the compressor against the whole sealing pipeline and opening, as MB/s and CPU seconds, per level.
#   tests/bench/package.sh [MEBIBYTES] [cargo arguments, for example --features isal]
# The CPU seconds hold loading the input too; compare `seal` with `compress` of the same level.
set -euo pipefail
cd "$(dirname "$0")/../.."
size=${1:-512}; shift || true
mix=$(mktemp -d); trap 'rm -rf "$mix"' EXIT
python3 tests/bench/mix.py "$mix" "$size"
cargo build --release --locked --example bench_package "$@"
export TIMEFORMAT='%U + %S CPU seconds'
for level in 1 2 3; do
    for what in compress seal open; do
        echo "level $level: $what"
        time target/release/examples/bench_package "$mix" "$level" "$(nproc)" "$what"
    done
done
