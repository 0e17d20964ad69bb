#!/usr/bin/env python3
"""Whatever goes wrong is a clear error with the promised exit code, and nothing is lost.

usage: errors.py [PART]…      parts: mistakes store busy plugins damage (default: all); run it as root for the mounts
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import PASSWORD, Room, Score, difference, files_set, objects, quoted, say

FILES = 60
FLIPS_PER_OBJECT = 2


def main():
    parts = {"mistakes": mistakes, "store": store, "busy": busy, "plugins": plugins, "damage": damage}
    score = Score("errors")
    for name in sys.argv[1:] or parts:
        say(f"  -- {name}")
        with Room(f"errors-{name}") as room:
            parts[name](room, score)
    score.close()


def prepare(room, repository=None):
    """A small tree in a repository; returns the tree."""
    tree = room.join("tree")
    make_files(tree, "a", 1)
    room.configure(files_set([tree]), repository)
    room.must("init")
    room.must("run", "home")
    return tree


def make_files(tree, prefix, seed, count=FILES, size=40_000):
    """Files of random bytes."""
    os.makedirs(tree, exist_ok=True)
    source = random.Random(seed)
    for number in range(count):
        with open(os.path.join(tree, f"{prefix} {number}"), "wb") as file:
            file.write(source.randbytes(source.randrange(1, size)))


def refused(score, what, ended, codes, *words, hint=True):
    """An error as it must be: its code, what it names, what to do, no panic, no secret."""
    said = ended.said
    shown = [line for line in said.splitlines() if line.startswith(("error", "hint"))] or said.splitlines()[-2:]
    score.check(f"{what}: exit code {' or '.join(map(str, codes))}", ended.code in codes, f"{ended.code}, {ended.seconds:.1f} s: {' / '.join(shown)}")
    missing = [word for word in words if word.lower() not in said.lower()]
    score.check(f"{what}: says what, on what and why", not missing, missing and f"{missing} not in it")
    if hint:
        score.check(f"{what}: says what to do", any(sign in said for sign in ("hint: ", "chmod", "renamed")))
    quiet(score, what, ended)


def quiet(score, what, ended):
    """No panic and no secret."""
    if ended.panicked or PASSWORD in ended.said:
        score.check(f"{what}: no panic, no secret", False, ended.said[-800:])


def unharmed(room, score, what, **more):
    """The repository is clean."""
    check = room.larder("check", "--read-data", "--repository", "main", **more)
    score.check(f"{what}: the repository is clean afterwards", check.code == 0, "" if check.code == 0 else check.said[-600:])


# --- the user's mistakes


def mistakes(room, score):
    """Wrong passwords, wrong places, wrong configs, wrong arguments."""
    tree = prepare(room)
    for command in (["run", "home"], ["snapshots"], ["ls", "latest"], ["check"], ["restore", "latest", "--to", room.join("x")]):
        ended = room.larder(*command, environment={"REPO_PASSWORD": "wrong"})
        refused(score, f"{command[0]} with a wrong password", ended, (12,), "password", "main")
    unset = room.larder("run", "home", environment={"REPO_PASSWORD": ""})
    refused(score, "an empty password", unset, (1, 2, 12), "password")
    unharmed(room, score, "wrong password")
    again = room.larder("init")
    refused(score, "init where a repository is", again, (1,), "main")
    unharmed(room, score, "init again")
    for what, arguments, codes, words in (
        ("a snapshot that is not there", ["ls", "ffffffff"], (1, 2), ["ffffffff"]),
        ("a path that is not there", ["cat", f"latest:{tree}/nothing"], (1,), ["nothing"]),
        ("a set that is not there", ["run", "hme"], (2,), ["hme", "home"]),
        ("an unknown option", ["run", "--alll"], (2,), ["--alll"]),
    ):
        refused(score, what, room.larder(*arguments), codes, *words, hint=False)
    config_mistakes(room, score, tree)
    other = room.join("missing.toml")
    with open(room.config, encoding="utf-8") as file:
        text = file.read().replace(quoted("file://" + room.join("repo")), quoted("file://" + room.join("nothing")))
    write(other, text)
    for command in (["run", "home"], ["snapshots"], ["check"]):
        ended = room.larder(*command, config=other)
        refused(score, f"{command[0]} without a repository", ended, (10,), "main", "nothing")
    refused(score, "a config that is not there", room.larder("run", "home", config=room.join("none.toml")), (2,), "none.toml", hint=False)


def config_mistakes(room, score, tree):
    """Wrong keys are told with file, line, column and the nearest right one; rubbish never panics."""
    good = files_set([tree])
    wrong = room.join("wrong.toml")
    repository = f'[repository.main]\nurl = {quoted("file://" + room.join("repo"))}\npassword = {{ env = "REPO_PASSWORD" }}\n'
    for what, text, words in (
        ("a mistyped key", repository.replace("password =", "pasword =") + good, ["wrong.toml", "3", "pasword", "password"]),
        ("a mistyped option", repository + good.replace("paths", "pathes"), ["wrong.toml", "pathes", "paths"]),
        ("an unknown source", repository + good.replace('"files"', '"fils"'), ["fils", "files"]),
        ("an unknown repository", repository + good.replace('"main"', '"man"'), ["man", "main"]),
        ("a wrong type", repository + good.replace("paths = [", "paths = 7 # ["), ["wrong.toml", "paths"]),
        ("broken TOML", repository + "[set.home\n", ["wrong.toml"]),
    ):
        write(wrong, text)
        refused(score, what, room.larder("run", "home", config=wrong), (2,), *words, hint=False)
    source, codes = random.Random(3), set()
    for _ in range(20):
        text = bytearray((repository + good).encode())
        for _ in range(source.randrange(1, 12)):
            text[source.randrange(len(text))] = source.randrange(256)
        with open(wrong, "wb") as file:
            file.write(text)
        ended = room.larder("validate", config=wrong)
        codes.add(ended.code)
        quiet(score, "a config of rubbish", ended)
    score.check("configs of rubbish: 20 without a panic", codes <= {0, 1, 2, 10, 12}, f"exit codes {sorted(codes)}")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# --- the store


def store(room, score):
    """Unreachable, full, read-only."""
    tree = prepare(room)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    room.environment["STORE_SECRET"] = "hidden-words"
    s3 = (
        f'options = {{ aws_endpoint = "http://127.0.0.1:{closed}", aws_region = "x", aws_access_key_id = "x", '
        'aws_secret_access_key = { env = "STORE_SECRET" }, allow_http = true }'
    )
    for what, url, more in (
        ("an unreachable S3 store", "s3://bucket/backups", s3),
        ("an unreachable WebDAV store", f"http://127.0.0.1:{closed}/dav/", "options = { allow_http = true }"),
    ):
        room.configure(files_set([tree]), url, more)
        refused(score, what, room.larder("run", "home", seconds=300), (1,), "main", str(closed))
    room.configure(files_set([tree]))
    unharmed(room, score, "unreachable store")
    full(room, score)
    read_only(room, score, tree)


def mounted(score, *arguments):
    """Mounts; a test that cannot mount has failed."""
    ended = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    return score.check(f"mount {' '.join(arguments[:2])}", ended.returncode == 0, ended.stderr.decode())


def full(room, score):
    """A disk that fills up in mid-run; then the same run with less to store."""
    disk = room.join("disk")
    os.makedirs(disk)
    if not mounted(score, "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk):
        return
    try:
        tree = room.join("growing")
        make_files(tree, "small", 2)
        room.configure(files_set([tree]), "file://" + os.path.join(disk, "repo"))
        room.must("init")
        first = room.must("run", "home", "--json").summary["snapshot"]
        make_files(tree, "large", 3, count=60, size=2_000_000)
        ended = room.larder("run", "home")
        refused(score, "a full disk", ended, (1,), "main", "space")
        unharmed(room, score, "a full disk")
        target = room.join("from-full")
        restore = room.larder("restore", first, "--to", target, "--repository", "main")
        names = os.listdir(target + tree) if restore.code == 0 else []
        score.check("a full disk: the earlier snapshot restores", len(names) == FILES, restore.code)
        for name in os.listdir(tree):
            if name.startswith("large"):
                os.remove(os.path.join(tree, name))
        make_files(tree, "new", 4, count=3)
        ended = room.larder("run", "home")
        score.check("a full disk: a run that fits gets through", ended.code == 0, ended.said[-500:] if ended.code else "")
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
        room.configure(files_set([room.join("tree")]))


def read_only(room, score, tree):
    """A store that may only be read: backing up is an error, everything else works."""
    view = room.join("view")
    os.makedirs(view)
    if not mounted(score, "--bind", room.join("repo"), view):
        return
    try:
        if not mounted(score, "-o", "remount,ro,bind", view):
            return
        room.configure(files_set([tree]), "file://" + view)
        refused(score, "a read-only store", room.larder("run", "home"), (1,), "main", "read-only")
        unharmed(room, score, "a read-only store")
        target = room.join("from-view")
        restore = room.larder("restore", "latest", "--to", target)
        same = restore.code == 0 and not difference(tree, target + tree)
        score.check("a read-only store: restores", same, "" if same else restore.said[-400:])
    finally:
        subprocess.run(["umount", "-l", view], check=False)


def busy(room, score):
    """Two runs of a set at once: the second is told so, the first is not disturbed, and a dead one stops nobody."""
    tree = prepare(room)
    make_files(tree, "b", 5, count=300, size=400_000)
    running = room.start("run", "home")
    under_way(room, running)
    running.signal(signal.SIGSTOP)
    score.check("busy: the first run is under way", not running.ended())
    second = room.larder("run", "home", seconds=60)
    refused(score, "a second run", second, (11,), "home")
    listing = room.larder("ls", "latest", seconds=60)
    score.check("busy: reading goes on", listing.code == 0, listing.code)
    running.signal(signal.SIGCONT)
    ended = running.wait()
    score.check("busy: the first run gets through", ended.code == 0, ended.said[-300:] if ended.code else "")
    unharmed(room, score, "busy")
    make_files(tree, "c", 6, count=300, size=400_000)
    running = room.start("run", "home")
    under_way(room, running)
    running.signal(signal.SIGINT)
    ended = running.wait()
    score.check("Ctrl-C: exit code 130", ended.code == 130, f"{ended.code}, {ended.seconds:.1f} s: {ended.said[-200:]}")
    unharmed(room, score, "Ctrl-C")
    ended = room.larder("run", "home")
    score.check("Ctrl-C: the next run gets through", ended.code == 0)


def under_way(room, running):
    """Waits until a run has announced itself in the repository."""
    sessions = room.join("repo", "live", "sessions")
    while not running.ended() and not os.listdir(sessions):
        time.sleep(0.002)


# --- plugins


def plugins(room, score):
    """A file that is no plugin, one that others may write, one of another owner, one with another digest."""
    tree = prepare(room)
    library = room.join("mine.so")
    write(library, "this is no library")
    config = f"[plugin.mine]\nlibrary = {quoted(library)}\n"
    room.configure(files_set([tree]), more="\n" + config)
    refused(score, "a plugin that is no library", room.larder("run", "home"), (1, 2), "mine")
    os.chmod(library, 0o666)
    refused(score, "a plugin that others may write", room.larder("run", "home"), (1, 2), "mine", "666")
    os.chmod(library, 0o644)
    if score.check("runs as root", os.geteuid() == 0):
        os.chown(library, 12345, 12345)
        refused(score, "a plugin of another owner", room.larder("run", "home"), (1, 2), "mine", "12345")
        os.chown(library, 0, 0)
    libc = next((line.split()[-1] for line in open("/proc/self/maps", encoding="utf-8") if "libc.so" in line), None)
    if libc:
        shutil.copy(libc, library)
        refused(score, "a library that is no plugin", room.larder("run", "home"), (1, 2), "mine")
    room.configure(files_set([tree]), more="\n" + config + f'blake3 = "{"0" * 64}"\n')
    refused(score, "a plugin with another digest", room.larder("run", "home"), (1, 2), "mine", "digest")
    os.remove(library)
    refused(score, "a plugin that is not there", room.larder("run", "home"), (1, 2), "mine")
    room.configure(files_set([tree]))
    unharmed(room, score, "bad plugins")


# --- damage


def damage(room, score):
    """Each object of a repository with a bit flipped, cut short, and missing."""
    tree, other = room.join("tree"), room.join("other")
    make_files(tree, "a", 1)
    make_files(other, "o", 7)
    room.configure(files_set([tree]) + files_set([other], "other"))
    room.must("init")
    first = room.must("run", "home", "--json").summary["snapshot"]
    make_files(tree, "b", 8)
    second = room.must("run", "home", "--json").summary["snapshot"]
    third = room.must("run", "other", "--json").summary["snapshot"]
    snapshots = {first: (tree, "a"), second: (tree, "ab"), third: (other, "o")}
    repository, source = room.join("repo"), random.Random(11)
    every = objects(repository)
    say(f"  {len(every)} objects, snapshots {[s[:8] for s in snapshots]}")
    sums = {"damaged": 0, "named": 0, "intact": 0, "wrong": 0}
    for name in every:
        if name.startswith("live/"):
            continue
        path = os.path.join(repository, name)
        with open(path, "rb") as file:
            content = file.read()
        for kind in ["flipped"] * FLIPS_PER_OBJECT + ["truncated", "missing"]:
            sums["damaged"] += 1
            harm(path, content, kind, source)
            one_damage(room, score, name, kind, snapshots, sums)
            with open(path, "wb") as file:
                file.write(content)
    score.check("every damage was named by check", sums["named"] == sums["damaged"] > 0, f"{sums['named']} of {sums['damaged']}")
    score.check("restore never wrote a wrong byte", sums["wrong"] == 0, f"{sums['intact']} restores looked at, {sums['wrong']} wrong files")
    unharmed(room, score, "all damage undone")


def harm(path, content, kind, source):
    """Damages an object in one way."""
    if kind == "missing":
        os.remove(path)
        return
    data = bytearray(content)
    if kind == "flipped":
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
    else:
        del data[source.randrange(len(data)) :]
    with open(path, "wb") as file:
        file.write(data)


def one_damage(room, score, name, kind, snapshots, sums):
    """What check and restore say about one damaged object."""
    what = f"{name} {kind}"
    targets = {snapshot: room.join("out", snapshot) for snapshot in snapshots}
    commands = {"check": room.start("check", "--read-data", "--json", "--repository", "main")}
    for snapshot, target in targets.items():
        commands[snapshot] = room.start("restore", snapshot, "--to", target, "--json", "--repository", "main")
    ended = {key: running.wait() for key, running in commands.items()}
    check = ended.pop("check")
    problems = [f"{p['subject']} {p['message']}" for p in check.of("problem")] + [e["message"] for e in check.of("error")]
    named = check.code == 1 and any(os.path.basename(name) in problem for problem in problems)
    sums["named"] += named
    if not named:
        score.check(f"{what}: named", False, f"exit {check.code}: {problems[:4]}")
    quiet(score, what, check)
    twice = name.startswith(("config", "keys/"))
    for snapshot, restore in ended.items():
        tree, prefixes = snapshots[snapshot]
        quiet(score, what, restore)
        sums["intact"] += 1
        missing, wrong = compare(tree, targets[snapshot] + tree, prefixes)
        sums["wrong"] += len(wrong)
        failed = len(restore.summary.get("failed", []))
        told = restore.code == 0 and not missing or restore.code == 3 and failed or restore.code == 1 and restore.of("error")
        problem = wrong or not told or (twice and missing)
        # A pack of data or its index harms only what lies in it; the other set's objects are none of this one's business.
        if name.startswith(("data/", "index/data/")) and restore.code not in (0, 3):
            problem = True
        if problem:
            score.check(
                f"{what}: restore of {snapshot[:8]}",
                False,
                f"exit {restore.code}, {len(missing)} missing, {failed} told, wrong {wrong[:3]}: {restore.said[-500:]}",
            )
    if not twice:
        whole = sum(1 for restore in ended.values() if restore.code == 0)
        score_line = f"{what}: named {bool(named)}, restores {[restore.code for restore in ended.values()]}, {whole} whole"
        say("    " + score_line)
        if not whole:
            score.check(f"{what}: what does not need it restores", False, [restore.said[-300:] for restore in ended.values()])
    shutil.rmtree(room.join("out"), ignore_errors=True)


def compare(tree, target, prefixes):
    """Which files of a snapshot are missing from what was restored, and which are there with other bytes."""
    missing, wrong = [], []
    for name in sorted(os.listdir(tree)):
        if name[0] not in prefixes:
            continue
        try:
            with open(os.path.join(target, name), "rb") as file:
                have = file.read()
        except FileNotFoundError:
            missing.append(name)
            continue
        with open(os.path.join(tree, name), "rb") as file:
            if file.read() != have:
                wrong.append(name)
    return missing, wrong


if __name__ == "__main__":
    main()
