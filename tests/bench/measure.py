"""Runs one command and says what it took; compares and measures directories. Knows nothing of backups."""

import filecmp
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LOG_TAIL = 2_000  # characters of a failed command's output that are shown


class Failed(Exception):
    """A command did not do what it was run for."""


@dataclass(frozen=True)
class Took:
    """What a command took. The kernel counts the measuring interpreter's own memory as a floor of `peak`, some 20 MB."""

    seconds: float
    """By the clock on the wall."""
    processor: float
    """Seconds of processor time, user and system, over all cores."""
    peak: int
    """The most memory resident at once, in bytes: of the largest process, if there were several."""


def run(command, environment, log, folder, limit):
    """Runs a command to its end, output to the file `log`. Raises `Failed` if it fails or takes over `limit` seconds."""
    os.sync()  # or a command pays for what the one before it left unwritten
    with log.open("wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        guard = threading.Timer(limit, process.kill)
        guard.daemon = True
        guard.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # interrupted: nothing is left running
            process.kill()
            raise
        finally:
            guard.cancel()
        seconds = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = log.read_text(errors="replace")[-LOG_TAIL:].strip()
        raise Failed(f"{' '.join(map(str, command))}: exit code {process.returncode} after {seconds:.1f} s\n{said}")
    return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def files_below(root):
    """Every file below a directory, as paths relative to it."""
    for folder, _, names in os.walk(root):
        for name in names:
            yield (Path(folder) / name).relative_to(root)


def size_of(root):
    """The bytes that the files below a directory hold, by their listed sizes."""
    return sum((root / path).stat().st_size for path in files_below(root))


def require_equal(original, copy):
    """Raises `Failed` unless two directories hold the same files with the same bytes. Goes folder by folder, since what this
    process remembers raises the floor of every peak."""
    for folder, _, names in os.walk(original):
        other = copy / Path(folder).relative_to(original)
        expected, found = set(os.listdir(folder)), set(os.listdir(other)) if other.is_dir() else set()
        if expected != found:
            missing, extra = sorted(expected - found), sorted(found - expected)
            raise Failed(f"in {other} are {len(missing)} too few {missing[:3]} and {len(extra)} too many {extra[:3]}")
        for name in names:
            if not filecmp.cmp(Path(folder) / name, other / name, shallow=False):
                raise Failed(f"restored another content of {other / name}")
