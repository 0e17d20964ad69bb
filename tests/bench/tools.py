"""The programs that are compared: how each makes a repository, backs up and restores.

All encrypt with a password, compress with zstd at level 3 or what they take for it, and write to a directory; each has a
home of its own, so that no cache, config or key of the user's is read or touched.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Place:
    """Where one program works in one round."""

    home: Path
    """Its caches, state and config."""
    repository: Path
    corpus: Path
    """What it backs up."""
    restored: Path
    """Where it restores to."""


class Tool:
    """A program. Commands are lists of arguments; a tag names a backup and is used once in a repository."""

    name = ""

    def __init__(self, program):
        found = shutil.which(program)
        # Absolute, since commands run in folders of their own.
        self.program = found and os.path.abspath(found)

    def environment(self, place):
        """The environment of all its commands."""
        home = {"HOME": place.home, "TMPDIR": place.home, "XDG_CACHE_HOME": place.home / "cache"}
        home |= {"XDG_CONFIG_HOME": place.home / "config", "XDG_STATE_HOME": place.home / "state"}
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        return kept | {key: str(path) for key, path in home.items()}

    def version(self):
        """The command that prints its version."""
        return [self.program, "--version"]

    def initialise(self, place):
        """Makes the repository. Not timed."""
        raise NotImplementedError

    def backup(self, place, tag):
        """Backs up the corpus."""
        raise NotImplementedError

    def restore(self, place, tag):
        """Restores the last backup, which is the one of this tag."""
        raise NotImplementedError

    def restored(self, place):
        """Where `restore` puts what lay in the corpus: all but one keep the absolute path."""
        return place.restored / place.corpus.relative_to("/")


class Larder(Tool):
    """This project."""

    name = "larder"

    def environment(self, place):
        return super().environment(place) | {
            "BENCH_PASSWORD": PASSWORD,
            "LARDER_CONFIG": str(self.config(place)),
            "LARDER_CACHE": str(place.home / "cache"),
            "LARDER_STATE": str(place.home / "state"),
        }

    @staticmethod
    def config(place):
        """The config file."""
        return place.home / "larder.toml"

    def initialise(self, place):
        self.config(place).write_text(
            "[repository.bench]\n"
            f'url = "{place.repository.as_uri()}"\n'
            'password = { env = "BENCH_PASSWORD" }\n'
            "[set.bench]\n"
            'repository = "bench"\n'
            'source = "files"\n'
            f'options = {{ paths = ["{place.corpus}"] }}\n'
        )
        return [self.program, "init"]

    def backup(self, place, tag):
        return [self.program, "--quiet", "run", "bench"]

    def restore(self, place, tag):
        return [self.program, "--quiet", "restore", "latest", "--to", str(place.restored)]


class Restic(Tool):
    """https://restic.net"""

    name = "restic"

    def environment(self, place):
        return super().environment(place) | {"RESTIC_PASSWORD": PASSWORD, "RESTIC_REPOSITORY": str(place.repository)}

    def version(self):
        return [self.program, "version"]

    def initialise(self, place):
        return [self.program, "init"]

    def backup(self, place, tag):
        return [self.program, "--quiet", "backup", str(place.corpus)]

    def restore(self, place, tag):
        return [self.program, "--quiet", "restore", "latest", "--target", str(place.restored)]


class Rustic(Tool):
    """https://rustic.cli.rs"""

    name = "rustic"

    def environment(self, place):
        return super().environment(place) | {
            "RUSTIC_PASSWORD": PASSWORD,
            "RUSTIC_REPOSITORY": str(place.repository),
            "RUSTIC_CACHE_DIR": str(place.home / "cache"),
            "RUSTIC_NO_PROGRESS": "true",
        }

    def initialise(self, place):
        return [self.program, "init"]

    def backup(self, place, tag):
        return [self.program, "backup", str(place.corpus)]

    def restore(self, place, tag):
        return [self.program, "restore", f"latest:{place.corpus}", str(place.restored)]

    def restored(self, place):
        return place.restored


class Borg(Tool):
    """https://www.borgbackup.org"""

    name = "borg"

    def environment(self, place):
        return super().environment(place) | {
            "BORG_PASSPHRASE": PASSWORD,
            "BORG_REPO": str(place.repository),
            "BORG_BASE_DIR": str(place.home),
        }

    def initialise(self, place):
        return [self.program, "init", "--encryption", "repokey-blake2"]

    def backup(self, place, tag):
        return [self.program, "create", "--compression", "zstd,3", f"::{tag}", str(place.corpus)]

    def restore(self, place, tag):
        # It extracts to the current directory, which is `place.restored` for every program.
        return [self.program, "extract", f"::{tag}"]
