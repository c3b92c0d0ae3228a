"""`statscache backfill` on archives: what it says, and what it leaves behind."""

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from commands import Home
from samples import NOON, line
from statscache.ingest import Delivery, Ingest, Outcome
from statscache.ingest.prepare import Batch
from statscache.service import Installation, backfill
from statscache.service.parallel import working
from statscache.sources.archive import read


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


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_lines_leave_memory_as_they_are_read_and_can_be_read_again(
    tmp_path: Path, compress: Callable[[bytes], bytes]
) -> None:
    """An archive's chunk is a list of lines to whoever pickles it, too."""
    lines = [line(str(number), NOON) + b"\n" for number in range(25)]
    path = tmp_path / "history"
    path.write_bytes(compress(b"".join(lines)))
    seen = []
    for chunk in read(path, offset=0, max_line=10_000, max_lines=10, max_bytes=1_000_000):
        once = [*chunk.lines]
        assert chunk.lines._lines is None
        assert [*chunk.lines] == once
        assert pickle.loads(pickle.dumps(chunk.lines)) == once
        seen += once
    assert seen == lines


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_database_refuses_is_found_by_reading_the_file_again(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """One line is quarantined; all others count."""
    path = tmp_path / "history.ndjson"
    path.write_bytes(b"".join(line("refused" if n == 31 else str(n), NOON) + b"\n" for n in range(50)))
    written = Ingest._write

    def write(self: Ingest, connection: Connection, delivery: Delivery, batch: Batch) -> Outcome:
        if any(b"refused" in record for record in map(batch.records.__getitem__, range(len(batch.times)))):
            raise DataError("INSERT", {}, ValueError("no"))
        return written(self, connection, delivery, batch)

    monkeypatch.setattr(Ingest, "_write", write)
    total = Outcome()
    with working(installation, jobs) as workers:
        for _, outcome in backfill.backfill(installation, path, workers):
            total += outcome
    assert (total.read, total.accepted, total.set_aside) == (50, 49, 1)
