#!/usr/bin/env python3
"""Reads a Larder repository with nothing but docs/format.md and public libraries: no line of Larder runs here.

usage: larder_reader.py REPOSITORY PASSWORDFILE list
       larder_reader.py REPOSITORY PASSWORDFILE restore SNAPSHOT FOLDER

REPOSITORY is the folder of a `file://` repository. `list` prints a line of JSON for each snapshot, the oldest first. `restore` writes
the files and folders of one (the beginning of its id is enough) with their times and modes; other streams of an item than its content
go to NAME.attachments/. Every blob is checked against its id, every stream against its digest.

It exists to show that the format's description suffices, and for the day on which there is no Larder to be had. It knows neither the
names that file systems refuse nor hard links nor owners; `larder restore` does.
"""

import json
import os
import sys

import zstandard
from argon2.low_level import Type, hash_secret_raw
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from records import CONFIG, END, PAGE, SEGMENT_DIRECTORY, SLOT, SNAPSHOT, Bytes, Damaged, container, item, record, snapshot

DATA, TREES = 0, 1
KEYS = ("ids", "chunker", "data", "trees", "index", "control")
PACK, SEGMENT, FOLDER_OF, SEGMENTS_OF = (3, 4), (5, 6), ("data", "trees"), ("index/data", "index/trees")
HEADER, TAG, TRAILER = 48, 16, 24
DIRECTORY_N, TRAILER_N = 2**64 - 2, 2**64 - 1
KDF_KIB_MAX, KDF_PASSES_MAX = 1 << 20, 16
FRAME_PLAIN_MAX, DIRECTORY_PLAIN_MAX = 4 << 20, 64 << 20


class Object:
    """Opens frames of one sealed object."""

    def __init__(self, keys, repository, kind, key, name, header):
        number, secret = keys[key]
        expected = b"larder" + bytes([kind, 0]) + number.to_bytes(2, "little") + b"\x01" + bytes(5)
        if header[:16] != expected or len(header) < HEADER:
            raise Damaged(f"{name.hex()}: no header of kind {kind}")
        self._cipher = AESGCM(blake3(header[16:HEADER], key=secret).digest())
        self._before, self._name = header[:16] + repository, name

    def frame(self, number, sealed, last=False):
        """Opens frame `number`."""
        n = number.to_bytes(8, "little")
        try:
            return self._cipher.decrypt(bytes(4) + n, sealed, self._before + n + bytes([last]) + self._name)
        except InvalidTag:
            raise Damaged(f"{self._name.hex()}: frame {number} was altered") from None


def unpadded(plain):
    """Length, bytes, zeros."""
    return plain[4 : 4 + int.from_bytes(plain[:4], "little")]


def blobs_of(frame, most=FRAME_PLAIN_MAX):
    """A frame's plain blobs."""
    method, length, body = frame[0], int.from_bytes(frame[1:5], "little"), frame[5:]
    if method not in (0, 1) or length > most:
        raise Damaged("a frame of an unknown method or length")
    plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=length) if method == 1 else body
    if len(plain) != length:
        raise Damaged("a frame has another length than it says")
    return plain


class Repository:
    """A repository in a folder."""

    def __init__(self, folder, password):
        self.folder, self._packs, self._frame = folder, {}, (None, None)
        self.keys = self._unlock(password)
        self.id = bytes(16)  # The config tells it, so its own seal has none.
        config = record(self._small(CONFIG, "config", bytes(16)), CONFIG)
        self.id, self.draft = config.take(16), config.uint()
        self.index = self._index()

    def _read(self, *path):
        with open(os.path.join(self.folder, *path), "rb") as file:
            return file.read()

    def _names(self, *path):
        folder = os.path.join(self.folder, *path)
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sorted(name for name in names if len(name) == 32)

    def _unlock(self, password):
        for name in self._names("keys"):
            r = Bytes(record(self._read("keys", name), SLOT).bytes())
            kib, passes, lanes, salt, nonce, sealed = r.uint(), r.uint(), r.uint(), r.take(32), r.take(12), r.bytes()
            if kib > KDF_KIB_MAX or passes > KDF_PASSES_MAX:
                raise Damaged("a key slot asks for too much")
            key = hash_secret_raw(password, salt, passes, kib, lanes, 32, Type.ID, version=0x13)
            try:
                bundle = Bytes(AESGCM(key).decrypt(nonce, sealed, bytes.fromhex(name)))
            except InvalidTag:
                continue
            return {role: (bundle.uint(), bundle.take(32)) for role in KEYS}
        raise SystemExit("the password opens no key slot")

    def _small(self, kind, path, name):
        data = self._read(path)
        opened = Object(self.keys, self.id, kind, "control", name, data)
        return unpadded(opened.frame(0, data[HEADER:], last=True))

    def snapshots(self):
        """All snapshots, the oldest first."""
        found = []
        for name in self._names("snapshots"):
            path = os.path.join("snapshots", name)
            # A session that ended without a snapshot has its end there.
            if self._read(path)[6] != END:
                found.append(snapshot(name, self._small(SNAPSHOT, path, bytes.fromhex(name))))
        return sorted(found, key=lambda one: (one["finished"], one["run"]))

    def _index(self):
        """Where each blob lies: by the first half of its id, all its places."""
        index = {}
        for kind in (DATA, TREES):
            for name in self._names(SEGMENTS_OF[kind]):
                for short, *place in self._segment(kind, name):
                    index.setdefault(short, []).append((kind, *place))
        return index

    def _segment(self, kind, name):
        data = self._read(SEGMENTS_OF[kind], name)
        opened = Object(self.keys, self.id, SEGMENT[kind], "index", bytes.fromhex(name), data)
        trailer = Bytes(opened.frame(TRAILER_N, data[-TRAILER:], last=True))
        length, count = trailer.fixed(4), trailer.fixed(4)
        directory = opened.frame(DIRECTORY_N, data[-TRAILER - length : -TRAILER])
        pages = record(blobs_of(unpadded(directory), DIRECTORY_PLAIN_MAX), SEGMENT_DIRECTORY)
        pages = pages.list(lambda: (pages.take(16), pages.uint(), pages.uint()))
        if len(pages) != count:
            raise Damaged(f"segment {name} has another number of pages than it says")
        for number, (first, offset, length) in enumerate(pages):
            page = record(blobs_of(opened.frame(number, data[offset : offset + length])), PAGE)
            shorts, packs = page.list(lambda: page.take(16)), page.list(lambda: page.take(16))
            frames = list(zip(*(page.column() for _ in range(4)), strict=True))
            columns = [page.column() for _ in range(3)]
            page.end()
            if shorts[0] != first or shorts != sorted(shorts):
                raise Damaged(f"segment {name} is not in order")
            for short, frame, *in_frame in zip(shorts, *columns, strict=True):
                pack, *place = frames[frame]
                yield short, packs[pack], *place, *in_frame

    def blob(self, blob_id):
        """A blob by its whole id."""
        for kind, pack, number, frame_at, frame_bytes, at, length in self.index.get(blob_id[:16], []):
            name = pack.hex()
            path = os.path.join(self.folder, FOLDER_OF[kind], name[:2], name)
            # A segment may name packs that are gone.
            if not os.path.exists(path):
                continue
            plain = self._opened_frame(path, kind, pack, number, frame_at, frame_bytes)[at : at + length]
            if self.blob_id(blake3(plain).digest()) != blob_id:
                raise Damaged(f"blob {blob_id.hex()} is another")
            return plain
        raise Damaged(f"blob {blob_id.hex()} is missing")

    def _opened_frame(self, path, kind, pack, number, offset, length):
        if self._frame[0] != (path, number):
            with open(path, "rb") as file:
                opened = Object(self.keys, self.id, PACK[kind], FOLDER_OF[kind], pack, file.read(HEADER))
                file.seek(offset)
                self._frame = ((path, number), blobs_of(opened.frame(number, file.read(length))))
        return self._frame[1]

    def blob_id(self, digest):
        """A blob's id, from the digest of its bytes."""
        return blake3(digest, key=self.keys["ids"][1]).digest()

    def entries(self, root):
        """Keys and values of a tree, in order."""
        if root is None:
            return
        node_id, level, count = root
        seen = 0
        for entry in self._below(node_id, level):
            seen += 1
            yield entry
        if seen != count:
            raise Damaged("a tree has another number of entries than it says")

    def _below(self, node_id, level):
        node, key = Bytes(self.blob(node_id)), b""
        if (node.fixed(1), node.fixed(1)) != (1, level):
            raise Damaged("a tree node of another version or level")
        for _ in range(node.leb128()):
            shared, rest = node.leb128(), node.leb128()
            key = key[:shared] + node.take(rest)
            if level == 0:
                yield key, node.take(node.leb128())
            else:
                child = node.take(32)
                node.leb128()
                yield from self._below(child, level - 1)
        node.end()

    def record_of(self, value):
        """A record that stands in a tree's value, or in a blob of its own."""
        return value[1:] if value[0] == 0 else self.blob(value[1:33])

    def content(self, one):
        """A stream's bytes, chunk by chunk."""
        if one["content"] == "one":
            yield self.blob(self.blob_id(one["digest"]))
        elif one["content"] == "list":
            for blob_id in one["ids"]:
                yield from self._chunks(blob_id, one["depth"])

    def _chunks(self, blob_id, depth):
        blob = self.blob(blob_id)
        if depth == 0:
            yield blob
        else:
            for at in range(0, len(blob), 32):
                yield from self._chunks(blob[at : at + 32], depth - 1)


def split_key(key):
    """Parent and id of a key of the family `c`."""
    parts, part, at = [], bytearray(), 1
    while at < len(key):
        if key[at] != 0:
            part.append(key[at])
            at += 1
        else:
            if key[at + 1] == 0xFF:
                part.append(0)
            else:
                parts.append(bytes(part))
                part = bytearray()
            at += 2
    return parts


class Restore:
    """Writes one snapshot into a folder."""

    def __init__(self, repository, target):
        self.repository, self.target, self.times = repository, os.fsencode(target), []

    def snapshot(self, found):
        """All containers."""
        for _, value in self.repository.entries(found["root"]):
            one = container(self.repository.record_of(value))
            self._container(one, os.path.join(self.target, *map(plain, one["path"])))
        # Writing into a folder changes its time: from the bottom up, and at last.
        for path, record_ in reversed(self.times):
            self._attributes(path, record_)

    def _container(self, one, top):
        os.makedirs(top, exist_ok=True)
        items, children = {}, {}
        for key, value in self.repository.entries(one["root"]):
            if key[:1] == b"c":
                parent, item_id = split_key(key)
                items[item_id] = item(self.repository.record_of(value))
                children.setdefault(parent, []).append(item_id)
        if len(items) != one["items"]:
            raise Damaged("a container has another number of items than it says")
        meta = dict(one["metadata"])
        if "posix.mode" in meta:
            self.times.append((top, {"posix": {"mode": meta["posix.mode"]}, "modified": meta.get("modified")}))
        queue = [(b"", top)]
        while queue:
            parent, folder = queue.pop()
            for item_id in children.get(parent, []):
                path = os.path.join(folder, plain(items[item_id]["name"]))
                self._item(items[item_id], path)
                if items[item_id]["folder"]:
                    queue.append((item_id, path))

    def _item(self, one, path):
        if one["kind"] == "symlink":
            os.symlink(one["posix"]["target"], path)
            os.utime(path, ns=(one["modified"], one["modified"]), follow_symlinks=False)
        elif one["folder"]:
            os.mkdir(path)
            self.times.append((path, one))
        for found in one["streams"]:
            kind, _, name = found["name"].partition("/")
            if kind == "content":
                self._stream(found, path)
                self._attributes(path, one)
            elif name:
                os.makedirs(path + b"." + kind.encode() + b"s", exist_ok=True)
                self._stream(found, os.path.join(path + b"." + kind.encode() + b"s", plain(name.encode())))

    def _stream(self, one, path):
        digest = blake3()
        with open(path, "xb") as file:
            for chunk in self.repository.content(one):
                digest.update(chunk)
                file.write(chunk)
        if (digest.digest(), os.path.getsize(path)) != (one["digest"], one["bytes"]):
            raise Damaged(f"{os.fsdecode(path)} is not what was stored")

    def _attributes(self, path, one):
        if one["posix"]:
            os.chmod(path, one["posix"]["mode"] & 0o7777)
        if one["modified"] is not None:
            os.utime(path, ns=(one["modified"], one["modified"]))


def plain(name):
    """A name that stays in its folder."""
    if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
        raise Damaged(f"{name} is no name for a file")
    return name


def main():
    if len(sys.argv) < 4 or sys.argv[3:4] not in (["list"], ["restore"]):
        raise SystemExit(__doc__)
    folder, password_file, command, *rest = sys.argv[1:]
    with open(password_file, "rb") as file:
        repository = Repository(folder, file.read().removesuffix(b"\n"))
    snapshots = repository.snapshots()
    if command == "list":
        for found in snapshots:
            shown = {key: found[key] for key in ("id", "set", "run", "started", "finished", "tags", "outcome")}
            print(json.dumps(shown))
        return
    prefix, target = rest
    chosen = [found for found in snapshots if found["id"].startswith(prefix)]
    if len(chosen) != 1:
        raise SystemExit(f"{len(chosen)} snapshots begin with {prefix}")
    Restore(repository, target).snapshot(chosen[0])


if __name__ == "__main__":
    try:
        main()
    except Damaged as error:
        raise SystemExit(f"damaged: {error}") from None
