"""Plugins as the first statscache had them: their rows move with the journal, or not at all."""

import csv
import gc
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from first_plugins import Popularity, Volume
from kills import Killed, Steps, writes
from samples import NOON, Buyers, Site, line
from statscache.exceptions import PluginError
from statscache.plugins import BaseModel, BasePlugin, CategorizedModel
from statscache.store import quarantine

HOUR = 3600


class Once(Steps):
    """Kills once: the session that the process would have taken along still closes its savepoints here."""

    def step(self) -> None:
        """Record one operation, or die before it."""
        try:
            super().step()
        except Killed:
            self.at = None
            raise


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site with both plugins, and a counter beside them."""
    made = Site(database_url, tmp_path, (Popularity, Volume, Buyers))
    yield made
    made.close()


def named(number: int, *users: str, **body: Any) -> bytes:
    """Return a message about these people, ten minutes apart."""
    return line(f"m{number}", NOON + 600 * number, body={"buyer": "b", **body}, users=users)


def counts(site: Site) -> list[tuple[str, int]]:
    """Publish, and return the names and counts that are published, oldest first."""
    site.publish()
    rows = site.document("v1/plugins/popularity/latest.json")["rows"]
    return [(row["username"], row["references"]) for row in reversed(rows)]


def volumes(site: Site) -> dict[int, int]:
    """Publish, and return the number of messages in each hour, as published."""
    site.publish()
    return hours(site)


def hours(site: Site) -> dict[int, int]:
    """Return the number of messages in each hour, as published before."""
    return {row["timestamp"]: row["scalar"] for row in site.document("v1/plugins/hourly-volume/latest.json")["rows"]}


def test_the_first_contract_becomes_the_present_one() -> None:
    """Name, summary and description of the first statscache are path, title and definition."""
    plugin = Popularity()
    assert (plugin.name, plugin.title, plugin.summary) == ("popularity", "Popularity", "Times that people were named")
    assert plugin.definition == "One is counted for each message that names a person, whoever it is."
    assert plugin.config is plugin.settings


def test_rows_are_published_newest_first(site: Site) -> None:
    """Rows are there as JSON and CSV, newest first, with times in seconds; so is the layout, as it is."""
    site.feed([named(0, "ralph"), named(1, "ralph", "pingou"), named(1, "ralph", "pingou")])
    assert counts(site) == [("ralph", 1), ("pingou", 1), ("ralph", 2)]
    table = (site.public / "v1/plugins/popularity/latest.csv").read_text()
    head, first, *_ = csv.reader(io.StringIO(table))
    assert head == ["timestamp", "id", "references", "username"]
    assert first == [str(NOON + 600), "3", "2", "ralph"]
    assert site.document("v1/plugins/popularity/layout.json") == Popularity.layout
    assert volumes(site) == {NOON: 2}


def test_rows_are_updated_over_batches(site: Site) -> None:
    """What one batch wrote, the next one finds and adds to, in this process and in another."""
    site.feed([named(number) for number in range(3)])
    site.feed([named(number) for number in range(5)])
    again = site.reopened()
    again.feed([named(number) for number in range(5, 8)])
    assert volumes(again) == {NOON: 6, NOON + HOUR: 2}
    again.close()


def test_killed_anywhere_the_rows_lose_nothing(site: Site) -> None:
    """Killed before any operation of a fold and delivered again, each message is in the rows once."""
    site.feed([named(0, "ralph")])
    delivery = [named(1, "ralph"), named(2, "pingou"), named(3, "ralph")]
    for at in range(1000):
        try:
            with writes(site.database, Once(at)):
                site.feed(delivery)
        except Killed:
            pass
        else:
            break
        # A process that dies takes its connections along; here they are left, and not closed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        site.database.engine.dispose()
        assert (counts(site), hours(site)) == ([("ralph", 1)], {NOON: 1}), f"killed before operation {at}"
    assert at > 15, "hardly anything was interrupted"
    assert counts(site) == [("ralph", 1), ("ralph", 2), ("pingou", 1), ("ralph", 3)]
    assert volumes(site) == {NOON: 4}


def test_a_bad_message_is_quarantined_and_takes_nothing_with_it(site: Site) -> None:
    """`process` raises on one message in the middle: it is quarantined, and counts of the others have no hole."""
    site.feed([named(0, "ralph"), named(1, "ralph", poison=True), named(2, "ralph"), named(3, "pingou")])
    assert counts(site) == [("ralph", 1), ("ralph", 2), ("pingou", 1)]
    assert volumes(site) == {NOON: 4}
    with site.database.reading() as connection:
        (item,) = quarantine.listed(connection)
    assert (item.plugin, item.reason) == ("popularity", "KeyError: 'poison'")


def test_sql_that_fails_is_the_plugins_own_fault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the database refuses of a plugin's statements stops neither the delivery nor the other plugins."""

    def update(self: Popularity, session: Any) -> None:
        session.execute(sa.text("SELECT nothing FROM nowhere"))

    monkeypatch.setattr(Popularity, "update", update)
    outcome = site.feed([named(0, "ralph"), named(1, "ralph")])
    assert (outcome.accepted, outcome.failures) == (2, 2)
    assert volumes(site) == {NOON: 2}


def test_a_rebuild_makes_the_rows_again(site: Site) -> None:
    """The table is dropped and folded again from the journal, whatever was in it."""
    site.feed([named(0, "ralph"), named(1, "ralph")])
    with site.database.writing() as connection:
        connection.execute(sa.text("UPDATE data_mentions SET username = 'nobody'"))
    site.ingest.plugins.rebuild(["popularity"])
    site.catch_up()
    assert counts(site) == [("ralph", 1), ("ralph", 2)]


def test_latest_holds_the_newest_thousand(site: Site) -> None:
    """Of many rows the newest are published."""
    site.feed([line(f"m{number}", NOON + number, users=["ralph"]) for number in range(1100)])
    found = counts(site)
    assert len(found) == 1_000
    assert found[-1] == ("ralph", 1_100)


def test_latest_is_bounded_in_bytes(site: Site) -> None:
    """Of large rows fewer are published, so that the document has about 100 kB."""
    site.feed([line(f"n{number}", NOON + 2000 + number, users=["x" * 199]) for number in range(600)])
    site.publish()
    assert 80_000 < len((site.public / "v1/plugins/popularity/latest.json").read_bytes()) < 101_000


def table(**attributes: Any) -> type[BasePlugin]:
    """Define a plugin like the one that counts messages, but for these attributes."""
    return type("Wrong", (Volume,), {"__doc__": "Wrong.", "name": "wrong", "summary": "Wrong.", **attributes})


class Clash(BaseModel):
    """A model whose table has the name of one of statscache's own."""

    __tablename__ = "journal"


@pytest.mark.parametrize(
    ("attributes", "fix"),
    [
        ({"process": BasePlugin.process}, "`process` is missing"),
        ({"update": BasePlugin.update}, "`update` is missing"),
        ({"model": None}, "`model` is missing; derive one from BaseModel"),
        ({"model": dict}, "derive it from BaseModel"),
        ({"model": Clash}, "the table 'journal' of the model is one of statscache's own"),
        ({"people": True}, "`people` needs `forget(self, session, name)`"),
        ({"unbounded": True, "dimensions": ("a",)}, "`unbounded` is for Counter; it is a Table"),
    ],
)
def test_a_wrong_table_is_refused(attributes: dict[str, Any], fix: str) -> None:
    """The error says what is wrong with the class, and the fix."""
    with pytest.raises(PluginError, match="Wrong: ") as caught:
        table(**attributes)
    assert fix in str(caught.value)


def test_a_model_can_be_made_by_the_plugin() -> None:
    """A class without a model makes one, once for all its instances."""
    made = []

    def make_model(self: Any) -> Any:
        made.append(type("Made", (CategorizedModel,), {"__tablename__": "data_made"}))
        return made[-1]

    cls = table(model=None, make_model=make_model)
    assert cls().model is cls().model is made[0]
    assert len(made) == 1
