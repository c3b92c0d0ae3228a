"""The reference history of the benchmarks: the people, packages and topics that it promises, always the same."""

import hashlib
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks import kept, traffic
from samples import Site
from statscache.parsing import parse
from statscache.plugins import registry
from statscache.simulator.population import Population
from statscache.simulator.services import SERVICES
from statscache.store import journal
from statscache.store.database import Database

DAY = 86_400


def test_it_is_the_same_in_every_run() -> None:
    """The first bytes of both volumes are those of the baseline that is compared with."""
    for lines, digest in (
        (traffic.sparse(1_000), "65a604b91602cc4984cb7cc9f6a653142f415498abf3d68cf8665bfaaffd1734"),
        (traffic.dense(1_000), "2dd5e8dcf226602576e9a4dbb4633f98069897dd608c6ab38bad83751d363a28"),
    ):
        assert hashlib.sha256(b"\n".join(lines)).hexdigest() == digest


def test_five_years_then_a_week() -> None:
    """The two windows adjoin, and have the promised length, people and packages."""
    sparse, dense = traffic.REFERENCE
    assert sparse.end - sparse.start == (5 * 365 + 1) * DAY
    assert dense.start == sparse.end
    assert dense.end - dense.start == 7 * DAY
    for window in traffic.REFERENCE:
        assert (window.people, window.packages) == (20_000, 20_000)


@pytest.fixture(scope="module")
def morning() -> list[dict[str, Any]]:
    """The first 40,000 messages of the dense week."""
    return [json.loads(line) for line in traffic.dense(40_000)]


def test_the_volume_is_2000_and_150000_a_day(morning: list[dict[str, Any]]) -> None:
    """A week of the sparse years has its volume within 5 %; a dense night and morning have a quarter of a day's."""
    week = sum(1 for _ in traffic.three_years(7 * DAY / traffic.THREE_YEARS))
    assert week == pytest.approx(7 * 2_000, rel=0.05)
    hours = (morning[-1]["timestamp"] - morning[0]["timestamp"]) / 3600
    assert hours == pytest.approx(24 * 40_000 / 150_000, rel=0.5)


def test_it_has_the_topics_of_a_whole_project(morning: list[dict[str, Any]]) -> None:
    """There are more than 300 topics, a few of which make up most messages, and most of which are rare."""
    topics = Counter(message["topic"] for message in morning)
    assert len(topics) >= 300
    counts = sorted(topics.values(), reverse=True)
    assert sum(counts[:20]) > 0.7 * len(morning)
    assert counts[len(counts) // 2] < len(morning) / 1_000


def test_everybody_can_take_part() -> None:
    """20,000 different people and packages, nearly all of them drawn, the first much more often than the last."""
    population = Population(traffic.SPARSE.people, traffic.SPARSE.packages)
    rng = Random(1)
    for names, draw in ((population.people, population.person), (population.packages, population.package)):
        assert len(set(names)) == 20_000
        drawn = Counter(draw(rng) for _ in range(400_000))
        assert len(drawn) > 0.98 * 20_000
        assert max(drawn, key=lambda name: drawn[name]) == names[0]
        assert drawn[names[0]] > 1_000 * drawn[names[-1]]


def test_lines_are_in_order() -> None:
    """Times never fall, over midnight too."""
    times = [json.loads(line)["timestamp"] for line in traffic.sparse(6_000)]
    assert times[-1] - times[0] > 2 * DAY
    assert all(before <= after for before, after in pairwise(times))


def test_what_lies_on_top_follows_without_a_hole() -> None:
    """The first part of three years, and the messages on top of it, are the beginning of the sparse years."""
    part = 2 * DAY / traffic.THREE_YEARS
    first = [*traffic.three_years(part)]
    assert 3_000 < len(first) < 6_000
    assert [*first, *traffic.on_top(500, part)] == [*traffic.sparse(len(first) + 500)]


def test_every_rare_topic_is_accepted_by_every_plugin(tmp_path: Path) -> None:
    """The parser and all bundled plugins accept each body; most bodies name an actor or a package."""
    population, rng = Population(500, 500), Random(1)
    lines = []
    for service in SERVICES:
        for number, topic in enumerate(service.topics.split()):
            at = traffic.SPARSE.start + number
            body = service.body(population, rng, at)
            envelope = {"topic": service.prefix + topic, "msg": body, "timestamp": at, "msg_id": service.prefix + topic}
            lines.append(json.dumps(envelope).encode())
    messages = [parse(line) for line in lines]
    assert len({message.topic for message in messages}) == len(lines)
    known = sum(message.agent is not None or bool(message.packages) for message in messages)
    assert known > 0.6 * len(messages)
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, [type(plugin) for plugin in registry.load()])
    outcome = site.feed(lines)
    site.close()
    assert (outcome.accepted, outcome.failures) == (len(lines), 0)


def test_a_long_history_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time it is there, and it holds every message."""
    monkeypatch.setattr(kept, "CACHE", tmp_path)
    monkeypatch.setattr(kept, "_PIECE", 1_500)
    part = DAY / traffic.THREE_YEARS
    place = kept.database("day", traffic.three_years(part))
    [database] = place.glob("*.db")
    built = database.stat().st_mtime_ns
    assert kept.database("day", iter(())) == place
    assert database.stat().st_mtime_ns == built
    store = Database(f"sqlite:///{database}")
    with store.reading() as connection:
        assert journal.head(connection).position == sum(1 for _ in traffic.three_years(part))
    store.close()
