"""An installation that is tortured: a directory of its own, in which commands are run and killed."""

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import orjson

from benchmarks.kills import EXPECTED_TROUBLE, Aim, Log
from benchmarks.tree import Tree
from forks import Forked

PATIENCE = 300.0
"""Seconds in which the service must reach the step at which it is to be killed."""

_CONFIGURATION = """\
[database]
url = "{url}"

[sources.fedmsg]
endpoints = ["{endpoint}"]

[publish]
interval = 1
title = "torture"

# Little is kept, so that kills meet deletions too.
[publish.retention]
snapshots = 5
grace_hours = {grace}

{more}
"""


class TortureError(Exception):
    """Something differs from what an undisturbed run gives; the text says what."""


class Installation:
    """A directory with a configuration, in which commands are run.

    Args:
        directory: Where, which is made.
        url: The SQLAlchemy URL of its database.
        endpoint: The fedmsg bus that it consumes.
        more: More sections of its configuration.
        grace: Hours for which a reader may follow what was current; readers need none while no one publishes.
    """

    def __init__(self, directory: Path, url: str, endpoint: str, more: str = "", grace: float = 0) -> None:
        self.directory = directory
        self.tree = Tree(directory / "public")
        self._given = {"url": url, "endpoint": endpoint, "more": more}
        directory.mkdir()
        self.allow(grace)

    def allow(self, grace: float) -> None:
        """Let a reader follow for so many hours what was current."""
        (self.directory / "statscache.toml").write_text(_CONFIGURATION.format(**self._given, grace=grace))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, with these variables in its environment."""
        return subprocess.run(
            self._command(arguments),
            cwd=self.directory,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str] | Forked:
        """Start a command with these variables in its environment; its log is in a pipe."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=self.directory,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def do(self, *arguments: str, **environment: str) -> bytes:
        """Run a command to its end, with these variables in its environment, and return its output.

        Raises:
            TortureError: It failed.
        """
        for _ in range(10):
            done = self.run(*arguments, **environment)
            if EXPECTED_TROUBLE not in done.stderr:
                break
            time.sleep(1)
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise TortureError(f"statscache {' '.join(arguments)} ended with status {done.returncode}:\n{output}")
        return done.stdout

    def kill(self, arguments: Sequence[str], aim: Aim, rng: random.Random) -> Log:
        """Run a command and kill it where it is aimed at; return what it had written.

        Raises:
            TortureError: It ended by itself.
        """
        # The time zone of a process must not matter.
        zone = rng.choice(["UTC", "Pacific/Auckland", "America/St_Johns"])
        with self.start("-v", *arguments, TZ=zone) as process:
            pipe = process.stderr
            assert pipe is not None
            text = b""
            deadline = time.monotonic() + PATIENCE
            while not aim.is_reached(text):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([pipe], [], [], left)[0]:
                    break
                if not (chunk := os.read(pipe.fileno(), 65536)):
                    break
                text += chunk
            time.sleep(rng.uniform(0, aim.delay))
            process.kill()
            text += pipe.read().encode()
            status = process.wait()
        if status != -signal.SIGKILL or not aim.is_reached(text):
            did = f"ended by itself with status {status}" if status != -signal.SIGKILL else "made no progress"
            end = b"\n".join(text.splitlines()[-20:]).decode(errors="replace")
            raise TortureError(f"statscache {' '.join(arguments)} {did}, before {aim.text.decode()!r}:\n{end}")
        return Log(text)

    def complete(self, history: Sequence[str]) -> str:
        """Complete by `backfill` with these arguments, publish, and return the id of the snapshot."""
        self.do("backfill", *history)
        return str(orjson.loads(self.do("publish", "--json"))["id"])

    def check(self, identity: str, sent: int) -> None:
        """Check everything that can be checked of one installation.

        Args:
            identity: The snapshot that is published.
            sent: How many messages there were.

        Raises:
            TortureError: Something is wrong with the database.
            BrokenTree: Something is wrong with what is published.
        """
        forced = str(orjson.loads(self.do("publish", "--force", "--json"))["id"])
        if forced != identity:
            raise TortureError(f"publish --force gives snapshot {forced}, and incremental rendering gave {identity}")
        self.do("verify", "--journal")
        self.do("db", "check")
        state = orjson.loads(self.do("status", "--json"))
        if state["journal"]["messages"] != sent or state["gaps"]:
            raise TortureError(f"{sent} messages were sent, and status says {state['journal']}, gaps {state['gaps']}")
        self._check_plugins()
        self.tree.check()
        # Where one snapshot is retained, nothing may be left of the others, nor of those that were never finished.
        self.do("publish", STATSCACHE_PUBLISH__RETENTION__SNAPSHOTS="1")
        self.tree.check_whole()

    def decay(self, identity: str, copies: int, rng: random.Random) -> str:
        """Flip three bits in each of some copies of an SQLite database, and publish each to an empty directory.

        Args:
            identity: The snapshot that the database has.
            copies: How many.
            rng: Chooses the bits.

        Returns:
            The result, for the summary.

        Raises:
            TortureError: Something else was published with status 0, or the end was a traceback.
            BrokenTree: Wrong bytes were published with status 0.
        """
        whole = (self.directory / "statscache.db").read_bytes()
        right = 0
        for number in range(copies):
            place = self.directory.with_name(f"decayed{number}")
            copy = Installation(place, self._given["url"], self._given["endpoint"], self._given["more"])
            decayed = bytearray(whole)
            for _ in range(3):
                at = rng.randrange(8 * len(whole))
                decayed[at // 8] ^= 1 << at % 8
            (copy.directory / "statscache.db").write_bytes(decayed)
            done = copy.run("publish", "--json")
            output = done.stderr.decode(errors="replace")
            if done.returncode == 0:
                if copy.tree.index()["snapshot"] != identity:
                    raise TortureError(f"a database with flipped bits published another snapshot in {copy.directory}")
                copy.tree.check()
                right += 1
            elif "Traceback" in output or (copy.directory / "public/v1/index.json").exists():
                raise TortureError(f"a database with flipped bits ended with status {done.returncode}:\n{output}")
            shutil.rmtree(copy.directory)
        return f"of {copies} copies with three flipped bits, {right} were published right, and the others refused"

    def _check_plugins(self) -> None:
        installed = {row["name"] for row in orjson.loads(self.do("plugins", "--json"))["plugins"]}
        published = {row["name"]: row for row in self.tree.index()["plugins"]}
        if missing := sorted(installed - published.keys()):
            raise TortureError(f"these plugins took no part: {', '.join(missing)}")
        if failed := sorted(name for name, row in published.items() if row["state"] != "ok"):
            raise TortureError(f"these plugins are not ok: {', '.join(failed)}")

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "statscache", *arguments]
