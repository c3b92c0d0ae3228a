"""People: documents about them are one switch, and who is on the list is left out of everything."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundled import BUNDLED
from commands import Home
from samples import NOON, Buyers, Sales, Site, line
from statscache import testing
from statscache.derivation.values import without_addresses
from statscache.parsing import parse
from statscache.plugins import Log, Message
from statscache.plugins.registry import Problem, Registry, load
from statscache.scrubbing import scrub
from statscache.simulator import Traffic, simulate
from statscache.simulator.population import Population
from statscache_plugins.volume import Volume, VolumeByUser

NAMES = frozenset({"ralph", "ralph-bot", 'o"dd', "jürgen", "a.b"})
COPR = "org.fedoraproject.prod.copr.build.end"


def scrubbed(body: Any, headers: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
    """Return what is left of a body and of headers."""
    message = scrub(testing.message(COPR, body, headers=headers), NAMES)
    return message.body, message.headers


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ralph", "_"),
        ("Ralph built it; RALPH's", "_ built it; _'s"),
        ("http://ralph.id.fedoraproject.org/", "http://_.id.fedoraproject.org/"),
        ("<ralph@fedoraproject.org>", "<_@fedoraproject.org>"),
        ("ralph/project\nralph", "_/project\n_"),
        ("ralph-bot", "_"),
        ("ralphie, my-ralph, ralph_2", "ralphie, my-ralph, ralph_2"),
        ('say o"dd', "say _"),
        ("JÜRGEN", "_"),
        ("axb a.b", "axb _"),
        ("_ralph_", "_ralph_"),
    ],
)
def test_whole_words_are_replaced(before: str, after: str) -> None:
    """A name is replaced where it is a word of its own, in any case, and nowhere else."""
    assert scrubbed({"text": before}) == ({"text": after}, {})


def test_keys_and_headers_are_scrubbed_at_every_depth() -> None:
    """A name that is a key, or that a header names, goes too; numbers, nulls and the rest stay as they are."""
    body = {"ralph": [{"by": ["ralph", 1, None, True, 1.5]}], "other": {"deep": {"ralph": "x"}}}
    headers = {"fedora_messaging_user_ralph": True, "fedora_messaging_user_ralph_2": True}
    assert scrubbed(body, headers) == (
        {"_": [{"by": ["_", 1, None, True, 1.5]}], "other": {"deep": {"_": "x"}}},
        {"fedora_messaging_user__": True, "fedora_messaging_user_ralph_2": True},
    )


def test_the_rest_of_the_message_stays() -> None:
    """Topic, id and time stay, no one is derived, and a message without the name is the same object."""
    message = testing.message(COPR, {"user": "ralph"}, headers={"fedora_messaging_user_ralph": True}, id="ralph-1")
    left = scrub(message, NAMES)
    assert (left.id, left.topic, left.timestamp) == (message.id, message.topic, message.timestamp)
    assert (message.usernames, left.usernames, left.agent) == (("ralph",), (), None)
    other = testing.message(COPR, {"user": "pingou"})
    assert scrub(other, NAMES) is other


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('ralph-_ \n"\\A', max_size=12) | st.just("ralph"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ralph_ ", max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["user", "ralph", "x"]), values, max_size=3))
def test_scrubbing_twice_is_scrubbing_once(body: dict[str, Any]) -> None:
    """What is scrubbed has no such name left, and keeps its form."""
    message = testing.message(COPR, body)
    once = scrub(message, frozenset({"ralph"}))
    assert scrub(once, frozenset({"ralph"})) is once or scrub(once, frozenset({"ralph"})).body == once.body
    assert Message.from_record(once.record()).body == once.body
    assert "ralph" not in set(words(once.body))


def words(value: Any) -> Iterator[str]:
    """Yield every text and key that is one word."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)
    elif isinstance(value, str):
        yield value


class Wall(Log):
    """What was said last."""

    name = "wall"
    title = "Wall"

    def observe(self, message: Message) -> Iterator[Any]:
        """Quote the message."""
        yield (), {"said": message.subtitle, "raw": message.body}


SEEN = (Volume, VolumeByUser, Buyers, Sales, Wall)


def holds(site: Site, name: str) -> list[str]:
    """Return the paths of what is published of messages that hold a name, as path or in any case in their bytes."""
    site.publish()
    # The documentation has people in its examples.
    files = {path: data for path, data in site.aliases().items() if not path.startswith("docs/")}
    return [path for path, data in files.items() if name in path or name.encode() in data.lower()]


def test_a_list_of_names_leaves_people_out_and_counts_the_message(database_url: str, tmp_path: Path) -> None:
    """No published byte holds the name, totals still count; a change of the list folds the journal again."""
    site = Site(database_url, tmp_path, SEEN)
    sale = {"buyer": "Ralph", "thing": "hat", "note": "for ralph"}
    site.feed([line("a", NOON, body=sale, users=["ralph", "pingou"]), line("b", NOON + 60, body={"buyer": "pingou"})])
    assert len(holds(site, "ralph")) > 5
    site.close()
    left_out = Site(database_url, tmp_path, SEEN, privacy={"suppressed": ["ralph"]})
    left_out.catch_up()
    assert holds(left_out, "ralph") == []
    assert left_out.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == 2
    rows = left_out.document("v1/plugins/buyers/latest.json")["rows"]
    assert [row["buyer"] for row in rows] == ["_", "pingou"]
    left_out.feed([line("c", NOON + 120, body=sale, users=["ralph"])])
    assert holds(left_out, "ralph") == []
    left_out.close()
    again = Site(database_url, tmp_path, SEEN)
    again.catch_up()
    assert len(holds(again, "ralph")) > 5
    again.close()


ADDRESSES = (
    "eve@mail.example",
    "http://192.0.2.7/eve@mail.example",
    "of 192.0.2.7. or [2001:db8::7], <eve@mail.example>",
)


def hostile(value: Any, address: str, *, instead: bool) -> Any:
    """Return a value of JSON with an address instead of each text, or behind it."""
    if isinstance(value, dict):
        return {key: hostile(inner, address, instead=instead) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner, address, instead=instead) for inner in value]
    if isinstance(value, str):
        return address if instead else f"{value} {address}"
    return value


def test_no_address_is_published(messages_path: Path, tmp_path: Path) -> None:
    """No e-mail and no IP address, whatever the bus says where; real, simulated, and hostile messages."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, BUNDLED, bus={"environments": ()})
    real = messages_path.read_bytes().splitlines()
    site.feed(real)
    site.feed(islice(simulate(Traffic(NOON, NOON + 6 * 3600, seed=7)), 2_000))
    for number, address in enumerate(ADDRESSES):
        for instead in (True, False):
            lines = []
            for at, raw in enumerate(real):
                message = parse(raw)
                body = hostile(message.body, address, instead=instead)
                one = {"id": f"{number}-{instead}-{at}", "topic": message.topic, "timestamp": message.timestamp + 86400}
                lines.append(orjson.dumps({**one, "body": body}))
            site.feed(lines)
    site.publish()
    addresses = re.compile(rb"192\.0\.2\.7|2001:db8::7|mail\.example|[\w.+-]+@[\w-]+\.[\w.-]+")
    files = {path: data for path, data in site.aliases().items() if not path.startswith(("docs/", "examples/"))}
    assert len(files) > 500
    found = {path: set(addresses.findall(data + path.encode())) for path, data in files.items()}
    assert {path: names for path, names in found.items() if names} == {}
    site.close()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("me@example.org, <you@example.org>!", "_, <_>!"),
        ("from 10.0.0.1. or 10.0.0.1:80", "from _. or _:80"),
        ("at ::1 and fe80::1, std::string, 12:30:45", "at _ and _, std::string, 12:30:45"),
        ("foo-1.2.3.4-1.fc22, 1.2.3.4.5, v1.2.3.4, 999.1.1.1", "foo-1.2.3.4-1.fc22, 1.2.3.4.5, v1.2.3.4, 999.1.1.1"),
        ("@group and @ann:fedora.im, a@b", "@group and @ann:fedora.im, a@b"),
    ],
)
def test_addresses_are_masked_in_text(text: str, left: str) -> None:
    """Versions, times and names that look alike are left alone."""
    assert without_addresses(text) == left


def test_plugins_about_people_can_be_turned_off(database_url: str, tmp_path: Path) -> None:
    """Their documents and pages vanish with the next snapshot, though another plugin is broken; the others stay."""
    site = Site(database_url, tmp_path, (Volume, VolumeByUser))
    site.feed([line("a", NOON, users=["ralph"])])
    assert holds(site, "volume-by-user")
    site.close()
    off = Site(database_url, tmp_path, (Volume,))
    registry = off.installation.registry
    registry.turned_off = {VolumeByUser: "[privacy] people"}
    registry.problems = (Problem("broken", "it could not be loaded"),)
    assert holds(off, "volume-by-user") == []
    assert off.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == 1
    off.close()


def test_the_switch_is_that_of_the_plugins() -> None:
    """Plugins that say that they are about people are not loaded, and listed as turned off."""
    registry: Registry = load(people=False)
    assert "volume-by-user" in {cls.name for cls in registry.turned_off}
    assert not any(plugin.people for plugin in registry)
    assert any(plugin.name == "volume" for plugin in registry)
    assert any(plugin.people for plugin in load())


def test_the_command_line_tells_what_is_turned_off(tmp_path: Path) -> None:
    """`statscache plugins` lists them, with the setting that did it."""
    home = Home(tmp_path)
    home.configure("[privacy]\npeople = false\n")
    states = {plugin["name"]: plugin["state"] for plugin in home.json("plugins")["plugins"]}
    assert states["volume"] == "ok"
    assert states["volume-by-user"] == "off ([privacy] people)"


def test_without_people_no_file_names_one(tmp_path: Path) -> None:
    """Of who was named on the bus, no published byte is left, and no page of people is there or linked to."""
    plugins = [type(plugin) for plugin in load(people=False)]
    site = Site(f"sqlite:///{tmp_path / 'x.db'}", tmp_path, plugins, publish={"examples": True})
    site.feed(simulate(Traffic(start=NOON, end=NOON + 6 * 3600, per_day=1_000, people=40)))
    site.publish()
    site.close()
    names = [name for name in Population(40, 1).people if len(name) > 5]
    for path in site.public.rglob("*"):
        text = path.read_text() if path.suffix in (".html", ".json", ".csv", ".svg", ".xml") else ""
        assert not [name for name in names if name in text], path
        if path.suffix == ".html" and "objects" not in path.parts and "docs" not in path.parts:
            assert "people/index.html" not in text
    assert not (site.public / "people").exists()
    assert not (site.public / "v1/entities/person").exists()


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    """It would be everywhere."""
    home = Home(tmp_path)
    home.configure('[privacy]\nsuppressed = ["ralph", ""]\n')
    assert "suppressed" in home.run("config", "check", status=2).stderr
