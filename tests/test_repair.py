"""The commands of docs/repair.md do what the page says, on databases that are damaged as it says."""

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Home
from samples import NOON, published_files
from statscache.simulator import Traffic, simulate
from statscache.store import Database, positions

ROOT = Path(__file__).resolve().parent.parent
DAY = 86_400
DAMAGED = (
    "mv statscache.db damaged.db; rm -f statscache.db-wal statscache.db-shm; mv saved.db statscache.db;"
    " chmod 640 statscache.db"
)

COMMANDS = {
    "quarantine": ["statscache quarantine list", "statscache quarantine show ID", "statscache quarantine retry"],
    "suspended": ["statscache plugins --resume NAME"],
    "held back": ["statscache publish --force"],
    "clock": ["statscache journal postpone"],
    "coverage": [
        'sqlite3 statscache.db "DELETE FROM coverage WHERE start = START"',
        "statscache backfill ARCHIVE --complete START END",
    ],
    "index": ["sqlite3 statscache.db REINDEX", "statscache db check"],
    "dump": [
        "sqlite3 statscache.db .dump | sed 's/^ROLLBACK;.*/COMMIT;/' | sqlite3 saved.db",
        'sqlite3 saved.db "SELECT COUNT(*) FROM segment"',
    ],
    "saved": [DAMAGED, "statscache db check"],
    "journal": [
        "statscache journal export journal.ndjson.zst",
        "mv statscache.db damaged.db; rm -f statscache.db-wal statscache.db-shm",
        "statscache backfill journal.ndjson.zst",
        "statscache publish --take-over",
    ],
}
"""Every command of the page, by what it is for, in its order."""


def test_these_are_the_commands_of_the_page() -> None:
    """A command that is added to the page is tried here."""
    page = (ROOT / "docs" / "repair.md").read_text(encoding="utf-8")
    found = re.findall(r"^(?: {4}| {7})([a-z]\S* .*)$", page, re.MULTILINE)
    assert found == [command for commands in COMMANDS.values() for command in commands]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an archive of two days, a database that has counted it, and what it published."""
    home = Home(tmp_path_factory.mktemp("published"))
    # One of each kind, and composes: to render those of all plugins takes most of the time of each test.
    home.configure(f"[plugins]\nenabled = {[*PLUGINS]}\n")
    traffic = Traffic(start=NOON - 2 * DAY, end=NOON, per_day=120)
    (home.directory / "archive.ndjson").write_bytes(b"\n".join(simulate(traffic)) + b"\n")
    home.run("backfill", "archive.ndjson", *COMPLETE)
    home.run("publish")
    settle(home)
    return home.directory


PLUGINS = (
    "builds",
    "builds-by-package",
    "cloud-images",
    "composes",
    "contributors",
    "recent-activity",
    "release-dashboard",
    "unique-contributors",
    "volume",
    "volume-by-topic",
)
COMPLETE = "--complete", str(NOON - 2 * DAY), str(NOON - DAY)


@pytest.fixture
def home(published: Path, tmp_path: Path) -> Home:
    """A copy of it."""
    shutil.copytree(published, tmp_path / "site")
    return Home(tmp_path / "site", PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def settle(home: Home) -> None:
    """Bring all into one file, as damage is done to it."""
    connection = sqlite3.connect(home.directory / "statscache.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()


def typed(home: Home, what: str, status: int = 0, **places: str) -> str:
    """Type commands of the page one after the other, and return what the last one printed; it ends with `status`."""
    commands = COMMANDS[what]
    for command in commands:
        line = re.sub(r"\b[A-Z]{2,}\b", lambda match: places.get(match[0], match[0]), command)
        program, *arguments = shlex.split(line)
        if program == "statscache":
            # Nothing for a shell to do: the command need not be started.
            done = home.run(*arguments, status=None)
        else:
            done = subprocess.run(
                ["bash", "-ec", line],
                cwd=home.directory,
                env=home.environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        assert done.returncode == (status if command == commands[-1] else 0), (line, done)
        assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def break_page(home: Home, of: str) -> None:
    """Overwrite a page in the middle of a table or of an index."""
    path = home.directory / "statscache.db"
    connection = sqlite3.connect(path)
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno"
    pages = [page for (page,) in connection.execute(query, (of,))]
    connection.close()
    with path.open("r+b") as file:
        file.seek((pages[len(pages) // 2] - 1) * size)
        file.write(b"\xff" * size)


def remove_from_index(home: Home) -> None:
    """Let an index miss a row of its table."""
    connection = sqlite3.connect(home.directory / "statscache.db")
    connection.execute("PRAGMA writable_schema = ON")
    (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'ix_tree_object'").fetchone()
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ix_tree_object'", (f"{sql} WHERE name > 'm'",))
    connection.commit()
    connection.close()
    connection = sqlite3.connect(home.directory / "statscache.db")
    connection.execute("REINDEX ix_tree_object")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ix_tree_object'", (sql,))
    connection.commit()
    connection.close()


def do_what_each_line_says(home: Home, lines: str) -> None:
    """Rebuild the plugins that a check names, and render again what it says is lost."""
    plugins = {*re.findall(r"(?:: |of a plugin cannot be rendered: )([a-z0-9-]+)(?:;| \()", lines)}
    if plugins:
        home.run("rebuild", *sorted(plugins))
    if "publish --force" in lines:
        home.run("publish", "--force")


def test_an_index_is_made_again(home: Home) -> None:
    """The check finds that the index misses rows; afterwards all is well, and the same is published."""
    expected = published_files(home.public)
    remove_from_index(home)
    assert "the database's file is damaged" in home.run("db", "check", status=3).stdout
    assert typed(home, "index") == "all invariants hold, and all digests are right\n"
    home.run("publish", "--force")
    assert published_files(home.public) == expected


@pytest.mark.parametrize("table", ["object", "entry", "key_quarter", "bucket", "tree"])
def test_what_can_be_read_is_saved(home: Home, table: str) -> None:
    """A page of any table is lost: after what each line of the check says, the same is published as before."""
    expected = published_files(home.public)
    break_page(home, table)
    assert "or save what can be read, as docs/repair.md says" in home.run("db", "check", status=3).stdout
    assert int(typed(home, "dump")) > 0
    do_what_each_line_says(home, typed(home, "saved", 3))
    assert home.run("db", "check").stdout == "all invariants hold, and all digests are right\n"
    home.run("publish")
    assert published_files(home.public) == expected


def test_without_a_journal_nothing_is_saved(home: Home) -> None:
    """The second command says so, and what is empty is not taken for whole."""
    (home.directory / "statscache.db").write_bytes(b"\xff" * 40_960)
    (home.directory / "saved.db").touch()
    done = subprocess.run(COMMANDS["dump"][1], shell=True, cwd=home.directory, capture_output=True, check=False)
    assert done.returncode == 1
    (home.directory / "saved.db").rename(home.directory / "statscache.db")
    assert "is empty: look at `[database] url`, or restore a backup" in home.run("db", "check", status=3).stdout


def test_the_journal_gives_all_numbers_again(home: Home) -> None:
    """A new database publishes the same numbers to the same target, once coverage is recorded again."""
    expected = numbers(home)
    break_page(home, "object")
    typed(home, "journal")
    home.run("backfill", "archive.ndjson", *COMPLETE)
    home.run("publish")
    assert numbers(home) == expected
    assert home.run("db", "check").stdout == "all invariants hold, and all digests are right\n"


def numbers(home: Home) -> dict[str, bytes]:
    """Return the published documents of statistics."""
    return {path: data for path, data in published_files(home.public).items() if path.startswith("v1/plugins/")}


def test_an_interval_of_coverage_is_recorded_again(home: Home) -> None:
    """Where it decayed, publishing stops; afterwards the same is published."""
    expected = published_files(home.public)
    alter(home, 'UPDATE coverage SET "end" = "end" + 64 WHERE start = (SELECT MIN(start) FROM coverage)')
    line = home.run("db", "check", status=3).stdout
    assert "an interval of coverage is not what its checksum says" in line
    typed(home, "coverage", START=str(NOON - 2 * DAY), END=str(NOON - DAY), ARCHIVE="archive.ndjson")
    home.run("publish", "--force")
    assert published_files(home.public) == expected


def alter(home: Home, statement: str) -> None:
    """Change a row behind the back of statscache."""
    connection = sqlite3.connect(home.directory / "statscache.db")
    assert connection.execute(statement).rowcount == 1
    connection.commit()
    connection.close()


def suspend(home: Home) -> None:
    """Suspend a plugin, as if it had broken."""
    database = Database(f"sqlite:///{home.directory / 'statscache.db'}")
    with database.writing() as connection:
        row = positions.load(connection)["composes"]
        row.suspended = "it broke"
        positions.save(connection, [row])
    database.close()


@pytest.mark.parametrize(
    ("what", "prepare", "says"),
    [
        ("suspended", suspend, "composes"),
        ("held back", lambda _: None, "generation 1, "),
        ("clock", lambda _: None, ""),
    ],
)
def test_what_is_stopped_goes_on(home: Home, what: str, prepare: Callable[[Home], None], says: str) -> None:
    """A suspended plugin is resumed; a held one is published; of messages of the future there are none here."""
    expected = published_files(home.public)
    prepare(home)
    assert says in typed(home, what, NAME="composes")
    home.run("publish")
    assert published_files(home.public) == expected


def test_quarantine_is_listed_shown_and_tried_again(home: Home) -> None:
    """What is still wrong stays in quarantine."""
    (home.directory / "bad").write_bytes(b"no message\n")
    home.run("backfill", "bad", status=3)
    (item,) = home.json("quarantine", "list")
    for _ in range(2):
        typed(home, "quarantine", 3, ID=str(item["id"]))
    assert [each["id"] for each in home.json("quarantine", "list")] == [item["id"]]
