"""Documents without rows: they have the header of their CSV, and say what is unknown, as those with rows do."""

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson
import pytest

import bundled
from samples import NOON
from statscache import testing
from statscache.exceptions import DocumentError, PluginError
from statscache.message import Message
from statscache.parsing import parse
from statscache.plugins import Counter, Plugin, State
from statscache.plugins.registry import Registry
from statscache.simulator import ALL, Traffic, simulate
from statscache.timeline import DAY


class Fared(Counter):
    """Builds, and how those of the last week fared."""

    name = "fared"
    title = "Fared"
    dimensions = ("state",)
    topics = ("builds.done",)
    trailing: ClassVar[dict[str, int]] = {"top": 7}
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"fared": ("release", "failed_last_7d")}

    def observe(self, message: Message) -> tuple[tuple[str], ...]:
        """Count what has a body."""
        return (("done",),) if message.body else ()

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield documents of every sort."""
        yield from super().documents(state)
        counted = [{"release": "f1", "failed_last_7d": row["last_7d"]} for row in self.latest(state)]
        yield "fared", {"rows": counted}
        yield "undeclared", {"rows": counted}
        yield "since", {"rows": [{"state": "done", "value": 1}] if counted else [], "partial": {"all": NOON}}


def files(plugin: type[Plugin], *messages: Message) -> dict[str, bytes]:
    """Return what a plugin publishes of these messages, by path below its directory."""
    lines = [orjson.dumps({"topic": m.topic, "timestamp": m.timestamp, "body": m.body}) for m in messages]
    return testing.try_plugin(plugin(), lines).files


DONE = testing.message("org.fedoraproject.prod.builds.done", {"package": "bash"}, timestamp=NOON)
OTHER = testing.message("org.fedoraproject.prod.other.done", timestamp=NOON + 1)


@pytest.mark.parametrize("counted", [True, False])
def test_a_document_without_rows_says_what_those_with_rows_say(counted: bool) -> None:
    """Its CSV has the header, and its JSON the windows that are not wholly known."""
    made = files(Fared, DONE, OTHER) if counted else files(Fared, OTHER)
    since = NOON if counted else None
    headers = {path: data.decode().partition("\r\n")[0] for path, data in made.items() if path.endswith(".csv")}
    assert headers["latest.csv"] == "state,total,last_24h,last_7d,last_30d"
    assert headers["top.csv"] == "state,value"
    assert headers["fared.csv"] == "release,failed_last_7d"
    partial = {path: orjson.loads(made[f"{path}.json"]).get("partial") for path in ("latest", "top", "fared")}
    assert partial == {
        "latest": dict.fromkeys(("last_24h", "last_7d", "last_30d"), since),
        "top": {"last_7d": since},
        "fared": {"last_7d": since},
    }
    # What it does not declare may be of any window.
    undeclared = orjson.loads(made["undeclared.json"])["partial"]
    assert undeclared == ({"last_7d": since} if counted else partial["latest"])


def test_a_document_may_say_itself_what_is_unknown() -> None:
    """Under a name of its own; then CSV has no number of it."""
    made = files(Fared, DONE)
    document = orjson.loads(made["since.json"])
    assert (document["partial"], document["rows"]) == ({"all": NOON}, [{"state": "done", "value": 1}])
    assert made["since.csv"] == b"state,value\r\ndone,\r\n"


@pytest.mark.parametrize("said", [None, {"all": "today"}, {"all": True}, {1: NOON}])
def test_what_is_unknown_is_said_by_name_and_time(said: Any) -> None:
    """Anything else is refused with the fix."""

    class Wrong(Fared):
        """The same."""

        def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
            """Yield one that does not."""
            yield "wrong", {"rows": [], "partial": said}

    with pytest.raises(DocumentError, match="give names, each with the time from which it is known"):
        testing.run(Wrong, [DONE])


def test_columns_are_names() -> None:
    """Anything else is refused when the class is defined."""
    for wrong in ({"fared": "release"}, {"fared": ("a", "a")}, {1: ("a",)}, ["fared"]):
        with pytest.raises(PluginError, match="`columns` is"):
            type("Wrong", (Fared,), {"__doc__": "Wrong.", "columns": wrong})


@pytest.fixture(scope="module")
def traffic() -> list[bytes]:
    """Two days of every topic that the simulator knows."""
    begin = 20_000 * DAY
    return [*simulate(Traffic(start=begin, end=begin + 2 * DAY, per_day=3_000, people=100, packages=100, mix=ALL))]


def test_bundled_plugins_declare_what_their_rows_have(traffic: list[bytes]) -> None:
    """A table is the same with rows and without, in every document."""
    named = [(parse(each).name, each) for each in traffic]
    for plugin in bundled.BUNDLED:
        wants = Registry([plugin()]).interested
        full = testing.try_plugin(plugin(), [each for name, each in named if wants(name)]).files
        empty = files(plugin, *([OTHER] if plugin.topics else []))
        for path, data in empty.items():
            if path.endswith(".csv") and not path.startswith("series/"):
                assert data.partition(b"\r\n")[0] == full[path].partition(b"\r\n")[0], (plugin.name, path)
