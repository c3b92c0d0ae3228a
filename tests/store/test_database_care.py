"""Looking after the database: what must hold is checked, and what was copied, or saved and restored, publishes on."""

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import event, make_url, text

import disk_sync
from commands import Home
from conftest import Databases, PostgreSQLDatabases, SQLiteDatabases
from samples import ALL, NOON, Site, line
from servers import PostgreSQL
from statscache import kinds
from statscache.exceptions import CopyRefused
from statscache.plugins import BasePlugin, CategorizedModel, Plugin
from statscache.store import Database, coverage, database, invariants, locks, schema
from statscache.store.copying import copy
from store.test_journal_care import Picky

DAY = 86_400


class Sold(CategorizedModel):
    """One thing sold."""

    __tablename__ = "data_sold"


class Ledger(BasePlugin):
    """Keeps a row for each sale."""

    name = "ledger"
    summary = "Sales, one by one"
    model = Sold

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting: list[dict[str, Any]] = []

    def process(self, message: dict[str, Any]) -> None:
        """Remember the message."""
        self.waiting.append(message)

    def update(self, session: Any) -> None:
        """Store a row for each of them."""
        for message in self.waiting:
            moment = datetime.fromtimestamp(message["timestamp"], UTC).replace(tzinfo=None)
            session.add(self.model(timestamp=moment, category=str(message["msg"].get("thing")), scalar=1))


class Peculiar(Picky):
    """Raises on some messages, so that they are quarantined."""

    topics = ("shop.#",)


PLUGINS: tuple[type[Plugin], ...] = (*ALL, Ledger, Peculiar)


def sale(number: int, **body: Any) -> bytes:
    """Return a message of a sale, two hours after the one before."""
    bought = {"buyer": f"b{number % 3}", "thing": f"t{number % 5}", "amount": number % 7, **body}
    return line(f"m{number}", NOON + 7200 * number, body=bought, users=[f"user{number % 4}"])


@pytest.fixture(scope="module")
def original(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The database and the directory of a site; `site` is a copy."""
    url, directory = databases.create(), tmp_path_factory.mktemp("original")
    made = Site(url, directory, PLUGINS)
    made.feed([*map(sale, range(40)), sale(40, bad=True), b"no message", line("held", 4_000_000_000)])
    with made.database.writing() as connection:
        coverage.record(connection, NOON, NOON + DAY, complete=True)
        coverage.record(connection, NOON + 2 * DAY, NOON + 3 * DAY, complete=False)
    made.publish()
    made.feed(map(sale, range(41, 50)))
    made.publish()
    made.close()
    yield url, directory
    databases.drop(url)


@pytest.fixture
def site(original: tuple[str, Path], databases: Databases, tmp_path: Path) -> Iterator[Site]:
    """A site with every kind of statistic, a gap, something quarantined, something held, and two snapshots."""
    url = databases.copy(original[0])
    shutil.copytree(original[1], tmp_path / "site")
    made = Site(url, tmp_path / "site", PLUGINS)
    yield made
    made.close()
    databases.drop(url)


@pytest.fixture
def elsewhere(original: tuple[str, Path], request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of the other kind."""
    if original[0].startswith("sqlite"):
        others: Databases = PostgreSQLDatabases(request.getfixturevalue("postgresql"))
    else:
        others = SQLiteDatabases(tmp_path)
    url = others.create()
    yield url
    others.drop(url)


def faults(site: Site) -> list[str]:
    """Return what does not hold in the database of a site."""
    with site.database.reading() as connection:
        return list(invariants.broken(connection, kinds.invariants()))


def test_all_invariants_hold_after_all_kinds_of_work(site: Site) -> None:
    """Also with quarantined things and held, and with minutes and hours that are kept no longer."""
    assert faults(site) == []
    site.feed([line("late", NOON + 200 * DAY, body={"buyer": "b"}), line("early", NOON - 200 * DAY)])
    site.publish()
    assert faults(site) == []


DAMAGES = {
    "UPDATE plugin SET position = 99999 WHERE name = 'sales'": "a plugin's position is beyond",
    "UPDATE journal SET head = head + 1": "other than its messages without the removed ones",
    "UPDATE segment SET first = first + 1": "a segment reaches beyond the journal's end",
    "UPDATE segment SET messages = messages + 1": "the segments of the journal overlap",
    "UPDATE journal SET through = 5": "the journal's time is other than that of its newest message",
    "DELETE FROM message_id WHERE day = (SELECT MIN(day) FROM message_id)": "one identity for each message",
    "UPDATE quarantine SET position = 99999 WHERE plugin = 'picky'": "refers to a message that the journal does not",
    "DELETE FROM plugin WHERE name = 'prices'": "a row of key belongs to no plugin",
    "DELETE FROM key WHERE total = 0": "a row of entry belongs to no key: prices; `statscache rebuild PLUGIN`",
    "UPDATE bucket SET value = value + 1 WHERE width = 86400": "the days of a key do not add up to its total",
    "UPDATE bucket SET value = value + 1 WHERE width = 3600": "the hours of a key do not add up to its days",
    "DELETE FROM bucket WHERE width = 60 AND start % 86400 = 0": "the minutes of a key do not add up to its hours",
    "DELETE FROM key_quarter WHERE key = (SELECT MIN(key) FROM key_quarter)": "the days of a key do not add up to its",
    "UPDATE key SET parts = (SELECT k.parts FROM key k WHERE k.plugin = key.plugin AND k.total <> key.total LIMIT 1)"
    " WHERE parts IS NOT NULL": "the parts of a key do not add up to its total",
    "UPDATE key SET years = (SELECT k.years FROM key k WHERE k.plugin = key.plugin AND k.total <> key.total LIMIT 1)"
    " WHERE years IS NOT NULL": "the years of a key do not add up to its total",
    "DELETE FROM part": "the parts of a key do not add up to its total",
    "DELETE FROM member_set WHERE width = 604800": "the members of a bucket are not as many as its number",
    "UPDATE member_set SET data = (SELECT data FROM key_quarter LIMIT 1)": "the members of a bucket are not as many as",
    "DELETE FROM object WHERE name LIKE '%.csv'": "a file of the published tree has no object",
    "DELETE FROM object WHERE name IN (SELECT manifest FROM snapshot)": "a manifest has no object",
    "INSERT INTO object VALUES ('00.json', 0, '')": "nothing refers to an object",
    'UPDATE coverage SET start = "end" + 1': "an interval of coverage ends before it starts",
}


def test_what_does_not_hold_is_found(site: Site) -> None:
    """It is reported with an example, and with what to do."""
    for damage, what in DAMAGES.items():
        with site.database.dry_run():
            with site.database.writing() as connection:
                connection.execute(text(damage))
            assert any(what in fault and "; " in fault for fault in faults(site)), damage
    assert faults(site) == []


def test_no_query_compares_each_row_with_every_other(postgresql: PostgreSQL, tmp_path: Path) -> None:
    """PostgreSQL runs a subplan for each row if its result is too large for a hash table: `db check` took hours."""
    databases = PostgreSQLDatabases(postgresql)
    url = databases.create()
    site = Site(url, tmp_path, PLUGINS)
    asked: dict[str, Any] = {}

    @event.listens_for(site.database.engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.setdefault(statement, parameters[0] if isinstance(parameters, list) else parameters)

    site.feed([*map(sale, range(40)), sale(40, bad=True), b"no message"])
    site.publish(force=True)
    site.feed([sale(41)])
    site.publish()
    assert faults(site) == []
    event.remove(site.database.engine, "before_cursor_execute", note)
    subplans = []
    with site.database.reading() as connection:
        # As if there were many rows.
        connection.execute(text("SET LOCAL work_mem = '64kB'"))
        for statement, parameters in asked.items():
            if statement.startswith(("SELECT", "DELETE", "UPDATE", "INSERT", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
                subplans += [statement for line in plan if "(SubPlan" in line]
    site.close()
    databases.drop(url)
    assert len(asked) > 100
    assert subplans == []


def test_a_copy_publishes_on(site: Site, elsewhere: str, tmp_path: Path) -> None:
    """Snapshots, gaps, positions and what is quarantined go along; the next message gives the same bytes as before."""
    other = Database(elsewhere)
    copied = dict(copy(site.database, other, [Sold.__table__]))  # type: ignore[list-item]
    other.close()
    assert copied["data_sold"] == 50
    assert set(copied) == {"data_sold", *schema.metadata.tables}
    shutil.copytree(site.public, tmp_path / "moved" / "public")
    moved = Site(elsewhere, tmp_path / "moved", PLUGINS)
    assert faults(moved) == []
    expected, found = site.publish(), moved.publish()
    assert (found.id, found.generation, found.parent) == (expected.id, 2, expected.parent)
    told = [each.document("v1/status.json") | {"generated_at": 0} for each in (site, moved)]
    assert told[0] == told[1]
    for each in (site, moved):
        each.feed([sale(10), sale(50), sale(51, bad=True), b"no message either"])
    expected, found = site.publish(), moved.publish()
    assert (found.id, found.generation) == (expected.id, 3)
    assert moved.state() == site.state()
    assert faults(moved) == []
    with moved.database.reading() as connection:
        numbers = connection.execute(text("SELECT COUNT(*), COUNT(DISTINCT id) FROM quarantine")).one()
    assert tuple(numbers) == (4, 4)
    moved.close()


def test_nothing_is_copied_into_a_database_in_use(site: Site, databases: Databases, tmp_path: Path) -> None:
    """Nor where the tables of a plugin would be left behind; the origin stays as it is in any case."""
    used = Site(databases.create(), tmp_path / "used", PLUGINS)
    with pytest.raises(CopyRefused, match="keeps the tables data_sold: enable the plugins"):
        list(copy(site.database, used.database))
    used.feed([sale(1)])
    with pytest.raises(CopyRefused, match="is in use; nothing was copied: name an empty one"):
        list(copy(site.database, used.database, [Sold.__table__]))  # type: ignore[list-item]
    used.publish()
    assert faults(used) == []
    used.close()


def test_the_command_copies_and_refuses(tmp_path: Path) -> None:
    """`db copy` says what it did; a second time it is refused, with status 3."""
    home = Home(tmp_path / "home")
    (home.directory / "archive").write_bytes(b"\n".join(map(sale, range(9))))
    home.run("backfill", "archive")
    before = home.json("publish")["id"]
    assert home.run("db", "copy", "sqlite:///other.db").stdout.startswith("copied ")
    done = home.run("db", "copy", "sqlite:///other.db", status=3)
    assert "sqlite:///other.db is in use; nothing was copied: name an empty one" in done.stderr
    home.environment["STATSCACHE_DATABASE__URL"] = "sqlite:///other.db"
    assert home.run("db", "check").stdout == "all invariants hold, and all digests are right\n"
    assert home.run("db", "check", "--quick").stdout == "all invariants hold\n"
    assert home.json("publish")["id"] == before
    assert home.run("db", "upgrade").stdout == "the database has schema 0001, as before\n"


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_a_database_in_memory_is_refused(tmp_path: Path, url: str) -> None:
    """All would be gone when the command ends: neither a configuration nor `db copy` may name one."""
    home = Home(tmp_path / "home")
    done = home.run("db", "copy", url, status=2)
    assert "give sqlite:///FILE" in done.stderr
    home.environment["STATSCACHE_DATABASE__URL"] = url
    for command in (["config", "check"], ["status"]):
        done = home.run(*command, status=2)
        assert "[database] url: " in done.stderr
        assert "give sqlite:///FILE" in done.stderr


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """`db upgrade` says that the release which made it is needed, and changes nothing."""
    home = Home(tmp_path / "home")
    home.run("status")
    database = Database(f"sqlite:///{home.directory / 'statscache.db'}")
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for command in (["db", "upgrade"], ["publish"]):
        done = home.run(*command, status=1)
        assert "the database has schema 9999" in done.stderr
        assert "install the release that made it" in done.stderr
    assert database.revision() == "9999"
    database.close()


@pytest.mark.parametrize("before", [None, 0o644, 0o600])
def test_an_sqlite_database_is_closed_to_others(tmp_path: Path, before: int | None) -> None:
    """Whatever the umask and its mode were: it holds every message. Its write-ahead log is closed too."""
    path = tmp_path / "statscache.db"
    if before is not None:
        path.touch()
        path.chmod(before)
    mask = os.umask(0)
    try:
        database = Database(f"sqlite:///{path}")
        database.prepare()
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE other (number INTEGER)"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(mask)
    database.close()
    mode = 0o600 if before == 0o600 else 0o640
    assert modes == {"statscache.db": mode, "statscache.db-wal": mode, "statscache.db-shm": mode}


@pytest.mark.parametrize("named", ["uri", "uri with a host", "dangling link", "link"])
def test_a_database_is_closed_to_others_however_it_is_named(tmp_path: Path, named: str) -> None:
    """By the address of a file, and through links; so are the log and its index that were left open before."""
    path = tmp_path / "sub dir" / "statscache.db"
    path.parent.mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    if named == "link":
        for ending in ("", "-wal", "-shm"):
            Path(f"{path}{ending}").touch()
            Path(f"{path}{ending}").chmod(0o644)
    quoted = str(path).replace(" ", "%20")
    name = {"uri": f"file:{quoted}?uri=true", "uri with a host": f"file://localhost{quoted}?uri=true"}.get(named, link)
    mask = os.umask(0)
    try:
        database = Database(f"sqlite:///{name}")
        database.prepare()
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE other (number INTEGER)"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(mask)
    database.close()
    assert modes == {f"statscache.db{ending}": 0o640 for ending in ("", "-wal", "-shm")}


def test_locks_are_closed_to_others(tmp_path: Path) -> None:
    """Whatever the umask: whoever can open such a file can hold the lock, and so stop all publications."""
    made = Database(f"sqlite:///{tmp_path}/statscache.db")
    made.prepare()
    mask = os.umask(0)
    try:
        with locks.publishing(made), locks.target(made, "web"):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("*.publishing*")}
    finally:
        os.umask(mask)
    made.close()
    assert modes == {"statscache.db.publishing": 0o600, "statscache.db.publishing.web": 0o600}


def test_caches_of_all_connections_together_are_bounded(tmp_path: Path) -> None:
    """A service has a connection for each of its threads, and each reads and writes more than its cache holds."""
    program = f"""
        import ctypes, ctypes.util
        from sqlalchemy import text
        from statscache.store import Database
        database = Database("sqlite:///{tmp_path}/statscache.db")
        database.prepare()
        with database.writing() as connection:
            connection.execute(text("CREATE TABLE large (data BLOB)"))
            for _ in range(40):
                connection.execute(text("INSERT INTO large VALUES (randomblob(1000000))"))
        connections = [database.engine.connect() for _ in range(5)]
        for connection in connections:
            connection.execute(text("SELECT sum(length(hex(data))) FROM large")).all()
        sqlite = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
        sqlite.sqlite3_memory_used.restype = ctypes.c_int64
        print(sqlite.sqlite3_memory_used())
    """
    done = subprocess.run([sys.executable, "-c", dedent(program)], capture_output=True, text=True, check=True)
    assert 10 * 2**20 < int(done.stdout) < 50 * 2**20


def saved(url: str, directory: Path) -> None:
    """Make a backup as the documentation says."""
    parts = make_url(url)
    if parts.drivername == "sqlite":
        run("sqlite3", str(parts.database), f".backup {directory}/backup.db")
    else:
        run("pg_dump", "--format=custom", f"--file={directory}/backup.dump", libpq(url))


def restored(url: str, directory: Path, databases: Databases) -> str:
    """Restore the backup into a new database, as the documentation says, and return its URL."""
    new = databases.create()
    if new.startswith("sqlite"):
        run("sqlite3", str(make_url(new).database), f".restore {directory}/backup.db")
    else:
        run("pg_restore", "--no-owner", f"--dbname={libpq(new)}", f"{directory}/backup.dump")
    return new


def libpq(url: str) -> str:
    """Return a URL as PostgreSQL's own programs take it."""
    return url.replace("postgresql+psycopg://", "postgresql://")


def run(*command: str) -> None:
    """Run a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done


def test_a_restored_database_publishes_on(site: Site, databases: Databases, tmp_path: Path) -> None:
    """The target is ahead of it: the next generation is above both, and with what was missed the data is the same."""
    database_url = site.database.engine.url.render_as_string(hide_password=False)
    with site.database.writing():
        # It is saved while it is in use.
        saved(database_url, tmp_path)
    site.feed(map(sale, range(60, 70)))
    expected = site.publish()
    site.close()
    url = restored(database_url, tmp_path, databases)
    after = Site(url, tmp_path / "site", PLUGINS)
    assert faults(after) == []
    older = after.publish()
    assert (older.generation, older.id == expected.id) == (4, False)
    after.feed(map(sale, range(60, 70)))
    newer = after.publish()
    assert (newer.generation, newer.id) == (5, expected.id)
    after.close()


def test_a_second_connection_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    """When a process has connected twice, another one that comes and goes does not take the write-ahead log away."""
    path = tmp_path / "statscache.db"
    database, other = Database(f"sqlite:///{path}"), Database(f"sqlite:///{path}")
    database.prepare()
    read = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM journal'); c.close()"
    with database.reading():
        other.check()
        subprocess.run([sys.executable, "-c", read, path], check=True)
        assert Path(f"{path}-wal").exists()
    other.close()
    database.close()


def test_a_commit_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests do without, and no one else: an acknowledged message must survive a power failure."""
    monkeypatch.setattr(database, "_PRAGMAS", disk_sync.PRAGMAS)
    opened = Database(f"sqlite:///{tmp_path}/x.db")
    with opened.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    opened.close()


def test_batches_that_change_the_same_pages_copy_them_once(tmp_path: Path) -> None:
    """A batch of history changes thousands of pages, which the next one changes again."""
    opened = Database(f"sqlite:///{tmp_path}/x.db")
    with opened.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE wide (data BLOB)")
        # Each row takes a page.
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
            " INSERT INTO wide SELECT zeroblob(3000) FROM n"
        )
    opened.wipe()
    size, written = (tmp_path / "x.db").stat().st_size, (tmp_path / "x.db").stat().st_mtime_ns
    for _ in range(3):
        with opened.writing() as connection:
            connection.exec_driver_sql("UPDATE wide SET data = randomblob(3000)")
    assert (tmp_path / "x.db").stat().st_mtime_ns == written
    assert (tmp_path / "x.db-wal").stat().st_size > 3 * size
    opened.close()
    assert (tmp_path / "x.db").stat().st_mtime_ns > written


def test_what_is_deleted_leaves_no_copy_in_the_file(tmp_path: Path) -> None:
    """SQLite moves rows between pages as they fill, and leaves a copy behind; a rewritten one has none."""
    path = tmp_path / "moved.db"
    store = Database(f"sqlite:///{path}")
    chance = random.Random(0)
    names = [f"{number:05}" for number in range(400)]
    chance.shuffle(names)
    with store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE moved (name TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID")
        rows = [(name, f"of {name}".encode() * chance.randrange(1, 40)) for name in names]
        connection.exec_driver_sql("INSERT INTO moved VALUES (?, ?)", rows)
    with store.writing() as connection:
        deleted = [(name,) for name in names if int(name) % 3]
        connection.exec_driver_sql("DELETE FROM moved WHERE name = ?", deleted)
    assert store.rewrite()
    assert store.wipe()
    store.close()
    content = path.read_bytes()
    assert all((f"of {name}".encode() in content) == (int(name) % 3 == 0) for name in names)


def test_a_database_that_cannot_be_rewritten_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else writes, for longer than is waited for."""
    store = Database(f"sqlite:///{tmp_path / 'busy.db'}")
    with store.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE one (name TEXT)")
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not store.rewrite()
    assert "the database cannot be rewritten: database is locked" in caplog.text
    other.execute("ROLLBACK")
    assert store.rewrite()
    other.close()
    store.close()
