"""An S3 server for a test, as tests/servers/s3 starts it, and a look at its bucket from outside."""

import datetime
import hashlib
import hmac
import json
import os
import shlex
import subprocess
import urllib.parse
import urllib.request
import xml.etree.ElementTree

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers", "s3")
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
SECRET = "LARDER_TEST_S3_SECRET"


class Server:
    """The server that $LARDER_TEST_S3 names; else one of its own, ended with the test."""

    def __init__(self, state):
        self._state, self._own = state, "LARDER_TEST_S3" not in os.environ
        exports = _exports(state) if self._own else os.environ
        about = json.loads(exports["LARDER_TEST_S3"])
        self.secrets = {SECRET: exports[SECRET]}
        self.about = about["options"]
        # A prefix of its own: a server that others use holds other things too.
        self.url = f"{about['url']}/concurrent-{os.getpid()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._own:
            subprocess.run([SCRIPT, "stop", self._state], check=False)

    @property
    def options(self):
        """The repository's options, for a config."""
        lines = ["[repository.main.options]"]
        for key, value in self.about.items():
            if isinstance(value, dict):
                lines += [f"{key} = {{ {name} = {json.dumps(text)} }}" for name, text in value.items()]
            else:
                lines.append(f"{key} = {json.dumps(value)}")
        return "\n".join(lines)


def _exports(state):
    """Starts a server; what it exports."""
    said = subprocess.run([SCRIPT, "start", state], stdout=subprocess.PIPE, check=True, text=True).stdout
    lines = [shlex.split(line)[1] for line in said.splitlines() if line.startswith("export ")]
    return dict(line.split("=", 1) for line in lines)


class Bucket:
    """The repository's objects as S3 lists them: signed by hand, so that no library is needed."""

    def __init__(self, server):
        self._server = server
        self._bucket, _, self.prefix = server.url.removeprefix("s3://").partition("/")
        self.prefix += "/"

    def sizes(self):
        """The size in bytes of every object by its key."""
        sizes, more = {}, None
        while True:
            query = {"list-type": "2", "prefix": self.prefix}
            if more:
                query["continuation-token"] = more
            listing = xml.etree.ElementTree.fromstring(self._get(query))
            for entry in listing.iter(f"{NAMESPACE}Contents"):
                sizes[entry.findtext(f"{NAMESPACE}Key")] = int(entry.findtext(f"{NAMESPACE}Size"))
            more = listing.findtext(f"{NAMESPACE}NextContinuationToken")
            if not more:
                return sizes

    def _get(self, query):
        """One signed request (AWS Signature Version 4)."""
        about = self._server.about
        host = about["aws_endpoint"].partition("://")[2]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{about['aws_region']}/s3/aws4_request"
        empty = hashlib.sha256(b"").hexdigest()
        text = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote, safe="")
        names = "host;x-amz-content-sha256;x-amz-date"
        headers = f"host:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{now}\n"
        request = f"GET\n/{self._bucket}\n{text}\n{headers}\n{names}\n{empty}"
        key = f"AWS4{self._server.secrets[SECRET]}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        credential = f"Credential={about['aws_access_key_id']}/{scope}"
        sent = urllib.request.Request(
            f"{about['aws_endpoint']}/{self._bucket}?{text}",
            headers={
                "x-amz-content-sha256": empty,
                "x-amz-date": now,
                "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}",
            },
        )
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return answer.read()
