"""Fast and slow documents: the slow ones may wait for an interval, and nothing is lost in between."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from kills import STRIDE, Killed, Steps, writes
from samples import NEVER, NOON, TOPIC, Buyers, Prices, Receipts, Sales, Site, line
from statscache import pace
from statscache.monitoring.health import health
from statscache.pace import Pace
from statscache.plugins import Counter, Message, State
from statscache.privacy.forget import forget
from statscache.simulator import ALL as ALL_KINDS
from statscache.simulator import Traffic, simulate
from statscache.snapshot.build import build
from statscache.snapshot.snapshot import Snapshot
from statscache.store import coverage, journal, plain
from statscache.timeline import DAY, HOUR
from statscache.verify import Directory, verify
from statscache_plugins.contributors import Contributors

PLUGINS = (Sales, Buyers, Prices, Receipts)
FAST = "v1/plugins/sales/latest.json"
SLOW = (
    "v1/plugins/sales/latest.csv",
    "v1/plugins/sales/series/1h/2015-08.json",
    "plugins/sales/index.html",
    "index.html",
)


def sale(number: int, buyer: str = "", **options: Any) -> bytes:
    """Return a message that changes documents of every kind of pace."""
    body = {"buyer": buyer or f"b{number % 3}", "thing": f"hat{number}", "amount": number}
    return line(f"m{number}", NOON + 600 * number, body=body, **options)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with one snapshot."""
    made = Site(f"sqlite:///{tmp_path}/site.db", tmp_path, PLUGINS)
    made.feed([sale(1)])
    made.build()
    yield made
    made.close()


def changed(snapshot: Snapshot) -> set[str]:
    """Return the JSON and CSV documents that a snapshot changed."""
    return {path for kind in ("added", "changed") for path in snapshot.summary["changes"][kind]}


def pending(site: Site) -> dict[str, int]:
    """Return the number of documents of each plugin that changed since slow ones were rendered."""
    with site.database.reading() as connection:
        found = health(plain.over(connection), [])
    return {row["name"]: row["pending"] for row in found["plugins"]}


def test_each_path_has_a_pace() -> None:
    """What clients poll is fast: JSON of fixed documents and series by minute; all else is slow."""
    fast = ("latest.json", "badge.json", "leaders.json", "layout.json", "series/1m/index.json", "series/1m/2026.csv")
    slow = ("latest.csv", "chart.svg", "series/1h/index.json", "series/1d/2026.json", "by/ralph.json", "what/ever")
    assert {pace.of(f"v1/plugins/sales/{name}") for name in fast} == {Pace.FAST}
    assert {pace.of(f"v1/plugins/sales/{name}") for name in slow} == {Pace.SLOW}
    assert {pace.of("index.html"), pace.of("plugins/sales/index.html"), pace.of("assets/page.js")} == {Pace.SLOW}


def test_a_fast_publication_changes_fast_documents_only(site: Site) -> None:
    """Slow ones keep their bytes, and what waits is counted until they are updated."""
    before, first = site.tree(), site.build()
    site.feed([sale(2), sale(5)])
    fast = site.build(slow=False)
    after = site.tree()
    different = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert FAST in different
    assert {pace.of(path) for path in different} == {Pace.FAST}
    assert different == changed(fast)
    assert (fast.through, fast.summary["slow_through"]) == (NOON + 3000, first.through)
    # One key and `latest`; `latest` and one period of each of three resolutions.
    assert pending(site) == {"buyers": 2, "prices": 1, "receipts": 1, "sales": 4}
    slow = site.build()
    assert slow.summary["slow_through"] == slow.through
    assert set(pending(site).values()) == {0}
    assert all(site.tree()[path] != before[path] for path in SLOW)
    assert site.build(force=True).id == slow.id


def test_a_page_says_through_when_the_sites_data_are(tmp_path: Path) -> None:
    """In whole hours, also of a plugin that counted nothing since: so it is not written again each minute."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (Prices, Sales))
    path, other = "plugins/prices/index.html", "org.fedoraproject.prod.other.thing"

    def after(number: int, minutes: int, topic: str) -> str:
        site.feed([line(f"m{number}", NOON + 60 * minutes, topic, {"thing": "hat", "amount": 3})])
        site.publish()
        return site.aliases()[path].decode()

    first = after(1, 10, TOPIC)
    assert "Data through <strong data-through>" in first
    assert after(2, 40, other) == first, "the hour is the same"
    later = after(3, 70, other)
    assert '<strong data-through><time datetime="2015-08-08T13:00:00Z">' in later
    site.close()


def test_a_flood_of_names_is_published_in_portions_and_keeps_nothing_from_the_rest(site: Site) -> None:
    """A publication makes so many documents of keys; the next ones go on, and come to what one at once would."""
    before, tree = site.build(), site.tree()
    site.feed([sale(number, f"flood{number}") for number in range(2, 252)])

    def portion() -> Snapshot:
        return build(site.database, site.renderer, slow_interval=NEVER, most=100)[0]

    # The interval is over.
    record_time = patch("statscache.snapshot.build.time.time", return_value=before.summary["slow_at"] + 2 * NEVER)
    with record_time:
        first, second = portion(), portion()
    made = [sum("/by/" in path for path in changed(each)) for each in (first, second)]
    assert all(50 <= number <= 100 for number in made), made
    assert first.summary["slow_through"] == second.summary["slow_through"] == before.through
    assert first.summary["keys"]["buyers"] == 251
    assert site.tree()[FAST] != tree[FAST]
    left = pending(site)["buyers"]
    assert 50 <= left <= 150
    # What is left is due, whatever the clock says.
    for _ in range(5):
        last = portion()
    assert last.summary["slow_through"] == last.through
    assert set(pending(site).values()) == {0}
    assert site.build(force=True).id == last.id


def test_a_key_with_several_years_is_one_document_of_a_portion(site: Site) -> None:
    """However small a portion is, each publication makes some, and nothing waits forever."""
    site.build()
    for year in range(3):
        at = NOON - year * 366 * DAY
        site.feed([line(f"{year}-{n}", at + n, body={"buyer": f"k{n}", "thing": "hat"}) for n in range(9)])
    for _ in range(10):
        build(site.database, site.renderer, slow_interval=0, most=3)
    assert pending(site)["buyers"] == 0
    assert site.build(slow=False).id == site.build(force=True).id


@pytest.mark.parametrize("fast_first", [False, True])
def test_a_day_that_ended_explains_a_loss_in_slow_documents(tmp_path: Path, fast_first: bool) -> None:
    """A fast publication sees the day end first; the slow one after it is not held back for that."""
    site = Site(f"sqlite:///{tmp_path}/site.db", tmp_path, (Contributors,))
    start = NOON // DAY * DAY
    days = start, start + 200 * DAY
    first, later = (
        [*simulate(Traffic(day, day + 3 * DAY, per_day=150, people=12, packages=15, mix=ALL_KINDS))] for day in days
    )
    site.feed(first)
    site.build()
    site.feed(later[:60])
    if fast_first:
        site.build(slow=False)
    assert site.build().summary["reasons"] == {}
    site.close()


def test_a_fast_publication_is_found_sound(site: Site) -> None:
    """`verify` finds nothing wrong with documents of two paces."""
    site.publish()
    site.feed([sale(2), sale(5), line("elsewhere", NOON + 3 * HOUR, "a.b.prod.x")])
    site.publishing.publish(slow=False)
    assert site.document("v1/index.json")["slow_through"] < site.document("v1/index.json")["through"]
    assert verify(Directory(site.public)).findings == []


def test_time_moves_slow_documents_though_fast_ones_went_ahead(site: Site) -> None:
    """An hour that ended before a fast publication is complete in the slow one, without another message."""
    site.feed([line("elsewhere", NOON + 3 * HOUR, "a.b.prod.x")])
    site.build(slow=False)
    slow = site.build()
    assert site.build(force=True).id == slow.id


def test_slow_documents_wait_for_their_interval(site: Site) -> None:
    """They are due when it is over, at once where the clock was set back, and with other pages."""
    at, numbers = site.build().summary["slow_at"], itertools.count(2)

    def is_updated(now: float, interval: float = 600) -> bool:
        site.feed([sale(next(numbers))])
        with patch("time.time", return_value=now):
            snapshot, _ = build(site.database, site.renderer, slow_interval=interval)
        return bool(snapshot.summary["slow_through"] == snapshot.through)

    assert not is_updated(at + 599)
    assert is_updated(at + 600)
    assert not is_updated(at + 1199)
    assert is_updated(at + 1000, 0)
    assert is_updated(at - 1)
    assert not is_updated(at + 1)
    with patch.object(site.renderer._pages, "fingerprint", "another release"):
        assert is_updated(at + 2)


def test_a_fast_publication_that_is_killed_takes_nothing_from_the_slow_one(database_url: str, tmp_path: Path) -> None:
    """Killed before any write to the database, fast or slow, it ends with what it would have published."""
    site, sales = Site(database_url, tmp_path, PLUGINS), 0
    for at in range(0, 60, STRIDE):
        sales += 1
        site.feed([sale(sales)])
        for slow in (False, at % 3 == 0):
            try:
                with writes(site.database, Steps(at)):
                    site.build(slow=slow)
            except Killed:
                site.database.engine.dispose()
            else:
                assert at > 10, "hardly anything was interrupted"
        site.build(slow=False)
    plain = Site(f"sqlite:///{tmp_path}/plain.db", tmp_path / "plain", PLUGINS)
    plain.feed([sale(number) for number in range(1, sales + 1)])
    assert site.build().id == plain.build().id
    plain.close()
    site.close()


def test_other_plugins_are_on_the_pages_at_once(site: Site) -> None:
    """One that was added or taken out updates all pages, which lead to it."""
    site.feed([sale(2)])
    fewer = site.reopened((Buyers, Prices))
    snapshot = fewer.build(slow=False)
    assert snapshot.summary["slow_through"] == snapshot.through
    assert b"plugins/sales/" not in fewer.tree()["index.html"]
    more = fewer.reopened((Buyers, Prices, Receipts))
    more.catch_up()
    more.build(slow=False)
    assert b"plugins/receipts/" in more.tree()["index.html"]
    more.close()


def test_windows_that_may_have_moved_are_pending(site: Site) -> None:
    """A message that hardly any plugin counts moves the clock: windows end elsewhere, and so do slow documents."""
    site.feed([line("other", NOON + 3 * HOUR, "org.fedoraproject.prod.planet.post.new", {})])
    site.build(slow=False)
    assert all(pending(site).values())
    site.build()
    assert set(pending(site).values()) == {0}


def test_a_plugin_that_was_held_back_is_tried_whole(site: Site) -> None:
    """A fast publication would find nothing wrong with it, and its state would change each time."""
    site.feed([sale(2)])
    with patch.object(Sales, "documents", side_effect=OSError):
        site.build()
    assert pending(site)["sales"] > 0
    fast = site.build(slow=False)
    assert pending(site) == {"buyers": 0, "prices": 0, "receipts": 0, "sales": 0}
    assert "v1/plugins/sales/latest.csv" in changed(fast)
    assert site.build(force=True).id == site.build().id


def test_a_plugin_of_which_everything_is_due_does_not_wait(site: Site) -> None:
    """A gap is unknown in all its documents at once; the others wait."""
    site.feed([sale(2), sale(9)])
    with site.database.writing() as connection:
        journal.lock(connection)
        coverage.record(connection, NOON + 700, NOON + 900, complete=False)
    fast = site.build(slow=False)
    assert pending(site)["sales"] == 0
    assert pending(site)["buyers"] > 0
    assert {"v1/plugins/sales/series/1d/2015.json", "v1/plugins/sales/latest.csv"} <= changed(fast)
    assert not any(path.startswith("v1/plugins/buyers/by/") for path in changed(fast))
    site.build()
    assert site.build(force=True).id == site.build().id


def test_a_document_that_goes_goes_at_its_pace(tmp_path: Path) -> None:
    """JSON that a plugin no longer makes is removed at once, its CSV with the slow documents."""

    class Waning(Counter):
        """A counter with a document that it makes of odd totals."""

        name = "waning"
        title = "Waning"

        def observe(self, message: Message) -> Iterator[Any]:
            yield ()

        def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
            yield from super().documents(state)
            if self.kind.latest(state)[0]["total"] % 2:
                yield "odd", {"rows": [{"is": "odd"}]}

    site = Site(f"sqlite:///{tmp_path}/waning.db", tmp_path, (Waning,))
    site.feed([sale(1)])
    site.build()
    assert {"v1/plugins/waning/odd.json", "v1/plugins/waning/odd.csv"} <= site.tree().keys()
    site.feed([sale(2)])
    site.build(slow=False)
    assert "v1/plugins/waning/odd.json" not in site.tree()
    assert "v1/plugins/waning/odd.csv" in site.tree()
    site.build()
    assert not any("odd" in path for path in site.tree())
    site.close()


def test_documents_that_a_plugin_calls_slow_wait(tmp_path: Path) -> None:
    """A document that is named in `slow_documents` follows the slow ones; it neither changes nor goes before."""

    class Patient(Counter):
        """A counter with a document that may wait."""

        name = "patient"
        title = "Patient"
        slow_documents = ("history",)

        def observe(self, message: Message) -> Iterator[Any]:
            yield ()

        def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
            yield from super().documents(state)
            yield "history", {"total": self.kind.latest(state)[0]["total"]}

    site = Site(f"sqlite:///{tmp_path}/patient.db", tmp_path, (Patient,))
    site.feed([sale(1)])
    site.build()
    path = "v1/plugins/patient/history.json"
    before = site.tree()[path]
    site.feed([sale(2)])
    site.build(slow=False)
    assert site.tree()[path] == before
    site.build()
    assert b'"total":2' in site.tree()[path]
    site.close()


def test_forgetting_does_not_wait(site: Site) -> None:
    """The name goes from slow documents too, although these are not due."""
    site.feed([sale(2, "leaver", users=["leaver"])])
    site.build()
    site.feed([sale(3)])
    site.build(slow=False)
    forget(site.installation, "leaver", lambda *_: None)
    assert not any(b"leaver" in data or "leaver" in path for path, data in site.tree().items())


def test_what_goes_on_is_paced_and_what_ends_is_whole(tmp_path: Path) -> None:
    """`publish_every` follows the interval; one publication by itself updates all, and the index says so."""
    site = Site(f"sqlite:///{tmp_path}/site.db", tmp_path, PLUGINS, publish={"slow_interval": int(NEVER)})
    stopping, seen = threading.Event(), list[Any]()
    site.feed([sale(1)])

    def tell(snapshot: Snapshot, reports: object) -> None:
        index = site.document("v1/index.json")
        # Building goes on beside publishing, so an index may be renewed before the next snapshot is there.
        if stopping.is_set() or index["through"] in [each["through"] for each in seen]:
            return
        seen.append(index)
        site.feed([sale(len(seen) + 1)])
        if len(seen) == 3:
            stopping.set()

    site.publishing.publish_every(0.01, stopping, tell)
    assert [index["slow_through"] for index in seen] == [NOON + 600] * 3
    assert [index["through"] for index in seen] == [NOON + 600, NOON + 1200, NOON + 1800]
    status = site.document("v1/status.json")
    assert status["slow_through"] == NOON + 600
    assert {row["name"]: row["pending"] for row in status["plugins"]}["buyers"] > 1
    site.publish()
    index = site.document("v1/index.json")
    assert index["slow_through"] == index["through"] == NOON + 2400
    site.close()
