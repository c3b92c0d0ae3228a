"""`statscache backfill` on archives: what it says, and what it leaves behind."""

import gzip
import pickle
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from commands import Home
from samples import NOON, line
from statscache.ingest import Delivery, Ingest, Outcome
from statscache.ingest.prepare import Batch
from statscache.installation import Installation
from statscache.service import backfill
from statscache.service.parallel import PIECES, working
from statscache.sources.archive import read
from statscache.store import Database, coverage


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
    """An archive that was read just now does not make a bus that no one hears look alive."""
    (home.directory / "archive").write_bytes(archive(home, 1))
    home.run("backfill", "archive")
    done = home.run("status", "--max-age", "3600", status=2)
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
    """One line is quarantined; all others count, of all pieces of the batch."""
    monkeypatch.setattr(backfill, "PIECE", 10)
    path = tmp_path / "history.ndjson"
    path.write_bytes(b"".join(line("refused" if n == 31 else str(n), NOON) + b"\n" for n in range(50)))
    written = Ingest._write

    def write(self: Ingest, connection: Connection, delivery: Delivery, batch: Batch, savepoints: bool) -> Outcome:
        if any(b"refused" in record for record in map(batch.records.__getitem__, range(len(batch.times)))):
            raise DataError("INSERT", {}, ValueError("no"))
        return written(self, connection, delivery, batch, savepoints)

    monkeypatch.setattr(Ingest, "_write", write)
    total = Outcome()
    with working(installation, jobs) as workers:
        for _, outcome in backfill.backfill(installation, path, workers):
            total += outcome
    assert (total.read, total.accepted, total.quarantined) == (50, 49, 1)


GAP = (NOON + 3600, NOON + 7200)
SPAN = tuple(str(moment) for moment in GAP)


def gaps(home: Home) -> list[list[int]]:
    """Return the gaps that are published."""
    home.run("publish")
    found: list[list[int]] = orjson.loads((home.public / "v1/status.json").read_bytes())["gaps"]
    return found


def with_gap(home: Home) -> None:
    """Have an hour of messages, an hour that is known to be missing, and another hour of messages."""
    (home.directory / "around").write_bytes(line("before", NOON) + b"\n" + line("after", NOON + 7200) + b"\n")
    home.run("backfill", "around")
    with Database(f"sqlite:///{home.directory / 'statscache.db'}").writing() as connection:
        coverage.record(connection, *GAP, complete=False)
    assert gaps(home) == [[*GAP]]


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        (b"<html><title>404 Not Found</title></html>\n", "1 read, 0 accepted"),
        (
            line("in", NOON + 3600) + b"\n" + line("glued", NOON + 3601) + line("on", NOON + 3602) + b"\n",
            "2 read, 1 acc",
        ),
        (line("in", NOON + 3600) + b"\n" + bytes(512), "2 read, 1 accepted"),
    ],
    ids=["error-page", "glued", "padding"],
)
def test_a_file_with_a_line_that_is_quarantined_completes_nothing(home: Home, content: bytes, counts: str) -> None:
    """The rest counts, the gap stays, and the exit status says so."""
    with_gap(home)
    (home.directory / "hour.gz").write_bytes(content)
    done = home.run("backfill", "--complete", *SPAN, "hour.gz", status=3)
    assert done.stdout.startswith(counts)
    assert "1 line quarantined; --complete was not recorded" in done.stderr
    assert gaps(home) == [[*GAP]]
    (home.directory / "hour.gz").write_bytes(line("whole", NOON + 3600) + b"\n")
    home.run("backfill", "--complete", *SPAN, "hour.gz")
    assert gaps(home) == []


def test_a_run_that_carries_on_knows_what_was_quarantined_before(
    home: Home, installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupted run had met the malformed line; this one meets none."""
    monkeypatch.setattr(backfill, "PIECE", 2)
    path = tmp_path / "history.ndjson"
    path.write_bytes(b"no message\n" + archive(home, 30))
    # Nothing refers to the run when its first batch is done, so it ends there.
    next(backfill.backfill(installation, path))
    assert backfill.quarantined_before(installation, path) == 1
    rest = [outcome for _, outcome in backfill.backfill(installation, path)]
    assert sum(outcome.read for outcome in rest) == 31 - 2 * PIECES
    assert sum(outcome.quarantined for outcome in rest) == 0
    assert backfill.quarantined_before(installation, path) == 0


def test_a_file_without_any_message_is_a_finding(home: Home) -> None:
    """Nothing failed, and nothing was taken; with one message among them, lines that are quarantined are usual."""
    (home.directory / "page").write_bytes(b"<html>\n</html>\n")
    assert "every line was quarantined" in home.run("backfill", "page", status=3).stderr
    (home.directory / "mixed").write_bytes(b"<html>\n" + archive(home, 1))
    home.run("backfill", "mixed")


def test_a_byte_order_mark_hides_no_message(home: Home) -> None:
    """It is not a part of the first line, wherever the reading is interrupted."""
    (home.directory / "marked").write_bytes(b"\xef\xbb\xbf" + archive(home, 2))
    assert home.run("backfill", "marked").stdout.startswith("2 read, 2 accepted")


@pytest.mark.parametrize("indent", [False, True])
def test_a_saved_page_of_datagrepper_is_refused_with_the_command_that_converts_it(home: Home, indent: bool) -> None:
    """What the command makes of it is an archive of its messages."""
    messages = [orjson.loads(each) for each in archive(home, 3).splitlines()]
    page = {"arguments": {"page": 1}, "count": 3, "pages": 1, "raw_messages": messages, "total": 3}
    (home.directory / "my page.json").write_bytes(orjson.dumps(page, option=orjson.OPT_INDENT_2 if indent else 0))
    refusal = home.run("backfill", "my page.json", status=1).stderr
    command = refusal.partition("Convert it: ")[2].strip()
    assert command == "jq -c '.raw_messages? // [.] | .[]' 'my page.json' > 'my page-messages.ndjson'"
    if shutil.which("jq") is None:
        pytest.skip("no jq is installed (Debian: jq)")
    subprocess.run(command, shell=True, cwd=home.directory, check=True)
    assert home.run("backfill", "my page-messages.ndjson").stdout.startswith("3 read, 3 accepted")


def test_a_page_longer_than_a_message_may_be_is_recognized(home: Home) -> None:
    """Its first line is cut where a message would end."""
    messages = [orjson.loads(each) for each in archive(home, 20).splitlines()]
    home.configure("[bus]\nmax_line = 1024\n")
    (home.directory / "page").write_bytes(orjson.dumps({"arguments": {}, "raw_messages": messages}))
    assert "a page of datagrepper" in home.run("backfill", "page", status=1).stderr


def test_a_message_about_raw_messages_is_a_message(home: Home) -> None:
    """Only an object without a topic is a page."""
    odd = {"topic": "org.fedoraproject.prod.a.b", "timestamp": NOON, "msg_id": "1", "msg": {"raw_messages": []}}
    (home.directory / "odd").write_bytes(orjson.dumps(odd | {"raw_messages": []}) + b"\n")
    assert home.run("backfill", "odd").stdout.startswith("1 read, 1 accepted")


def test_an_empty_file_completes_nothing(home: Home) -> None:
    """A download that failed is empty, too: nothing is known of the time that it was to cover."""
    (home.directory / "nothing").touch()
    done = home.run("backfill", "nothing", "--complete", "2015-08-01", "2015-08-02", status=3)
    assert "the files are empty; --complete was not recorded" in done.stderr
