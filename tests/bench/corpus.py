#!/usr/bin/env python3
"""Makes what the side-by-side comparison backs up, and changes one part in a hundred of it.

    corpus.py mixed DIR --bytes N [--seed S]      mail, documents and a disk image, about N bytes by listed size
    corpus.py small DIR --files N [--seed S]      N JSON items of about 0.5 kB
    corpus.py mail20 DIR --bytes N [--seed S]     mail with each attachment in about 20 messages
    corpus.py mail3 DIR --bytes N [--seed S]      mail with each attachment in about 3 messages
    corpus.py mail1 DIR --bytes N [--seed S]      mail with an attachment of its own in each message that has one
    corpus.py source DIR --bytes N [--seed S]     source code: that of this project's dependencies, as cargo holds it
    corpus.py compressed DIR --bytes N [--seed S] office files and gzip archives
    corpus.py random DIR --bytes N [--seed S]     files of random bytes
    corpus.py change DIR [--seed S]               about 1 % of what one of them made

The same arguments make the same bytes on every machine with the same Python minor version (and for `source` the same lock
file): nothing but the seed decides, neither the clock nor the order of a directory. DIR must not exist, but for `change`.

What the parts of `mixed` stand for: attachments come in about 20 messages each, as in the mailboxes of people who write to
each other; documents are one third text, one third office files (deflated XML), one third pictures (random bytes), and one
in eight is an edited copy of another; the disk image has holes, blocks that repeat, text and random bytes. Mail is most.
"""

import argparse
import base64
import gzip
import io
import itertools
import json
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

MAIL_SHARE, DOCUMENT_SHARE = 0.63, 0.22  # of the mixed corpus; the disk image is the rest
MESSAGES_PER_ATTACHMENT = 20  # in the mixed corpus
PLAIN_MESSAGES = 0.4  # share of messages without an attachment
MESSAGES_PER_FOLDER = 500
DOCUMENTS_PER_FOLDER = 40
ITEMS_PER_FOLDER = 300
RUN = 64 * 1024  # bytes of the disk image that are of one nature, and that change together
CHANGED = 0.01


class Words:
    """Text in a made-up language whose words are as unevenly common as those of a real one."""

    def __init__(self, rng):
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
        words = ["".join(rng.choices(syllables, k=rng.choice((1, 2, 2, 3, 3, 4)))) for _ in range(20_000)]
        weights = [1 / (rank + 3) for rank in range(len(words))]
        self.rng = rng
        # Each word as often as it is common: two random bytes then choose one, many times faster than `choices` does.
        self.table = rng.choices(words, weights, k=1 << 16)

    def some(self, count):
        """So many words."""
        return list(map(self.table.__getitem__, memoryview(self.rng.randbytes(2 * count)).cast("H")))

    def text(self, length, end="\n"):
        """Lines of twelve words, `length` bytes in all."""
        words = self.some(length // 5 + 12)
        lines = (" ".join(words[at : at + 12]) for at in range(0, len(words), 12))
        text = end.join(lines).encode()
        while len(text) < length:
            text += end.encode() + " ".join(self.some(12)).encode()
        return text[:length]


def size_around(rng, middle, least, most):
    """A size in bytes: many small ones, few large ones, as sizes of files are."""
    return int(min(most, max(least, rng.lognormvariate(0, 1) * middle)))


def write(path, content):
    """Writes a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return len(content)


# Mail


def office_file(rng, words, length):
    """A document as office programs write it: XML, deflated; about `length` bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("word/document.xml")
        info.compress_type = zipfile.ZIP_DEFLATED
        paragraphs = (b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % words.text(400) for _ in range(length // 2 // 170 + 1))
        archive.writestr(info, b"<w:document>" + b"".join(paragraphs) + b"</w:document>")
        archive.writestr(zipfile.ZipInfo("word/media/image1.png"), rng.randbytes(length // 2))
    return out.getvalue()


def attachment(rng, words, number):
    """A part of a message: headers and base64 lines."""
    length = size_around(rng, 120_000, 4_000, 2_000_000)
    kind = number % 3
    if kind == 0:
        name, content = f"report-{number}.docx", office_file(rng, words, length)
    elif kind == 1:
        name, content = f"photo-{number}.jpg", rng.randbytes(length)
    else:
        name, content = f"table-{number}.csv", words.text(length)
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    headers = (
        f'Content-Type: application/octet-stream; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return headers.encode() + encoded


def message_head(rng, words):
    """The headers of a message, all but its type."""
    people = [f"{word}.{other}@contoso.example" for word, other in zip(words.some(4), words.some(4))]
    second, identity = rng.randrange(10**9, 17 * 10**8), rng.getrandbits(128)
    received = "".join(
        f"Received: from mx{rng.randrange(9)}.contoso.example by mail.contoso.example id {rng.getrandbits(48):012x}\r\n"
        for _ in range(3)
    )
    return (
        f"{received}From: {people[0]}\r\nTo: {', '.join(people[1:])}\r\nDate: {second}\r\n"
        f"Message-ID: <{identity:032x}@contoso.example>\r\nSubject: {' '.join(words.some(5))}\r\nMIME-Version: 1.0\r\n"
    ).encode()


def message(rng, words, parts):
    """A message with these attachments."""
    head = message_head(rng, words)
    body = words.text(size_around(rng, 1_500, 200, 30_000), "\r\n")
    plain = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + body + b"\r\n"
    if not parts:
        return head + plain
    border = b"=_%032x" % rng.getrandbits(128)
    pieces = b"".join(b"--%s\r\n%s\r\n" % (border, part) for part in (plain, *parts))
    return head + b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n%s--%s--\r\n' % (border, pieces, border)


def make_mail(folder, size, rng, words, copies):
    """About `size` bytes of messages, each attachment in about so many of them."""
    attachments, encoded = [], 0
    while encoded * copies < size:
        attachments.append(attachment(rng, words, len(attachments)))
        encoded += len(attachments[-1])
    spread = copies // 2
    deck = [one for one in attachments for _ in range(rng.randint(copies - spread, copies + spread))]
    rng.shuffle(deck)
    written = 0
    for number in itertools.count():
        if written >= size:
            return
        parts = [] if rng.random() < PLAIN_MESSAGES else [deck.pop()] if deck else [rng.choice(attachments)]
        path = folder / f"folder-{number // MESSAGES_PER_FOLDER:03}" / f"message-{number:06}.eml"
        written += write(path, message(rng, words, parts))


# Documents


def document(rng, words, number, earlier):
    """A document's suffix and bytes."""
    if earlier and number % 8 == 7:
        suffix, content = rng.choice(earlier)
        at = rng.randrange(len(content))
        return suffix, content[:at] + words.text(200) + content[at:]
    length = size_around(rng, 250_000, 2_000, 8_000_000)
    kind = number % 3
    if kind == 0:
        return "csv", words.text(length)
    if kind == 1:
        return "docx", office_file(rng, words, length)
    return "jpg", rng.randbytes(length)


def make_documents(folder, size, rng, words):
    """About `size` bytes of documents."""
    written, earlier = 0, []
    for number in itertools.count():
        if written >= size:
            return
        suffix, content = document(rng, words, number, earlier)
        earlier = [*earlier[-20:], (suffix, content)]
        path = folder / f"team-{number // DOCUMENTS_PER_FOLDER:03}" / f"document-{number:05}.{suffix}"
        written += write(path, content)


# The disk image


def make_image(path, size, rng, words):
    """A sparse file: of its runs four in ten are holes, two repeat, two are text and two are random."""
    path.parent.mkdir(parents=True, exist_ok=True)
    repeated = [rng.randbytes(4096) * (RUN // 4096) for _ in range(8)]
    with path.open("wb") as image:
        image.truncate(size)
        for at in range(0, size - RUN, RUN):
            kind = rng.randrange(10)
            if kind >= 6:
                continue
            content = rng.choice(repeated) if kind < 2 else words.text(RUN) if kind < 4 else rng.randbytes(RUN)
            image.seek(at)
            image.write(content)


# The small files


def item(rng, words, number):
    """A list item of about half a kilobyte, in JSON."""
    fields = {
        "Id": number,
        "GUID": f"{rng.getrandbits(128):032x}",
        "ContentTypeId": f"0x0100{rng.choice((0x4F21, 0x93AC, 0xD07E)):X}",
        "Title": " ".join(words.some(6)),
        "Modified": f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
        "AuthorId": rng.randrange(400),
        "EditorId": rng.randrange(400),
        "Version": f"{rng.randint(1, 9)}.0",
        "Attachments": False,
        "Status": rng.choice(("Open", "Closed", "Waiting for an answer")),
        "ETag": f'"{rng.getrandbits(128):032x},{rng.randint(1, 9)}"',
        "Body": " ".join(words.some(rng.randint(20, 36))),
    }
    return json.dumps(fields).encode()


def item_path(root, number):
    """Where an item lies."""
    return root / f"list-{number // ITEMS_PER_FOLDER:04}" / f"item-{number:07}.json"


# Whole corpora


def make_mixed(root, size, seed):
    """Mail, documents and a disk image, about `size` bytes in all."""
    rng = random.Random(f"mixed {seed}")
    words = Words(rng)
    mail, documents = int(size * MAIL_SHARE), int(size * DOCUMENT_SHARE)
    make_mail(root / "mail", mail, rng, words, MESSAGES_PER_ATTACHMENT)
    make_documents(root / "documents", documents, rng, words)
    make_image(root / "disk.raw", size - mail - documents, rng, words)


def make_small(root, count, seed):
    """So many JSON items."""
    rng = random.Random(f"small {seed}")
    words = Words(rng)
    for number in range(count):
        write(item_path(root, number), item(rng, words, number))


def make_mail_alone(copies):
    """A maker of mail with each attachment in about so many messages."""

    def make(root, size, seed):
        rng = random.Random(f"mail {copies} {seed}")
        make_mail(root / "mail", size, rng, Words(rng), copies)

    return make


def make_compressed(root, size, seed):
    """Office files and gzip archives of text, in turns."""
    rng = random.Random(f"compressed {seed}")
    words = Words(rng)
    written = 0
    for number in itertools.count():
        if written >= size:
            return
        length = size_around(rng, 250_000, 2_000, 8_000_000)
        name = f"folder-{number // DOCUMENTS_PER_FOLDER:03}/file-{number:05}"
        if number % 2:
            written += write(root / "files" / f"{name}.docx", office_file(rng, words, length))
        else:
            written += write(root / "files" / f"{name}.gz", gzip.compress(words.text(2 * length), compresslevel=1, mtime=0))


def make_random(root, size, seed):
    """Files of random bytes."""
    rng = random.Random(f"random {seed}")
    written = 0
    for number in itertools.count():
        if written >= size:
            return
        path = root / "files" / f"folder-{number // DOCUMENTS_PER_FOLDER:03}" / f"file-{number:05}.bin"
        written += write(path, rng.randbytes(size_around(rng, 250_000, 2_000, 8_000_000)))


def make_source(root, size, seed):
    """The sources of the locked dependencies, in an order that the seed decides, until there are `size` bytes."""
    manifest = Path(__file__).resolve().parents[2] / "Cargo.toml"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", str(manifest)]
    packages = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["packages"]
    outside = sorted((one for one in packages if one["source"]), key=lambda one: one["id"])
    random.Random(f"source {seed}").shuffle(outside)
    written = 0
    for one in outside:
        if written >= size:
            return
        copied = root / "files" / f"{one['name']}-{one['version']}"
        shutil.copytree(Path(one["manifest_path"]).parent, copied, symlinks=True)
        written += sum(path.stat().st_size for path in copied.rglob("*") if path.is_file())


MAKERS = {
    "mixed": make_mixed,
    "small": make_small,
    "mail20": make_mail_alone(20),
    "mail3": make_mail_alone(3),
    "mail1": make_mail_alone(1),
    "source": make_source,
    "compressed": make_compressed,
    "random": make_random,
}


def share_of(paths, rng):
    """Files that together are 1 % of the bytes of `paths`, at least one of them."""
    paths = sorted(paths)
    rng.shuffle(paths)
    left = CHANGED * sum(path.stat().st_size for path in paths)
    for path in paths:
        if left <= 0:
            return
        left -= path.stat().st_size
        yield path


def change(root, seed):
    """Changes about 1 % of what lies below `root`: as people do, some anew, some edited, some deleted."""
    rng = random.Random(f"change {seed}")
    words = Words(rng)
    for number, path in enumerate(share_of(root.glob("mail/*/*.eml"), rng)):
        # A message is never edited: it is forwarded with its attachments, and every second one then deleted.
        headers = path.read_bytes().find(b"From: ")
        forwarded = b"Received: from mx0.contoso.example; %032x\r\n" % rng.getrandbits(128) + path.read_bytes()[headers:]
        write(path.with_name(f"forward-{rng.getrandbits(48):012x}.eml"), forwarded)
        if number % 2:
            path.unlink()
    others = (path for top in ("documents", "files") for path in root.glob(f"{top}/**/*") if path.is_file())
    for path in share_of(others, rng):
        content = path.read_bytes()
        if not content:
            continue
        at = rng.randrange(len(content))
        path.write_bytes(content[:at] + words.text(150) + content[at + 50 :])
    for path in root.glob("disk.raw"):
        change_image(path, rng)
    items = sorted(root.glob("list-*/*.json"))
    for path in rng.sample(items, int(len(items) * CHANGED)):
        # Half are edited, a quarter deleted, a quarter join them as new.
        action = rng.randrange(4)
        if action == 0:
            path.unlink()
        else:
            target = path if action < 3 else path.with_name(f"item-{rng.getrandbits(48):012x}.json")
            target.write_bytes(item(rng, words, rng.randrange(10**6)))


def change_image(path, rng):
    """Overwrites 1 % of the runs of a disk image in place."""
    runs = path.stat().st_size // RUN
    with path.open("r+b") as image:
        for run in rng.sample(range(runs), max(1, int(runs * CHANGED))):
            image.seek(run * RUN)
            image.write(rng.randbytes(RUN))


def main():
    """Reads the command line and does what it says."""
    parser = argparse.ArgumentParser(description="Makes and changes the corpora of the side-by-side comparison.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in (*MAKERS, "change"):
        command = commands.add_parser(name)
        command.add_argument("directory", type=Path)
        command.add_argument("--seed", type=int, default=1)
        if name in MAKERS:
            option = "--files" if name == "small" else "--bytes"
            command.add_argument(option, dest="size", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.command == "change":
        change(arguments.directory, arguments.seed)
    else:
        arguments.directory.mkdir(parents=True)
        MAKERS[arguments.command](arguments.directory, arguments.size, arguments.seed)


if __name__ == "__main__":
    main()
