"""Progress: a bar for those who sit before a terminal, and not a byte of it elsewhere."""

import os
import pty
from pathlib import Path

import pytest

from commands import PATIENCE, Home
from forks import Forked
from samples import NOON, line


def on_terminal(home: Home, *arguments: str) -> str:
    """Run a command whose standard error is a terminal, and return what appears there."""
    ours, theirs = pty.openpty()
    environment = {**home.environment, "TERM": "xterm", "COLUMNS": "120"}
    with (
        open(os.devnull, "wb") as nowhere,
        Forked(arguments, cwd=home.directory, env=environment, stdout=nowhere.fileno(), stderr=theirs) as process,
    ):
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:
            # The other side was closed.
            pass
        os.close(ours)
        assert process.wait(PATIENCE) == 0, shown.decode()
    return shown.decode()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with some messages."""
    made = Home(tmp_path / "home")
    archive = made.directory / "archive"
    archive.write_bytes(b"".join(line(f"{n}", NOON + n, body={"owner": "trillian"}) + b"\n" for n in range(20)))
    made.run("backfill", archive)
    return made


def test_long_work_shows_a_bar_on_a_terminal(home: Home) -> None:
    """Rendering and publishing, verifying and forgetting."""
    shown = on_terminal(home, "publish")
    assert "rendering" in shown
    assert "publishing to public: " in shown
    assert "documents of keys" in on_terminal(home, "verify", "public")
    assert "rendering" in on_terminal(home, "forget", "trillian")


def test_elsewhere_there_is_no_trace_of_it(home: Home) -> None:
    """A file or a pipe gets the results and the log only."""
    for arguments in (("publish",), ("verify", "public"), ("forget", "trillian")):
        done = home.run(*arguments)
        assert "\x1b" not in done.stderr + done.stdout
        assert "rendering" not in done.stderr
        assert "" not in done.stderr.split("\n")[:-1]
