"""The command `statscache` as people run it: a process of its own, in a directory of its own; see `forks`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import orjson

from forks import Forked, can_fork
from statscache.simulator.bus import publish_on_bus

PATIENCE = 60.0
"""Seconds in which a process must have done what a test waits for."""

Result = subprocess.CompletedProcess[str]


class Home:
    """A directory in which commands are run, with a configuration of its own."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = {**os.environ, **environment}
        directory.mkdir(exist_ok=True)

    @property
    def public(self) -> Path:
        """The published tree."""
        return self.directory / "public"

    def configure(self, text: str) -> None:
        """Write the configuration."""
        (self.directory / "statscache.toml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str | bytes | Path, status: int | None = 0, **options: Any) -> Result:
        """Run a command to its end; it must end with `status`, and never with a traceback.

        Args:
            arguments: Those of the command.
            status: The exit status; None for whatever it is.
            options: What `subprocess.run` takes; with any but `timeout`, a new interpreter is started.
        """
        timeout = options.pop("timeout", PATIENCE)
        if options or not can_fork(self.environment):
            done = self.start_and_wait(*arguments, timeout=timeout, **options)
        else:
            with Forked(arguments, cwd=self.directory, env=self.environment, stderr=subprocess.PIPE) as command:
                out, err = command.communicate(timeout)
                done = Result(arguments, command.wait(), out, err)
        assert status is None or done.returncode == status, done
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def start_and_wait(self, *arguments: str | bytes | Path, timeout: float = PATIENCE, **options: Any) -> Result:
        """Run a command in a new interpreter.

        Where files may grow no further, it writes no bytecode: the interpreter takes what was cut off for whole, and no
        later one could import it.
        """
        limited = {"PYTHONDONTWRITEBYTECODE": "1"} if "preexec_fn" in options else {}
        done: Result = subprocess.run(
            [sys.executable, "-m", "statscache", *arguments],
            cwd=self.directory,
            env={**self.environment, **limited},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            **options,
        )
        return done

    def json(self, *arguments: str | Path, status: int | None = 0) -> Any:
        """Run a command with `--json` and return what it printed."""
        return orjson.loads(self.run(*arguments, "--json", status=status).stdout)

    def start(self, *arguments: str, start_new_session: bool = False) -> "Process":
        """Run a command in the background, with a detailed log."""
        return Process(["-v", *arguments], self.directory, self.environment, start_new_session=start_new_session)

    def document(self, path: str) -> Any:
        """Return a published document."""
        return orjson.loads((self.public / path).read_bytes())

    def plugin(self, name: str) -> Any:
        """Return what the pointer says of a plugin."""
        return next(row for row in self.document("v1/index.json")["plugins"] if row["name"] == name)


class Process:
    """A command in the background; at the end of the context it is gone."""

    def __init__(
        self, arguments: list[str], cwd: Path, env: Mapping[str, str], *, start_new_session: bool = False
    ) -> None:
        if can_fork(env):
            self._process: Forked | subprocess.Popen[str] = Forked(
                arguments, cwd=cwd, env=env, start_new_session=start_new_session
            )
        else:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "statscache", *arguments],
                cwd=cwd,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=start_new_session,
            )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._reader.join()
        self._process.__exit__(None, None, None)

    @property
    def text(self) -> str:
        """What it has printed and logged so far."""
        return "".join(self._lines)

    @property
    def process_id(self) -> int:
        """Its id, which is that of its group too if it was started in a session of its own."""
        return self._process.pid

    def await_log(self, text: str, times: int = 1) -> None:
        """Return when the log holds the text so many times."""
        wait_for(lambda: self.text.count(text) >= times, lambda: f"no {text!r} in:\n{self.text}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> tuple[int, str]:
        """Send the signal, if any, wait for the end, and return exit status and log."""
        if number is not None:
            self.send(number)
        status = self._process.wait(PATIENCE)
        self._reader.join()
        return status, self.text

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._lines.extend(iter(self._process.stdout.readline, ""))


class Bus:
    """A publisher on a bus of its own, in the background; at the end of the context, it has sent all it was given."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._waiting: list[bytes] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=publish_on_bus, args=(self._lines(), endpoint), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def send(self, lines: Iterable[bytes]) -> None:
        """Send lines to whoever listens."""
        self._waiting.extend(lines)

    def _lines(self) -> Iterator[bytes]:
        while self._waiting or not self._over.is_set():
            if self._waiting:
                yield self._waiting.pop(0)
            else:
                time.sleep(0.01)


def wait_for(condition: Any, what: Any) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        begun = time.monotonic()
        if condition():
            return
        ended = time.monotonic()
        assert ended < deadline, what()
        # Some conditions run a command: most of the time is left to what is waited for.
        time.sleep(max(0.02, 4 * (ended - begun)))


SMALL_BATCH = 2_400
"""Lines that a command with `SMALL_BATCHES` accepts in one transaction."""

SMALL_BATCHES = f"""
from statscache.service import backfill, parallel

backfill.PIECE = {SMALL_BATCH} // parallel.PIECES
"""
"""The beginning of a module of plugins, where several transactions are to be seen."""

BRAKE = """
import os, time
from statscache.plugins import Counter

class Brake(Counter):
    \"\"\"Holds the second transaction of a process, and all that follow, while the file `brake` is there.\"\"\"

    name = "brake"
    title = "Brake"
    unit = "messages"
    dimensions = ("topic",)

    def __init__(self, settings=None):
        super().__init__(settings)
        self.merges = 0
        self.merge, self.kind.merge = self.kind.merge, self.hold

    def observe(self, message):
        yield (message.topic,)

    def hold(self, state, reduced):
        self.merges += 1
        while self.merges > 1 and os.path.exists("brake"):
            time.sleep(0.01)
        return self.merge(state, reduced)

PLUGINS = [Brake]
"""
"""A plugin for those who strike in the middle: however late they are, the process has not gone on."""


def install_plugins(directory: Path, source: str) -> Path:
    """Make a directory that, on the path, is a distribution whose entry point is `PLUGINS` of the module `source`."""
    directory.mkdir()
    (directory / "extra_plugins.py").write_text(source)
    metadata = directory / "extra_plugins-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-plugins\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[statscache.plugin]\nextra = extra_plugins:PLUGINS\n")
    return directory


def configuration(endpoint: str, **sections: Mapping[str, Any]) -> str:
    """Return a configuration that consumes `endpoint` and publishes every second."""
    text = f'[sources.fedmsg]\nendpoints = ["{endpoint}"]\n[publish]\ninterval = 1\n'
    for name, values in sections.items():
        text += f"[{name}]\n" + "".join(f"{key} = {orjson.dumps(value).decode()}\n" for key, value in values.items())
    return text
