"""An independent count: what is published against a plain count of the same messages, written from the format alone."""

import csv
import io
import json
import random
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import Databases
from samples import Site, fresh_site
from statscache.parsing import parse
from statscache.simulator import Traffic, simulate
from statscache_plugins.volume import Volume, VolumeByCategory, VolumeByPackage, VolumeByTopic, VolumeByUser

PLUGINS = (Volume, VolumeByCategory, VolumeByTopic, VolumeByUser, VolumeByPackage)
KEEP = {"1m": 2 * 86400, "1h": 90 * 86400, "1d": None}
WIDTH = {"1m": 60, "1h": 3600, "1d": 86400}
PERIOD = {"1m": "%Y-%m-%dT%H", "1h": "%Y-%m", "1d": "%Y"}


class Count:
    """What one plugin should publish, counted with dictionaries from (key, time) pairs."""

    def __init__(self, pairs: list[tuple[tuple[str | None, ...], int]], through: int) -> None:
        self.pairs = pairs
        self.through = through

    def window(self, days: int) -> "Counts[tuple[str | None, ...]]":
        """Count the whole days before that of `through`."""
        end = self.through - self.through % 86400
        return Counts(key for key, time in self.pairs if end - days * 86400 <= time < end)

    def latest(self, dimensions: tuple[str, ...], *, unbounded: bool) -> list[dict[str, object]]:
        """Return the rows of `latest`."""
        totals = Counts(key for key, _ in self.pairs)
        week, month = self.window(7), self.window(30)
        hour = self.through - self.through % 3600
        day = Counts(key for key, time in self.pairs if hour - 86400 <= time < hour)
        order = sorted(totals, key=lambda key: [(part is not None, part or "") for part in key])
        if unbounded:
            order = sorted(order, key=lambda key: -totals[key])[:100]
        rows = []
        for key in order:
            row: dict[str, object] = dict(zip(dimensions, key, strict=True))
            row |= {"total": totals[key], "last_7d": week[key], "last_30d": month[key]}
            if not unbounded:
                row["last_24h"] = day[key]
            rows.append(row)
        return rows

    def series(self, resolution: str) -> dict[str, list[list[object]]]:
        """Return the rows of each period that is not expired."""
        width, keep = WIDTH[resolution], KEEP[resolution]
        buckets = Counts((time - time % width, key) for key, time in self.pairs)
        periods: dict[str, list[list[object]]] = defaultdict(list)
        for start, key in sorted(buckets, key=lambda b: (b[0], [(part is not None, part or "") for part in b[1]])):
            label = datetime.fromtimestamp(start, UTC).strftime(PERIOD[resolution])
            periods[label].append([start, *key, buckets[start, key]])
        if keep is not None:
            limit = self.through - self.through % width - keep
            for label in list(periods):
                moment = datetime.strptime(label, PERIOD[resolution]).replace(tzinfo=UTC)
                end = moment.timestamp() + 3600
                if resolution == "1h":
                    end = moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1).timestamp()
                if end <= limit:
                    del periods[label]
        return dict(periods)

    def by_key(self) -> dict[tuple[tuple[str | None, ...], int | None], dict[str, object]]:
        """Return what is published of each key, and of each of its years but the last two, by key and year."""
        found: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
        for key, time in self.pairs:
            found[key].append(time)
        documents: dict[tuple[tuple[str | None, ...], int | None], dict[str, object]] = {}
        for key, times in found.items():
            days: dict[int, list[list[int]]] = defaultdict(list)
            for start, value in sorted(Counts(time - time % 86400 for time in times).items()):
                days[datetime.fromtimestamp(start, UTC).year].append([start, value])
            totals = {year: sum(value for _, value in of) for year, of in days.items()}
            recent = {str(year): of for year, of in days.items() if year >= max(days) - 1}
            documents[key, None] = {
                "total": len(times), "first": min(times), "last": max(times), "through": max(times),
                "years": [[year, total] for year, total in totals.items()], "days": recent,
            }  # fmt: skip
            for year, of in days.items():
                if str(year) not in recent:
                    documents[key, year] = {"total": totals[year], "days": {str(year): of}, "through": of[-1][0]}
        return documents


def accepted(lines: list[bytes]) -> Iterator[tuple[str, str | None, int, tuple[str, ...], tuple[str, ...]]]:
    """Yield topic, category, time, people and packages of each message of `prod`, each once."""
    seen = set()
    for raw in lines:
        message = json.loads(raw)
        topic = message["topic"]
        parts = topic.split(".")
        category = parts[3] if len(parts) > 3 else None
        if len(parts) > 2 and parts[2] != "prod":
            continue
        time = int(message["timestamp"])
        body = message.get("msg", message.get("body"))
        same = message.get("msg_id") or json.dumps([topic, time, body], sort_keys=True)
        if same not in seen:
            seen.add(same)
            # Who and what a message concerns is another test's business: test_derivation.py.
            derived = parse(raw)
            yield topic, category, time, derived.usernames, derived.packages


def counted(lines: list[bytes]) -> dict[str, Count]:
    """Count the messages for each of the volume plugins."""
    messages = [*accepted(lines)]
    through = max(time for _, _, time, _, _ in messages)
    pairs: dict[str, list[tuple[tuple[str | None, ...], int]]] = {
        "volume": [((), time) for _, _, time, _, _ in messages],
        "volume-by-category": [((category,), time) for _, category, time, _, _ in messages],
        "volume-by-topic": [((topic,), time) for topic, _, time, _, _ in messages],
        "volume-by-user": [((user,), time) for _, _, time, users, _ in messages for user in users],
        "volume-by-package": [((package,), time) for _, _, time, _, packages in messages for package in packages],
    }
    return {name: Count(items, through) for name, items in pairs.items()}


def read_csv(data: bytes) -> list[list[str]]:
    """Return the cells of a CSV file."""
    return [*csv.reader(io.StringIO(data.decode(), newline=""))]


def cell(value: object) -> str:
    """Return a value as a CSV reader gives it."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def is_within(time: Any, gaps: list[list[int]]) -> bool:
    """Return True if a time is in a gap."""
    return any(start <= time < end for start, end in gaps)


def compare(site: Site, count: dict[str, Count]) -> None:
    """Every number that is published is the counted one, and every counted one is published."""
    files = site.tree()
    for cls in PLUGINS:
        root = f"v1/plugins/{cls.name}"
        mine = count[cls.name]
        expected = mine.latest(cls.dimensions, unbounded=cls.unbounded)
        assert json.loads(files[f"{root}/latest.json"])["rows"] == expected
        names, *cells = read_csv(files[f"{root}/latest.csv"])
        assert cells == [[cell(row[name]) for name in names] for row in expected]
        if cls.unbounded:
            documents = {}
            for path, data in files.items():
                if path.startswith(f"{root}/by/") and path.endswith(".json"):
                    document = json.loads(data)
                    assert document.pop("plugin") == cls.name
                    year = document.pop("year", None)
                    # Which days are known, other tests say.
                    del document["gaps"]
                    kind = document.pop("schema")
                    assert kind == ("statscache/key/1" if year is None else "statscache/key-year/1")
                    documents[tuple(document.pop("key")), year] = document
            assert documents == mine.by_key()
            continue
        for resolution in WIDTH:
            series = mine.series(resolution)
            directory = f"{root}/series/{resolution}"
            index = json.loads(files[f"{directory}/index.json"])
            assert [period["period"] for period in index["periods"]] == sorted(series)
            for label, rows in series.items():
                document = json.loads(files[f"{directory}/{label}.json"])
                assert document["rows"] == rows
                head, *cells = read_csv(files[f"{directory}/{label}.csv"])
                assert head == ["timestamp", *cls.dimensions, "value"]
                # A bucket that is not wholly known has one row without a value.
                whole = [row for row in rows if not is_within(row[0], document["gaps"])]
                assert [row for row in cells if row[-1]] == [[cell(value) for value in row] for row in whole]
                assert all(is_within(int(row[0]), document["gaps"]) for row in cells if not row[-1])
    assert {path.split("/")[2] for path in files if path.startswith("v1/plugins/")} == {cls.name for cls in PLUGINS}


def deliveries(lines: list[bytes], way: str) -> Iterator[list[bytes]]:
    """Yield the lines in batches: `once`, `shuffled`, or `twice`."""
    arranged = list(lines)
    if way != "once":
        random.Random(5).shuffle(arranged)
    if way == "twice":
        arranged += lines
    size = max(1, len(arranged) // 7)
    for at in range(0, len(arranged), size):
        yield arranged[at : at + size]


@pytest.mark.parametrize("way", ["once", "shuffled", "twice"])
def test_real_messages_are_counted_as_by_hand(
    databases: Databases, tmp_path: Path, messages_path: Path, way: str
) -> None:
    """The published numbers of the real messages are those of a plain count, in any order and fed twice."""
    lines = messages_path.read_bytes().splitlines()
    url = databases.create()
    site = fresh_site(url, tmp_path / "site", PLUGINS)
    for number, batch in enumerate(deliveries(lines, way)):
        site.feed(batch)
        if number == 2:
            site.build()
    site.build()
    compare(site, counted(lines))
    site.close()
    databases.drop(url)


def test_simulated_messages_are_counted_as_by_hand(databases: Databases, tmp_path: Path) -> None:
    """So are a day and a half around the turn of a month and of a year, delivered in any order, with gaps between."""
    start = 1451520000  # 2015-12-31T00:00:00Z
    days = (-800, -450, -100, -3)
    windows = (*((start + day * 86400, 5400) for day in days), (start + 79200, 21600))
    lines = [
        raw
        for begin, length in windows
        for raw in simulate(Traffic(begin, begin + length, per_day=2000, people=40, packages=60))
    ]
    assert len(lines) > 400
    url = databases.create()
    site = fresh_site(url, tmp_path / "site", PLUGINS)
    for number, batch in enumerate(deliveries(lines, "twice")):
        site.feed(batch)
        if number == 3:
            site.build()
    site.build()
    compare(site, counted(lines))
    site.close()
    databases.drop(url)
