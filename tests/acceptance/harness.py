"""What the acceptance tests share: a room to work in, the program under test, the simulated tenant, and a score.

The binaries come from $LARDER and $LARDER_TENANT. Everything lies in one temporary folder (below $TMPDIR) that goes away
at the end; what was started is ended by its process id.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

MEMORY_MAX = 250 * 1000 * 1000
"""Bytes of resident memory no command may pass."""
COMMAND_SECONDS = 1800
"""A command that takes longer is ended and has failed."""
PASSWORD = "correct horse battery staple"


class Score:
    """Counts what passed and what did not, and tells each as it happens."""

    def __init__(self, subject):
        self.subject, self.passed, self.failed = subject, 0, 0
        self.began = time.monotonic()
        say(f"== {subject}")

    def check(self, what, passed, detail=""):
        """Notes one result; `detail` is shown either way, short."""
        self.passed, self.failed = self.passed + bool(passed), self.failed + (not passed)
        shown = str(detail).strip()
        if len(shown) > 1500:
            shown = shown[:1500] + " …"
        say(("  ok    " if passed else "  FAILED ") + what + (f": {shown}" if shown else ""))
        return bool(passed)

    def close(self):
        """Prints the score and ends the script."""
        say(f"{self.subject}: {time.monotonic() - self.began:.0f} s")
        say(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def say(line):
    """Prints a line at once."""
    print(line.encode("utf-8", "replace").decode(), flush=True)


def megabytes(count):
    """Bytes as MB."""
    return f"{count / 1e6:.1f} MB"


def binary(variable):
    """The program that an environment variable names."""
    path = os.environ.get(variable)
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"${variable} must name the program under test")
    return os.path.abspath(path)


class Ended:
    """A command that has ended."""

    def __init__(self, arguments, code, out, err, seconds, peak):
        self.arguments, self.code, self.out, self.err = arguments, code, out, err
        self.seconds, self.peak = seconds, peak

    @property
    def records(self):
        """The JSON Lines it printed."""
        return [json.loads(line) for line in self.out.decode("utf-8", "replace").splitlines() if line]

    def of(self, kind):
        """Its records of one type."""
        return [record for record in self.records if record["type"] == kind]

    @property
    def summary(self):
        """Its last summary, or an empty one."""
        return (self.of("summary") or [{}])[-1]

    @property
    def said(self):
        """All it told, for a person."""
        return (self.err.decode("utf-8", "replace") + self.out.decode("utf-8", "replace")).strip()

    @property
    def panicked(self):
        """Whether a panic shows in what it told, or how it ended."""
        return "panicked" in self.said or "RUST_BACKTRACE" in self.said or self.code in (101, -signal.SIGABRT)


class Running:
    """A command that runs."""

    def __init__(self, arguments, environment, folder, prefix=()):
        self.arguments, self.began = arguments, time.monotonic()
        self._out = tempfile.TemporaryFile(dir=folder)
        self._err = tempfile.TemporaryFile(dir=folder)
        self.process = subprocess.Popen(
            [*prefix, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._err
        )

    @property
    def pid(self):
        """Its process id."""
        return self.process.pid

    def signal(self, number):
        """Sends a signal if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def ended(self):
        """Whether it has ended; does not take its exit code away from `wait`."""
        state = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return state is not None

    def wait(self, seconds=COMMAND_SECONDS):
        """Waits for the end; what takes longer than `seconds` is killed."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            time.sleep(0.002)
        _, status, usage = os.wait4(self.pid, 0)
        took = time.monotonic() - self.began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        out, err = _taken(self._out), _taken(self._err)
        return Ended(self.arguments, self.process.returncode, out, err, took, usage.ru_maxrss * 1024)


def _taken(file):
    with file:
        file.seek(0)
        return file.read()


class Room:
    """A temporary folder with a config file, local state, and the program."""

    def __init__(self, name):
        self.program = binary("LARDER")
        self.path = tempfile.mkdtemp(prefix=f"larder-{name}-")
        self.config = self.join("larder.toml")
        folders = {"LARDER_STATE": self.join("state"), "LARDER_CACHE": self.join("cache")}
        self.environment = dict(os.environ, **folders, REPO_PASSWORD=PASSWORD)
        for variable in ("LARDER_CONFIG", "LARDER_PLUGIN_PATH", "RUST_BACKTRACE"):
            self.environment.pop(variable, None)
        self._running, self._tenants = [], []
        # What ends the script from outside must clean up too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for running in self._running:
            if running.process.returncode is None:
                running.signal(signal.SIGKILL)
                running.process.wait()
        for tenant in self._tenants:
            tenant.end()
        shutil.rmtree(self.path, ignore_errors=True)

    def join(self, *parts):
        """A path in the room."""
        return os.path.join(self.path, *parts)

    def start(self, *arguments, environment=None, prefix=(), config=None):
        """Starts the program."""
        command = [self.program, arguments[0], "--config", config or self.config, *arguments[1:]]
        running = Running(command, dict(self.environment, **(environment or {})), self.path, prefix)
        self._running.append(running)
        return running

    def larder(self, *arguments, seconds=COMMAND_SECONDS, **more):
        """Runs the program to its end."""
        return self.start(*arguments, **more).wait(seconds)

    def must(self, *arguments, **more):
        """Runs the program; anything but exit code 0 ends the test, for nothing after it would mean anything."""
        ended = self.larder(*arguments, **more)
        if ended.code != 0:
            raise RuntimeError(f"{' '.join(arguments)}: exit {ended.code}: {ended.said[-2000:]}")
        return ended

    def tenant(self, *arguments):
        """Starts a tenant of its own."""
        tenant = Tenant(*arguments)
        self._tenants.append(tenant)
        return tenant

    def configure(self, sets, repository=None, more=""):
        """Writes the config: one repository `main`, and the text of sets."""
        url = repository or "file://" + self.join("repo")
        text = f'[repository.main]\nurl = {quoted(url)}\npassword = {{ env = "REPO_PASSWORD" }}\n{more}\n{sets}'
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text)


def quoted(text):
    """A TOML string or array of strings."""
    return json.dumps(text, ensure_ascii=False)


def files_set(paths, name="home", more=""):
    """A set of the source `files`."""
    return (
        f'[set.{name}]\nrepository = "main"\nsource = "files"\n{more}\n'
        f"[set.{name}.options]\npaths = {quoted(list(paths))}\n"
    )


class Tenant:
    """A simulated tenant and its control port."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [binary("LARDER_TENANT"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the tenant did not start")
        self.about = json.loads(line)

    def end(self):
        """Ends it: it serves until its standard input closes."""
        if self.process.poll() is not None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def control(self, path, body=None):
        """Asks the control port: a POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.about['control']}/control/{path}", data=data)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.read()

    def manifest(self):
        """What a right backup holds."""
        return [json.loads(line) for line in self.control("manifest").splitlines() if line]

    def counters(self):
        """What was asked since the last reset."""
        return json.loads(self.control("counters"))

    def set_text(self, accounts=None, name="contoso", more=""):
        """The set's config, with the first so many of the accounts."""
        about = self.about
        lines = [f'[set.{name}]\nrepository = "main"\nsource = "office365"\n{more}', f"[set.{name}.options]"]
        lines.append('tenant = "contoso.example"')
        for number, account in enumerate(about["accounts"][:accounts]):
            lines += [f"[[set.{name}.options.accounts]]", f"user = {quoted(account['user'])}"]
            lines.append(f'password = {{ env = "APP_PASSWORD_{number}" }}')
        lines += [f"[set.{name}.options.sharepoint]", 'sites = ["*"]', f"[set.{name}.options.exchange]"]
        lines.append(f"mailboxes = {quoted(about['mailboxes'])}")
        lines.append(f"[set.{name}.options.endpoints]")
        lines += [f"{host} = {quoted(about[host])}" for host in ("login", "sharepoint", "my", "admin")]
        lines.append(f"exchange = {quoted(about['exchange'] + '/EWS/Exchange.asmx')}")
        return "\n".join(lines) + "\n"

    def secrets(self):
        """The environment that holds the accounts' app passwords."""
        accounts = enumerate(self.about["accounts"])
        return {f"APP_PASSWORD_{number}": account["app_password"] for number, account in accounts}


def objects(repository):
    """Every object of a `file://` repository, by path below it, without what is only under way."""
    found = []
    for folder, folders, names in os.walk(repository):
        folders[:] = [name for name in folders if name != "~tmp"]
        found += [os.path.relpath(os.path.join(folder, name), repository) for name in names]
    return sorted(found)


def difference(original, restored):
    """What rsync would still change to make `restored` as `original`: nothing if they are equal."""
    command = ["rsync", "-naicH", "--delete", original.rstrip("/") + "/", restored.rstrip("/") + "/"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    lines = ended.stdout.decode("utf-8", "replace").splitlines()
    return lines if ended.returncode == 0 else [*lines, f"rsync ended with {ended.returncode}"]
