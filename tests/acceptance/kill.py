#!/usr/bin/env python3
"""SIGKILL at random moments of a backup: nothing stored before is harmed, and the next run takes up at a checkpoint.

usage: kill.py [KILLS] [SEED]      default: 100 kills, seed 1

Each round has a repository and a tenant of its own, which answers slowly. Runs over the tenant are killed ten times, if none
gets through before; then one is let through, the tenant changes, and the incremental run is killed in the same way.
"""

import contextlib
import os
import random
import signal
import sys
import time
from collections import Counter

from harness import Room, Score, difference, files_set, say

CHECKPOINT_SECONDS = "0.3"
LATENCY_MS = 60
KILL_AFTER = (0.3, 3.0)
CHANGES = 1500
KILLS_PER_PHASE = 10
FULL_RESTORE_EVERY = 10
KINDS = ("file", "message", "event", "contact", "note", "task")


class Tally:
    """What happened over all rounds."""

    def __init__(self, wanted, seed):
        self.wanted, self.random = wanted, random.Random(seed)
        self.kills = self.clean = self.browsed = self.read = self.restores = self.restored = 0
        self.ended_first = self.with_checkpoint = self.resumed = self.fewer = self.rounds = self.equal = 0
        self.fetched = self.items = 0
        self.troubles = []

    @property
    def done(self):
        """Whether all kills have happened."""
        return self.kills >= self.wanted


def main():
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    score = Score("kill")
    say(f"  {wanted} kills, seed {seed}")
    tally = Tally(wanted, seed)
    while not tally.done:
        with Room("kill") as room:
            one_round(room, tally)
        tally.rounds += 1
        say(f"  round {tally.rounds}: {tally.kills} kills, {time.monotonic() - score.began:.0f} s")
    report(score, tally)
    score.close()


def report(score, tally):
    """The sums."""
    for trouble in tally.troubles[:20]:
        say(f"  trouble: {trouble}")
    kills = tally.kills
    score.check("killed as often as wanted", kills >= tally.wanted, f"{kills}; {tally.ended_first} runs got through")
    score.check("check --read-data was clean after every kill", tally.clean == kills, f"{tally.clean} of {kills}")
    score.check("an earlier snapshot was listed after every kill", tally.browsed == kills, f"{tally.browsed} of {kills}")
    score.check("an item of it was read after every kill", tally.read == kills, f"{tally.read} of {kills}")
    score.check(
        "it was restored whole after every tenth",
        0 < tally.restored == tally.restores or kills < FULL_RESTORE_EVERY,
        f"{tally.restored} of {tally.restores}",
    )
    through = tally.with_checkpoint
    score.check("runs that found a checkpoint went on from it", 0 < through == tally.resumed, f"{tally.resumed} of {through}")
    score.check("they read fewer items than all", 0 < through == tally.fewer, f"{tally.fewer} of {through}")
    score.check(
        "what came through equals the tenant", 0 < tally.equal == tally.ended_first, f"{tally.equal} of {tally.ended_first}"
    )
    # Without checkpoints every kill would throw away all that its run had fetched.
    again = tally.fetched - tally.items
    say(f"  fetched {tally.fetched} items where {tally.items} had to be: {again} again, {again / max(kills, 1):.0f} a kill")


def one_round(room, tally):
    """A repository with an earlier snapshot, a tenant read with kills, its changes read with kills."""
    tree = room.join("tree")
    content = make_tree(tree, tally.random)
    tenant = room.tenant(
        "--seed", str(tally.random.randrange(1 << 32)), "--throttle", f'{{"latency_ms":{LATENCY_MS}}}'
    )
    room.environment.update(tenant.secrets())
    room.configure(files_set([tree]) + tenant.set_text())
    room.must("init")
    earlier = room.must("run", "home", "--json").summary["snapshot"]
    for phase in ("first", "changed"):
        if tally.done:
            return
        if phase == "changed":
            tenant.control("change", {"seed": tally.random.randrange(1 << 32), "count": CHANGES})
        until_through(room, tenant, tally, earlier, tree, content)


def until_through(room, tenant, tally, earlier, tree, content):
    """Kills runs until one gets through, or there were enough kills; then lets one through."""
    option = checkpoint_option(room)
    most = tally.kills + KILLS_PER_PHASE
    tenant.control("counters/reset", {})
    while True:
        found = checkpoints(room)
        running = room.start("run", "contoso", "--json", "--accept-loss", *option)
        killed = not tally.done and tally.kills < most and kill(running, tally.random.uniform(*KILL_AFTER))
        ended = running.wait()
        if not killed or ended.code != -signal.SIGKILL:
            through(room, tenant, tally, ended, found)
            return
        tally.kills += 1
        after_kill(room, tally, earlier, tree, content)


def kill(running, after):
    """Kills a command after a time; false if it had ended by itself."""
    time.sleep(after)
    if running.ended():
        return False
    running.signal(signal.SIGKILL)
    return True


def checkpoint_option(room):
    """How often to checkpoint."""
    return ["--checkpoint-every", CHECKPOINT_SECONDS] if b"--checkpoint-every" in room.larder("run", "--help").out else []


def checkpoints(room):
    """Whether the set has a checkpoint in the repository."""
    with contextlib.suppress(FileNotFoundError):
        for _, _, names in os.walk(room.join("repo", "live", "checkpoints")):
            if names:
                return True
    return False


def after_kill(room, tally, earlier, tree, content):
    """What must hold after every kill. The commands run side by side."""
    name = tally.random.choice(sorted(content))
    check = room.start("check", "--read-data", "--json", "--repository", "main")
    listing = room.start("ls", earlier, "--recursive", "--json", "--repository", "main")
    reading = room.start("cat", f"{earlier}:{tree}/{name}", "--repository", "main")
    check, listing, reading = check.wait(), listing.wait(), reading.wait()
    tally.clean += note(tally, check.code == 0, check)
    files = {item["path"] for item in listing.of("item") if not item["folder"]} if listing.code == 0 else set()
    tally.browsed += note(tally, files == {f"{tree}/{name}" for name in content}, listing)
    tally.read += note(tally, reading.code == 0 and reading.out == content[name], reading)
    if tally.kills % FULL_RESTORE_EVERY == 0:
        tally.restores += 1
        target = room.join(f"restored-{tally.kills}")
        restore = room.larder("restore", earlier, "--to", target, "--repository", "main")
        same = restore.code == 0 and not difference(tree, target + tree)
        tally.restored += note(tally, same, restore)


def note(tally, good, ended):
    """Keeps what a command said when it was not as it must be."""
    if not good:
        tally.troubles.append(f"kill {tally.kills}: {ended.arguments[1]}: exit {ended.code}: {ended.said[-600:]}")
    return good


def through(room, tenant, tally, ended, found):
    """A run that got through: it went on from the checkpoint, and holds what the tenant holds."""
    tally.ended_first += 1
    summary = ended.summary
    if not note(tally, ended.code == 0, ended):
        return
    if found:
        tally.with_checkpoint += 1
        tally.resumed += note(tally, summary["resumed"], ended)
        tally.fewer += note(tally, summary["read_items"] < summary["items"], ended)
    fetched = tenant.counters()["items_fetched"]
    tally.fetched += sum(fetched.values())
    tally.items += len(fetched)
    manifest = [e for e in tenant.manifest() if e["kind"] in KINDS]
    listing = room.larder("ls", summary["snapshot"], "--recursive", "--json", "--repository", "main")
    items = [item for item in listing.of("item") if item["kind"] in KINDS]
    wanted = Counter(entry["blake3"] for entry in manifest if entry["blake3"])
    have = Counter(stream["blake3"] for item in items for stream in item["streams"] if stream["name"] == "content")
    missing = wanted - have
    same = not missing and len(items) == len(manifest)
    tally.equal += same
    if not same:
        text = f"{len(manifest)} items wanted, {len(items)} there; missing {list(missing)[:5]}"
        tally.troubles.append(f"{summary['snapshot']}: {text}")


def make_tree(tree, source):
    """Two hundred small files; returns their content by name."""
    os.makedirs(tree)
    content = {f"file {number}": source.randbytes(source.randrange(1, 20_000)) for number in range(200)}
    for name, data in content.items():
        with open(os.path.join(tree, name), "wb") as file:
            file.write(data)
    return content


if __name__ == "__main__":
    main()
