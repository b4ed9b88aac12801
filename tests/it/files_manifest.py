"""Prints what a tree is, independently of the program under test: one sorted line per entry."""

import hashlib
import os
import stat
import sys


def segments(path, size):
    """The data segments of a file as the file system knows them."""
    found, at = [], 0
    with open(path, "rb") as file:
        while at < size:
            try:
                start = file.seek(at, os.SEEK_DATA)
            except OSError:
                break
            at = file.seek(start, os.SEEK_HOLE)
            found.append((start, at))
    return found


def describe(path, first_names, root, holes):
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    fields = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns]
    attributes = sorted(os.listxattr(path, follow_symlinks=False))
    fields.append([(name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in attributes])
    if kind == stat.S_IFREG:
        # Holes read as zeros: what is in the segments, and where they are, is the content.
        data = segments(path, info.st_size) if holes else [(0, info.st_size)]
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            for start, end in data:
                file.seek(start)
                while start < end and (piece := file.read(min(1 << 20, end - start))):
                    digest.update(piece)
                    start += len(piece)
        fields += [info.st_size, digest.hexdigest(), data]
    elif kind == stat.S_IFLNK:
        fields.append(os.readlink(path))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        fields.append(info.st_rdev)
    if kind != stat.S_IFDIR and info.st_nlink > 1:
        name = os.path.relpath(path, root)
        fields.append(first_names.setdefault((info.st_dev, info.st_ino), name))
    return fields


def main():
    # Directories are entered by chdir, so that no path is ever too long.
    root, holes = os.fsencode(sys.argv[1]), "--no-holes" not in sys.argv
    lines, first_names = [], {}

    def walk(shown):
        for name in sorted(os.listdir(b".")):
            info = os.lstat(name)
            here = os.path.join(shown, name)
            links = {}
            fields = describe(name, links, b".", holes)
            if links:
                fields[-1] = first_names.setdefault((info.st_dev, info.st_ino), here)
            lines.append((here, fields))
            if stat.S_ISDIR(info.st_mode):
                back = os.open(b".", os.O_RDONLY)
                os.chdir(name)
                walk(here)
                os.fchdir(back)
                os.close(back)

    os.chdir(root)
    lines.append((b".", describe(b".", {}, b".", holes)))
    walk(b"")
    for path, fields in sorted(lines):
        print(repr(path), *fields)


sys.setrecursionlimit(10_000)
main()
