#!/usr/bin/env python3
"""Many writers, readers, forgets and prunes on one S3 repository, some of them killed: nothing is lost, nothing stays that should go.

usage: concurrent.py [SECONDS] [SEED]      default: 60 seconds, seed 1

Eight writers run over small folders that change between their runs: six with a set of their own, two with one set that they share
and run at the same time. Each has a state folder and a cache of its own, as if it ran on a machine of its own. Beside them, also on "machines"
of their own: a loop of `forget`, a loop of `prune --max-waste 0`, and a reader that restores the newest snapshot of some set and
compares. Writers and prunes are killed now and then. What every run read is noted, and compared with what its snapshot gives back.

The server is that of $LARDER_TEST_S3, or one that this script starts and ends.
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections import Counter

from harness import Room, Score, files_set, megabytes, say
from s3 import Bucket, Server

LONE_WRITERS = 6
KEEP_LAST = 3
FILES = 40
WRITER_KILLED, PRUNE_KILLED = 0.12, 0.3
"""How many of all are killed."""
KILL_AFTER = (0.02, 2.0)
DONE, FAILED, BUSY = 0, 1, 11


class Tree:
    """A folder of files that changes between runs."""

    def __init__(self, path, source):
        self.path, self.random, self._next = path, source, 0
        os.makedirs(os.path.join(path, "below"))
        for _ in range(FILES):
            self._write(self._new())

    def _new(self):
        self._next += 1
        return os.path.join(self.path, *self.random.choice([(), ("below",)]), f"file {self._next}")

    def _write(self, path):
        size = self.random.choice([100, 5_000, 40_000]) if self.random.random() < 0.99 else 1_500_000
        with open(path, "wb") as file:
            file.write(self.random.randbytes(self.random.randrange(size)))

    def change(self):
        """Some files are written anew, some go, some come: as many as go, in the long run."""
        files = [path for path, _ in walk(self.path)]
        for path in self.random.sample(files, min(len(files), 8)):
            if self.random.random() < 0.5:
                self._write(path)
            elif self.random.random() < 0.5 and len(files) > FILES // 2:
                os.unlink(path)
            else:
                self._write(self._new())
        # The same content again: found stored by one run, perhaps condemned by a prune meanwhile.
        if files and self.random.random() < 0.3 and os.path.exists(files[0]):
            shutil.copyfile(files[0], self._new())


def content_of(folder):
    """What a run over a folder must keep: digest, size and modified time of each file by its path."""
    content = {}
    for path, state in walk(folder):
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        content[os.path.relpath(path, folder)] = (digest, state.st_size, state.st_mtime_ns)
    return content


def walk(folder):
    """The files below a folder with what the system knows of them, in order."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(parent, name)
            yield path, os.stat(path)


class Play:
    """What all threads share: the room, the clock, and what happened."""

    def __init__(self, room, server, seconds, seed):
        self.room, self.server, self.seed = room, server, seed
        self.deadline = time.monotonic() + seconds
        self.lock = threading.Lock()
        self.seen = {}
        """What each snapshot must give back, by its id."""
        self.perhaps = {}
        """By set: what runs had read that were killed, so that nobody knows whether they took a snapshot."""
        self.codes, self.kills, self.troubles = Counter(), Counter(), []
        self.peak = 0
        self.trees = {}

    @property
    def over(self):
        """Whether no new command is to be started."""
        return time.monotonic() > self.deadline

    def machine(self, name, sets):
        """A config and a state folder of their own."""
        config = self.room.join(f"{name}.toml")
        self.room.config = config
        self.room.configure(sets, repository=self.server.url, more=self.server.options)
        return Machine(self, name, config)

    def trouble(self, what):
        """Something that must not happen."""
        with self.lock:
            self.troubles.append(what)
        say(f"  TROUBLE {what}")


class Machine:
    """Where commands run one after the other, with a state folder and a cache of their own."""

    def __init__(self, play, name, config):
        self.play, self.name, self.config = play, name, config
        self.random = random.Random(f"{play.seed} {name}")

    def start(self, *arguments):
        """Starts a command."""
        folders = {name: self.play.room.join(name, self.name) for name in ("LARDER_STATE", "LARDER_CACHE")}
        environment = {**folders, **self.play.server.secrets}
        return self.play.room.start(*arguments, environment=environment, config=self.config)

    def end(self, running, killed_share=0.0, expected=(DONE,)):
        """Waits for a command's end, perhaps kills it before; None if it was killed."""
        if self.random.random() < killed_share:
            time.sleep(self.random.uniform(*KILL_AFTER))
            running.signal(signal.SIGKILL)
        ended = running.wait(300)
        command = ended.arguments[1]
        with self.play.lock:
            self.play.codes[command, "killed" if ended.code == -signal.SIGKILL else ended.code] += 1
        if ended.code == -signal.SIGKILL:
            with self.play.lock:
                self.play.kills[command] += 1
            return None
        if ended.code not in expected or ended.panicked:
            self.play.trouble(f"{self.name}: {' '.join(ended.arguments[1:])}: exit {ended.code}: {ended.said[-1500:]}")
        return ended

    def command(self, *arguments, **how):
        """Runs a command to its end."""
        return self.end(self.start(*arguments), **how)


def note_run(play, name, content, ended):
    """Keeps what a run must have stored."""
    with play.lock:
        if ended is None:
            play.perhaps.setdefault(name, []).append(content)
        elif ended.code == DONE:
            play.seen[ended.summary["snapshot"]] = content


def writing(play, name, machines, tree):
    """Runs one set over and over: on every machine that shares it at the same time."""
    while not play.over:
        one_run(play, name, machines, tree, WRITER_KILLED)


def one_run(play, name, machines, tree, killed):
    """Changes the folder, then runs the set on every machine at the same time."""
    tree.change()
    content = content_of(tree.path)
    every = "0.2" if machines[0].random.random() < 0.5 else "60"
    running = [machine.start("run", name, "--json", "--checkpoint-every", every) for machine in machines]
    for machine, run in zip(machines, running):
        # A run that meets one prune after another may find the index rewritten each time it lists it: it says so, and goes.
        note_run(play, name, content, machine.end(run, killed, expected=(DONE, BUSY) if killed else (DONE,)))


def forgetting(play, machine):
    """Drops all but the newest snapshots."""
    while not play.over:
        machine.command("forget", "--json")
        # A second prune meets the first one's session: it goes, or takes its turn.
        machine.command("prune", "--json", expected=(DONE, BUSY))
        time.sleep(machine.random.uniform(0, 2))


def pruning(play, machine):
    """Frees everything that is not in use."""
    while not play.over:
        machine.command("prune", "--json", "--max-waste", "0", killed_share=PRUNE_KILLED, expected=(DONE, BUSY))
        time.sleep(machine.random.uniform(0, 1))


def reading(play, machine, names):
    """Restores the newest snapshot of a set. One that was forgotten meanwhile may fail; then it is no longer listed."""
    while not play.over:
        name = machine.random.choice(names)
        snapshots = machine.command("snapshots", "--set", name, "--json").of("snapshot")
        if not snapshots:
            time.sleep(0.5)
            continue
        snapshot = max(snapshots, key=lambda snapshot: (snapshot["run"], snapshot["finished"]))["id"]
        target = play.room.join("reading")
        ended = machine.command("restore", snapshot, "--to", target, "--json", expected=(DONE, FAILED, 3, BUSY))
        if ended.code == DONE:
            compare(play, name, snapshot, target)
        elif ended.code != BUSY and any(left["id"] == snapshot for left in machine.command("snapshots", "--json").of("snapshot")):
            play.trouble(f"restore {snapshot} of {name}: exit {ended.code}: {ended.said[-1500:]}")
        shutil.rmtree(target, ignore_errors=True)


def compare(play, name, snapshot, target):
    """Compares a restored snapshot with what its run saw; what is in it, or None if the two differ."""
    tree = play.trees[name]
    found = content_of(target + tree.path)
    for _ in range(50):
        with play.lock:
            known = play.seen.get(snapshot)
            perhaps = list(play.perhaps.get(name, []))
        if found == known or known is None and found in perhaps:
            return found
        if known is not None or play.over:
            break
        # Its run has put it and has not told yet.
        time.sleep(0.1)
    wanted = known if known is not None else (perhaps or [{}])[-1]
    other = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
    play.trouble(f"{name}: snapshot {snapshot}: {len(other)} of {len(wanted)} files are not as they were: {other[:5]}")
    return None


def watching(play, bucket):
    """How much the store holds, now and then."""
    while not play.over:
        with contextlib.suppress(OSError):
            play.peak = max(play.peak, sum(bucket.sizes().values()))
        time.sleep(2)


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    score = Score("concurrent")
    say(f"  {seconds:.0f} seconds, seed {seed}")
    with Room("concurrent") as room, Server(room.join("s3")) as server:
        act(score, Play(room, server, seconds, seed), Bucket(server))
    score.close()


def act(score, play, bucket):
    """The whole play."""
    names = [f"writer-{number}" for number in range(LONE_WRITERS)] + ["shared"]
    keep = f"keep = {{ last = {KEEP_LAST} }}"
    for name in names:
        play.trees[name] = Tree(play.room.join("trees", name), random.Random(f"{play.seed} {name}"))
    texts = {name: files_set([play.trees[name].path], name, keep) for name in names}
    every = "".join(texts.values())
    writers = {name: [play.machine(name, texts[name])] for name in names}
    writers["shared"].append(play.machine("shared-too", texts["shared"]))
    forgetter, pruner, reader = (play.machine(name, every) for name in ("forget", "prune", "reader"))
    pruner.command("init")
    threads = [threading.Thread(target=writing, args=(play, name, writers[name], play.trees[name]), daemon=True) for name in names]
    threads.append(threading.Thread(target=forgetting, args=(play, forgetter), daemon=True))
    threads.append(threading.Thread(target=pruning, args=(play, pruner), daemon=True))
    threads.append(threading.Thread(target=reading, args=(play, reader, names), daemon=True))
    threads.append(threading.Thread(target=watching, args=(play, bucket), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    score.check("ran to the end", True, shown(play))
    settle(play, writers, forgetter, pruner)
    verdict(score, play, bucket, writers, pruner)


def shown(play):
    """How often each command ended how."""
    return ", ".join(f"{command} {code}: {count}" for (command, code), count in sorted(play.codes.items(), key=str))


def settle(play, writers, forgetter, pruner):
    """Ends what was killed, as its own machines do: a set's next run, the next prune."""
    for name, machines in writers.items():
        for machine in machines:
            one_run(play, name, [machine], play.trees[name], 0)
    pruner.command("prune", "--json")
    forgetter.command("forget", "--json")
    for _ in range(2):
        pruner.command("prune", "--json", "--max-waste", "0")


def verdict(score, play, bucket, writers, pruner):
    """What must hold at the end."""
    checked = pruner.command("check", "--read-data", "--json")
    score.check("check --read-data is clean", checked and checked.code == DONE and not checked.of("problem"))
    snapshots = pruner.command("snapshots", "--json").of("snapshot")
    right, needed = 0, {}
    for snapshot in snapshots:
        target = play.room.join("restored")
        ended = pruner.command("restore", snapshot["id"], "--to", target, "--json")
        content = compare(play, snapshot["set"], snapshot["id"], target) if ended.code == DONE else None
        right += content is not None
        needed.update((digest, size) for digest, size, _ in (content or {}).values())
        shutil.rmtree(target, ignore_errors=True)
    score.check("every snapshot is what its run saw", 0 < right == len(snapshots), f"{right} of {len(snapshots)}")
    per_set = Counter(snapshot["set"] for snapshot in snapshots)
    kept = all(0 < per_set[name] <= KEEP_LAST for name in writers)
    score.check("each set has its newest snapshots and no others", kept, dict(per_set))
    sizes = bucket.sizes()
    live = sorted(key for key in sizes if "/live/" in key)
    score.check("nothing is left in live/", not live, live[:5])
    folders = Counter(key.removeprefix(bucket.prefix).split("/")[0] for key in sizes)
    need, total = sum(needed.values()), sum(sizes.values())
    text = f"{megabytes(total)} for {megabytes(need)}, at most {megabytes(play.peak)} meanwhile; {dict(folders)}"
    # The files are noise that no compression makes smaller; trees, the index and padding come on top.
    score.check("the store holds what it needs and little more", total < need * 1.1 + 2e6, text)
    score.check("commands were killed", sum(play.kills.values()) > 0, dict(play.kills))
    score.check("no command ended as it must not", not play.troubles, f"{len(play.troubles)}: {shown(play)}")


if __name__ == "__main__":
    main()
