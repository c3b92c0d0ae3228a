"""Law 1: state and published bytes are a function of the set of accepted messages, and of nothing else."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Databases
from samples import KINDS, NOON, TOPIC, Line, Site, fresh_site, line
from statscache.plugins import Plugin
from statscache.store import coverage, journal
from statscache_plugins.volume import VolumeByUser

MINUTE, HOUR, DAY = 60, 3600, 86400

# Bucket edges on both sides, days around midnight, beyond every retention, and years.
OFFSETS = (0, 0, 1, 59, 60, 3599, 3600, 43199, 43200, -1, -HOUR, -2 * DAY, -2 * DAY - HOUR, 3 * DAY, 9 * DAY)
FAR = (-89 * DAY, -90 * DAY, -130 * DAY, -400 * DAY, 40 * DAY, 146 * DAY)
HOSTILE = (
    None,
    "",
    "_",
    "__",
    ".",
    "..",
    "../../etc",
    "/",
    "%2e",
    "Ralph",
    "ralph",
    "=1+1",
    'a"b,c',
    "a\r\nb",
    "ü",
    "\U0001d538",
    "x" * 300,
)
TOPICS = (
    TOPIC,
    TOPIC,
    TOPIC,
    "org.fedoraproject.prod.shop.price.change",
    "io.pagure.prod.pagure.issue.new",
    "short",
    "VirtualTopic.eng.brew.build",
    "org.fedoraproject.stg.shop.sale",
    "org.fedoraproject.prod.statscache.snapshot.new",
)

ALL: tuple[type[Plugin], ...] = (*KINDS, VolumeByUser)
"""One plugin of each kind, and a bundled one that sees every message."""

bodies = st.fixed_dictionaries(
    {
        "buyer": st.sampled_from(HOSTILE) | st.text("ab", max_size=2),
        "thing": st.sampled_from(("hat", "Hat", None)),
        "amount": st.integers(-3, 10),
    }
)
times = st.builds(
    lambda offset, extra: NOON + offset + extra,
    st.sampled_from(OFFSETS) | st.sampled_from(FAR),
    st.sampled_from((0, 0, 0, 1, 0.5)),
)


@st.composite
def message_sets(draw: st.DrawFn) -> list[Line]:
    """Messages of distinct ids; some come without one."""
    made = []
    for number in range(draw(st.integers(5, 16))):
        people = draw(st.sets(st.sampled_from(("ralph", "pingou", "Ralph")), max_size=2))
        identity = f"{number:x}" if draw(st.integers(0, 9)) else ""
        body = {**draw(bodies), "nonce": number}
        made.append(line(identity, draw(times), draw(st.sampled_from(TOPICS)), body, sorted(people), sorted(people)))
    return made


@dataclass
class Disturbance:
    """How one run differs from the plain one.

    Attributes:
        batches: What is delivered, in order, duplicates included.
        events: After each batch: `publish`, `fast` (only fast documents), `force`, `restart`, `add` (the plugins that
            were missing), or nothing.
        late: The plugins that are missing until `add`.
    """

    batches: list[list[Line]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    late: frozenset[str] = frozenset()


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Line], Disturbance]:
    """A set of messages and a way to deliver it."""
    messages = draw(message_sets())
    delivered = [*messages, *draw(st.lists(st.sampled_from(messages), max_size=6))]
    draw(st.randoms(use_true_random=False)).shuffle(delivered)
    disturbance = Disturbance(late=frozenset(draw(st.sets(st.sampled_from([cls.name for cls in ALL]), max_size=4))))
    while delivered:
        size = draw(st.sampled_from((1, 3, 6)))
        disturbance.batches.append(delivered[:size])
        del delivered[:size]
        disturbance.events.append(draw(st.sampled_from(("publish", "fast", "fast", "force", "restart", "add", ""))))
    return messages, disturbance


class Pair:
    """Two databases: of each kind for the disturbed run, of SQLite for the plain one, as the kind is of no account."""

    def __init__(self, url: str, directory: Path) -> None:
        self.urls = url, f"sqlite:///{directory}/plain.db"
        self.directories = directory / "disturbed", directory / "plain"

    def fresh(self, which: int, plugins: Any = ALL) -> Site:
        """Return an empty site on one of the two."""
        return fresh_site(self.urls[which], self.directories[which], plugins)

    def plain(self, messages: list[Line], *, gap: tuple[int, int] | None = None) -> Site:
        """Return a site that took the messages in one delivery and built one snapshot."""
        site = self.fresh(1)
        site.feed(messages)
        if gap:
            record(site, *gap, complete=False)
        return site


def record(site: Site, start: int, end: int, *, complete: bool) -> None:
    """Record coverage."""
    with site.database.writing() as connection:
        journal.lock(connection)
        coverage.record(connection, start, end, complete=complete)


def assert_same(disturbed: Site, plain: Site) -> None:
    """State and tree are the same, and a forced full render changes nothing."""
    assert disturbed.state() == plain.state()
    snapshots = disturbed.build(), plain.build()
    trees = disturbed.tree(), plain.tree()
    assert trees[0].keys() == trees[1].keys()
    assert {path: data for path, data in trees[0].items() if data != trees[1][path]} == {}
    assert snapshots[0].id == snapshots[1].id
    assert disturbed.build(force=True).id == snapshots[0].id


@pytest.fixture(scope="module")
def pair(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two databases that the examples of a test share, one after the other."""
    url = databases.create()
    yield Pair(url, tmp_path_factory.mktemp("convergence"))
    databases.drop(url)


@given(runs())
def test_order_duplicates_batches_restarts_and_late_plugins_leave_no_trace(
    pair: Pair, run: tuple[list[Line], Disturbance]
) -> None:
    """However a set of messages arrives, and whatever happens meanwhile, the published tree is the same."""
    messages, disturbance = run
    site = pair.fresh(0, [cls for cls in ALL if cls.name not in disturbance.late])
    for batch, event in zip(disturbance.batches, disturbance.events, strict=True):
        site.feed(batch)
        match event:
            case "publish" | "fast" | "force":
                site.build(force=event == "force", slow=event != "fast")
            case "restart":
                site = site.reopened()
            case "add":
                site = site.reopened(ALL)
                site.ingest.catch_up()
    site = site.reopened(ALL)
    site.catch_up()
    plain = pair.plain(messages)
    try:
        assert_same(site, plain)
    finally:
        site.close()
        plain.close()


@given(message_sets(), st.data())
def test_the_split_between_bus_and_history_leaves_no_trace(
    pair: Pair, messages: list[Line], data: st.DataObject
) -> None:
    """A bus with holes, completed from an archive that overlaps it, ends as the archive alone would."""
    heard = data.draw(st.lists(st.sampled_from(messages), max_size=len(messages)))
    site = pair.fresh(0)
    for at in range(0, len(heard), 6):
        site.feed(heard[at : at + 6], "fedmsg", connected=NOON + at * HOUR)
        site.build(slow=at % 12 == 0)
    site.feed(messages, "archive:1")
    plain = pair.plain(messages)
    # What is published depends on recorded coverage too: it tells how far back zero is known.
    for each in (site, plain):
        record(each, 0, NOON + 1000 * DAY, complete=True)
    try:
        assert_same(site, plain)
    finally:
        site.close()
        plain.close()


@given(message_sets(), st.tuples(st.sampled_from(OFFSETS), st.sampled_from((1, 60, HOUR))), st.data())
def test_gaps_are_published_the_same_whenever_they_become_known(
    pair: Pair, messages: list[Line], hole: tuple[int, int], data: st.DataObject
) -> None:
    """A gap that is recorded before, between or after the messages gives the same tree, and so does a closed one."""
    gap = NOON + hole[0], NOON + hole[0] + hole[1]
    cut = data.draw(st.integers(0, len(messages)))
    other = gap[0] - 5 * DAY, gap[0] - 4 * DAY
    site = pair.fresh(0)
    record(site, *other, complete=False)
    site.feed(messages[cut:])
    site.build()
    record(site, *gap, complete=False)
    site.build(slow=False)
    site.feed(messages[:cut])
    record(site, *other, complete=True)
    plain = pair.plain(messages, gap=gap)
    record(plain, *other, complete=True)
    try:
        assert_same(site, plain)
    finally:
        site.close()
        plain.close()


def test_a_plugin_that_was_taken_out_leaves_the_tree_of_one_that_never_was(pair: Pair) -> None:
    """Taking plugins out removes their documents and pages; the rest is as if they had never been there."""
    rng = random.Random(1)
    messages = [
        line(str(number), NOON + rng.randrange(3 * DAY), body={"buyer": f"b{number}", "thing": "hat"})
        for number in range(40)
    ]
    site = pair.fresh(0, ALL)
    site.feed(messages)
    site.build()
    site = site.reopened(KINDS[1:])
    plain = pair.fresh(1, KINDS[1:])
    plain.feed(messages)
    assert_same(site, plain)
    site.close()
    plain.close()
