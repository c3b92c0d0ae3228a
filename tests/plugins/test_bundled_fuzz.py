"""Hostile messages and the bundled plugins: each field of each sample is taken away and retyped, at each depth."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from bundled import BUNDLED
from samples import Site
from statscache import testing
from statscache.message import Message
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.simulator import Traffic, simulate
from statscache.store import quarantine

RETYPED: tuple[Any, ...] = (None, True, -7, 0.5, 1 << 62, "", "text", "x" * 600, [], ["text"], {}, {"name": "text"})
REPRESENTATIONS = ("{", "[", "None", "True", "False", "nan", "<")
MONDAY = 1784505600

Sample = dict[str, Any]
"""An envelope, parsed."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=BUNDLED, ids=lambda cls: cls.name)
def plugin(request: pytest.FixtureRequest) -> type[Plugin]:
    """Each of the plugins; of the module, so that all tests of one come together."""
    cls: type[Plugin] = request.param
    return cls


@pytest.fixture(scope="module")
def samples(messages_path: Path) -> list[Sample]:
    """The real messages, and one simulated message of each kind that they lack."""
    real = [orjson.loads(line) for line in messages_path.read_bytes().splitlines()]
    kinds = {kind_of(sample) for sample in real}
    simulated = [orjson.loads(line) for line in simulate(Traffic(MONDAY, MONDAY + 86400, per_day=3000))]
    return [*real, *{kind_of(sample): sample for sample in simulated if kind_of(sample) not in kinds}.values()]


def kind_of(sample: Sample) -> tuple[str, ...]:
    """Return what tells messages of different content apart: the topic, and what koji did and to which state it led."""
    body = sample["msg"] if isinstance(sample["msg"], dict) else {}
    told = ("method", "new") if ".buildsys." in sample["topic"] else ()
    return sample["topic"], *(str(body.get(name)) for name in told)


def of(plugin: type[Plugin], samples: list[Sample]) -> list[Sample]:
    """Return the samples that the plugin is called for, with ids; of one that is called for all, one a category."""
    interested = Registry([plugin()]).interested
    wanted = [sample for sample in samples if interested(parse(orjson.dumps(sample)).name)]
    if not plugin.topics:
        wanted = [*{sample["topic"].split(".")[3]: sample for sample in wanted}.values()]
    return [{**sample, "msg_id": f"sample-{number}"} for number, sample in enumerate(wanted)]


def variants(value: Any) -> Iterator[Any]:
    """Yield `value` retyped, and with each field and item in it, at each depth, taken away or retyped."""
    yield from (other for other in RETYPED if type(other) is not type(value) or other != value)
    yield from ([value], {"name": value})
    if isinstance(value, dict):
        for key, inner in value.items():
            rest = {name: item for name, item in value.items() if name != key}
            yield rest
            yield from ({**rest, key: variant} for variant in variants(inner))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield value[:index] + value[index + 1 :]
            yield from ([*value[:index], variant, *value[index + 1 :]] for variant in variants(inner))


@pytest.fixture(scope="module")
def wanted(plugin: type[Plugin], samples: list[Sample]) -> list[Sample]:
    """The samples of the plugin."""
    return of(plugin, samples)


@pytest.fixture(scope="module")
def hostile(wanted: list[Sample]) -> list[bytes]:
    """The variants of the samples of the plugin, each with an id of its own that is greater than its sample's."""
    number = count()
    return [
        orjson.dumps({**sample, "msg": body, "msg_id": f"{sample['msg_id']}-variant-{next(number)}"})
        for sample in wanted
        for body in variants(sample["msg"])
    ]


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def test_no_field_can_hurt(plugin: type[Plugin], hostile: list[bytes]) -> None:
    """The plugin takes every variant without an error, and never publishes the representation of an object."""
    assert hostile, "no sample has a topic of this plugin: let the simulator send one"
    trial = testing.try_plugin(plugin(), hostile)
    assert trial.outcome.accepted == len(hostile)
    assert [str(failure) for failure in trial.failures] == []
    assert trial.suspended is None
    output = {text for document in trial.documents.values() for text in texts(document)}
    assert not [text for text in output if text.startswith(REPRESENTATIONS)]


def test_what_says_nothing_loses_nothing(plugin: type[Plugin], wanted: list[Sample], hostile: list[bytes]) -> None:
    """Variants that the plugin has nothing to take from leave its documents as they are, the newest values too."""
    made = plugin()
    silent = [line for line in hostile if not [*(made.observe(parse(line)) or ())]]
    documents = testing.run(plugin, wanted)
    assert testing.run(plugin, [*wanted, *silent]) == documents
    assert documents["latest.json"]["rows"]


def test_what_was_quarantined_counts_after_the_fix(
    plugin: type[Plugin], wanted: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the plugin raises, each message is quarantined with the reason; when it is fixed, a retry loses nothing."""
    lines = [orjson.dumps(sample) for sample in wanted]
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, (plugin,), bus={"environments": ()})

    def broken(self: Plugin, message: Message) -> Any:
        raise KeyError(message.id)

    with monkeypatch.context() as patch:
        patch.setattr(plugin, "observe", broken)
        outcome = site.feed(lines)
        assert (outcome.accepted, outcome.failures) == (len(lines), len(lines))
        assert site.state()[plugin.name] == []
    with site.database.reading() as connection:
        items = quarantine.listed(connection)
    assert all(site.ingest.retry(item) for item in items)
    retried = site.state()[plugin.name]
    assert retried
    site.ingest.plugins.rebuild([plugin.name])
    site.catch_up()
    assert site.state()[plugin.name] == retried
    site.close()


def test_order_and_batches_make_no_difference(samples: list[Sample], tmp_path: Path) -> None:
    """All plugins publish the same bytes of messages in order at once as of the same in disorder, bit by bit."""
    weeks = range(MONDAY, MONDAY + 60 * 86400, 9 * 86400)
    lines = [line for start in weeks for line in simulate(Traffic(start, start + 3 * 3600, per_day=1000, people=40))]
    lines += [orjson.dumps({"msg_id": f"sample-{number}", **sample}) for number, sample in enumerate(samples)]
    trees = []
    disordered = Random(1).sample([*lines, *lines[::3]], len(lines) + len(lines[::3]))
    for name, batches in (("once", [lines]), ("bits", [disordered[start::3] for start in range(3)])):
        site = Site(f"sqlite:///{tmp_path}/{name}.db", tmp_path / name, BUNDLED, bus={"environments": ()})
        for batch in batches:
            site.feed(batch)
            site.build()
        trees.append({path: data for path, data in site.tree().items() if path.startswith("v1/plugins/")})
        # The journal holds the keys of objects sorted, and the bus sends them in any order.
        state = site.state()
        site.ingest.plugins.rebuild([plugin.name for plugin in BUNDLED])
        site.catch_up()
        assert site.state() == state
        site.close()
    once, bits = trees
    assert once == bits
    assert {path.split("/")[2] for path in once} == {plugin.name for plugin in BUNDLED}
