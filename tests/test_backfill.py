"""`statscache backfill` on archives: what it says, and what it leaves behind."""

import gzip
from pathlib import Path

import pytest

from commands import Home
from samples import NOON, line


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a configuration."""
    return Home(tmp_path / "home")


def archive(home: Home, number: int) -> bytes:
    """Return an archive with so many messages."""
    return b"".join(line(f"m{second}", NOON + second) + b"\n" for second in range(number))


def test_what_was_read_of_a_damaged_archive_is_said_and_leaves_no_trace(home: Home) -> None:
    """The counts are those of what came before the damage, of all files; no source of its own remains."""
    (home.directory / "cut.gz").write_bytes(gzip.compress(archive(home, 100))[:-8])
    (home.directory / "whole").write_bytes(archive(home, 120))
    done = home.run("backfill", "cut.gz", "whole", status=1)
    assert done.stdout.startswith("220 read, 120 accepted, 100 known")
    assert "cut.gz is truncated or damaged" in done.stderr
    assert "1 of 2 files could not be read to the end" in done.stderr
    assert home.json("status")["sources"] == []


def test_history_is_no_sign_of_life(home: Home) -> None:
    """An archive that was read just now does not make a bus that nobody hears look alive."""
    (home.directory / "archive").write_bytes(archive(home, 1))
    home.run("backfill", "archive")
    done = home.run("status", "--max-age", "3600", status=3)
    assert "no live source was ever consumed" in done.stdout


def test_one_is_no_plural(home: Home) -> None:
    """One message is one message, in one segment."""
    (home.directory / "archive").write_bytes(archive(home, 1))
    home.run("backfill", "archive")
    assert "1 message in 1 segment (" in home.run("status").stdout
