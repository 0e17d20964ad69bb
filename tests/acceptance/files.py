#!/usr/bin/env python3
"""A large real tree, and a small one of everything a file system can hold: backed up, read again, restored, compared.

usage: files.py [TREE]      TREE has at least 50,000 files (default: /usr); run it as root, so that owners come back
"""

import os
import socket
import sys

from harness import MEMORY_MAX, Room, Score, difference, files_set, megabytes, say

FILES_MIN = 50_000
STORED_MAX = 10_000


def main():
    tree = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else "/usr")
    score = Score("files")
    score.check("runs as root", os.geteuid() == 0)
    with Room("files") as room:
        large(room, score, tree)
    with Room("odd") as room:
        odd(room, score)
    score.close()


def count(tree):
    """Regular files below a folder."""
    return sum(len(names) for _, _, names in os.walk(tree))


def large(room, score, tree):
    """The large tree: restored equal, the second run reads nothing, memory stays bounded."""
    files = count(tree)
    score.check(f"{tree} has at least {FILES_MIN} files", files >= FILES_MIN, files)
    room.configure(files_set([tree]))
    room.must("init")
    cycle(room, score, tree, "large")
    check = room.larder("check", "--read-data", "--json")
    score.check("check --read-data is clean", check.code == 0, check.summary or check.said)
    memory(score, "check --read-data", check)


def cycle(room, score, tree, name):
    """Back up twice, restore, compare."""
    first = room.larder("run", "--all", "--json")
    summary = first.summary
    score.check(
        f"{name}: first run",
        first.code == 0,
        f"{summary.get('items')} items, {megabytes(summary.get('read_bytes', 0))} read,"
        f" {megabytes(summary.get('stored_bytes', 0))} stored, {first.seconds:.1f} s"
        if first.code == 0
        else f"exit {first.code}: {first.said[-1000:]}",
    )
    memory(score, "first run", first)
    second = room.larder("run", "--all", "--json")
    summary = second.summary
    score.check(f"{name}: second run", second.code == 0, f"{second.seconds:.1f} s")
    read = (summary.get("read_items"), summary.get("read_bytes"))
    score.check(f"{name}: second run reads no file", read == (0, 0), read)
    stored = summary.get("stored_bytes", STORED_MAX)
    score.check(f"{name}: second run stores under {STORED_MAX} B", stored < STORED_MAX, f"{stored} B")
    memory(score, "second run", second)
    restored = room.join("restored")
    restore = room.larder("restore", "latest", "--set", "home", "--to", restored, "--json")
    score.check(
        f"{name}: restore",
        restore.code == 0 and not restore.summary.get("failed"),
        f"{restore.seconds:.1f} s, exit {restore.code}, {str(restore.summary or restore.said)[:600]}",
    )
    memory(score, "restore", restore)
    lines = difference(tree, os.path.join(restored, tree.lstrip("/")))
    score.check(f"{name}: rsync finds no difference", not lines, f"{len(lines)} lines {lines[:8]}")


def memory(score, what, ended):
    """Peak memory of one command."""
    score.check(f"{what}: peak memory", ended.peak < MEMORY_MAX, megabytes(ended.peak))


def odd(room, score):
    """Everything a file system can hold."""
    tree = room.join("tree")
    make_odd(tree)
    room.configure(files_set([tree]))
    room.must("init")
    cycle(room, score, tree, "odd")
    restored = os.path.join(room.join("restored"), tree.lstrip("/"))
    sparse = os.stat(os.path.join(restored, "sparse")).st_blocks * 512
    score.check("odd: the sparse file is sparse", sparse < 2 << 20, f"{sparse} B on disk of {64 << 20}")
    same = os.stat(os.path.join(restored, "first")).st_ino == os.stat(os.path.join(restored, "deep/second")).st_ino
    score.check("odd: hard links are hard links", same)
    with open(os.path.join(tree, "first"), "ab") as file:
        file.write(b" and more")
    os.rename(os.path.join(tree, "empty"), os.path.join(tree, "renamed"))
    again = room.must("run", "--all", "--json")
    say(f"  after a change: {again.summary['read_items']} items read, {again.summary['deleted']} deleted")
    other = room.join("again")
    room.must("restore", "latest", "--set", "home", "--to", other)
    lines = difference(tree, os.path.join(other, tree.lstrip("/")))
    score.check("odd: rsync finds no difference after a change", not lines, lines[:8])
    earlier = room.must("snapshots", "--json").of("snapshot")[0]["id"]
    first = room.must("cat", f"{earlier}:{tree}/first").out
    score.check("odd: the first snapshot still has the first content", first == b"linked twice", first)


def make_odd(tree):
    """Hard links, a hole, links that lead nowhere, special files, names of any bytes, odd modes and times."""
    os.makedirs(os.path.join(tree, "deep", "er"))
    os.makedirs(os.path.join(tree, "empty folder"))
    inside = lambda name: os.path.join(os.fsencode(tree), name if isinstance(name, bytes) else os.fsencode(name))
    contents = {
        "first": b"linked twice",
        "empty": b"",
        "n" * 255: b"long name",
        b"not \xff\xfe utf-8": b"latin",
        b"line\nbreak \x1b[31m": b"control characters",
        "größe 日本語 🗄": b"unicode",
        " leading and trailing ": b"blanks",
        "back\\slash": b"x",
        "setuid": b"#!/bin/true\n",
        "secret": b"for nobody",
        "old": b"from 1970",
        "owned": b"by another",
    }
    for name, content in contents.items():
        with open(inside(name), "wb") as file:
            file.write(content)
    os.link(inside("first"), inside("deep/second"))
    os.link(inside("first"), inside("deep/er/third"))
    with open(inside("sparse"), "wb") as file:
        file.truncate(64 << 20)
        file.seek(40 << 20)
        file.write(b"an island")
    with open(inside("repeated"), "wb") as file:
        file.write(b"\0" * (5 << 20) + b"the same again " * 500_000)
    os.symlink("first", inside("link"))
    os.symlink("/nowhere/at/all", inside("dangling"))
    os.symlink("..", inside("deep/up"))
    os.symlink(b"target \xff", inside("link to bytes"))
    os.mkfifo(inside("fifo"))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tree)
        listener.bind("socket")
        os.chdir("/")
    os.chmod(inside("setuid"), 0o4755)
    os.chmod(inside("secret"), 0)
    os.chmod(inside("deep"), 0o1777)
    deepest = inside("deep/er") + b"/" + b"/".join([b"d" * 100] * 12)
    os.makedirs(deepest)
    if os.geteuid() == 0:
        os.chown(inside("owned"), 12345, 23456)
        os.lchown(inside("link"), 1, 2)
        os.mknod(inside("device"), 0o020644, os.makedev(1, 3))
    os.utime(inside("old"), ns=(1, 1))
    os.utime(inside("owned"), ns=(1_500_000_000_123_456_789, 1_400_000_000_987_654_321))
    os.utime(inside("link"), ns=(10**18, 10**18 + 7), follow_symlinks=False)
    os.utime(inside("empty folder"), ns=(10**18, 10**18 + 1))


if __name__ == "__main__":
    main()
