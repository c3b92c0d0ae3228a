"""A plugin that does not return ends the process; the next one quarantines its message, or suspends it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Home, install_plugins
from samples import NOON, line

HANGS = """
import re, time
from statscache.plugins import Counter

class Loop(Counter):
    \"\"\"Does not return.\"\"\"

    name = "loop"
    title = "Loop"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message):
        while message.body.get("hang") == "loop":
            pass
        yield (message.topic,)

class Waits(Loop):
    \"\"\"Waits for what never comes.\"\"\"

    name = "waits"

    def observe(self, message):
        while message.body.get("hang") == "waits":
            time.sleep(60)
        yield (message.topic,)

class Wild(Counter):
    \"\"\"Runs a regular expression that backtracks for ages, and holds the interpreter's lock meanwhile.\"\"\"

    name = "wild"
    title = "Wild"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message):
        if message.body.get("hang") == "wild":
            re.match(r"(a+)+$", "a" * 64 + "b")
        yield (message.topic,)

class Merges(Loop):
    \"\"\"Yields a key that takes forever to be stored.\"\"\"

    name = "merges"

    def observe(self, message):
        if message.body.get("hang") == "merges":
            self.kind.merge = lambda *_: time.sleep(600)
        yield (message.topic,)

class Renders(Loop):
    \"\"\"Publishes a document that is never done.\"\"\"

    name = "renders"

    def observe(self, message):
        yield (message.body.get("hang"),)

    def documents(self, state):
        yield from super().documents(state)
        while any(row["topic"] == "renders" for row in self.latest(state)):
            time.sleep(60)

PLUGINS = [Loop, Waits, Wild, Merges, Renders]
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home where these plugins are installed, and may take two seconds."""
    made = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", HANGS)))
    made.configure("[plugins]\nhang_timeout = 2\n")
    return made


def hangs(home: Home, *arguments: str) -> None:
    """Run a command at which a plugin hangs: it ends with 1, or dies while it reads frames that go on changing."""
    assert home.run(*arguments, status=None).returncode in (1, -signal.SIGSEGV)


def write(home: Home, hang: str) -> str:
    """Write an archive in the middle of which the plugin `hang` hangs, and return its name."""
    lines = [line(f"{number:x}", NOON + number) for number in range(40)]
    lines[20] = line("poison", NOON + 20, body={"hang": hang})
    (home.directory / "archive").write_bytes(b"\n".join(lines))
    return "archive"


@pytest.mark.parametrize(("hang", "other"), [("loop", "wild"), ("wild", "loop")])
def test_a_plugin_that_hangs_has_that_message_quarantined_and_goes_on(home: Home, hang: str, other: str) -> None:
    """The first process ends by itself; the second tells plugin and message, and counts all others in all plugins."""
    archive = write(home, hang)
    hangs(home, "backfill", archive)
    done = home.run("backfill", archive)
    assert done.stdout.startswith("40 read, 40 accepted")
    assert f"plugin {hang} hung: it did not return within 2 s, working on message poison" in done.stderr
    states = {row["name"]: row["state"] for row in home.json("status")["plugins"]}
    assert set(states.values()) == {"ok"}
    assert {hang, other} <= states.keys()
    items = home.json("quarantine", "list")
    assert [(item["plugin"], item["position"]) for item in items] == [(hang, 21)]
    assert "did not return" in items[0]["reason"]
    # Neither resuming nor catching up shows it again; rebuilding does.
    home.run("plugins", "--resume", hang)
    hangs(home, "rebuild", hang)


def test_a_plugin_that_hangs_on_several_messages_is_suspended_and_the_others_go_on(home: Home) -> None:
    """Each costs a restart, so after the third the plugin is taken for broken."""
    lines = [line(f"{number:x}", NOON + number) for number in range(40)]
    for number in (10, 20, 30):
        lines[number] = line(f"poison-{number}", NOON + number, body={"hang": "waits"})
    (home.directory / "archive").write_bytes(b"\n".join(lines))
    for _ in range(3):
        hangs(home, "backfill", "archive")
    done = home.run("backfill", "archive")
    assert done.stdout.startswith("40 read, 40 accepted")
    assert "plugin waits is suspended: it did not return within 2 s, working on message poison-30" in done.stderr
    state = home.json("status", status=3)
    states = {row["name"]: row["state"] for row in state["plugins"]}
    assert states.pop("waits") == "failed"
    assert set(states.values()) == {"ok"}
    assert [concern.split(":")[0] for concern in state["concerns"]] == ["plugin waits"]
    trace = (home.directory / "statscache.hang.last").read_text(errors="replace")
    assert "extra_plugins.py" in trace


def test_a_plugin_that_hangs_while_it_merges_is_suspended_and_nothing_is_lost(home: Home) -> None:
    """The transaction goes with the process; the next one accepts the messages for all others."""
    archive = write(home, "merges")
    hangs(home, "backfill", archive)
    done = home.run("backfill", archive)
    assert done.stdout.startswith("40 read, 40 accepted")
    assert "plugin merges is suspended: it did not return within 2 s, working on its yields; see " in done.stderr


def test_a_plugin_that_hangs_while_its_documents_are_rendered_is_suspended(home: Home) -> None:
    """A publication ends with it, and the next one publishes the others."""
    home.run("backfill", write(home, "renders"))
    hangs(home, "publish")
    done = home.run("publish")
    assert "plugin renders is suspended: it did not return within 2 s, working on its documents" in done.stderr
    assert home.plugin("renders")["state"] == "failed"
    assert home.plugin("loop")["state"] == "ok"


def test_whoever_is_at_work_for_longest_is_blamed(tmp_path: Path) -> None:
    """Where two threads of a process work, the timer is that of the first, also after the second is done."""
    program = f"""
import sys, threading, time
from pathlib import Path
from statscache.ingest.watchdog import Watchdog
from statscache.plugins import Counter

class First(Counter):
    "First."
    name, title = "first", "First"
    def observe(self, message): ...

class Second(First):
    "Second."
    name, title = "second", "Second"
    def observe(self, message): ...

first, second = (Watchdog(Path({str(tmp_path / "hang")!r}), 1) for _ in range(2))

def work():
    while True:
        with second.working(Second(), "many small things"):
            time.sleep(0.01)

threading.Thread(target=work, daemon=True).start()
with first.working(First(), "a large thing"):
    time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=50)
    assert done.returncode == 1
    notes = [path.read_bytes() for path in tmp_path.iterdir()]
    (blamed,) = [note for note in notes if len(note) > 4096]
    assert blamed.startswith(b"first\na large thing\0")


def test_a_resumed_plugin_catches_up_when_it_is_fixed(home: Home, tmp_path: Path) -> None:
    """After the fix, `plugins --resume` folds what the plugin missed."""
    archive = write(home, "merges")
    hangs(home, "backfill", archive)
    home.run("backfill", archive)
    module = tmp_path / "extra" / "extra_plugins.py"
    module.write_text(module.read_text().replace('if message.body.get("hang") == "merges"', "if False"))
    states = {row["name"]: row["state"] for row in home.json("plugins", "--resume", "merges")["plugins"]}
    assert states["merges"] == "ok"
    assert home.json("status")["concerns"] == []
    assert home.run("verify", "--journal").stdout.count("agrees") == len(states)


def test_processes_that_end_in_peace_or_are_killed_leave_no_plugin_suspended(home: Home) -> None:
    """Neither a finished process nor a killed one makes the next suspend a plugin; the files of both go."""
    archive = write(home, "nobody")
    home.run("backfill", archive)
    assert not [*home.directory.glob("statscache.hang*")]
    (home.directory / "statscache.hang.killed").write_bytes(b"loop\n1 messages from x".ljust(4096, b"\0"))
    home.run("plugins")
    assert not [*home.directory.glob("statscache.hang*")]


def test_a_place_for_the_note_that_cannot_be_written_is_a_configuration_error(home: Home) -> None:
    """The error names the setting, the directory and the fix."""
    home.configure(f"[plugins]\nhang_note = {json.dumps('missing/hang')}\n")
    done = home.run("backfill", write(home, "nobody"), status=2)
    assert "[plugins] hang_note" in done.stderr
    assert "missing/ cannot be written" in done.stderr
