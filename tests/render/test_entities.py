"""Names of entities: complete, the same however they came, and gone with whom they name."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest

from samples import NOON, Site, line
from statscache import layout
from statscache.exceptions import PluginError
from statscache.kinds import entities as counted
from statscache.plugins import Counter, Message
from statscache.privacy.forget import forget
from statscache.render import entities
from statscache.snapshot.build import build
from statscache.store import published
from statscache_plugins.volume import PLUGINS as VOLUME

PEOPLE = ("ralph", "Ralph", "rachel", "toshio", "r", "ünal", "(other)", "")


class Fans(Counter):
    """Who bought."""

    name = "fans"
    title = "Fans"
    dimensions = ("buyer",)
    entities: ClassVar[dict[str, str]] = {"buyer": "person"}
    topics = ("shop.sale",)
    people = True
    unbounded = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Count the amount for the buyer."""
        yield (message.body.get("buyer"),), message.body.get("amount", 1)


class ByRelease(Counter):
    """Sales by release, which does not say that its dimension names an entity."""

    name = "by-release"
    title = "Sales by release"
    dimensions = ("release",)
    topics = ("shop.sale",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count one for the version."""
        yield (message.body.get("version"),)


class Versions(Counter):
    """Sales by version and place."""

    name = "versions"
    title = "Versions"
    dimensions = ("place", "version")
    entities: ClassVar[dict[str, str]] = {"version": "release"}
    topics = ("shop.sale",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Count one for the version, in two places."""
        for place in ("here", "there"):
            yield place, message.body.get("version")


PLUGINS = (*(cls for cls in VOLUME if cls.name in ("volume-by-user", "volume-by-topic")), Fans, Versions)
"""Two of people, and one of each of two other entities."""


def sale(number: int, buyer: str | None, amount: int = 1, version: str | None = None) -> bytes:
    """Return a sale, in which the buyer is involved."""
    body = {"buyer": buyer, "amount": amount, "version": version}
    return line(f"sale {number}", NOON + number, body=body, users=[buyer] if buyer else [])


def names(site: Site, entity: str) -> dict[str, tuple[int, set[str]]]:
    """Return rank and plugins of each name, as the shards have them; the index agrees with them."""
    index = site.document(layout.entities(entity))
    found: dict[str, tuple[int, set[str]]] = {}
    rows: list[Any] = []
    for prefix, count in index["shards"].items():
        shard = site.document(layout.entity_names(entity, prefix))
        assert shard["prefix"] == prefix
        assert len(shard["names"]) == count
        assert all(entities._filing(name).startswith(prefix) for name, _, _ in shard["names"])
        rows += shard["names"]
    for name, rank, bits in rows:
        found[name] = rank, {plugin for at, plugin in enumerate(index["plugins"]) if bits >> at & 1}
    assert index["count"] == len(rows) == len(found)
    if "names" in index:
        assert sorted(rows) == index["names"]
    return found


def test_names_are_those_that_were_counted(database_url: str, tmp_path: Path) -> None:
    """Each name that has a document is listed with the plugins that have it; no one and many have no page."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(sale(number, buyer, 5, "f45") for number, buyer in enumerate((*PEOPLE, None)))
    site.publish()
    assert names(site, "person") == dict.fromkeys(PEOPLE[:-2], (3, {"fans", "volume-by-user"}))
    # In both places nine sales.
    assert names(site, "release") == {"f45": (5, {"versions"})}
    for name, (_, plugins) in names(site, "person").items():
        for plugin in plugins:
            assert (site.public / layout.key_document(plugin, (name,))).is_file()
    site.close()


def test_what_was_made_bit_by_bit_is_what_is_made_at_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards that grow, and divide, are those that a forced render makes of the state alone; numbers may fall."""
    monkeypatch.setattr(entities, "MOST_IN_SHARD", 8)
    monkeypatch.setattr(entities, "MOST_IN_INDEX", 40)
    rng = random.Random(5)
    site = Site(database_url, tmp_path / "site", PLUGINS)
    letters = "aab"
    for batch in range(6):
        buyers = ["".join(rng.choices(letters, k=rng.randrange(1, 7))) for _ in range(25)]
        numbered = enumerate(buyers, start=100 * batch)
        site.feed(sale(number, buyer, rng.randrange(-20, 60), rng.choice(("f44", "f45"))) for number, buyer in numbered)
        site.build(slow=batch % 3 != 0)
        grown = {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)}
        if batch % 3:
            site.build(force=True)
            assert {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)} == grown
    shards = orjson.loads(grown[layout.entities("person")])["shards"]
    assert max(map(len, shards)) >= 4
    assert "aa" in shards, "the name itself, whose shard was divided"
    site.close()


def test_a_message_changes_the_shards_of_its_names_only(database_url: str, tmp_path: Path) -> None:
    """Of all others neither bytes nor objects change, and where no rank changes nothing does."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(sale(number, buyer) for number, buyer in enumerate(("ralph", "toshio", "toshio", "toshio", "toshio")))
    site.build()
    before = site.tree()
    site.feed([sale(10, "ralph"), sale(11, "toshio")])
    site.build()
    after = site.tree()
    changed = {path for path in after if path.startswith(layout.ENTITIES) and after[path] != before.get(path)}
    assert {path for path in changed if "/person/" in path} == {
        layout.entities("person"),
        layout.entity_names("person", "ra"),
    }
    site.close()


def made_up(number: int) -> Iterator[bytes]:
    """Yield messages that name so many people in all, a hundred each."""
    for at in range(number // 100):
        users = [f"mob{at * 100 + each:06}" for each in range(100)]
        yield line(f"flood {at}", NOON + at, users=users)


def test_names_cost_in_proportion_to_the_documents_of_a_publication(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many names a sender has made up: those that wait for their document are not looked at."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed([sale(1, "ralph")])
    site.publish()
    site.feed(made_up(2_000))
    looked_at: list[str] = []
    real = counted.counted

    def counting(*arguments: Any) -> Iterator[Any]:
        for each in real(*arguments):
            looked_at.append(each.name)
            yield each

    monkeypatch.setattr(counted, "counted", counting)
    build(site.database, site.renderer, most=100)
    documents = len(names_of_documents(site))
    assert 50 <= documents <= 150
    assert {name for name in looked_at if name.startswith("mob")} <= names_of_documents(site)
    build(site.database, site.renderer)
    site.publish()
    assert len(names(site, "person")) == 2_001
    site.close()


def test_names_that_wait_keep_the_plugins_whose_documents_they_have(database_url: str, tmp_path: Path) -> None:
    """One publication makes a document of one name in one plugin, and of another name in another plugin."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    for batch in range(8):
        site.feed(sale(10 * batch + number, buyer) for number, buyer in enumerate(("ralph", "toshio")))
        build(site.database, site.renderer, most=1 if batch else None)
        shards = {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)}
        for name in ("ralph", "toshio"):
            ((_, _, plugins),) = orjson.loads(shards[layout.entity_names("person", name[:2])])["names"]
            assert plugins == 0b11
    site.close()


def names_of_documents(site: Site) -> set[str]:
    """Return the names of all people with a document of one plugin, in the tree."""
    with site.database.reading() as connection:
        below = published.below(connection, layout.keys_root("volume-by-user"), "data")
        return {path.rpartition("/")[2].removesuffix(".json") for path in below}


def test_a_forgotten_person_is_found_no_more(database_url: str, tmp_path: Path) -> None:
    """The name is in no shard, nor is a shard that was the person's alone."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed(sale(number, buyer) for number, buyer in enumerate(("zaphod", "ralph")))
    site.publish()
    assert (site.public / layout.entity_names("person", "za")).is_file()
    forget(site.installation, "zaphod", lambda *_: None)
    assert names(site, "person").keys() == {"ralph"}
    assert not (site.public / layout.entity_names("person", "za")).exists()
    site.close()


def test_without_people_there_is_no_trace_of_them(database_url: str, tmp_path: Path) -> None:
    """Where no plugin is about people, the list, the page and every link to it are gone."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed([sale(1, "zaphod", version="f45")])
    site.publish()
    assert (site.public / layout.entity_page("person")).is_file()
    other = site.reopened([plugin for plugin in PLUGINS if not plugin.people])
    other.publish()
    assert not (other.public / layout.ENTITY_PAGES["person"]).exists()
    assert not (other.public / layout.entity_root("person")).exists()
    for page, data in other.aliases().items():
        assert b"zaphod" not in data, page
        # The documentation says of other sites that they have such a page.
        assert b'people/index.html"' not in data, page
    assert names(other, "release").keys() == {"f45"}
    other.close()


def test_tables_and_bars_link_to_pages(tmp_path: Path) -> None:
    """A key on the page of a plugin, and on its card, leads to its page, whatever is in it; a field's name suffices."""
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path / "site", (*PLUGINS, ByRelease))
    site.feed([sale(1, "a&b c", version="f45")])
    site.publish()
    address = "people/index.html?a%26b%20c"
    assert f'href="../../{address}"' in (site.public / "plugins/fans/index.html").read_text()
    assert f'href="{address}"' in (site.public / "index.html").read_text()
    assert 'href="releases/index.html?f45"' in (site.public / "index.html").read_text()
    assert 'href="../../releases/index.html?f45"' in (site.public / "plugins/versions/index.html").read_text()
    site.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"entities": {"seller": "person"}}, "give one of `dimensions`"),
        ({"entities": {"buyer": "dog"}}, "names ['dog']; give one of person, package, release, topic"),
        ({"people": False}, "set `people = True`"),
        ({"dimensions": ("buyer", "thing")}, "need keys of one dimension"),
    ],
)
def test_a_wrong_entity_is_refused(changes: dict[str, Any], reason: str) -> None:
    """The class is refused when it is defined, with the fix."""
    with pytest.raises(PluginError) as error:
        type("Wrong", (Fans,), {"__doc__": "Wrong.", "name": "wrong", **changes})
    assert reason in str(error.value)


@pytest.mark.parametrize("hostile", ["beginning", "case", "characters", "long"])
def test_no_sender_makes_a_shard_large(
    hostile: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the names are, shards stay small, are few for the number of names, and hide no one's own name."""
    monkeypatch.setattr(entities, "MOST_IN_SHARD", 20)
    monkeypatch.setattr(entities, "MOST_BYTES_IN_SHARD", 2_000)
    monkeypatch.setattr(entities, "MOST_IN_INDEX", 10)
    most, victim = 300, "release-engineering"
    made = {
        "beginning": [f"{victim[:-1]}{number}" for number in range(most)],
        "case": [
            "".join(c.upper() if number >> at & 1 else c for at, c in enumerate(victim)) for number in range(1, most)
        ],
        "characters": [f"{chr(0x4E00 + number)}{chr(0x9000 + number)}" for number in range(most)],
        "long": ["é" * 150 + str(number) for number in range(most)],
    }[hostile]
    site = Site(database_url, tmp_path / "site", PLUGINS)
    random.Random(7).shuffle(made)
    site.feed([sale(1, victim)])
    for at in (0, most // 2):
        site.feed(sale(10 + number, name) for number, name in enumerate(made[at : at + most // 2], at))
        site.build()
    tree = {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)}
    site.build(force=True)
    assert {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)} == tree
    index = orjson.loads(tree[layout.entities("person")])
    assert len(index["shards"]) <= 50
    assert max(map(len, index["shards"])) <= 64
    for prefix, count in index["shards"].items():
        shard = tree[layout.entity_names("person", prefix)]
        assert count <= 20
        assert len(shard) < 3_000
    listed = {name for prefix in index["shards"] for name, _, _ in _rows(tree, prefix)}
    assert victim in listed
    assert (listed >= {*made}) == (hostile in ("beginning", "characters"))
    site.close()


def _rows(tree: dict[str, bytes], prefix: str) -> list[Any]:
    rows: list[Any] = orjson.loads(tree[layout.entity_names("person", prefix)])["names"]
    return rows


def test_a_name_is_listed_once_its_document_is_made(database_url: str, tmp_path: Path) -> None:
    """While documents are made in portions, search offers no name without one, of any of its plugins; at last all."""
    site = Site(database_url, tmp_path / "site", PLUGINS)
    site.feed([sale(number, f"early{number}") for number in range(5)])
    site.build()
    site.feed([sale(100 + number, f"{'early' if number < 5 else 'late'}{number}") for number in range(40)])
    seen = []
    for _ in range(30):
        build(site.database, site.renderer, most=7)
        tree = site.tree()
        index = orjson.loads(tree[layout.entities("person")])
        for name, _, bits in index["names"]:
            for at, plugin in enumerate(index["plugins"]):
                assert not bits >> at & 1 or layout.key_document(plugin, (name,)) in tree, (name, plugin)
        seen.append(index["count"])
    assert seen[0] < 40 == seen[-1]
    made = {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)}
    site.build(force=True)
    assert {path: data for path, data in site.tree().items() if path.startswith(layout.ENTITIES)} == made
    site.close()
