"""Commands without their start: a process that has imported statscache forks for each, and becomes what is asked for.

Starting Python and importing statscache takes most of the time of most commands, and the tests run hundreds. A
forked command has its own arguments, directory, environment, path of modules, time zone and standard streams, and
`runpy` runs it as `python -m statscache` does. It ends as any other, except that the interpreter does not take modules
apart: that copied all memory that it shares with the process that forked. What the interpreter or a library reads of
the environment when it starts cannot be changed later: where that differs, the command is started.

This module is also the program of that process. `tests/test_forks.py` compares both ways.
"""

import atexit
import contextlib
import gc
import importlib
import itertools
import os
import pickle
import pkgutil
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

_DIRECTORY = "FORKS_OF_TESTS"
"""The variable with the directory of the sockets on which the processes that fork listen."""

_READ_AT_START = "PYTHON", "LANG", "LC_", "LD_", "MALLOC_", "OMP_", "OPENBLAS_"

_STATUS = 4
"""Bytes of an id or a status."""

_WARM = (
    "statscache.cli",
    "statscache.config",
    "statscache.kinds",
    "statscache.plugins",
    "statscache.publish",
    "statscache.render",
    "statscache.service",
    "statscache.simulator",
    "statscache.snapshot",
    "statscache.store",
    "statscache.verify",
    "statscache_plugins",
)
"""Packages whose modules are imported. Those of the buses are not: they install Twisted's reactor."""

_BEFORE_REACTOR = (
    "distutils.version",
    "fedmsg.core",
    "fedmsg.crypto.x509",
    "fedmsg.crypto.x509_ng",
    "fedora_messaging.config",
    "moksha.common.utils",
    "pika",
    "pkg_resources",
    "psutil",
    "twisted.internet.epollreactor",
    "twisted.internet.ssl",
    "twisted.internet.task",
    "twisted.internet.tcp",
    "txws",
)
"""What the buses import before a reactor."""


class Forked:
    """A command that was forked; it has what the tests use of `subprocess.Popen`.

    Args:
        arguments: Those of the command.
        cwd: Its directory.
        env: Its whole environment.
        stdout: `subprocess.PIPE`, or the descriptor of a file that it prints to instead.
        stderr: `subprocess.STDOUT`, `subprocess.PIPE` for a pipe of its own, or the descriptor of a file.
        start_new_session: True if it is to lead a session of its own.
        program: A file that is run as Python runs a script, with these arguments, instead of statscache.

    Attributes:
        pid: Its id.
        stdout: What it prints.
        stderr: What it logs, if that has a pipe of its own.
        returncode: Its exit status, the number of a signal negated; None while it runs.
    """

    def __init__(
        self,
        arguments: Sequence[str | bytes | os.PathLike[str]],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.STDOUT,
        start_new_session: bool = False,
        program: Path | None = None,
    ) -> None:
        read, write = os.pipe()
        read_error, write_error = os.pipe() if stderr == subprocess.PIPE else (None, write)
        prints = write if stdout == subprocess.PIPE else stdout
        logs = {subprocess.PIPE: write_error, subprocess.STDOUT: prints}.get(stderr, stderr)
        self._control, theirs = socket.socketpair()
        given = [os.fsencode(argument) for argument in arguments]
        request = program and os.fspath(program), given, os.fspath(cwd), {**env}, start_new_session
        with theirs:
            socket.send_fds(next(_channels()), [pickle.dumps(request)], [theirs.fileno(), 0, prints, logs])
        for number in {write, write_error}:
            os.close(number)
        self.stdout: IO[str] = os.fdopen(read, encoding="utf-8")
        self.stderr: IO[str] | None = None if read_error is None else os.fdopen(read_error, encoding="utf-8")
        self.returncode: int | None = None
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self.returncode is None and select.select([self._control], [], [], 0)[0]:
            self._finish()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status when there is one."""
        if self.returncode is None:
            if not select.select([self._control], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("statscache", timeout or 0)
            self._finish()
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Return what it prints and logs, when all that it started has closed both, and it has ended."""
        deadline = time.monotonic() + timeout
        parts: dict[IO[str], list[bytes]] = {stream: [] for stream in (self.stdout, self.stderr) if stream is not None}
        with selectors.DefaultSelector() as selector:
            for stream in parts:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired("statscache", timeout)
                for key, _ in ready:
                    data = os.read(key.fd, 1 << 16)
                    if data:
                        parts[key.fileobj].append(data)  # type: ignore[index]
                    else:
                        selector.unregister(key.fileobj)
        self.wait(max(0, deadline - time.monotonic()))
        # As a text stream gives it.
        printed, logged = ("".join(b"".join(data).decode().replace("\r\n", "\n")) for data in (*parts.values(), [])[:2])
        return printed, logged

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            # It may have ended just now.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the pipes."""
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self._control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it if it runs still, and close the pipes."""
        self.kill()
        self.wait()
        self.close()

    def _finish(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(self._number())

    def _number(self) -> int:
        data = self._control.recv(_STATUS, socket.MSG_WAITALL)
        assert len(data) == _STATUS, "the process that forks has died"
        return int.from_bytes(data, sys.byteorder)


def can_fork(env: Mapping[str, str]) -> bool:
    """Return whether a command in this environment may be forked."""
    return _fixed(env) == _fixed(os.environ)


def _fixed(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_READ_AT_START) and name != "PYTHONPATH"}


def start() -> None:
    """Start two processes that fork, for this process and for those that it starts from now on.

    They are asked in turns: what depends on the order of a set is not the same in both.
    """
    # Not pytest's directory: a socket's path is short.
    directory = Path(tempfile.mkdtemp(prefix="statscache-forks-", dir="/tmp"))
    os.environ[_DIRECTORY] = str(directory)
    processes = [_start(directory / name) for name in ("one", "two")]
    atexit.register(_end, processes, directory)


def _start(path: Path) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        # Ctrl-C is for pytest. It ends when its standard input is closed, as it is when we end.
        return subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            env=environment,
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def _end(processes: Sequence[subprocess.Popen[bytes]], directory: Path) -> None:
    for process in processes:
        process.communicate()
    shutil.rmtree(directory)


@cache
def _channels() -> "itertools.cycle[socket.socket]":
    """Return a connection to each process that forks, in turns."""
    if _DIRECTORY not in os.environ:
        start()
    channels = []
    for path in Path(os.environ[_DIRECTORY]).iterdir():
        channels.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        channels[-1].connect(os.fspath(path))
    return itertools.cycle(channels)


# What follows runs in the process that forks.


def _warm_up() -> None:
    import alembic.command
    import psycopg
    import sqlalchemy.dialects.postgresql
    import sqlalchemy.orm
    import zmq

    del alembic, psycopg, sqlalchemy, zmq
    # jsonschema can do without: nothing here checks its formats, and it prepares its grammars for two seconds.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    path = [*sys.path]
    with warnings.catch_warnings():
        # Of old names, as in pyproject.toml.
        warnings.simplefilter("ignore")
        for name in _BEFORE_REACTOR:
            importlib.import_module(name)
    # setuptools adds a directory.
    sys.path[:] = path
    for name in _WARM:
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    importlib.import_module("disk_sync").switch_off()
    importlib.import_module("recorded_schema").replay()
    importlib.import_module("shared_statements").share()
    importlib.import_module("small_site").shrink()
    with tempfile.TemporaryDirectory() as directory:
        _publish_once(Path(directory))
    assert "twisted.internet.reactor" not in sys.modules, "a reactor cannot be forked"
    assert threading.active_count() == 1, "threads cannot be forked"
    gc.collect()
    gc.freeze()


def _publish_once(directory: Path) -> None:
    """Publish a few messages, for what is prepared at the first use: schema, documentation, templates, JSON Schemas."""
    from statscache.config import Config, DatabaseSection, DirectoryTarget, PublishSection
    from statscache.ingest import Delivery
    from statscache.installation import Installation
    from statscache.service.publishing import Publishing
    from statscache.simulator import Traffic, simulate

    config = Config(
        database=DatabaseSection(url=f"sqlite:///{directory}/statscache.db"),
        publish=PublishSection(targets=(DirectoryTarget(name="public", path=directory / "public"),)),
    )
    installation = Installation(config)
    installation.ingest.take(Delivery("warm", [*simulate(Traffic(86400, 172800, per_day=200, people=50, packages=50))]))
    Publishing(installation).publish()
    installation.close()


def _serve(listener: socket.socket) -> str | None:
    """Fork for each request, and send ids and statuses.

    Returns:
        The file to run, or None for statscache; only in a forked process, which is otherwise what was asked for.
    """
    channels: list[socket.socket] = []
    running: dict[int, socket.socket] = {}
    awake, wake = os.pipe()
    os.set_blocking(awake, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([listener, *channels, sys.stdin, awake], [], [])[0]
        if sys.stdin in ready:
            sys.exit()
        if awake in ready:
            os.read(awake, 1 << 16)
            for each in [*running]:
                ended, status = os.waitpid(each, os.WNOHANG)
                if ended:
                    with running.pop(each) as control:
                        _send(control, status)
        if listener in ready:
            channels.append(listener.accept()[0])
        for channel in [*channels]:
            if channel not in ready:
                continue
            data, numbers, _, _ = socket.recv_fds(channel, 1 << 20, 4)
            if not data:
                channels.remove(channel)
                channel.close()
                continue
            answers, *streams = numbers
            process = os.fork()
            if process == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for other in [listener, *channels, *running.values()]:
                    other.close()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                for number in {awake, wake, *numbers}:
                    os.close(number)
                program: str | None
                program, *others = pickle.loads(data)
                _become(program or "-m", *others)
                return program
            for number in {*streams}:
                os.close(number)
            running[process] = socket.socket(fileno=answers)
            _send(running[process], process)


def _send(control: socket.socket, number: int) -> None:
    # Perhaps no one waits for it.
    with contextlib.suppress(BrokenPipeError):
        control.send(number.to_bytes(_STATUS, sys.byteorder))


def _become(name: str, arguments: Sequence[bytes], directory: str, env: Mapping[str, str], leads: bool) -> None:
    if leads:
        os.setsid()
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    tempfile.tempdir = None
    named = env.get("PYTHONPATH")
    here = os.getcwd()
    sys.path[:1] = [here, *(os.path.abspath(name) for name in (named.split(os.pathsep) if named else []))]
    importlib.invalidate_caches()
    sys.argv = [name, *map(os.fsdecode, arguments)]


def _main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    _warm_up()
    run: Any = runpy.run_module
    try:
        program = _serve(listener)
        # Here it is the command.
        if program is None:
            run("statscache", run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        _finish(end.code or 0)


def _finish(status: int) -> None:
    """End as the interpreter does: wait for threads, call what is registered, and flush."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    _main()
