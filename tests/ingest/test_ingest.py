"""Acceptance: two consumers at once, plugins that come, change and are rebuilt, and the report of a delivery."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samples import KINDS, NOON, Buyers, Prices, Sales, Site, line
from statscache.exceptions import UnknownPlugin
from statscache.ingest import Outcome
from statscache.plugins import Message
from statscache.store import journal, positions


def sale(number: int) -> bytes:
    """Return a message that all plugins count."""
    return line(f"s{number}", NOON + number, body={"buyer": f"b{number % 3}", "thing": "hat"})


def test_two_consumers_at_once_count_each_message_once(database_url: str, tmp_path: Path) -> None:
    """They share one journal without holes, and the plugins keep up with it."""
    site = Site(database_url, tmp_path / "a", KINDS)
    sites = [Site(database_url, tmp_path / name, KINDS) for name in "bc"]
    failures: list[BaseException] = []

    def consume(own: Site, start: int) -> None:
        try:
            for at in range(start, start + 40, 4):
                own.feed([sale(number) for number in range(at, at + 6)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=consume, args=(own, 20 * number)) for number, own in enumerate(sites)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    site.catch_up()
    with site.database.reading() as connection:
        assert journal.head(connection).position == 62
        assert len([*journal.read(connection, 0, 100)]) == 62
    assert sum(row[2] for row in site.state()["sales"] if row[0] == "key") == 62
    for one in (site, *sites):
        one.close()


def test_a_plugin_added_later_fills_itself_while_messages_go_on(database_url: str, tmp_path: Path) -> None:
    """It is behind until it has caught up, and no one else's state is touched meanwhile."""
    site = Site(database_url, tmp_path, (Sales,))
    site.feed([sale(number) for number in range(5)])
    sales = site.state()["sales"]
    site = site.reopened((Sales, Buyers))
    assert site.ingest.plugins.behind() == [("buyers", 5)]
    assert site.state()["sales"] == sales
    site.feed([sale(5)])
    assert site.ingest.plugins.behind() == [("buyers", 6)]
    site.catch_up()
    assert site.ingest.plugins.behind() == []
    assert sum(row[2] for row in site.state()["buyers"] if row[0] == "key") == 6
    site.close()


def test_a_new_plugin_that_cannot_clear_its_state_is_suspended_and_the_others_run(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one whose own tables cannot be made; the reason names the command that tries again."""

    def refuse(_: Any, __: int) -> None:
        raise ValueError("no table can be made")

    init = Buyers.__init__

    def broken(buyers: Buyers, *arguments: Any) -> None:
        init(buyers, *arguments)
        monkeypatch.setattr(buyers.kind, "clear", refuse)

    monkeypatch.setattr(Buyers, "__init__", broken)
    site = Site(database_url, tmp_path, (Buyers, Sales))
    site.feed([sale(1)])
    with site.database.reading() as connection:
        rows = positions.load(connection)
    assert "no table can be made; fix it, then run `statscache rebuild buyers`" in str(rows["buyers"].suspended)
    assert [(rows[name].position, rows[name].is_sound) for name in ("buyers", "sales")] == [(0, True), (1, True)]
    site.close()


def test_a_plugin_whose_version_rose_is_folded_again(database_url: str, tmp_path: Path) -> None:
    """Its state becomes what the new version makes of the whole journal; an older release then leaves it alone."""

    class Doubled(Sales):
        """Counts each sale twice."""

        version = 2

        def observe(self, message: Message) -> Iterator[Any]:
            """Yield twice what was sold."""
            for _ in range(2):
                yield from super().observe(message)

    site = Site(database_url, tmp_path, (Sales,))
    site.feed([sale(number) for number in range(4)])
    site = site.reopened((Doubled,))
    site.catch_up()
    doubled = site.state()["sales"]
    assert sum(row[2] for row in doubled if row[0] == "key") == 8
    site = site.reopened((Sales,))
    site.feed([sale(9)])
    site.catch_up()
    assert site.state()["sales"] == doubled
    site.close()


def test_rebuilding_gives_the_same_state_and_snapshot(database_url: str, tmp_path: Path) -> None:
    """A plugin that is folded again from the journal comes to what it was; its documents stay meanwhile."""
    site = Site(database_url, tmp_path, KINDS)
    for at in range(0, 30, 5):
        site.feed([sale(number) for number in range(at, at + 5)])
    state, snapshot, tree = site.state(), site.build(), site.tree()
    site.ingest.plugins.rebuild(["sales", "prices"])
    documents = {path: data for path, data in tree.items() if path.startswith("v1/")}
    site.build()
    assert {path: data for path, data in site.tree().items() if path.startswith("v1/")} == documents
    site.catch_up()
    assert site.state() == state
    assert site.build().id == snapshot.id
    with pytest.raises(UnknownPlugin, match="no active plugin is named 'nope'"):
        site.ingest.plugins.rebuild(["sales", "nope"])
    assert site.state() == state
    site.close()


def test_a_delivery_of_nothing_is_accepted(database_url: str, tmp_path: Path) -> None:
    """An empty delivery changes nothing, and neither is an empty database's snapshot in its way."""
    site = Site(database_url, tmp_path, (Sales, Prices))
    assert site.feed([]) == Outcome()
    first = site.build()
    assert first.through is None
    site.feed([sale(1)])
    assert site.build().through == NOON + 1
    site.close()
