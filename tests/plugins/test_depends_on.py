"""Statistics that declare on what they depend are asked once for many messages, and count as if asked for each."""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from samples import COLUMNAR, NOON, Acts, Line, Sales, Site, Wall, line
from statscache import testing
from statscache.exceptions import PluginError
from statscache.ingest.observe import Answers, Columns, observe_values
from statscache.ingest.reduce import observe_newest
from statscache.kinds.keys import digest
from statscache.parsing import parse
from statscache.plugins import Counter, Distinct, Latest, Message, Plugin
from statscache.plugins.watch import Watch
from statscache.store import Database, quarantine, records
from statscache.timeline import DAY

TOPIC = "org.fedoraproject.prod.wiki.article.edit"


def edit(number: int, user: str, timestamp: int = NOON) -> Line:
    """Return an edit of the wiki by a person."""
    return line(f"e{number}", timestamp, TOPIC, {"user": user})


def lines(number: int, seed: int) -> list[Line]:
    """Return messages in disorder, of several topics and people, over two days, with copies."""
    rng = random.Random(seed)
    topics = (TOPIC, "org.fedoraproject.prod.copr.build.end", "io.pagure.prod.pagure.issue.new", "short")
    made = []
    for count in range(number):
        people = rng.sample(("ann", "bob", "eve"), rng.randrange(3))
        body = {"user": rng.choice(("ann", "bob", None)), "agent": rng.choice(("eve", None))}
        made.append(line(f"m{count}", NOON + rng.randrange(DAY), rng.choice(topics), body, people, people[:1]))
    return rng.sample([*made, *made[::3]], number + len(made[::3]))


@pytest.mark.parametrize("cls", COLUMNAR, ids=lambda cls: cls.name)
def test_what_is_declared_makes_no_difference(cls: type[Plugin]) -> None:
    """The same class publishes the same bytes with its declaration and without."""
    undeclared = type(cls.__name__, (cls,), {"depends_on": None, "__doc__": cls.__doc__})
    sent = lines(300, seed=5)
    asked = testing.try_plugin(cls(), sent)
    assert asked.files == testing.try_plugin(undeclared(), sent).files
    assert len(asked.files) > 1
    assert not asked.failures


def test_it_is_called_once_for_what_messages_have_in_common() -> None:
    """However many messages agree in what is declared, there is one call for them, in each batch."""
    asked: list[Any] = []

    class Asked(Acts):
        """Remembers what it is asked."""

        name = "asked"

        def observe(self, message: Message) -> Any:
            asked.append((message.usernames, message.category))
            return super().observe(message)

    testing.run(Asked, [edit(number, "ann" if number % 3 else "bob") for number in range(1_000)])
    assert sorted(asked) == [(("ann",), "wiki"), (("bob",), "wiki")]


@pytest.mark.parametrize(
    ("attribute", "fix"),
    [
        ("body", "`observe` asks for `body`, and `depends_on` is ('topic',); leave the declaration out"),
        ("agent", "`observe` asks for `agent`, and `depends_on` is ('topic',); add 'agent' there"),
        ("record", "leave the declaration out"),
        ("id", "leave the declaration out"),
        ("timestamp", "leave the declaration out"),
    ],
)
def test_what_is_not_declared_is_not_shown(attribute: str, fix: str) -> None:
    """A declaration that leaves something out is an error that says what to do, and not a wrong number."""

    class Liar(Counter):
        """Says that it depends on the topic."""

        name = "liar"
        title = "Liar"
        dimensions = ("what",)
        depends_on = ("topic",)

        def observe(self, message: Message) -> Iterator[Any]:
            yield (str(getattr(message, attribute)),)

    with pytest.raises(AttributeError) as caught:
        testing.run(Liar, [edit(1, "ann")])
    assert fix in str(caught.value)
    assert "liar" in "".join(caught.value.__notes__)


class Refusing(Counter):
    """Raises on what eve did."""

    name = "refusing"
    title = "Refusing"
    dimensions = ("user",)
    depends_on = ("agent",)
    people = True
    unbounded = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what is counted."""
        if message.agent == "eve":
            raise ValueError("not her")
        yield (message.agent,)


def test_where_it_raises_all_messages_of_the_value_are_quarantined() -> None:
    """Each of them is quarantined once, the others count, and a copy says nothing new."""
    sent = [edit(number, "eve" if number % 2 else "ann", NOON + number) for number in range(6)]
    trial = testing.try_plugin(Refusing(), [*sent, *sent])
    assert [failure.message.id for failure in trial.failures if failure.message] == ["e1", "e3", "e5"]
    assert {failure.reason for failure in trial.failures} == {"ValueError: not her"}
    assert trial.documents["latest.json"]["rows"][0]["total"] == 3
    assert trial.suspended is None


def test_a_plugin_that_raises_on_a_value_1000_times_in_a_row_is_suspended() -> None:
    """Messages are counted, not calls."""
    trial = testing.try_plugin(Refusing(), [edit(number, "eve") for number in range(1_000)])
    assert trial.suspended is not None
    assert "raised on 1000 messages in a row" in trial.suspended


class Wrong(Counter):
    """Yields amounts that no database holds, for one person."""

    name = "wrong"
    title = "Wrong"
    dimensions = ("user",)
    depends_on = ("agent",)
    people = True
    unbounded = True

    def observe(self, message: Message) -> Iterator[Any]:
        """Yield what is counted."""
        yield (message.agent,)


def test_what_the_database_refuses_is_bisected_to_the_messages(database_url: str, tmp_path: Any) -> None:
    """A value that cannot be merged is quarantined message by message, and the others count."""
    site = Site(database_url, tmp_path, (Wrong, Sales))
    refuse(site.database)
    site.feed([edit(number, "eve" if number == 3 else "ann", NOON + number) for number in range(5)])
    with site.database.reading() as connection:
        assert [item.plugin for item in quarantine.listed(connection)] == ["wrong"]
    assert sum(row[2] for row in site.state()["wrong"] if row[0] == "key") == 4
    site.close()


def refuse(database: Database) -> None:
    """Let the database refuse the key of eve."""
    with database.writing() as connection:
        condition = f"NEW.key = {digest(('eve',))}"
        if database.is_sqlite:
            connection.exec_driver_sql(
                f"CREATE TRIGGER poison BEFORE INSERT ON key WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        else:
            connection.exec_driver_sql(
                "CREATE FUNCTION poison() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no'; END $$ LANGUAGE plpgsql"
            )
            connection.exec_driver_sql(
                f"CREATE TRIGGER poison BEFORE INSERT ON key FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION poison()"
            )


def test_only_some_kinds_can_declare_it() -> None:
    """Elsewhere, and where it is not a tuple of attributes, the class is refused with the fix."""
    with pytest.raises(PluginError, match=r"`depends_on` is for Counter, Distinct\b.*; it is a Latest; leave it out"):
        type("Bad", (Latest,), attributes(depends_on=("topic",)))
    for kind in (Counter, Distinct):
        for wrong in ("topic", ("body",), ["topic"]):
            with pytest.raises(PluginError, match=r"`depends_on` is .*; give a tuple of names, each one of"):
                type("Bad", (kind,), attributes(depends_on=wrong))


def attributes(**more: Any) -> dict[str, Any]:
    """Return what a plugin class needs, and more."""
    return {"name": "bad", "title": "Bad", "__doc__": "Bad.", "observe": lambda self, message: (), **more}


def test_older_messages_are_not_looked_at_where_only_the_newest_matter() -> None:
    """A log without dimensions is called for the newest messages of a batch, until it yielded what it keeps."""
    asked: list[str] = []

    class Looking(Wall):
        """Remembers what it looked at."""

        name = "looking"

        def observe(self, message: Message) -> Any:
            asked.append(message.id)
            return super().observe(message)

    sent = [line(f"w{number}", NOON + number, body={"amount": 7 if number == 97 else 1}) for number in range(100)]
    rows = testing.run(Looking, random.Random(3).sample(sent, 100))["latest.json"]["rows"]
    assert [row["id"] for row in rows] == ["w99", "w98", "w96"]
    assert asked == ["w99", "w98", "w97", "w96"]


def test_a_copy_takes_no_place_among_the_newest() -> None:
    """A copy that says another second than its original does not push out what is newer than that."""
    original, copy = (line("a", NOON + second, body={"amount": 1}) for second in (0, 9))
    others = [line(f"b{number}", NOON + 1 + number, body={"amount": 1}) for number in range(3)]

    class One(Wall):
        """The newest one."""

        name = "one"
        entries = 1

    batches = [original, *[line(f"c{number}", NOON - DAY, body={"amount": 7}) for number in range(1_999)]]
    rows = testing.run(One, [*batches, copy, *others])["latest.json"]["rows"]
    assert [row["id"] for row in rows] == ["b2"]


def test_messages_that_yield_nothing_cost_no_segment_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is yielded, all messages are looked at: segments are inflated a few times, not for each message."""
    monkeypatch.setattr(records, "SEGMENT", 100)
    inflated: list[int] = []

    def inflate(data: bytes) -> bytes:
        inflated.append(len(data))
        return records_inflate(data)

    records_inflate = records.inflate
    monkeypatch.setattr(records, "inflate", inflate)
    sent = [line(f"n{number}", NOON + number, body={"amount": 7}) for number in range(800)]
    assert testing.run(Wall, random.Random(3).sample(sent, 800))["latest.json"]["rows"] == []
    assert len(inflated) < 150


@pytest.mark.parametrize(("raises_on_newest", "in_a_row"), [(True, 5), (False, 0)])
def test_failures_in_a_row_end_with_the_newest_message(raises_on_newest: bool, in_a_row: int) -> None:
    """Where the newest message is looked at first, too."""

    class Half(Wall):
        """Raises on the newer half, or on the older one."""

        name = "half"
        entries = 100

        def observe(self, message: Message) -> Any:
            if (message.timestamp >= NOON + 5) == raises_on_newest:
                raise ValueError("not this half")
            return super().observe(message)

    plugin = Half()
    sent = [parse(line(f"h{number}", NOON + number, body={"amount": 1})) for number in range(10)]
    times = np.array([message.timestamp for message in sent])
    observed = observe_newest(plugin, 100, np.arange(10), times, [message.record() for message in sent], Watch())
    assert observed.trailing_failures == in_a_row
    assert [index for index, _ in observed.failures] == [*range(5 * raises_on_newest, 5 * raises_on_newest + 5)]


def test_only_values_of_wanted_messages_are_counted() -> None:
    """A known answer to a value is left out where only messages of other topics have it."""

    class Edits(Acts):
        """Edits of the wiki by who acted."""

        name = "edits"
        title = "Edits"
        topics = ("wiki.article.#",)

    plugin, columns, later = Edits(), Columns(), Columns()
    answers: Answers = {}
    derived = [(None, (name,), ()) for name in ("ann", "bob")]
    columns.extend([NOON] * 2, [TOPIC] * 2, derived)
    assert len(observe_values(plugin, columns, answers).yields.items) == 2
    later.extend([NOON] * 2, [TOPIC, "org.fedoraproject.prod.wiki.page.delete"], derived)
    yields = observe_values(plugin, later, answers).yields
    assert (len(yields.items), yields.messages.tolist()) == (1, [0])


def test_values_of_many_attributes_are_distinguished() -> None:
    """However many combinations are possible: of five attributes with 8,000 values each, more than 64 bits hold."""
    columns = Columns()
    number = 8_000
    topics = [f"org.fedoraproject.prod.c{at}.t" for at in range(number)]
    columns.extend([NOON] * number, topics, [(f"a{at}", (f"a{at}",), (f"p{at}",)) for at in range(number)])
    codes, values = columns.of(("topic", "name", "agent", "usernames", "packages"))
    shown = [values[code] for code in codes.tolist()]
    assert shown == [(topics[at], f"c{at}.t", f"a{at}", (f"a{at}",), (f"p{at}",)) for at in range(number)]


def test_halving_a_batch_costs_no_more_than_its_halves(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all messages are refused, each halving sums up what the halves hold; the whole batch alone is merged twice.

    The first time it has no savepoint.
    """
    site = Site(f"sqlite:///{tmp_path / 'halves.db'}", tmp_path, (Sales,))
    kind = site.ingest.registry.get("sales").kind
    summed: list[int] = []

    def merge(state: Any, reduced: Any) -> Any:
        summed.append(len(reduced.items))
        raise ValueError("not today")

    monkeypatch.setattr(kind, "reduce", lambda yields: yields)
    monkeypatch.setattr(kind, "merge", merge)
    site.feed([line(f"s{number}", NOON + number, body={"buyer": f"b{number}"}) for number in range(64)])
    assert len(summed) == 2 * 64
    assert sum(summed) == 64 * 8
    site.close()
