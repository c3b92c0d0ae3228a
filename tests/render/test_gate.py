"""The gate: what lost most of its rows is held back, unless something explains it."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from samples import NOON, Buyers, Prices, Sales, Site, line
from statscache.exceptions import DamagedStatistics
from statscache.kinds import tables
from statscache.kinds.counter import CounterKind
from statscache.kinds.counter_by_key import CounterByKeyKind
from statscache.plugins import Latest, Message, State
from statscache.render import documents
from statscache.store import positions
from statscache.timeline import MINUTELY, Resolution

DAY = 86400

OTHERS = Sales, Buyers, Prices
"""What goes on beside a plugin that is held back."""


class Fickle(Latest):
    """The newest price of each thing, or nothing, as the test says."""

    name = "fickle"
    title = "Fickle"
    dimensions = ("thing",)
    hidden = 0

    def observe(self, message: Message) -> Iterator[Any]:
        """Tell the thing."""
        yield (message.body["thing"],), {"seen": True}

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish all rows but those that the test hides."""
        for name, content in super().documents(state):
            yield name, {"rows": content["rows"][self.hidden :]}


def test_gate_holds_back_one_plugin_that_loses_most_of_its_rows(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its last good documents, stale and with the reason; the others go on; force lets it pass."""
    site = Site(database_url, tmp_path, (*OTHERS, Fickle))
    site.feed([line(f"{n}", NOON + n, body={"buyer": "ann", "thing": f"t{n}"}) for n in range(10)])
    site.publish()
    good = site.document("v1/plugins/fickle/latest.json")
    for hidden in (6, 10):
        monkeypatch.setattr(Fickle, "hidden", hidden)
        site.feed([line(f"x{hidden}", NOON + 100 + hidden, body={"buyer": "ann", "thing": "t1"})])
        site.publish()
        states = {plugin["name"]: plugin["state"] for plugin in site.document("v1/index.json")["plugins"]}
        assert states == {**dict.fromkeys((plugin.name for plugin in OTHERS), "ok"), "fickle": "stale"}
        assert site.document("v1/plugins/fickle/latest.json") == good
        assert site.document("v1/plugins/buyers/latest.json")["through"] == NOON + 100 + hidden
        reasons = {row["name"]: row["reason"] for row in site.document("v1/status.json")["plugins"]}
        assert "publish --force" in reasons["fickle"]
    monkeypatch.setattr(Fickle, "hidden", 4)
    site.publish()
    assert len(site.document("v1/plugins/fickle/latest.json")["rows"]) == 6, "a smaller loss passes by itself"
    monkeypatch.setattr(Fickle, "hidden", 10)
    site.feed([line("last", NOON + 200, body={"buyer": "ann", "thing": "t1"})])
    site.publish(force=True)
    assert site.document("v1/plugins/fickle/latest.json")["rows"] == []
    site.close()


def test_gate_lets_a_new_version_pass(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that rose explains why rows vanish."""
    site = Site(database_url, tmp_path, (Fickle,))
    site.feed([line(f"{n}", NOON + n, body={"thing": f"t{n}"}) for n in range(10)])
    site.publish()
    monkeypatch.setattr(Fickle, "version", 2)
    monkeypatch.setattr(Fickle, "hidden", 9)
    site = site.reopened()
    site.catch_up()
    site.publish()
    assert len(site.document("v1/plugins/fickle/latest.json")["rows"]) == 1
    site.close()


def states(site: Site) -> dict[str, str]:
    """Return the state of each plugin, as the pointer has it."""
    return {plugin["name"]: plugin["state"] for plugin in site.document("v1/index.json")["plugins"]}


def lose(site: Site, table: Any, *which: Any) -> None:
    """Lose rows of the state, as a decayed database would, and have everything rendered."""
    with site.database.writing() as connection:
        connection.execute(delete(table).where(*which))
    render_everything(site)


def render_everything(site: Site) -> None:
    """Have everything rendered with the next publication."""
    with site.database.writing() as connection:
        for row in positions.load(connection).values():
            positions.mark(connection, row, [(positions.EVERYTHING, 0)])


@pytest.mark.parametrize("most", [True, False])
def test_gate_sees_the_newest_period_of_a_series(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: bool
) -> None:
    """Rows of a period do not vanish by themselves, nor does the newest period, whatever `latest` says."""
    site = Site(database_url, tmp_path, (Sales, Buyers))
    site.feed([line(f"{n}", NOON + 60 * n, body={"buyer": "ann", "thing": "tea"}) for n in range(40)])
    site.publish()
    newest = "v1/plugins/sales/series/1m/2015-08-08T12.json"
    good = site.document(newest)
    series, starts = CounterKind.series, CounterKind.bucket_starts
    kept = 10 if most else 0

    def few(kind: CounterKind, state: State, resolution: Resolution, *of: Any) -> list[list[Any]]:
        rows = series(kind, state, resolution, *of)
        return rows[:kept] if resolution is MINUTELY else rows

    def few_starts(kind: CounterKind, state: State, resolution: Resolution) -> list[int]:
        return [] if resolution is MINUTELY and not kept else starts(kind, state, resolution)

    with monkeypatch.context() as defect:
        defect.setattr(CounterKind, "series", few)
        defect.setattr(CounterKind, "bucket_starts", few_starts)
        render_everything(site)
        site.publish()
    assert states(site) == {"sales": "stale", "buyers": "ok"}
    assert site.document(newest) == good
    (reason,) = (row["reason"] for row in site.document("v1/status.json")["plugins"] if row["name"] == "sales")
    assert reason.startswith(f"2015-08-08T12.json would go from 40 rows to {kept}")
    site.publish(force=True)
    assert states(site) == {"sales": "ok", "buyers": "ok"}
    site.close()


def test_minutes_that_are_lost_are_damage(database_url: str, tmp_path: Path) -> None:
    """Hours say that they are lost, and no one's word makes it right."""
    site = Site(database_url, tmp_path, (Sales, Buyers))
    site.feed([line(f"{n}", NOON + 60 * n, body={"buyer": "ann", "thing": "tea"}) for n in range(40)])
    site.publish()
    newest = "v1/plugins/sales/series/1m/2015-08-08T12.json"
    good = site.document(newest)
    bucket = tables.bucket.c
    lose(site, tables.bucket, bucket.width == 60, bucket.start >= NOON + 600)
    for force in (False, True):
        with pytest.raises(DamagedStatistics, match="the minutes of a key do not add up to its hours: sales"):
            site.publish(force=force)
        assert site.document(newest) == good
    site.ingest.plugins.rebuild(["sales"])
    site.catch_up()
    site.publish()
    assert site.document(newest) == good
    assert states(site) == {"sales": "ok", "buyers": "ok"}
    site.close()


def test_gate_lets_periods_end(database_url: str, tmp_path: Path) -> None:
    """Retention takes away the newest period of a plugin that is quiet, and that is not a loss."""
    site = Site(database_url, tmp_path, (Sales, Buyers))
    site.feed([line(f"{n}", NOON + n, body={"buyer": "ann", "thing": "tea"}) for n in range(4)])
    site.publish()
    assert site.document("v1/plugins/sales/series/1m/2015-08-08T12.json")["rows"]
    site.feed([line("other", NOON + 10 * DAY, "org.fedoraproject.prod.wiki.article.edit")])
    site.publish()
    assert not (site.public / "v1/plugins/sales/series/1m").exists()
    assert states(site) == {"sales": "ok", "buyers": "ok"}
    site.close()


def test_gate_counts_documents_of_keys(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where most of them would vanish, the plugin is held back, though `latest` shows a hundred rows as before."""
    site = Site(database_url, tmp_path, (Sales, Buyers))
    site.feed([line(f"{n}", NOON + n, body={"buyer": f"b{n:03}"}) for n in range(250)])
    site.publish()
    made = CounterByKeyKind.key_documents
    monkeypatch.setattr(CounterByKeyKind, "key_documents", lambda *of: islice(made(*of), 100))
    render_everything(site)
    site.publish()
    assert states(site) == {"sales": "ok", "buyers": "stale"}
    assert len([*(site.public / "v1/plugins/buyers/by").glob("*.json")]) == 250
    (reason,) = (row["reason"] for row in site.document("v1/status.json")["plugins"] if row["name"] == "buyers")
    assert reason.startswith("by/ would go from 250 documents of keys to 100")
    site.close()


def test_what_is_held_back_makes_no_documents_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be very many, and nothing of them would be published, minute by minute."""

    class Hidden(Buyers):
        """Loses the rows of its fixed document, as the test says."""

        name = "hidden"
        lost = False

        def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
            """Publish all rows, or none."""
            for name, content in super().documents(state):
                yield name, {**content, "rows": [] if self.lost else content["rows"]}

    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, (Hidden,))
    site.feed([line(f"{n}", NOON + n, body={"buyer": f"b{n}"}) for n in range(10)])
    site.publish()
    monkeypatch.setattr(Hidden, "lost", True)
    made: list[Any] = []
    of_key = documents.of_key

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return of_key(*arguments)

    monkeypatch.setattr(documents, "of_key", counted)
    site.feed([line(f"x{n}", NOON + 100 + n, body={"buyer": f"b{n}"}) for n in range(5)])
    site.publish()
    assert (states(site), made) == ({"hidden": "stale"}, [])
    monkeypatch.setattr(Hidden, "lost", False)
    site.publish()
    assert (states(site), len(made)) == ({"hidden": "ok"}, 5)
    site.close()
