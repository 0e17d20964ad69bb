#!/usr/bin/env python3
"""A reader that knows only docs/format.md reads what Larder wrote: snapshots, files, contents, times, also after forget and prune.

Needs blake3, zstandard, argon2-cffi and cryptography for the Python that runs it.
"""

import email.message
import json
import os
import random
import shutil
import subprocess
import sys

from harness import PASSWORD, Room, Score, difference, files_set

READER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reader", "larder_reader.py")
SMALL_FILES = 1500
RUNS = 5
KEEP_LAST = 3


def main():
    score = Score("reader")
    with Room("reader") as room:
        act(score, room, random.Random(1))
    score.close()


def act(score, room, source):
    """Several runs over a changing tree, then forget and prune; then both readers say what is there."""
    tree = room.join("tree")
    make(tree, source)
    room.configure(files_set([tree], more=f"keep = {{ last = {KEEP_LAST} }}"))
    with open(room.join("password"), "w", encoding="utf-8") as file:
        file.write(PASSWORD + "\n")
    room.must("init")
    kept = {}
    for number in range(RUNS):
        if number:
            change(tree, source)
        copy = room.join(f"copy-{number}")
        subprocess.run(["cp", "-a", tree, copy], check=True)
        kept[room.must("run", "home", "--json").summary["snapshot"]] = copy
    room.must("forget", "home")
    pruned = room.must("prune", "--max-waste", "0", "--json").summary
    score.check("prune copied and deleted", pruned["deleted_packs"] > 0 and pruned["copied_bytes"] > 0, pruned)

    listed = [json.loads(line) for line in read(room, "list").stdout.splitlines()]
    ours = room.must("snapshots", "--json").of("snapshot")
    same = {(one["id"], one["set"], one["run"]) for one in listed} == {(one["id"], one["set"], one["run"]) for one in ours}
    score.check("both list the same snapshots", same and len(listed) == KEEP_LAST, [one["run"] for one in listed])
    for one in listed:
        target = room.join("restored")
        ended = read(room, "restore", one["id"][:12], target)
        wrong = difference(kept[one["id"]], target + tree) if ended.returncode == 0 else [ended.stderr]
        score.check(f"run {one['run']} restored by the other reader equals the original", not wrong, wrong[:10])
        shutil.rmtree(target, ignore_errors=True)

    words = [b"a name of many letters", b"ann@contoso.example", b"line 7\nline 7", b"an empty folder"]
    found = [word for word in words if in_the_clear(room.join("repo"), word)]
    score.check("nothing that was backed up stands in the store in the clear", not found, found)

    damage(room)
    ended = read(room, "restore", listed[-1]["id"], room.join("damaged"))
    score.check("a flipped bit is noticed", ended.returncode != 0 and "damaged" in ended.stderr, ended.stderr)


def read(room, *arguments):
    """Runs the reader."""
    command = [sys.executable, READER, room.join("repo"), room.join("password"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make(tree, source):
    """Small and large files, a sparse one, odd names, links, and a mail with attachments."""
    os.makedirs(os.path.join(tree, "a", "b", "c"))
    for number in range(SMALL_FILES):
        write(os.path.join(tree, "a", f"file {number}"), f"line {number}\n".encode() * source.randrange(200))
    write(os.path.join(tree, "large"), source.randbytes(9_000_000))
    write(os.path.join(tree, "a", "empty"), b"")
    write(os.path.join(tree, "zeros"), bytes(5_000_000))
    write(os.fsencode(tree) + b"/a/not \xff utf-8", b"bytes")
    write(os.path.join(tree, "a", "b", "a name of many letters " + "ü" * 100), b"long")
    with open(os.path.join(tree, "sparse"), "wb") as file:
        file.truncate(3_000_000)
        file.seek(1_000_000)
        file.write(b"here")
    os.symlink("a/empty", os.path.join(tree, "link"))
    os.chmod(os.path.join(tree, "a", "empty"), 0o4640)
    os.mkdir(os.path.join(tree, "a", "an empty folder"))
    message = email.message.EmailMessage()
    message["Subject"], message["From"] = "Attached", "ann@contoso.example"
    message.set_content("See below.\n" * 50)
    for size in (100_000, 900_000, 2_500_000):
        message.add_attachment(source.randbytes(size), maintype="application", subtype="octet-stream", filename=f"{size}")
    write(os.path.join(tree, "a", "b", "mail.eml"), message.as_bytes())
    os.utime(os.path.join(tree, "a", "b", "c"), ns=(1, -12_345_678_901))


def write(path, data):
    """A file."""
    with open(path, "wb") as file:
        file.write(data)


def change(tree, source):
    """A few files change, come and go; the large one changes in its middle."""
    for number in source.sample(range(SMALL_FILES), 200):
        path = os.path.join(tree, "a", f"file {number}")
        if os.path.exists(path) and source.random() < 0.4:
            os.unlink(path)
        else:
            write(path, source.randbytes(source.randrange(3000)))
    with open(os.path.join(tree, "large"), "r+b") as file:
        file.seek(source.randrange(8_000_000))
        file.write(source.randbytes(300_000))


def in_the_clear(repository, word):
    """Whether a word stands in any object, or in an object's name."""
    for folder, _, names in os.walk(repository):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                if word in name.encode() or word in file.read():
                    return True
    return False


def damage(room):
    """One bit in the middle of every data pack."""
    for folder, _, names in os.walk(room.join("repo", "data")):
        for name in names:
            with open(os.path.join(folder, name), "r+b") as file:
                file.seek(os.path.getsize(file.name) // 2)
                byte = file.read(1)[0]
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte ^ 1]))


if __name__ == "__main__":
    main()
