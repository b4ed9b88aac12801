#!/usr/bin/env bash
# Brings the regression tests of the installed postgresql-15 from its Debian source package, builds their library, and
# prints the directory. Kept outside of the project; a second run finds it there.
#
#   export CHUPACABRA_REGRESS=$(tests/postgres_regression/prepare.sh)
#
# Needs postgresql-server-dev-15, gcc and dpkg-dev. The place to download from is the one that the installed package
# came from: whatever apt is configured with is asked for sources too, for this one download only.
set -euo pipefail

version=$(dpkg-query -W -f='${Version}' postgresql-15)
place=${CHUPACABRA_REGRESS_CACHE:-${XDG_CACHE_HOME:-/var/tmp}/chupacabra-regress}/$version
regress=$place/regress
if [ -e "$regress/regress.so" ]; then
    echo "$regress"
    exit 0
fi
mkdir -p "$place"
lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
mkdir -p "$lists/parts" "$lists/lists/partial"

# Which repositories have the package, from apt's own tables.
find_repositories() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(FILENAME)' 'Created-By: Packages' |
        while read -r uri suite component file; do
            if /usr/lib/apt/apt-helper cat-file "$file" 2>/dev/null | grep -cx 'Package: postgresql-15' >/dev/null; then
                echo "deb-src [SIGNED] $uri $suite $component"
            fi
        done >"$lists/found"
}
find_repositories
if [ ! -s "$lists/found" ]; then
    # Packages are installed, but apt's tables are not at hand: images are often shipped without them.
    apt-get -qq update >&2
    find_repositories
fi
[ -s "$lists/found" ] || { echo "no repository of apt has postgresql-15" >&2; exit 1; }
keyrings=$(sed -nE 's/^Signed-By: *(\/[^ ]+)$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | sort -u | paste -sd, -)
sed "s#\[SIGNED\] #${keyrings:+[signed-by=$keyrings] }#" "$lists/found" >"$lists/sources.list"

apt=(-o Dir::Etc::sourcelist="$lists/sources.list" -o Dir::Etc::sourceparts="$lists/parts"
    -o Dir::State::lists="$lists/lists" -o APT::Sandbox::User=root -o Acquire::Languages=none -qq)
apt-get "${apt[@]}" update >&2
cd "$place"
rm -rf source
# The installed version's sources if they can be had, else the newest of the same major version: what its tests leave
# in the database is what counts, and that does not change within one.
sources=$(apt-cache "${apt[@]}" showsrc --only-source postgresql-15 | sed -n 's/^Version: //p' | sort -Vr)
for candidate in "$version" $sources; do
    rm -f ./*.orig.tar* ./*.debian.tar* ./*.dsc
    if apt-get "${apt[@]}" source --download-only "postgresql-15=$candidate" >&2; then
        break
    fi
done
dpkg-source --no-check --extract ./*.dsc source >&2
rm -f ./*.orig.tar* ./*.debian.tar* ./*.dsc
cd source/src/test/regress
gcc -O1 -fPIC -shared -o regress.so.new regress.c -I"$(/usr/lib/postgresql/15/bin/pg_config --includedir-server)" -I../../../contrib/spi
mv regress.so.new regress.so
cd "$place"
chmod -R a+rX source/src/test/regress
mv source/src/test/regress regress
rm -rf source
echo "$regress"
