#!/usr/bin/env python3
"""What `export` makes, read back by programs that others wrote: tar, and Python's tarfile, zipfile and mailbox.

usage: export.py      run it as root, so that owners and devices are in the tree
"""

import mailbox
import os
import subprocess
import tarfile
import zipfile

from files import make_odd
from harness import MEMORY_MAX, Room, Score, difference, files_set, megabytes

LARGE = 300 << 20
MESSAGES = 40


def main():
    score = Score("export")
    with Room("export") as room:
        tree = room.join("tree")
        make_odd(tree)
        os.makedirs(os.path.join(tree, "mail"))
        for number in range(MESSAGES):
            with open(os.path.join(tree, "mail", f"{number:03}.eml"), "wb") as file:
                file.write(message(number))
        with open(os.path.join(tree, "large"), "wb") as file:
            for _ in range(LARGE >> 20):
                file.write(os.urandom(1 << 20))
        room.configure(files_set([tree]))
        room.must("init")
        room.must("run", "--all")
        tar(room, score, tree)
        zip_file(room, score, tree)
        mail(room, score, tree)
    score.close()


def export(room, score, kind, source, to):
    """Exports, and holds memory against its bound."""
    ended = room.larder("export", f"latest:{source}", "--format", kind, "--to", to, "--json")
    summary = ended.summary
    score.check(f"{kind}: export", ended.code == 0 and summary.get("failed") == [], f"exit {ended.code}, {str(summary)[:300]}")
    score.check(f"{kind}: peak memory", ended.peak < MEMORY_MAX, megabytes(ended.peak))
    return summary


def tar(room, score, tree):
    """GNU tar gives back the tree; tarfile reads every member."""
    out, back = room.join("out.tar"), room.join("back")
    summary = export(room, score, "tar", tree, out)
    os.makedirs(back)
    ended = subprocess.run(
        ["tar", "--extract", "--preserve-permissions", "--same-owner", "--file", out, "--directory", back],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )
    said = [line for line in ended.stdout.decode("utf-8", "replace").splitlines() if "hdrcharset" not in line]
    score.check("tar: GNU tar takes it", ended.returncode == 0 and not said, said[:5])
    lines = [line for line in difference(tree, back) if not line.endswith(" ./")]
    # A socket means nothing without its program: it is left out, and told.
    score.check("tar: rsync finds no difference but the socket", [line.split()[-1] for line in lines] == ["socket"], lines[:8])
    score.check("tar: what is left out is told", summary.get("left_out") == 1, summary.get("left_out"))
    with tarfile.open(out, errorlevel=2) as archive:
        members = archive.getmembers()
        wrong = [member.name for member in members if member.isreg() and not equal(archive, member, tree)]
        mtime = next(member for member in members if member.name == "owned").pax_headers["mtime"]
    score.check("tar: tarfile reads every file", not wrong and len(members) > 50, wrong[:5] or len(members))
    score.check("tar: times have their nanoseconds", mtime == "1400000000.987654321", mtime)


def equal(archive, member, tree):
    """Compares a member with the file it came from, piece by piece."""
    path = os.path.join(os.fsencode(tree), os.fsencode(member.name))
    with archive.extractfile(member) as one, open(path, "rb") as other:
        while True:
            left, right = one.read(1 << 20), other.read(1 << 20)
            if left != right:
                return False
            if not left:
                return True


def zip_file(room, score, tree):
    """zipfile finds every checksum right and every file there."""
    out = room.join("out.zip")
    export(room, score, "zip", tree, out)
    with zipfile.ZipFile(out) as archive:
        score.check("zip: zipfile finds no wrong checksum", archive.testzip() is None)
        names = set(archive.namelist())
        with archive.open("large") as one, open(os.path.join(tree, "large"), "rb") as other:
            same = all(one.read(1 << 20) == other.read(1 << 20) for _ in range((LARGE >> 20) + 1))
        score.check("zip: the large file is equal", same)
        first = archive.read("first")
        mode = archive.getinfo("secret").external_attr >> 16 & 0o777
    score.check("zip: contents and modes", first == b"linked twice" and mode == 0, (first, mode))
    score.check("zip: hard links are files of their own", {"first", "deep/second", "deep/er/third"} <= names)


def mail(room, score, tree):
    """mailbox reads the messages that were put in; a folder of them is equal."""
    out, folder = room.join("out.mbox"), room.join("eml")
    export(room, score, "mbox", f"{tree}/mail", out)
    box = mailbox.mbox(out, create=False)
    found = sorted(unquoted(box.get_bytes(key)) for key in box.keys())
    wanted = sorted(message(number).replace(b"\r\n", b"\n") for number in range(MESSAGES))
    score.check("mbox: mailbox reads every message", found == wanted, f"{len(found)} of {len(wanted)}")
    export(room, score, "eml", tree, folder)
    lines = [line for line in difference(f"{tree}/mail", f"{folder}/mail") if line.startswith((">f", "*"))]
    contents = [line for line in lines if "c" in line.split()[0] or "+" in line.split()[0] or line.startswith("*")]
    score.check("eml: every message is equal", not contents, contents[:5])
    score.check("eml: there is nothing else", os.listdir(folder) == ["mail"], os.listdir(folder))


def message(number):
    """A message with lines that look like the beginning of another."""
    return (
        f"From: Ann <ann{number}@contoso.com>\r\nSubject: number {number}\r\n\r\n"
        f"From here on\r\n>From there\r\n>>From nowhere\r\nFromage\r\n{'text ' * number}\r\n"
    ).encode()


def unquoted(text):
    """A message of a mailbox file (mboxrd) as it was, each `>` taken off again."""
    lines = text.splitlines(keepends=True)
    quoted = lambda line: line.startswith(b">") and line.lstrip(b">").startswith(b"From ")
    return b"".join(line[1:] if quoted(line) else line for line in lines)


if __name__ == "__main__":
    main()
