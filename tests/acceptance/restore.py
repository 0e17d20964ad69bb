#!/usr/bin/env python3
"""SIGKILL at random moments of a restore: nothing half written is taken for whole, and the next restore reads what is missing and no more.

usage: restore.py [KILLS] [SEED]      default: 60 kills, seed 1

Restores go into a new folder, and into one that holds other states of the same files. Each is killed a few times, then let through.
"""

import os
import random
import signal
import sys
import time

from harness import Room, Score, difference, files_set, say

SMALL_FILES = 3000
LARGE_FILES = 4
LARGE_BYTES = 24 << 20
# A file that replaces another has a name beside it for an instant: a kill then leaves it, whole, once for each writing thread.
WRITERS = 4
KILLS_PER_ROUND = 6
KILL_AFTER = (0.02, 0.5)


def main():
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    source = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    score = Score("restore")
    with Room("restore") as room:
        tree = room.join("tree")
        make_tree(tree, source)
        room.configure(files_set([tree]))
        room.must("init")
        room.must("run", "home")
        kills = rounds = useful = 0
        troubles = []
        while kills < wanted:
            target = room.join(f"target-{rounds}")
            if rounds % 2:
                other_state(tree, target, source)
            for _ in range(KILLS_PER_ROUND):
                killed = kill(room.start("restore", f"latest:{tree}", "--to", target, "--json"), source)
                kills += killed
                troubles += half_written(tree, target)
            left = unfinished(target)
            if len(left) > WRITERS * KILLS_PER_ROUND:
                troubles.append(f"round {rounds}: kills left {left}")
            # Before the last restore: to remove a name changes its folder's time.
            for name in left:
                os.remove(os.path.join(target, name))
            whole = len(whole_files(tree, target))
            useful += 0 < whole < SMALL_FILES + LARGE_FILES
            ended = room.larder("restore", f"latest:{tree}", "--to", target, "--json")
            summary = ended.summary
            if ended.code != 0 or summary["kept"] != whole or summary["kept"] + summary["items"] != SMALL_FILES + LARGE_FILES:
                troubles.append(f"round {rounds}: exit {ended.code}, {whole} were whole: {ended.said[-600:]}")
            if unfinished(target):
                troubles.append(f"round {rounds}: a restore that ended left {unfinished(target)}")
            troubles += [f"round {rounds}: {line}" for line in difference(tree, target)[:5]]
            rounds += 1
            say(f"  round {rounds}: {kills} kills, {whole} files were whole before the last restore")
        for trouble in troubles[:20]:
            say(f"  trouble: {trouble}")
        score.check("killed as often as wanted", kills >= wanted, kills)
        score.check("some restores were cut off in their middle", useful > 0, f"{useful} of {rounds}")
        score.check("nothing half written looks whole, and what was whole was kept and nothing else", not troubles)
        check = room.larder("check", "--read-data", "--json")
        score.check("check --read-data is clean", check.code == 0, check.said[-600:] if check.code else "")
    score.close()


def kill(running, source):
    """Kills a command after a while; false if it had ended by itself."""
    time.sleep(source.uniform(*KILL_AFTER))
    killed = not running.ended()
    running.signal(signal.SIGKILL)
    running.wait()
    return killed


def names(tree):
    """Paths of files below a folder."""
    for folder, _, files in os.walk(tree):
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), tree)


def unfinished(target):
    """Names that a restore gives what it has not put in place."""
    return [name for name in names(target) if os.path.basename(name).startswith(".larder-")]


def whole_files(tree, target):
    """Files that a restore takes for whole: their size and time are right."""
    found = []
    for name in names(target) if os.path.isdir(target) else ():
        original = os.path.join(tree, name)
        if os.path.exists(original):
            there, right = os.stat(os.path.join(target, name)), os.stat(original)
            if (there.st_size, there.st_mtime_ns) == (right.st_size, right.st_mtime_ns):
                found.append(name)
    return found


def half_written(tree, target):
    """What looks whole and is not."""
    return [f"`{name}` looks whole and is not" for name in whole_files(tree, target) if read(tree, name) != read(target, name)]


def read(folder, name):
    """A file's bytes."""
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def make_tree(tree, source):
    """Small files in many folders, and a few large ones."""
    sizes = [source.randrange(1, 20_000) for _ in range(SMALL_FILES)] + [LARGE_BYTES] * LARGE_FILES
    for number, size in enumerate(sizes):
        folder = os.path.join(tree, f"folder {number % 40}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file {number}"), "wb") as file:
            file.write(source.randbytes(size))


def other_state(tree, target, source):
    """Half of the files, as they might have been before."""
    for name in names(tree):
        if source.random() < 0.5:
            path = os.path.join(target, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(source.randbytes(source.randrange(1, 20_000)))


if __name__ == "__main__":
    main()
