"""Bits that decay in the database are never published: right bytes come out, or an error that says what is damaged."""

import logging
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from conftest import Databases
from kills import EVERYWHERE
from samples import KINDS, NOON, Buyers, Prices, Sales, Site, follow, line, published_files
from statscache import cli
from statscache.exceptions import Damaged, DamagedObject, DamagedStatistics
from statscache.plugins import State
from statscache.simulator import Traffic, simulate
from statscache.snapshot import snapshots
from statscache.store import Database, coverage
from statscache.store.schema import metadata
from statscache.verify.database import check

DAY = 86_400
STRIDE = 1 if EVERYWHERE else 3
FLIPPED = 14 // STRIDE + 1
BITS = 3

PLUGINS = (Sales, Buyers, Prices)


def sale(number: int) -> bytes:
    """Return a message of a sale, two hours after the one before."""
    bought = {"buyer": f"b{number}", "thing": f"t{number % 5}", "amount": number % 7}
    return line(f"m{number}", NOON + 7200 * number, body=bought, users=[f"user{number % 4}"])


class Command:
    """Runs commands in this process, in a directory of their own: a process for each takes a second to start."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._directory = directory
        self._patch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, output and errors; a traceback fails the test."""
        self._patch.chdir(self._directory)
        self._patch.setattr("sys.argv", ["statscache", *arguments])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, errors = self._capfd.readouterr()
        assert "Traceback" not in errors, errors
        return int(end.value.code or 0), out, errors


def flip(file: Path, seed: int) -> None:
    """Flip a few bits of a file, the same for each seed."""
    chosen = random.Random(seed)
    data = bytearray(file.read_bytes())
    for _ in range(BITS):
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    file.write_bytes(data)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A directory with a published site of the bundled plugins, and its database in one file."""
    directory = tmp_path / "whole"
    directory.mkdir()
    traffic = Traffic(start=NOON - 2 * DAY, end=NOON, per_day=150)
    (directory / "archive").write_bytes(b"\n".join(simulate(traffic)))
    run = Command(directory, monkeypatch, capfd)
    assert run("backfill", "archive")[0] == 0
    assert run("publish")[0] == 0
    connection = sqlite3.connect(directory / "statscache.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return directory


def test_flipped_bits_are_never_published(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Wherever three bits decay: with status 0 the right bytes are at the target, and else it has no wrong one."""
    expected = published_files(whole / "public")
    repaired = 0
    for seed in range(FLIPPED):
        directory = tmp_path / f"flipped{seed}"
        directory.mkdir()
        shutil.copyfile(whole / "statscache.db", directory / "statscache.db")
        flip(directory / "statscache.db", seed)
        run = Command(directory, monkeypatch, capfd)
        found = run("db", "check")[0]
        caplog.clear()
        # All is read of the database, for the target is empty.
        status, _, errors = run("publish")
        there = published_files(directory / "public") if (directory / "public").exists() else {}
        if status == 0:
            assert there == expected == follow(directory / "public"), (seed, errors)
        else:
            assert errors.splitlines()[-1].startswith("statscache: "), (seed, errors)
            assert not (directory / "public/v1/index.json").exists(), (seed, errors)
            assert {path: expected[path] for path in there} == there, (seed, errors)
        if "the database is damaged" in caplog.text:
            assert found == 3, (seed, caplog.text)
            repaired += status == 0
        shutil.rmtree(directory, ignore_errors=True)
    assert repaired, "nothing that decayed was published"


OTHER = "(SELECT data FROM object o WHERE o.name <> object.name ORDER BY o.name LIMIT 1)"
LATEST = "name = 'latest.json' AND directory = 'data/v1/plugins/sales'"
NEWEST = "generation = (SELECT MAX(generation) FROM snapshot)"

DAMAGES = {
    f"UPDATE tree SET name = 'lates4.json' WHERE {LATEST}": "rows of the published directory v1/plugins/sales are",
    f"UPDATE tree SET object = '00' || SUBSTR(object, 3) WHERE {LATEST}": "v1/plugins/sales are damaged",
    f"UPDATE tree SET size = size + 1 WHERE {LATEST}": "v1/plugins/sales are damaged",
    f"UPDATE tree SET shard = shard + 1 WHERE {LATEST}": "v1/plugins/sales are damaged",
    f"UPDATE tree SET type = 'fule' WHERE {LATEST}": "v1/plugins/sales are damaged",
    "DELETE FROM tree WHERE name = 'latest.csv' AND directory = 'data/v1/plugins/sales'": "v1/plugins/sales are",
    "DELETE FROM tree WHERE directory = 'data/v1/plugins/buyers/by'": "v1/plugins/buyers/by are damaged",
    "UPDATE directory_part SET checksum = checksum + 1 WHERE directory LIKE '%sales'": "v1/plugins/sales are damaged",
    "DELETE FROM directory_part WHERE directory = ''": "directory / are damaged",
    f"UPDATE snapshot SET summary = {OTHER.replace('object.name', 'snapshot.manifest')} WHERE {NEWEST}": "the row of",
    f"UPDATE snapshot SET generation = generation + 7 WHERE {NEWEST}": "the row of snapshot",
    f"UPDATE snapshot SET manifest = '00' || SUBSTR(manifest, 3) WHERE {NEWEST}": "the row of snapshot",
    f"UPDATE object SET data = {OTHER} WHERE name IN (SELECT object FROM tree WHERE {LATEST})": "is damaged (v1/",
    f"UPDATE object SET data = {OTHER} WHERE name IN (SELECT manifest FROM snapshot WHERE {NEWEST})": "is damaged (no",
    f"DELETE FROM object WHERE name IN (SELECT object FROM tree WHERE {LATEST})": "tree has no object",
    f"DELETE FROM object WHERE name IN (SELECT manifest FROM snapshot WHERE {NEWEST})": "a manifest has no object",
}


def findings(site: Site) -> list[str]:
    """Return what the check of its database finds."""
    return [*check(site.database, site.installation.registry, quick=False)]


def alter(site: Site, statement: str) -> None:
    """Change rows of a database behind its back."""
    with site.database.writing() as connection:
        assert connection.execute(text(statement)).rowcount > 0, statement


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repair as often as asked."""
    monkeypatch.setattr("statscache.service.builder.REPAIR_PAUSE", 0.0)


@pytest.mark.usefixtures("impatient")
def test_what_is_altered_is_found_and_the_next_publication_is_right(
    database_url: str, databases: Databases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No one has to do anything: what was published is that of a database in which nothing decayed."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    other = databases.create()
    control = Site(other, tmp_path / "control", PLUGINS)
    for each in (site, control):
        each.feed(map(sale, range(80)))
        each.publish()
    # Each takes four publications, and most of a tree: a sample of them on each database, and all with `make kills`.
    sample = [*DAMAGES.items()][site.database.is_sqlite :: STRIDE]
    for number, (damage, what) in enumerate(sample, start=80):
        assert findings(site) == [], damage
        alter(site, damage)
        assert any(what in finding and "; " in finding for finding in findings(site)), (damage, findings(site))
        caplog.clear()
        for each in (site, control):
            each.feed([sale(number)])
            each.publish()
        assert site.aliases() == control.aliases() == follow(site.public), damage
        assert "the database is damaged" in caplog.text, damage
    site.close()
    control.close()
    databases.drop(other)


@pytest.mark.usefixtures("impatient")
def test_the_root_is_checked_also_where_nothing_changed(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No snapshot is made of a name that decayed."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed([sale(1)])
    before = site.publish()
    alter(site, "UPDATE directory_part SET object = '00' || SUBSTR(object, 3) WHERE directory = ''")
    assert any("directory / are damaged" in found for found in findings(site))
    assert site.publish().generation == before.generation
    assert "the database is damaged" in caplog.text
    assert findings(site) == []
    site.close()


def test_force_stores_what_it_renders(database_url: str, tmp_path: Path) -> None:
    """An object that decayed is not brought to a target in the place of a good one."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(5)))
    before = site.publish()
    expected = site.aliases()
    alter(site, f"UPDATE object SET data = {OTHER} WHERE name IN (SELECT object FROM tree WHERE {LATEST})")
    assert site.publish(force=True).id == before.id
    assert site.aliases() == expected
    assert findings(site) == []
    site.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (["UPDATE bucket SET value = value + 1 WHERE width = 86400"], "the days of a key do not add up to its total"),
        (["DELETE FROM entry WHERE timestamp = (SELECT MAX(timestamp) FROM entry)"], "a key has no row of entry"),
        # No other row tells of it.
        (
            [
                "DELETE FROM entry WHERE timestamp = (SELECT MAX(timestamp) FROM entry)",
                "DELETE FROM key WHERE plugin IN (SELECT plugin FROM entry) AND key NOT IN (SELECT key FROM entry)",
            ],
            "the statistics of prices are damaged",
        ),
    ],
)
def test_damaged_statistics_are_not_published(database_url: str, tmp_path: Path, damage: list[str], named: str) -> None:
    """Where what is lost would have to be rendered from them, publishing stops and says so, until they are rebuilt."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(30)))
    site.publish()
    expected = site.aliases()
    for statement in damage:
        alter(site, statement)
    alter(site, f"UPDATE snapshot SET through = through + 1 WHERE {NEWEST}")
    with pytest.raises(DamagedStatistics, match=rf"{named}.*`statscache rebuild"):
        site.publish()
    assert site.aliases() == expected == follow(site.public)
    site.ingest.plugins.rebuild(["sales", "prices", "buyers"])
    site.catch_up()
    site.publish()
    assert site.aliases() == expected == follow(site.public)
    site.close()


STORED = {
    "key": ("total", "first", "last", "key", "dimensions", "parts", "years", "entries"),
    "bucket": ("value", "key"),
    "key_quarter": ("data",),
    "entry": ("timestamp", "message", "value"),
    "span": ("start", "stop", "timestamp", "message", "fields"),
    "member_set": ("data",),
    "part": ("name", "number"),
    "coverage": ("start", "end"),
    "dirty": ("document", "number"),
    "dirty_keys": ("data",),
    "plugin": ("position", "newest", "revision"),
}
"""Columns whose decay no publication may pass on, also if something was counted since the last one."""


@pytest.mark.usefixtures("impatient")
def test_decay_is_found_also_where_something_was_counted_since(database_url: str, tmp_path: Path) -> None:
    """What is published then is right, or publishing stops, and the check names it."""
    site = Site(database_url, tmp_path / "site", KINDS)
    with site.database.writing() as connection:
        coverage.record(connection, NOON, NOON + 70 * 7200, complete=True)
        coverage.record(connection, NOON + 75 * 7200, NOON + 80 * 7200, complete=False)
    site.feed(map(sale, range(60)))
    site.publish()
    site.feed(map(sale, range(60, 90)))
    assert findings(site) == []
    with site.database.dry_run():
        site.publishing.builder.build()
        expected = site.tree()
    refused = set()
    for table, columns in STORED.items():
        with site.database.reading() as connection:
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).mappings().all()
        names = metadata.tables[table].primary_key.columns.keys()
        where = " AND ".join(f'"{name}" = :old_{name}' for name in names)
        # Each takes a check and most of a publication: half of them on each database, and all with `make kills`.
        for column in columns if EVERYWHERE or len(columns) == 1 else columns[site.database.is_sqlite :: 2]:
            row = [row for row in rows if row[column]][-1]
            flipped = {int: lambda value: value ^ 64, str: lambda value: value[:-1] + "~"}.get(
                type(row[column]), lambda value: value[:-1] + bytes([value[-1] ^ 1])
            )(row[column])
            with site.database.dry_run():
                with site.database.writing() as connection:
                    statement = text(f'UPDATE {table} SET "{column}" = :flipped WHERE {where}')
                    old = {f"old_{name}": row[name] for name in names}
                    assert connection.execute(statement, {"flipped": flipped, **old}).rowcount == 1
                found = findings(site)
                assert found, (table, column)
                assert all("; " in each for each in found), found
                try:
                    site.publishing.builder.build()
                except Damaged:
                    refused.add(table)
                else:
                    assert site.tree() == expected, (table, column)
    assert refused == STORED.keys() - {"dirty", "dirty_keys"}
    site.close()


@pytest.mark.usefixtures("impatient")
def test_rows_that_are_lost_are_missed(database_url: str, tmp_path: Path) -> None:
    """Lost, or stored in the place of another plugin, key or time: other rows say that they must exist."""
    site = Site(database_url, tmp_path / "site", KINDS)
    site.feed(map(sale, range(60)))
    site.publish()
    site.feed(map(sale, range(60, 90)))
    with site.database.dry_run():
        site.publishing.builder.build()
        expected = site.tree()
    published, silent = set(), set()
    losses = [loss for table in STATE for loss in lost(site, table)]
    # Each takes a check and most of a publication: a sample on each database, and all with `make kills`.
    for statement, values in losses[site.database.is_sqlite :: STRIDE]:
        with site.database.dry_run():
            with site.database.writing() as connection:
                assert connection.execute(text(statement), values).rowcount == 1
            if not [*check(site.database, site.installation.registry, quick=True)]:
                silent.add((statement, *values.values()))
            with suppress(Damaged):
                site.publishing.builder.build()
                if site.tree() != expected:
                    published.add((statement, *values.values()))
    site.close()
    assert (published, silent) == (set(), set())


def lost(site: Site, table: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield statements that remove a row of a table, or move it, for the first, the middle, and the last row."""
    with site.database.reading() as connection:
        rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3")).mappings().all()
    names = metadata.tables[table].primary_key.columns.keys()
    where = " AND ".join(f'"{name}" = :old_{name}' for name in names)
    for row in (rows[at] for at in sorted({0, len(rows) // 2, len(rows) - 1})):
        old = {f"old_{name}": row[name] for name in names}
        yield f"DELETE FROM {table} WHERE {where}", old
        for name in names:
            moved = row[name][:-1] + b"~" if isinstance(row[name], bytes) else row[name] ^ 1 << 30
            yield f'UPDATE {table} SET "{name}" = :moved WHERE {where}', {**old, "moved": moved}


class OtherPrices(Prices):
    """The newest price of each thing."""

    # The docstring is published, so it is the same: the author changed a document alone, and forgot the version.
    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish other rows."""
        yield "latest", {"rows": [{**row, "price": 7} for row in self.latest(state)]}


def test_documents_of_other_code_are_distinguished_from_damage(database_url: str, tmp_path: Path) -> None:
    """Where code changed without a higher version, the error says that this may be the cause, and a rebuild ends it."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(9)))
    site.publish()
    site.close()
    site = Site(database_url, tmp_path / "site", (Sales, Buyers, OtherPrices))
    with pytest.raises(
        DamagedStatistics,
        match=r"prices are damaged .*, or the code of the plugin was changed without a higher `version`",
    ):
        site.publish(force=True)
    assert any("its code was changed without a higher `version`" in found for found in findings(site))
    site.ingest.plugins.rebuild(["prices"])
    site.catch_up()
    site.publish(force=True)
    assert findings(site) == []
    assert {row["price"] for row in site.document("v1/plugins/prices/latest.json")["rows"]} == {7}
    site.close()


STATE = {
    "key": ("total", "first", "last", "dimensions", "parts", "years", "entries"),
    "bucket": ("start", "value"),
    "key_quarter": ("data", "quarter"),
    "entry": ("timestamp", "message", "value"),
    "span": ("start", "stop", "timestamp", "fields", "moved"),
    "member": ("digest",),
    "member_set": ("data",),
    "part": ("name",),
}


def test_decay_in_any_column_is_found_and_not_published_by_force(tmp_path: Path) -> None:
    """A bit that flips in a number, a time or a value of the statistics: the check names it, and `--force` fails.

    Where no document shows the bit, the right bytes are published, and the check may be silent.
    """
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path / "site", KINDS)
    site.feed(map(sale, range(60)))
    site.publish()
    assert findings(site) == []
    expected = site.tree()
    silent = set()
    for table, columns in STATE.items():
        with site.database.reading() as connection:
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2")).mappings().all()
        names = metadata.tables[table].primary_key.columns.keys()
        for column in columns:
            held = [row for row in rows if row[column]]
            assert held, (table, column)
            for row in (held[0], held[-1]):
                value = row[column]
                flipped = value ^ 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
                where = " AND ".join(f'"{name}" = :{name}' for name in names)
                with site.database.dry_run():
                    with site.database.writing() as connection:
                        statement = text(f'UPDATE {table} SET "{column}" = :flipped WHERE {where}')
                        done = connection.execute(
                            statement, {"flipped": flipped, **{name: row[name] for name in names}}
                        )
                        assert done.rowcount == 1
                    found = findings(site)
                    assert all("; `statscache rebuild" in each or "; restore" in each for each in found), found
                    with suppress(Damaged):
                        _, rendered = site.publishing.builder.build(force=True)
                        site.publishing.builder.refuse_unrendered(rendered)
                        assert site.tree() == expected, (table, column)
                        silent.add((table, column))
                        continue
                    assert found, (table, column)
    shown = {"key": ("total", "dimensions", "years"), "bucket": ("start", "value"), "entry": ("timestamp", "value")}
    assert not silent & {(table, column) for table, columns in shown.items() for column in columns}
    site.close()


def test_the_service_repairs_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If building finds the damage or a target that needs the object, it is logged, and published right."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(5)))
    site.build()
    alter(site, f"UPDATE object SET data = {OTHER} WHERE name IN (SELECT object FROM tree WHERE {LATEST})")
    stopping = threading.Event()
    with caplog.at_level(logging.WARNING):
        site.publishing.publish_every(0.1, stopping, lambda *_: stopping.set())
    assert "the database is damaged, and everything is rendered again from the statistics: object" in caplog.text
    assert "damaged files were rendered again" in caplog.text
    assert site.aliases() == follow(site.public) == site.tree()
    site.close()


def test_a_damaged_snapshot_is_not_gone_back_to(database_url: str, tmp_path: Path) -> None:
    """No one could render it again; the current one stays."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed([sale(1)])
    old = site.publish()
    with site.database.reading() as connection:
        names = [*connection.execute(text(f"SELECT object FROM tree WHERE {LATEST}")).scalars()]
    site.feed([sale(2)])
    new = site.publish()
    alter(site, f"DELETE FROM object WHERE name = '{names[0]}'")
    with pytest.raises(DamagedObject, match="is missing from the database"):
        site.publishing.rollback(old.id)
    with site.database.reading() as connection:
        current = snapshots.current(connection)
    assert current is not None
    assert current.generation == new.generation
    site.close()


def test_a_plugin_that_lost_everything_is_found(database_url: str, tmp_path: Path) -> None:
    """Also where all compact rows of one are gone, so that no row is left that does not add up."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(9)))
    with site.database.dry_run():
        alter(site, "DELETE FROM key_quarter")
        assert any("the days of a key do not add up to its total: buyers" in found for found in findings(site))
    with site.database.dry_run():
        for table in ("key", "bucket", "key_quarter"):
            alter(site, f"DELETE FROM {table}")
        assert any("a plugin has lost all that it counted: sales" in found for found in findings(site))
    site.close()


def test_a_damaged_journal_is_found(tmp_path: Path) -> None:
    """A bit of a segment that decays is an error when the journal is read, and `db check` finds it unless `--quick`."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path / "site", PLUGINS)
    site.feed(map(sale, range(50)))
    with site.database.writing() as connection:
        data = bytearray(connection.execute(text("SELECT data FROM segment")).scalar_one())
        data[len(data) // 2] ^= 4
        connection.execute(text("UPDATE segment SET data = :data"), {"data": bytes(data)})
    assert [found for found in findings(site) if "the segment of the journal that begins with message 1" in found]
    assert not [*check(site.database, site.installation.registry, quick=True)]
    site.ingest.plugins.rebuild(["sales"])
    with pytest.raises(Damaged, match="messages of the journal are damaged"):
        site.catch_up()
    site.close()


def test_a_value_of_another_type_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """SQLite keeps any value in any column; the error is that the database is damaged, not a traceback."""
    run = Command(tmp_path, monkeypatch, capfd)
    assert run("publish")[0] == 0
    database = Database(f"sqlite:///{tmp_path}/statscache.db")
    with database.writing() as connection:
        connection.execute(text("UPDATE plugin SET position = 'x' WHERE name = 'volume'"))
    database.close()
    status, _, errors = run("publish")
    assert (status, "statscache: the database is damaged: " in errors) == (1, True), errors
    status, out, _ = run("db", "check")
    assert (status, "a value of table plugin has another type than its column" in out) == (3, True), out
