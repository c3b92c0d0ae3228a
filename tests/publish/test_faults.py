"""Faults at any operation of a target: it is killed, it fails for a moment, it is full; a reader never notices."""

import errno
import os
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from conftest import PostgreSQLDatabases
from kills import STRIDE, Killed, Steps, target_operations
from publish.test_crashes import killed_publishing, sale
from samples import Buyers, Receipts, Sales, Site, follow
from servers import PostgreSQL
from snapshot.test_retention import age
from statscache import layout
from statscache.exceptions import PublishError
from statscache.publish.directory import DirectoryTarget
from statscache.publish.dry_run import DryRunTarget
from statscache.publish.halt import Halt
from statscache.publish.rsync import RsyncTarget
from statscache.publish.s3 import S3Target
from statscache.publish.target import File, Target
from statscache.snapshot import snapshots
from statscache.store import schema
from statscache.store.outage import Outage

KEEPS_ONE = {"retention": {"snapshots": 1, "grace_hours": 0}}
"""A retention under which each publication deletes what the one before needed."""


class Failing(Steps):
    """Counts operations, and fails at one of them and at so many that follow it."""

    def __init__(self, at: int, error: OSError, times: int) -> None:
        super().__init__(at)
        self._error = error
        self._times = times

    def step(self) -> None:
        """Record one operation, or fail."""
        self.number += 1
        assert self.at is not None
        if self.at < self.number <= self.at + self._times:
            raise self._error


def site(directory: Path, **publish: Any) -> Site:
    """Return a site with one plugin, which publishes a document for each key."""
    return Site(f"sqlite:///{directory / 'faults.db'}", directory, (Buyers,), publish=publish)


def test_retention_killed_at_any_operation_misleads_no_reader(tmp_path: Path) -> None:
    """While old snapshots and their objects are deleted, the pointer leads to a whole one; nothing is left behind."""
    killed = site(tmp_path, **KEEPS_ONE)
    assert killed_publishing(killed, target_operations)[0] > 40, "hardly anything was interrupted"
    killed.publish()
    held = {path.name for path in (killed.public / "v1/objects").rglob("*") if path.is_file()}
    assert {name for name in held if not name.endswith(".gz")} == referenced(killed)
    killed.close()


def test_a_reader_of_an_older_index_is_misled_by_no_kill(tmp_path: Path) -> None:
    """While what is beyond its grace is deleted, the pointer that was served until now leads to a whole snapshot."""
    killed = site(tmp_path, retention={"snapshots": 1, "grace_hours": 1})
    killed.feed([sale(0)])
    killed.publish()
    at = number = 0
    while True:
        number += 1
        age(killed, 7200)
        old = (killed.public / layout.INDEX).read_bytes()
        killed.feed([sale(number)])
        try:
            with target_operations(Steps(at)):
                killed.publish()
        except Killed:
            killed.database.engine.dispose()
            follow(killed.public, old)
            killed.publish()
            follow(killed.public, old)
        else:
            break
        at += STRIDE
    assert at > 40, "hardly anything was interrupted"
    killed.close()


def test_rollback_killed_at_any_operation_misleads_no_reader(tmp_path: Path) -> None:
    """A reader finds the old snapshot or the new one; the next publication makes current what was asked for."""
    killed = site(tmp_path)
    killed.feed([sale(1)])
    oldest = killed.publish()
    killed.feed([sale(2), sale(3)])
    newest = killed.publish()
    at = 0
    while True:
        try:
            with target_operations(Steps(at)):
                killed.publishing.rollback(oldest.id)
        except Killed:
            killed.database.engine.dispose()
            follow(killed.public)
            assert killed.publish().id in (oldest.id, newest.id)
            assert killed.publishing.publish(resume=True)[0].id == newest.id
            assert follow(killed.public) == killed.aliases()
        else:
            break
        at += STRIDE
    assert at > 40, "hardly anything was interrupted"
    assert killed.document("v1/index.json")["snapshot"] == oldest.id
    assert follow(killed.public) == killed.aliases()
    killed.close()


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.ETIMEDOUT])
def test_operation_that_fails_for_a_moment_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whichever operation it is, the same publication succeeds."""
    monkeypatch.setattr("statscache.publish.target.PAUSES", (0.0, 0.0))
    made = site(tmp_path)
    made.feed([sale(0)])
    made.publish()
    at, steps = 0, Steps()
    while at == 0 or at < steps.number:
        made.feed([sale(at + 1)])
        steps = Failing(at, OSError(number, os.strerror(number)), times=1)
        with target_operations(steps):
            made.publish()
        assert follow(made.public) == made.aliases() == made.tree()
        at += STRIDE
    assert at > 40, "hardly anything failed"
    made.close()


OPERATIONS: dict[str, tuple[Any, ...]] = {
    "read": ("v1/index.json",),
    "holds": ("v1/index.json", 1),
    "is_intact": (File("v1/index.json", b"1"),),
    "siblings_of": ("v1/index.json",),
    "files": (["v1"],),
    "write": ([File("v1/index.json", b"1")],),
    "delete": (["v1/index.json"],),
    "barrier": (),
    "read_back": ("v1/index.json",),
}
"""Each operation of a target, with arguments for it."""


@pytest.mark.parametrize("kind", [DirectoryTarget, DryRunTarget, RsyncTarget, S3Target])
def test_each_operation_of_each_target_is_tried_three_times(
    kind: type[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same pauses between; but for an error that another try cannot fix, which comes at once."""
    retried = {name for name in vars(Target) if f"_{name}" in vars(Target)}
    assert retried == OPERATIONS.keys()
    tries: list[str] = []
    pauses: list[float] = []

    class Waits(Halt):
        """Records the pauses."""

        def wait(self, seconds: float) -> None:
            pauses.append(seconds)

    for name, arguments in OPERATIONS.items():
        for number, expected in ((errno.ECONNRESET, [0.2, 1.0]), (errno.ENOSPC, [])):

            def fail(*_: object, number: int = number) -> None:
                tries.append(name)  # noqa: B023 - called within the loop
                raise OSError(number, os.strerror(number))

            target = kind.__new__(kind)
            target.name, target.halt = "public", Waits()
            monkeypatch.setattr(kind, f"_{name}", fail)
            tries.clear()
            pauses.clear()
            with pytest.raises(OSError, match=os.strerror(number)):
                # A listing is read as it comes.
                [*(getattr(target, name)(*arguments) or ())]
            assert (tries, pauses) == ([name] * (len(expected) + 1), expected)


def test_target_that_fills_up_keeps_its_last_snapshot(tmp_path: Path) -> None:
    """From whichever operation on the disk is full, readers are not misled, the error says so, and space fixes it."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    made = site(tmp_path)
    made.feed([sale(0)])
    made.publish()
    at = 0
    while True:
        made.feed([sale(at + 1)])
        steps = Failing(at, full, times=10**6)
        with target_operations(steps):
            reason = failure(made)
        if not reason:
            break
        assert "target public" in reason
        assert "No space left" in reason
        follow(made.public)
        made.publish()
        assert follow(made.public) == made.aliases() == made.tree()
        at += STRIDE
    assert at > 40, "hardly anything failed"
    made.close()


def failure(made: Site) -> str:
    """Publish, and return why it failed; nothing if it did not."""
    try:
        made.publish()
    except PublishError as error:
        return str(error)
    return ""


def referenced(made: Site) -> set[str]:
    """Return the names of the objects that the current snapshot is made of, manifests included."""
    with made.database.reading() as connection:
        current = snapshots.current(connection)
        assert current is not None
        columns = schema.tree.c.object, schema.directory_part.c.object
        names = {current.manifest, *(name for column in columns for name in connection.scalars(select(column)))}
        # Documents of keys, whose bytes are kept by their digest alone, have no objects.
        return {name for name in names if "." in name}


def test_a_database_that_goes_away_at_any_statement_is_an_outage(postgresql: PostgreSQL, tmp_path: Path) -> None:
    """No plugin and no page is blamed for it: the next publication has all of them, as if nothing had been."""
    databases = PostgreSQLDatabases(postgresql)
    url = databases.create()
    made = Site(url, tmp_path / "site", (Sales, Buyers, Receipts))
    made.feed(map(sale, range(20)))
    steps = Steps()

    def cut(connection: Any, *_: Any) -> None:
        try:
            steps.step()
        except Killed:
            number = connection.connection.dbapi_connection.info.backend_pid
            postgresql.execute(f"SELECT pg_terminate_backend({number})")
            steps.at = None

    event.listen(made.database.engine, "before_cursor_execute", cut)
    for at in count(0, STRIDE):
        steps.at, steps.number = at, 0
        try:
            made.build(force=True)
            break
        except Exception as error:
            if not Outage().explains(error):
                raise
    event.remove(made.database.engine, "before_cursor_execute", cut)
    assert at > 60, "hardly anything was cut"
    undisturbed = Site(f"sqlite:///{tmp_path}/plain.db", tmp_path / "plain", (Sales, Buyers, Receipts))
    undisturbed.feed(map(sale, range(20)))
    undisturbed.build()
    assert made.tree() == undisturbed.tree()
    made.close()
    undisturbed.close()
    databases.drop(url)
