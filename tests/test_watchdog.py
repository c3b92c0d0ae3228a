"""A plugin that does not return ends the process, is suspended by the next one, and the others go on."""

import json
from pathlib import Path

import pytest

from commands import Home, install_plugins
from samples import NOON, line

HANGS = """
import re
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

PLUGINS = [Loop, Wild]
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home where both plugins are installed, and may take two seconds."""
    made = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", HANGS)))
    made.configure("[plugins]\nhang_timeout = 2\n")
    return made


def write(home: Home, hang: str) -> str:
    """Write an archive in the middle of which the plugin `hang` hangs, and return its name."""
    lines = [line(f"{number:x}", NOON + number) for number in range(40)]
    lines[20] = line("poison", NOON + 20, body={"hang": hang})
    (home.directory / "archive").write_bytes(b"\n".join(lines))
    return "archive"


@pytest.mark.parametrize(("hang", "other"), [("loop", "wild"), ("wild", "loop")])
def test_a_plugin_that_hangs_is_suspended_by_the_next_process_and_the_others_go_on(
    home: Home, hang: str, other: str
) -> None:
    """The first process ends by itself; the second tells plugin and message, and counts everything in the others."""
    archive = write(home, hang)
    home.run("backfill", archive, status=None)
    done = home.run("backfill", archive)
    assert done.stdout.startswith("40 read, 40 accepted")
    assert f"plugin {hang} is suspended: it did not return within 2 s, at work on 40 messages from 0" in done.stderr
    state = home.json("status", status=3)
    states = {row["name"]: row["state"] for row in state["plugins"]}
    assert states.pop(hang) == "failed"
    assert set(states.values()) == {"ok"}
    assert other in states
    assert [concern.split(":")[0] for concern in state["concerns"]] == [f"plugin {hang}"]
    trace = (home.directory / "statscache.hang.last").read_text(errors="replace")
    assert "extra_plugins.py" in trace


def test_the_process_ends_with_status_1(home: Home) -> None:
    """The process that hangs is ended by the timer, with the status of a failure."""
    home.run("backfill", write(home, "loop"), status=1)


def test_a_resumed_plugin_catches_up_when_it_is_mended(home: Home, tmp_path: Path) -> None:
    """After the mend, `plugins --resume` folds what the plugin missed."""
    archive = write(home, "loop")
    home.run("backfill", archive, status=1)
    home.run("backfill", archive)
    module = tmp_path / "extra" / "extra_plugins.py"
    module.write_text(module.read_text().replace('while message.body.get("hang") == "loop"', "while False"))
    states = {row["name"]: row["state"] for row in home.json("plugins", "--resume", "loop")["plugins"]}
    assert states["loop"] == "ok"
    assert home.json("status")["concerns"] == []
    assert home.run("verify", "--journal").stdout.count("agrees") == len(states)


def test_processes_that_end_in_peace_or_are_killed_leave_nobody_suspended(home: Home) -> None:
    """Neither a finished process nor a killed one makes the next suspend a plugin; the files of both go."""
    archive = write(home, "nobody")
    home.run("backfill", archive)
    assert not [*home.directory.glob("statscache.hang*")]
    (home.directory / "statscache.hang.killed").write_bytes(b"loop\n1 messages from x".ljust(4096, b"\0"))
    home.run("status")
    assert not [*home.directory.glob("statscache.hang*")]


def test_a_place_for_the_note_that_cannot_be_written_is_a_configuration_error(home: Home) -> None:
    """The error names the setting, the directory and the mend."""
    home.configure(f"[plugins]\nhang_note = {json.dumps('missing/hang')}\n")
    done = home.run("backfill", write(home, "nobody"), status=2)
    assert "[plugins] hang_note" in done.stderr
    assert "missing/ cannot be written" in done.stderr
