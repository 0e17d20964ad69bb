"""The records of a Larder repository, as docs/format.md has them ("Records, byte by byte")."""

CONFIG, SLOT, SNAPSHOT, END = 1, 2, 7, 12
PAGE, SEGMENT_DIRECTORY, ITEM, CONTAINER = 22, 23, 30, 33


class Damaged(Exception):
    """What is stored is not what the format says."""


class Bytes:
    """Takes values off the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        """So many bytes."""
        if count > len(self.data) - self.at:
            raise Damaged("a record ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def fixed(self, count):
        """An integer of so many bytes."""
        return int.from_bytes(self.take(count), "little")

    def uint(self):
        """u16, u32 or u64."""
        first = self.fixed(1)
        if first < 251:
            return first
        if first > 253:
            raise Damaged("an integer is too long")
        return self.fixed(2 << (first - 251))

    def int(self):
        """i64."""
        number = self.uint()
        return number >> 1 if number & 1 == 0 else -(number >> 1) - 1

    def bool(self):
        """One byte, 0 or 1."""
        return self.choice([False, True], self.fixed(1))

    def choice(self, names, number=None):
        """An enum without fields."""
        number = self.uint() if number is None else number
        if number >= len(names):
            raise Damaged("an unknown variant")
        return names[number]

    def bytes(self):
        """Bytes with their length."""
        return self.take(self.uint())

    def text(self):
        """UTF-8."""
        return self.bytes().decode()

    def list(self, one):
        """A list of what `one` takes."""
        return [one() for _ in range(self.uint())]

    def column(self):
        """Numbers, byte plane after byte plane."""
        planes = self.bytes()
        count = len(planes) // 4
        if len(planes) % 4:
            raise Damaged("a column is cut off")
        return [int.from_bytes(planes[row::count], "little") for row in range(count)]

    def option(self, one):
        """None, or what `one` takes."""
        return one() if self.bool() else None

    def leb128(self):
        """The varints of tree nodes, which are not those of records."""
        number = shift = 0
        while True:
            byte = self.fixed(1)
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7

    def time(self):
        """Nanoseconds since 1970."""
        return self.int() * 10**9 + self.uint()

    def root(self):
        """Id, level and entries of a tree."""
        return self.take(32), self.fixed(1), self.uint()

    def value(self):
        """A free-form value."""
        kind = self.uint()
        one = [lambda: None, self.bool, self.int, lambda: self.take(8), self.text, self.bytes, self.time]
        one += [lambda: self.list(self.value), lambda: self.list(lambda: (self.text(), self.value()))]
        return self.choice(one, kind)()

    def metadata(self):
        """Named values."""
        return self.list(lambda: (self.text(), self.value()))

    def posix(self):
        """What a POSIX file system knows."""
        mode, user, group = self.uint(), self.uint(), self.uint()
        link = self.option(lambda: (self.uint(), self.uint()))
        return {
            "mode": mode, "user": user, "group": group, "link": link,
            "device": self.uint(), "sparse": self.bool(), "target": self.bytes(),
        }  # fmt: skip

    def end(self):
        """Nothing may be left."""
        if self.at != len(self.data):
            raise Damaged("a record has bytes left over")


def record(data, kind, version=1):
    """Opens an envelope; the struct in it."""
    bytes_ = Bytes(data)
    if (bytes_.fixed(2), bytes_.fixed(2), bytes_.fixed(4)) != (kind, version, len(data) - 8):
        raise Damaged(f"no record of kind {kind}, version {version}")
    return Bytes(bytes_.take(len(data) - 8))


def stream(r):
    """A stream of an item record."""
    found = {"name": r.text(), "media": r.text(), "bytes": r.uint(), "digest": r.take(32)}
    found["content"] = r.choice(["empty", "one", "list"])
    if found["content"] == "list":
        found["depth"], found["ids"] = r.fixed(1), r.list(lambda: r.take(32))
    return found


def item(data):
    """An item record."""
    r = record(data, ITEM)
    found = {"name": r.bytes(), "kind": r.text(), "folder": r.bool(), "scope": r.option(r.bytes), "tag": r.bytes()}
    found["modified"], found["posix"] = r.option(r.time), r.option(r.posix)
    found["metadata"], found["streams"] = r.metadata(), r.list(lambda: stream(r))
    r.end()
    return found


def container(data):
    """A container record, as far as reading needs it."""
    r = record(data, CONTAINER)
    found = {"id": r.bytes(), "path": r.list(r.bytes), "kind": r.text(), "title": r.text(), "path_ids": r.bool()}
    found["metadata"], found["root"], found["items"] = r.metadata(), r.option(r.root), r.uint()
    return found


def snapshot(name, data):
    """A snapshot record."""
    r = record(data, SNAPSHOT)
    found = {"id": name, "set": r.text(), "run": r.uint(), "base": r.option(lambda: r.take(16))}
    found["started"], found["finished"], found["host"], found["program"] = r.time(), r.time(), r.text(), r.text()
    found["tags"], found["root"] = r.list(r.text), r.option(r.root)
    found["outcome"] = r.choice(["complete", "incomplete"])
    found["totals"] = [r.uint() for _ in range(7)]
    found["segments"] = r.list(lambda: (r.uint(), r.take(16).hex()))
    found["findings"], found["more_findings"] = r.list(lambda: finding(r)), r.uint()
    r.end()
    return found


def finding(r):
    """What discovery found wrong."""
    level = r.choice(["good", "warning", "error"])
    return {"level": level, "subject": r.text(), "code": r.text(), "message": r.text(), "hint": r.option(r.text)}
