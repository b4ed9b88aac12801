"""Makes a tree with everything that a backup of files must bring back."""

import os
import sys

root = os.fsencode(sys.argv[1])
os.makedirs(root, exist_ok=True)
os.chdir(root)


def put(path, content=b"", mode=0o644):
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


put("empty")
put("text", b"hello\n")
put("set-uid", b"#!/bin/sh\n", 0o4755)
put("set-gid", b"x", 0o2711)
put("no-rights", b"secret", 0o000)
put("owned", b"x")
os.chown("owned", 1234, 4_000_000_000)
put("big", os.urandom(3_000_001))
put(b"not-utf8-\xff\xfe\x80", b"x")
put("newline\nin name", b"x")
put(" spaces and 'quotes' \"\\", b"x")
put("ünïcödé", b"x")
put("-rf", b"x")
put("n" * 255, b"x")
os.mkdir("empty-dir")
os.mkdir("sticky")
os.chmod("sticky", 0o1777)
os.mkdir("set-gid-dir")
os.chmod("set-gid-dir", 0o2775)
put("set-gid-dir/child", b"x")

# Long, and on demand longer than any path that a system call takes: GNU tar can neither write nor extract those.
back = os.open(".", os.O_RDONLY)
for depth in range(24 if "--beyond-path-max" in sys.argv else 18):
    name = chr(97 + depth) * 200
    os.mkdir(name)
    os.chdir(name)
put("at the end", b"deep")
os.fchdir(back)

# Links.
os.mkdir("links")
put("links/first", b"linked" * 1000)
os.link("links/first", "links/second")
os.link("links/first", "other-name")
os.symlink("text", "links/relative")
os.symlink("/etc/passwd", "links/absolute")
os.symlink("x/" * 2000 + "y", "links/long")
os.symlink(b"\xff\xfe", "links/not-utf8")
os.symlink("nowhere", "links/dangling")
os.link("links/dangling", "links/hard-link-to-symlink", follow_symlinks=False)
os.symlink("../empty-dir", "links/directory")

# Holes: in front, between, behind; nothing but a hole; a small one.
with open("sparse", "wb") as file:
    file.seek(5 << 20)
    file.write(os.urandom(100_000))
    file.seek(20 << 20)
    file.write(os.urandom(8192))
    file.truncate(64 << 20)
with open("all-hole", "wb") as file:
    file.truncate(10 << 20)
with open("many-holes", "wb") as file:
    for part in range(300):
        file.seek(part * 65536)
        file.write(os.urandom(4096))
with open("huge-hole", "wb") as file:
    file.truncate(9 << 30)
    file.seek(9 << 30)
    file.write(b"the end")

# Attributes and ACLs.
put("attributes", b"x")
os.setxattr("attributes", "user.text", b"value")
os.setxattr("attributes", "user.binary", bytes(range(256)))
os.setxattr("attributes", "user.empty", b"")
os.setxattr("attributes", "user.with=equals\nand newline", b"=\n=")
os.mkdir("attributed-dir")
os.setxattr("attributed-dir", "user.dir", b"value")
if os.geteuid() == 0:
    os.setxattr("attributes", "trusted.t", b"trusted")
    # cap_net_bind_service+ep, as the kernel stores it.
    os.setxattr("attributes", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    os.mknod("null", 0o20666, os.makedev(1, 3))
    os.mknod("block", 0o60660, os.makedev(7, 200))
os.mkfifo("fifo", 0o640)
os.link("fifo", "links/fifo")

os.mkdir("read-only")
put("read-only/file", b"x", 0o444)
os.mkdir("read-only/below")
put("read-only/below/file", b"x", 0o400)

# Times with nanoseconds, before 1970 and after 2038; inner ones first, they move the outer.
os.utime("text", ns=(0, 1_234_567_890_123_456_789))
os.utime("empty", ns=(0, -1_500_000_000))
os.utime("owned", ns=(0, 5_000_000_000_000_000_001))
os.utime("links/relative", ns=(0, 987_654_321), follow_symlinks=False)
os.utime("fifo", ns=(0, 1_111_111_111_111_111_111))
os.utime("read-only/below", ns=(0, 222_222_222_222_222_222))
os.chmod("read-only/below", 0o555)
os.chmod("read-only", 0o555)
os.utime("read-only", ns=(0, 333_333_333_333_333_333))
os.utime("empty-dir", ns=(0, 1))
os.chmod(".", 0o750)
os.utime(".", ns=(0, 444_444_444_444_444_444))
