"""Killed between any two operations, and started again: nothing is lost, nothing counts twice, no reader is misled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kills import STRIDE, Killed, Steps, target_operations, writes
from samples import NOON, Buyers, Prices, Receipts, Sales, Site, follow, line
from statscache.publish.directory import DirectoryTarget
from statscache.publish.target import File
from statscache.store import coverage, journal

PLUGINS = (Buyers, Prices)


def sale(number: int) -> bytes:
    """Return a message that changes the document of one key, and now and then adds one."""
    return line(f"m{number}", NOON + 60 * number, body={"buyer": f"b{number % 7}", "thing": "hat", "amount": number})


def test_a_transaction_killed_before_any_write_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    """Up to the commit a delivery leaves no trace; after it, the same delivery again changes nothing."""
    site = Site(database_url, tmp_path, (Sales, *PLUGINS, Receipts))
    site.feed([sale(1), sale(2)])
    before = site.state()
    delivery = [sale(2), sale(3), sale(3), b"rubbish", line("future", 32503680000), line("", NOON, "a.b.stg.c")]
    for at in range(1000):
        steps = Steps(at)
        try:
            with writes(site.database, steps):
                outcome = site.feed(delivery)
        except Killed:
            site.database.engine.dispose()
            assert site.state() == before, f"killed before operation {at}"
            with site.database.reading() as connection:
                assert journal.head(connection).position == 2
            continue
        break
    assert at > 15, "hardly anything was interrupted"
    assert (outcome.accepted, outcome.known, outcome.held, outcome.quarantined, outcome.foreign) == (1, 2, 1, 1, 1)
    after = site.state()
    again = site.feed(delivery)
    assert (again.accepted, again.known) == (0, 3)
    assert site.state() == after
    site.close()


def test_catching_up_killed_before_any_write_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    """A plugin that is killed while it fills itself from the journal ends as one that was there all along."""
    site = Site(database_url, tmp_path, (Sales,))
    for number in range(6):
        site.feed([sale(number)])
    site = site.reopened((Sales, Buyers))
    for at in range(1000):
        try:
            with writes(site.database, Steps(at)):
                site.catch_up()
        except Killed:
            site.database.engine.dispose()
            continue
        break
    assert at > 5, "hardly anything was interrupted"
    names = {row[1]: row[2] for row in site.state()["buyers"] if row[0] == "key"}
    assert names == {(f"b{number}",): 1 for number in range(6)}
    site.close()


def killed_publishing(site: Site, interrupted: Callable[[Steps], Any]) -> tuple[int, int]:
    """Kill one publication after the other at an operation; return how many operations one has, and the sales made.

    After each, a reader of the pointer finds a whole snapshot. Every other time the next publication is killed too.
    """
    site.feed([sale(0)])
    site.publish()
    number = at = 0
    while True:
        number += 1
        site.feed([sale(number)])
        try:
            with interrupted(Steps(at)):
                site.publish()
        except Killed:
            site.database.engine.dispose()
            follow(site.public)
            if at % 2:
                site.publish()
                assert follow(site.public) == site.aliases()
        else:
            break
        at += STRIDE
    assert site.publish().id == site.publish(force=True).id
    assert follow(site.public) == site.aliases() == site.tree()
    return at, number + 1


def compare_with_undisturbed(site: Site, url: str, directory: Path, sales: int) -> None:
    """The site serves what an undisturbed one serves."""
    plain = Site(url, directory, PLUGINS)
    plain.feed([sale(number) for number in range(sales)])
    assert plain.publish().id == site.publish().id
    assert plain.aliases() == site.aliases()
    plain.close()


def test_a_publication_killed_at_any_operation_of_the_target_misleads_no_reader(tmp_path: Path) -> None:
    """Between any two operations on the target, the pointer leads to a whole snapshot; the next run carries on."""
    site = Site(f"sqlite:///{tmp_path}/killed.db", tmp_path, PLUGINS)
    operations, sales = killed_publishing(site, target_operations)
    assert operations > 40, "hardly anything was interrupted"
    compare_with_undisturbed(site, f"sqlite:///{tmp_path}/plain.db", tmp_path / "plain", sales)
    site.close()


def test_a_publication_that_is_killed_and_overtaken_leaves_no_file_behind(tmp_path: Path) -> None:
    """What it had begun to publish, and what is no longer so when the next comes, does not stay at readable paths."""
    site = Site(f"sqlite:///{tmp_path}/overtaken.db", tmp_path, (Sales,))
    site.feed([sale(0), sale(600)])
    before = site.publish()
    at = 0
    while True:
        gap = NOON + 60 * at, NOON + 60 * at + 60
        record(site, *gap, complete=False)
        try:
            with target_operations(Steps(at)):
                site.publish()
        except Killed:
            at += STRIDE
        else:
            break
        record(site, *gap, complete=True)
        assert site.publish().id == before.id
        assert follow(site.public) == site.aliases()
    assert at > 20, "hardly anything was interrupted"
    site.close()


def record(site: Site, start: int, end: int, *, complete: bool) -> None:
    """Record coverage."""
    with site.database.writing() as connection:
        coverage.record(connection, start, end, complete=complete)


def test_a_publication_killed_before_any_write_misleads_no_reader(database_url: str, tmp_path: Path) -> None:
    """Between any two writes to the database, too; and what was marked is rendered by the next run."""
    site = Site(database_url, tmp_path, PLUGINS)
    operations, sales = killed_publishing(site, lambda steps: writes(site.database, steps))
    assert operations > 30, "hardly anything was interrupted"
    compare_with_undisturbed(site, f"sqlite:///{tmp_path}/plain.db", tmp_path / "plain", sales)
    site.close()


def test_a_file_written_over_a_torn_one_is_whole(tmp_path: Path) -> None:
    """What a killed process left half written beside a target is not served, and does not disturb the next write."""
    target = DirectoryTarget("web", tmp_path)
    target.write([File("a/b.json", b"1\n")])
    for path in (tmp_path / ".statscache").rglob("*"):
        if path.is_dir():
            (path / "torn").write_bytes(b"1")
    target.write([File("a/b.json", b"2\n")])
    target.barrier()
    assert target.read("a/b.json") == b"2\n"
