"""The journal at scale: small segments are merged, old ones go where that is configured, and all of it comes out."""

import os
import stat
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from commands import Home
from conftest import Databases
from samples import NOON, Buyers, Prices, Sales, Site, line
from statscache import kinds
from statscache.ingest import catchup
from statscache.ingest.maintenance import JournalMaintenance
from statscache.message import Message
from statscache.plugins import Counter
from statscache.service.export import replacing
from statscache.store import compaction, invariants, journal, positions, quarantine, schema
from statscache.store.records import Packed
from statscache.verify.recount import recount

DAY = 86_400
MIDNIGHT = NOON - 43_200


class Fixed(Sales):
    """Sales, in a release that counts them differently."""

    version = 2


class Picky(Counter):
    """Raises on some messages."""

    name = "picky"
    title = "Picky"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count messages that are not bad."""
        if "bad" in message.body:
            raise ValueError("this is bad")
        yield (message.topic,)


def sizes(site: Site) -> list[int]:
    """Return the messages of each segment, in order."""
    with site.database.reading() as connection:
        return list(connection.scalars(select(schema.segment.c.messages).order_by(schema.segment.c.first)))


def journal_of(site: Site) -> list[tuple[int, bytes]]:
    """Return the positions and records that are in the journal."""
    with site.database.reading() as connection:
        return list(journal.read(connection, 0, 10**9))


def settle(site: Site) -> None:
    """Merge until nothing is left to merge."""
    after = 0
    while (settled := compaction.merge_small(site.database, after)) is None or settled > after:
        after = after if settled is None else settled


def total(site: Site, name: str = "sales") -> int:
    """Return the sum of a plugin's totals."""
    document = site.document(f"v1/plugins/{name}/latest.json")
    return sum(row["total"] for row in document["rows"])


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """An installation on each kind of database."""
    made = Site(database_url, tmp_path, (Sales, Buyers))
    yield made
    made.close()


@settings(max_examples=10)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_merging_keeps_order_and_positions(databases: Databases, tmp_path_factory: Any, batches: list[int]) -> None:
    """Whatever the batches, every stretch reads the same, and what is quarantined is found at its position."""
    url = databases.create()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "SMALL", 7)
        patch.setattr(compaction, "LARGE", 20)
        patch.setattr(compaction, "MERGE_AT", 3)
        site = Site(url, tmp_path_factory.mktemp("site"), (Sales,))
        number = 0
        for size in batches:
            site.feed([line(f"{number + each:x}", NOON + number + each) for each in range(size)])
            number += size
        before = journal_of(site)
        settle(site)
        assert journal_of(site) == before
        assert [position for position, _ in before] == list(range(1, number + 1))
        with site.database.reading() as connection:
            for at in (1, number // 2 + 1, number):
                assert journal.record(connection, at) == before[at - 1][1]
            assert list(invariants.broken(connection, kinds.invariants())) == []
        merged = sizes(site)
        assert max(merged) <= 20
        # Two neighbours that fit together are left at the very end only.
        small = [a + b <= 20 and a < 7 and b < 7 for a, b in pairwise(merged)]
        assert not any(small[:-6])
        site.close()
    databases.drop(url)


def test_each_message_is_stored_again_a_few_times_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the batches in which messages come, merging costs the same for each, and few segments are left."""
    stored = 0
    write = journal.write

    def counting(connection: Any, first: int, packed: Packed) -> None:
        nonlocal stored
        stored += packed.messages
        write(connection, first, packed)

    monkeypatch.setattr(journal, "write", counting)
    monkeypatch.setattr(compaction, "MERGE_AT", 4)
    upkeep = JournalMaintenance(site.database, ["sales"], None)
    for number in range(300):
        site.feed([line(f"{number:x}", NOON + number)])
        upkeep.step()
    assert len(sizes(site)) < 20
    assert stored <= 300 * 6


def test_consuming_merges_by_the_way(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No one has to ask for it."""
    monkeypatch.setattr(compaction, "MERGE_AT", 4)
    for number in range(9):
        site.feed([line(f"{number:x}", NOON + number)])
        site.ingest.catch_up()
    assert sizes(site) == [4, 4, 1]


def test_segments_of_old_days_go_when_no_one_needs_them(site: Site) -> None:
    """Those whose newest message is older than the day of `through` minus what is kept; the rest stays whole."""
    site.feed([line("a", MIDNIGHT), line("b", MIDNIGHT + DAY - 1)])
    site.feed([line("c", MIDNIGHT + DAY), line("d", MIDNIGHT)])
    site.feed([line("e", MIDNIGHT + 3 * DAY + 5)])
    names = ["sales", "buyers"]
    assert compaction.remove_old(site.database, names, 3) == 0
    assert compaction.remove_old(site.database, names, 2) == 2
    assert [position for position, _ in journal_of(site)] == [3, 4, 5]
    with site.database.reading() as connection:
        assert journal.removed(connection) == journal.Removed(2, MIDNIGHT + DAY)
        assert list(invariants.broken(connection, kinds.invariants())) == []
    site.publish()
    assert total(site) == 5
    outcome = site.feed([line("a", MIDNIGHT), line("f", MIDNIGHT + 3 * DAY)])
    assert (outcome.known, outcome.accepted) == (1, 1)


def test_nothing_goes_that_a_plugin_or_the_quarantine_refers_to(database_url: str, tmp_path: Path) -> None:
    """What an active plugin has not folded, and what was quarantined, stays until it is not needed."""
    site = Site(database_url, tmp_path, (Sales, Picky))
    site.feed([line("a", NOON)])
    site.feed([line("b", NOON, body={"bad": True})])
    site.feed([line("c", NOON)])
    site.ingest.suspend("sales", "a test")
    site.feed([line("d", NOON)])
    site.feed([line("e", NOON + 9 * DAY)])
    assert compaction.remove_old(site.database, ["sales", "picky"], 1) == 2
    assert [position for position, _ in journal_of(site)] == [2, 4, 5]
    site.ingest.resume("sales")
    while site.ingest.catch_up():
        pass
    assert compaction.remove_old(site.database, ["sales", "picky"], 1) == 1
    assert [position for position, _ in journal_of(site)] == [2, 5]
    site.publish()
    assert (total(site), total(site, "picky")) == (5, 4)
    site.close()


def test_a_plugin_that_is_rebuilt_later_counts_whole_days_only(database_url: str, tmp_path: Path) -> None:
    """It ignores messages of days that the journal has lost in part, late ones too, and says from when it counts."""
    site = Site(database_url, tmp_path, (Sales, Buyers))
    site.feed([line("a", MIDNIGHT)])
    site.feed([line("b", MIDNIGHT + 5), line("c", MIDNIGHT + 2 * DAY)])
    site.feed([line("d", MIDNIGHT + 5 * DAY)])
    assert compaction.remove_old(site.database, ["sales", "buyers"], 4) == 1
    site.ingest.plugins.rebuild(["sales"])
    while site.ingest.catch_up():
        pass
    site.feed([line("late", MIDNIGHT + 9), line("e", MIDNIGHT + DAY)])
    site.publish()
    assert (total(site), total(site, "buyers")) == (3, 6)
    rows = {row["name"]: row for row in site.document("v1/index.json")["plugins"]}
    assert [rows[name]["complete_from"] for name in ("buyers", "sales")] == [None, MIDNIGHT + DAY]
    assert site.document("v1/plugins/sales/latest.json")["complete_from"] == MIDNIGHT + DAY
    assert "complete_from" not in site.document("v1/plugins/buyers/latest.json")
    found = list(recount(site.installation, lambda *_: None))
    assert [(result.name, result.skipped) for result in found] == [
        ("buyers", "it counted messages that were removed from the journal since"),
        ("sales", ""),
    ]
    assert not any(result.differences for result in found)
    with site.database.reading() as connection:
        assert list(invariants.broken(connection, kinds.invariants())) == []
        assert positions.load(connection)["sales"].position == 6
    site.close()


def complete_from(site: Site, name: str) -> tuple[str, int | None]:
    """Return the state of a plugin and from when on it says that it counts."""
    (row,) = (row for row in site.document("v1/index.json")["plugins"] if row["name"] == name)
    return row["state"], row["complete_from"]


def test_a_plugin_that_was_disabled_meanwhile_begins_again(database_url: str, tmp_path: Path) -> None:
    """Its counts from before messages went that it never folded are incomplete; one that had folded them goes on."""
    site = Site(database_url, tmp_path, (Sales, Buyers, Prices))
    site.feed([line("a", MIDNIGHT)])
    site.publish()
    site = site.reopened((Sales, Prices))
    site.feed([line("b", MIDNIGHT + 5)])
    site = site.reopened((Sales,))
    site.feed([line("c", MIDNIGHT + DAY), line("d", MIDNIGHT + 9 * DAY)])
    assert compaction.remove_old(site.database, ["sales"], 1) == 2
    site.publish()
    site = site.reopened((Sales, Buyers, Prices))
    site.publish()
    assert complete_from(site, "buyers") == ("rebuilding", None)
    site.catch_up()
    site.publish()
    assert [complete_from(site, name) for name in ("buyers", "prices")] == [("ok", MIDNIGHT + DAY), ("ok", None)]
    assert (total(site), total(site, "buyers")) == (4, 2)
    found = {result.name: result for result in recount(site.installation, lambda *_: None)}
    assert (found["buyers"].skipped, found["buyers"].differences) == ("", [])
    with site.database.reading() as connection:
        assert list(invariants.broken(connection, kinds.invariants())) == []
    site.close()


def test_a_plugin_that_another_process_folds_meanwhile_begins_again(database_url: str, tmp_path: Path) -> None:
    """What was removed under it is not skipped in silence, also where it was just being folded, or suspended."""
    old = Site(database_url, tmp_path / "old", (Sales,))
    old.feed([line("a", MIDNIGHT)])
    old.feed([line("b", MIDNIGHT + DAY)])
    old.feed([line("d", MIDNIGHT + 9 * DAY)])
    new = Site(database_url, tmp_path / "new", (Sales, Buyers))
    buyers, watch = new.installation.registry.get("buyers"), new.installation.watchdog
    ahead = catchup.next_chunk(new.database, buyers)
    assert ahead is not None
    assert compaction.remove_old(old.database, ["sales"], 1) == 2
    catchup.commit(new.database, buyers, ahead, catchup.look(buyers, ahead, watch), 30.0, watch)
    new.publish()
    assert complete_from(new, "buyers") == ("rebuilding", None)
    new.catch_up()
    new.publish()
    assert complete_from(new, "buyers") == ("ok", MIDNIGHT + 2 * DAY)
    assert (total(new), total(new, "buyers")) == (3, 1)
    # Once more, with documents that are published already, and that lose most of their rows.
    new.ingest.suspend("buyers", "a test")
    old.feed([line(f"e{number}", MIDNIGHT + 19 * DAY) for number in range(9)])
    old.feed([line("f", MIDNIGHT + 29 * DAY)])
    assert compaction.remove_old(old.database, ["sales"], 1) == 10
    new.catch_up()
    new.publish()
    assert complete_from(new, "buyers") == ("failed", MIDNIGHT + 2 * DAY)
    assert total(new, "buyers") == 1
    new.ingest.resume("buyers")
    new.catch_up()
    new.publish()
    assert complete_from(new, "buyers") == ("ok", MIDNIGHT + 20 * DAY)
    assert (total(new), total(new, "buyers")) == (13, 1)
    new.close()
    old.close()


def test_a_release_that_counts_differently_begins_where_the_journal_does(database_url: str, tmp_path: Path) -> None:
    """A version that rose after messages went folds what is left, and the hole in the middle is not a hindrance."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([line("new", MIDNIGHT + 9 * DAY)])
    site.feed([line("old", MIDNIGHT)])
    site.feed([line("newer", MIDNIGHT + 9 * DAY + 1)])
    assert compaction.remove_old(site.database, ["sales"], 1) == 1
    site.close()
    fixed = Site(database_url, tmp_path, (Fixed,))
    while fixed.ingest.catch_up():
        pass
    fixed.publish()
    assert total(fixed) == 2
    fixed.close()


def test_large_messages_are_folded_a_few_at_a_time(site: Site) -> None:
    """Memory is flat whatever the size of messages: a step of a catch-up, and of a recount, ends at so many bytes."""
    body = {"thing": "x" * 100_000}
    site.feed([line(f"{number:x}", NOON + number, body=body) for number in range(200)])
    site.feed([line(f"{number:x}", NOON + number, body=body) for number in range(200, 400)])
    site.ingest.plugins.rebuild(["buyers"])
    plugin = site.installation.registry.get("buyers")
    after, sizes = 0, []
    while (ahead := catchup.next_chunk(site.database, plugin, after)) is not None:
        assert (ahead.after, ahead.folded) == (after, after + len(ahead.records))
        sizes.append(sum(map(len, ahead.records)))
        after = ahead.folded
    assert after == 400
    assert max(sizes) < catchup.STEP_BYTES + 101_000
    site.catch_up()
    site.publish()
    assert total(site, "buyers") == 400
    told: list[int] = []
    found = [*recount(site.installation, lambda done, _: told.append(done))]
    assert len(told) == len(sizes) == 2
    assert told[-1] == 400
    assert not any(result.differences for result in found)


def test_a_recount_leaves_out_what_is_quarantined(database_url: str, tmp_path: Path) -> None:
    """Of a plugin that raised, was fixed and has not retried yet, the state is right, and so it is afterwards."""
    site = Site(database_url, tmp_path, (Sales, Picky))
    site.feed([line("a", NOON), line("b", NOON + 1, body={"bad": True}), line("c", NOON + 2)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Picky, "observe", lambda _, message: [(message.topic,)])
        for _ in ("before", "after"):
            found = [*recount(site.installation, lambda *_: None)]
            assert [(result.name, result.skipped, result.differences) for result in found] == [
                ("picky", "", []),
                ("sales", "", []),
            ]
            with site.database.reading() as connection:
                assert all(site.ingest.retry(item) for item in quarantine.listed(connection))
        site.publish()
        assert total(site, "picky") == 3
    site.close()


def test_a_recount_passes_over_the_state_of_another_release(database_url: str, tmp_path: Path) -> None:
    """It says so: a release that counts differently would come to something else, rightly."""
    site = Site(database_url, tmp_path, (Fixed,))
    site.feed([line("a", NOON)])
    site = site.reopened((Sales,))
    (found,) = recount(site.installation, lambda *_: None)
    assert (found.skipped, found.differences) == ("its state is of another release, or of other settings", [])
    site.close()


def test_plugins_are_watched_while_they_are_recounted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hangs there ends the process, and is known by name, as everywhere."""
    site.feed([line("a", NOON)])
    noted: list[str] = []
    observed: list[str] = []

    def observe(_: Sales, message: Message) -> Iterator[Any]:
        observed.append(f"{noted[-1]}, {message.id}")
        yield None, None

    monkeypatch.setattr(site.installation.watchdog, "note", lambda plugin, what: noted.append(f"{plugin.name}: {what}"))
    monkeypatch.setattr(Sales, "observe", observe)
    assert [*recount(site.installation, lambda *_: None)]
    assert observed == ["sales: a recount of 1 message from position 1, a"]


def test_an_export_backfills_to_the_same_data(database_url: str, tmp_path: Path) -> None:
    """Whatever the form of the archive, an installation that takes it in publishes the same snapshot."""
    home = Home(tmp_path / "home", STATSCACHE_DATABASE__URL=database_url)
    messages = [
        line(f"{n:x}", NOON + 977 * n, body={"n": n, "deep": [1.5, None, {"ü": "\U0001d538"}]}, users=["ralph"])
        for n in range(50)
    ]
    messages.append(b'{"topic": "org.fedoraproject.prod.a.b", "timestamp": 1439035200.5, "msg": "no id"}')
    (home.directory / "archive").write_bytes(b"\n".join(messages))
    home.run("backfill", "archive")
    expected = home.json("publish")["id"]
    written = [home.run("journal", "export").stdout.encode()]
    assert home.run("journal", "export", "-").stdout.encode() == written[0]
    assert not (home.directory / "-").exists()
    for name in ("out", "out.gz", "out.zst"):
        assert home.run("journal", "export", name).stdout == f"51 messages in {name}\n"
        other = Home(tmp_path / f"from {name}")
        other.run("backfill", home.directory / name)
        assert other.json("publish")["id"] == expected
        written.append((home.directory / name).read_bytes())
    assert written[0] == written[1]
    assert written[2][:2] == b"\x1f\x8b"
    assert [path.name for path in home.directory.iterdir() if "out" in path.name and path.name.startswith(".")] == []


def test_an_export_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    """It says why, and no half of an archive lies about."""
    home = Home(tmp_path / "home")
    home.run("status")
    done = home.run("journal", "export", "no/such/directory", status=1)
    assert "cannot write no/such/directory: No such file or directory" in done.stderr
    home.run("journal", "export", ".", status=2)


def test_an_export_replaces_archives_only(tmp_path: Path) -> None:
    """The database, under whatever name, and any file that is not an archive are left as they are, with status 3."""
    home = Home(tmp_path / "home")
    (home.directory / "archive").write_bytes(line("a", NOON))
    home.run("backfill", "archive")
    (home.directory / "soft").symlink_to("statscache.db")
    (home.directory / "hard").hardlink_to(home.directory / "statscache.db")
    (home.directory / "settings.toml").write_text("[publish]\n")
    (home.directory / "backup.db").write_bytes(b"SQLite format 3\0")
    before = {path.name: path.read_bytes() for path in home.directory.iterdir()}
    for name in ("statscache.db", "statscache.db-wal", "soft", "hard", "settings.toml", "backup.db"):
        done = home.run("journal", "export", name, status=3)
        assert done.stderr.startswith(f"statscache: {name} ")
        assert "nothing was written" in done.stderr
    assert {path.name: path.read_bytes() for path in home.directory.iterdir()} == before
    assert "1 message " in home.run("status").stdout
    assert home.run("journal", "export", "archive").stdout == "1 message in archive\n"


@pytest.mark.parametrize(("before", "after"), [(None, 0o640), (0o644, 0o640), (0o600, 0o600)])
def test_an_archive_of_the_journal_is_closed_to_others(tmp_path: Path, before: int | None, after: int) -> None:
    """Whatever the umask and the mode of the archive that it replaces: it holds every message."""
    path = tmp_path / "journal.ndjson"
    if before is not None:
        path.touch()
        path.chmod(before)
    mask = os.umask(0)
    try:
        with replacing(path) as out:
            (unfinished,) = set(tmp_path.iterdir()) - {path}
            assert stat.S_IMODE(unfinished.stat().st_mode) == after
            out.write(b"{}\n")
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == after


def test_old_messages_go_by_themselves_where_it_is_configured(tmp_path: Path) -> None:
    """`[journal] keep` is heeded by a backfill as by the live service, and `status` tells what is left."""
    home = Home(tmp_path / "home")
    home.configure("[journal]\nkeep = 10\n")
    for day in range(0, 40, 8):
        (home.directory / "archive").write_bytes(line(f"{day:x}", NOON + day * DAY))
        home.run("backfill", "archive")
    state = home.json("status")["journal"]
    assert (state["messages"], state["removed"], state["segments"]) == (5, 3, 2)
    assert "2 messages in 2 segments" in home.run("status").stdout
    assert "3 removed" in home.run("status").stdout
    home.run("db", "check")
    assert "not compared" in home.run("verify", "--journal").stdout
