#!/usr/bin/env bash
# Backs up 2 million files, half of them in one directory, and prints the peak memory (target: 96 MiB).
# Usage: tests/bench/files_many.sh CHUPACABRA [FILES]
set -euo pipefail
program=$1 files=${2:-2000000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 - "$dir/tree" "$((files / 2))" <<'PY'
import os, sys
root, files = sys.argv[1], int(sys.argv[2])
os.makedirs(f"{root}/one")
os.chdir(f"{root}/one")
for i in range(files):
    os.close(os.open(f"a-file-of-many-{i}", os.O_CREAT | os.O_WRONLY))
for i in range(files):
    parent = f"{root}/tree/{i // 100000}/{i // 100 % 1000}"
    if i % 100 == 0:
        os.makedirs(parent, exist_ok=True)
        os.chdir(parent)
    os.close(os.open(str(i), os.O_CREAT | os.O_WRONLY))
PY
"$program" keygen --output "$dir/key.txt" >"$dir/keygen.log" 2>&1
cat >"$dir/config.yaml" <<YAML
encryption: { recipients: [ "$(sed -n 's/^# public key: //p' "$dir/key.txt")" ] }
stores: { here: { local: { path: "$dir/store" } } }
sources: { tree: { files: { path: "$dir/tree" } } }
YAML
mkdir "$dir/store"
/usr/bin/time -f "$files files: %e s, %U s of user time, peak %M KiB (target: 98304)" \
    "$program" backup --config "$dir/config.yaml"
