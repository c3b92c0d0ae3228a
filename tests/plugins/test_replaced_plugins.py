"""What a plugin published before it became another one: law 1 knows no remains."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from samples import NOON, Site, follow, line
from statscache.plugins import Counter, Latest, Message, Plugin, State


class Things(Counter):
    """Things by name, with a document besides, and one for each."""

    name = "things"
    title = "Things"
    unit = "things"
    dimensions = ("thing",)
    more = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the thing."""
        yield (message.body["thing"],)

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Publish `more`, where the class says so."""
        yield from super().documents(state)
        if self.more:
            yield "more", {"rows": [{"thing": "hat"}]}


class Fewer(Things):
    """The same without the document besides."""

    version = 2
    more = False


class Each(Things):
    """The same with a document for each thing, and no series."""

    version = 2
    unbounded = True
    dimensions = ("thing",)


class Newest(Latest):
    """The newest thing."""

    name = "things"
    title = "Things"
    version = 2
    dimensions: ClassVar[tuple[str, ...]] = ("thing",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Keep the thing."""
        yield (message.body["thing"],), {"seen": True}


LINES = [line(f"{number}", NOON + 60 * number, body={"thing": f"t{number % 5}"}) for number in range(9)]


@pytest.mark.parametrize(
    ("before", "after"), [(Things, Fewer), (Things, Newest), (Things, Each), (Each, Newest), (Newest, Things)]
)
def test_another_version_or_kind_leaves_nothing_of_the_one_before(
    database_url: str, tmp_path: Path, before: type[Plugin], after: type[Plugin]
) -> None:
    """The tree is that of an installation which never had the other one: documents, plots, badge."""
    after = type(after.__name__, (after,), {"version": before.version + 1, "__doc__": after.__doc__})
    site = Site(database_url, tmp_path / "site", (before,))
    site.feed(LINES)
    site.publish()
    site = site.reopened((after,))
    site.catch_up()
    site.publish()
    fresh = Site(f"sqlite:///{tmp_path}/fresh.db", tmp_path / "fresh", (after,))
    fresh.feed(LINES)
    fresh.publish()
    assert site.tree().keys() == fresh.tree().keys()
    assert follow(site.public) == site.aliases() == fresh.tree()
    site.close()
    fresh.close()


def test_a_document_that_is_made_no_longer_goes(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a plugin yields it only at times, its absence is as much a result as its bytes."""
    site = Site(database_url, tmp_path, (Things,))
    site.feed(LINES[:4])
    site.publish()
    assert (site.public / "v1/plugins/things/more.json").exists()
    monkeypatch.setattr(Things, "more", False)
    site.feed(LINES[4:])
    site.publish(force=True)
    forced = site.tree()
    assert not [path for path in forced if "/more." in path]
    monkeypatch.setattr(Things, "more", True)
    site.feed([line("x", NOON, body={"thing": "t1"})])
    site.publish()
    assert (site.public / "v1/plugins/things/more.json").exists()
    site.close()
