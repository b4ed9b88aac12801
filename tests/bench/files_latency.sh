#!/usr/bin/env bash
# Backs up 20,000 small files while every system call that an NFS client sends over the wire takes 5 ms longer, with
# this program and with GNU tar, and prints the ratio. The delay is injected with strace into both alike.
# Usage: tests/bench/files_latency.sh CHUPACABRA [FILES]
set -euo pipefail
program=$1 files=${2:-20000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 - "$dir/tree" "$files" <<'PY'
import os, sys
root, files = sys.argv[1], int(sys.argv[2])
for i in range(files):
    parent = f"{root}/{i // 1000}/{i // 50 % 20}"
    os.makedirs(parent, exist_ok=True)
    with open(f"{parent}/{i}", "wb") as file:
        file.write(b"line of a small file\n" * (i % 200))
PY
"$program" keygen --output "$dir/key.txt" >"$dir/keygen.log" 2>&1
cat >"$dir/config.yaml" <<YAML
encryption: { recipients: [ "$(sed -n 's/^# public key: //p' "$dir/key.txt")" ] }
stores: { here: { local: { path: "$dir/store" } } }
sources: { tree: { files: { path: "$dir/tree" } } }
YAML
mkdir "$dir/store"
calls=openat,newfstatat,fstat,statx,read,pread64,getdents64,listxattr,llistxattr,flistxattr,readlinkat
slow() { strace -f --seccomp-bpf -qq -o /dev/null -e trace=$calls -e "inject=$calls:delay_exit=5000" "$@"; }
seconds() { local start=$EPOCHREALTIME; "$@" >"$dir/run.log" 2>&1 || { cat "$dir/run.log" >&2; exit 1; }; echo "$EPOCHREALTIME - $start" | bc -l; }
ours=$(seconds slow "$program" backup --config "$dir/config.yaml")
tar=$(seconds slow tar --xattrs --acls -cf "$dir/tree.tar" -C "$dir/tree" .)
printf '%s files, 5 ms per call: this program %.1f s, GNU tar %.1f s, ratio %.1f (target: 5)\n' \
    "$files" "$ours" "$tar" "$(echo "$tar / $ours" | bc -l)"
