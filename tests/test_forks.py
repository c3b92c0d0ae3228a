"""A forked command is as one that is started: `Home` forks most, and what the tests hold must be true of both."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Home, Result, install_plugins
from forks import Forked, can_fork

PROBE = """
import os, signal, sys, tempfile, threading, time
from statscache.plugins import Counter

class Probe(Counter):
    \"\"\"Says what it finds.\"\"\"

    name = "probe"
    title = "Probe"
    unit = "messages"
    dimensions = ()

    def observe(self, message):
        yield ()

def say():
    print("cwd", os.getcwd())
    print("path", sys.path)
    print("argv", sys.argv)
    print("main", sys.modules["__main__"].__spec__.name, sys.modules["__main__"].__name__)
    print("environment", sorted((name, value) for name, value in os.environ.items() if name != "_"))
    print("zone", time.localtime(0).tm_hour, time.tzname)
    print("open", sorted(os.listdir("/proc/self/fd")))
    print("threads", threading.active_count())
    print("signals", [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)])
    print("masked", signal.pthread_sigmask(signal.SIG_BLOCK, []))
    print("temporary", tempfile.gettempdir())
    print("streams", [(s.name, s.encoding, s.errors, s.line_buffering) for s in (sys.stdin, sys.stdout, sys.stderr)])
    print("leads", os.getsid(0) == os.getpid())

if os.path.exists("say"):
    say()
if os.path.exists("raise"):
    raise KeyboardInterrupt
if os.path.exists("exit"):
    sys.exit(7)
if os.path.exists("die"):
    os.kill(os.getpid(), signal.SIGKILL)
if os.path.exists("wait"):
    os.write(1, b"waiting\\n")
    time.sleep(60)
if os.path.exists("thread"):
    threading.Thread(target=lambda: (time.sleep(0.5), print("said at the end"))).start()
PLUGINS = [Probe]
"""
"""A plugin that does what a file of its directory asks for when it is imported."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose commands import the probe."""
    extra = install_plugins(tmp_path / "extra", PROBE)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"PYTHONPATH": str(extra), "TZ": "Asia/Kathmandu", "TMPDIR": str(temporary), "MADE_FOR": "this test"}
    return Home(tmp_path / "home", **environment)


def forked(home: Home, *arguments: str) -> Result:
    """Run a command as `Home.run` does."""
    return home.run(*arguments, status=None)


def started(home: Home, *arguments: str) -> Result:
    """Run a command in a new interpreter."""
    return home.start_and_wait(*arguments)


def said(done: Result) -> tuple[int, str, str]:
    """Return what a command did, without what differs from run to run."""
    return done.returncode, done.stdout, done.stderr


def test_a_forked_command_finds_what_a_started_one_finds(home: Home) -> None:
    """Directory, path, arguments, environment, time zone, files, threads, signals and streams."""
    home.run("plugins")
    (home.directory / "say").touch()
    one, other = forked(home, "plugins"), started(home, "plugins")
    assert said(one) == said(other)
    assert "Asia/Kathmandu" in one.stdout
    assert "\nzone 5 " in one.stdout


@pytest.mark.parametrize("file", ["exit", "die", "thread"])
def test_a_forked_command_ends_as_a_started_one(home: Home, file: str) -> None:
    """By its exit status, by a signal, and not before its last thread."""
    home.run("plugins")
    (home.directory / file).touch()
    one, other = forked(home, "plugins"), started(home, "plugins")
    assert said(one) == said(other)
    assert one.returncode == {"exit": 7, "die": -signal.SIGKILL, "thread": 0}[file]


@pytest.mark.parametrize(
    "arguments", [("--help",), ("nonsense",), ("--version",), ("config", "show"), ("try", "nonsense", "nothing")]
)
def test_output_and_status_are_the_same(home: Home, arguments: tuple[str, ...]) -> None:
    """Help, misuse and results."""
    assert said(forked(home, *arguments)) == said(started(home, *arguments))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_end_both(home: Home, number: signal.Signals) -> None:
    """The exit status is the same."""
    (home.directory / "wait").touch()
    with home.start("plugins") as service:
        service.await_log("waiting")
        ours = service.end(number)
    command = [sys.executable, "-m", "statscache", "-v", "plugins"]
    with subprocess.Popen(
        command, cwd=home.directory, env=home.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        log = "waiting\n" + process.stdout.read()
    assert ours == (process.returncode, log)


def test_the_order_of_sets_is_not_the_same_in_all(home: Home) -> None:
    """As in interpreters, so that what depends on it by mistake is found."""
    found = set()
    (home.directory.parent / "extra" / "extra_plugins.py").write_text('print("hash", hash("x"))\nPLUGINS = []\n')
    for _ in range(2):
        found.add(forked(home, "plugins").stdout.splitlines()[0])
    assert len(found) == 2


def test_a_command_that_is_left_alone_is_killed(home: Home) -> None:
    """At the end of the context, as `Process` has it."""
    (home.directory / "wait").touch()
    with Forked(["plugins"], cwd=home.directory, env=home.environment) as command:
        assert command.stdout.readline() == "waiting\n"
        assert command.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            command.wait(0.01)
        begun = time.monotonic()
    assert command.returncode == -signal.SIGKILL
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda env: env.update(TZ="UTC", PYTHONPATH="/somewhere"), True),
        (lambda env: env.update(PYTHONHASHSEED="0"), False),
        (lambda env: env.update(LC_ALL="tr_TR.UTF-8"), False),
    ],
)
def test_what_is_read_at_the_start_asks_for_one(change: Callable[[dict[str, str]], None], expected: bool) -> None:
    """The interpreter reads some variables before anybody can change them."""
    environment = {**os.environ}
    change(environment)
    assert can_fork(environment) == expected
