#!/usr/bin/env bash
# An old S3-compatible service: Ceph's RADOS Gateway from Debian, with the quirks that many clouds still have
# (conditions ignored when an upload is completed, no streaming checksums, no storage classes). Starts a cluster of one
# monitor and one in-memory OSD on loopback, backs a tree up with the program, lets rclone read it, restores, compares.
# Then the contract of all stores is run over it.
#
#   ./tests/run --ring legacy-s3        installs Ceph's packages and runs this; a few minutes
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo build --locked --quiet
program=$PWD/target/debug/chupacabra

work=$(mktemp -d)
pids=()
clean() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
fsid=$(cat /proc/sys/kernel/random/uuid)
mon_port=26789 rgw_port=27480
cat >"$work/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v1:127.0.0.1:$mon_port
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
mon allow pool size one = true
osd crush chooseleaf type = 0
run dir = $work
log file = $work/\$name.log
admin socket = $work/\$name.asok
mon warn on pool no redundancy = false
ms bind msgr2 = false
[mon.a]
mon data = $work/mon
[osd.0]
osd objectstore = memstore
memstore device bytes = 1073741824
osd data = $work/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$rgw_port
rgw data = $work/rgw
CONF
mkdir "$work"/{osd,rgw,tree,out}
monmaptool --create --clobber --addv a "[v1:127.0.0.1:$mon_port]" --fsid "$fsid" "$work/monmap" >/dev/null
ceph-mon -c "$work/ceph.conf" --mkfs -i a --monmap "$work/monmap"
ceph-mon -c "$work/ceph.conf" -i a -f >"$work/mon.out" 2>&1 & pids+=($!)
# The monitor refuses an OSD of another id than the one it was told of.
osd=$(cat /proc/sys/kernel/random/uuid)
timeout 60 ceph -c "$work/ceph.conf" osd new "$osd" >/dev/null
ceph-osd -c "$work/ceph.conf" -i 0 --mkfs --osd-uuid "$osd"
# An OSD that tells the monitor about itself before it has learnt the cluster's id is refused, and ends.
for _ in {1..20}; do
    ceph-osd -c "$work/ceph.conf" -i 0 -f >>"$work/osd.out" 2>&1 & started=$!
    sleep 3
    ! kill -0 "$started" 2>/dev/null || break
done
pids+=("$started")
radosgw -c "$work/ceph.conf" -n client.rgw -f >"$work/rgw.out" 2>&1 & pids+=($!)
until curl -sf -m 1 "http://127.0.0.1:$rgw_port" >/dev/null; do
    [ $SECONDS -lt 120 ] || { tail -n 20 "$work"/*.out "$work"/*.log >&2; echo "no gateway after two minutes" >&2; exit 1; }
    sleep 0.2
done
timeout 60 radosgw-admin -c "$work/ceph.conf" user create --uid backup --display-name backup \
    --access-key AKLEGACY --secret-key SKLEGACY12345 >/dev/null

export AWS_ACCESS_KEY_ID=AKLEGACY AWS_SECRET_ACCESS_KEY=SKLEGACY12345 RCLONE_CONFIG=/dev/null
remote=":s3,provider=Ceph,env_auth=true,endpoint='http://127.0.0.1:$rgw_port'"
rclone mkdir "$remote:legacy"
head -c 40000000 /dev/urandom >"$work/tree/noise"
echo hello >"$work/tree/hello"
age-keygen -o "$work/key.txt" 2>/dev/null
cat >"$work/config.yaml" <<CONF
encryption: { recipients: [$(age-keygen -y "$work/key.txt")], identity: { file: $work/key.txt } }
stores: { legacy: { s3: { provider: ceph, bucket: legacy, endpoint: "http://127.0.0.1:$rgw_port" } } }
sources: { tree: { files: { path: $work/tree } } }
CONF
run="$program --config $work/config.yaml"
$run check
$run backup
$run verify
package=$(rclone lsf -R --files-only "$remote:legacy" | grep 'tar.gz.age$')
rclone cat "$remote:legacy/$package" | age -d -i "$work/key.txt" | tar xzC "$work/out"
diff -r "$work/tree" "$work/out"
$run restore tree --into "$work/restored"
diff -r "$work/tree" "$work/restored"
echo "legacy-s3: what was backed up to Ceph came back"
CHUPACABRA_LEGACY_S3=http://127.0.0.1:$rgw_port cargo test --locked --test s3 -- --ignored legacy --test-threads 2
