import json
from collections.abc import Iterator
from typing import Any

import pytest

from statscache import testing
from statscache.exceptions import MalformedMessage, PluginError
from statscache.message import Message
from statscache.plugins import Counter

TOPIC = "org.fedoraproject.prod.copr.build.end"


class BuildsByOwner(Counter):
    """Builds, by owner."""

    name = "builds-by-owner"
    title = "Builds by owner"
    dimensions = ("owner",)
    topics = ("copr.build.end",)
    unbounded = True

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Count the build for its owner."""
        yield (message.body["owner"],)


def build(owner: str, number: int = 0, **more: Any) -> Message:
    """Return the message of a build, a second for each number."""
    return testing.message(TOPIC, {"owner": owner}, timestamp=testing.NOON + number, **more)


def totals(documents: dict[str, Any]) -> dict[str, int]:
    """Return the total of each owner, as `latest` has it."""
    return {row["owner"]: row["total"] for row in documents["latest.json"]["rows"]}


def test_run_gives_the_documents_of_a_class_or_an_instance() -> None:
    """A class and an instance of it give the same documents, by path below the plugin's directory."""
    documents = testing.run(BuildsByOwner, [build("ralph"), build("ralph", 1), build("toshio")])
    assert documents == testing.run(BuildsByOwner(), [build("ralph"), build("ralph", 1), build("toshio")])
    assert documents.keys() == {"latest.json", "by/ralph.json", "by/toshio.json"}
    assert totals(documents) == {"ralph": 2, "toshio": 1}


def test_run_takes_messages_in_every_envelope() -> None:
    """Messages, dicts in either envelope and bytes are parsed as production parses them."""
    fedmsg = {"topic": TOPIC, "msg": {"owner": "ralph"}, "msg_id": "a", "timestamp": testing.NOON + 0.5, "i": 1}
    messaging = {"topic": TOPIC, "body": {"owner": "ralph"}, "id": "b", "headers": {"sent-at": "2015-08-08T12:00:00"}}
    raw = json.dumps({**fedmsg, "msg_id": "c"}).encode()
    assert totals(testing.run(BuildsByOwner, [fedmsg, messaging, raw, build("ralph")])) == {"ralph": 4}


def test_equal_messages_count_once_unless_their_ids_differ() -> None:
    """Without an id, equal arguments are one message; with ids of their own they are two."""
    assert totals(testing.run(BuildsByOwner, [build("ralph"), build("ralph")])) == {"ralph": 1}
    assert totals(testing.run(BuildsByOwner, [build("ralph", id="a"), build("ralph", id="b")])) == {"ralph": 2}


def test_messages_of_every_environment_count() -> None:
    """A test need not know which environments an installation accepts."""
    staging = testing.message(TOPIC.replace(".prod.", ".stg."), {"owner": "ralph"})
    assert totals(testing.run(BuildsByOwner, [staging])) == {"ralph": 1}


def test_headers_name_people() -> None:
    """The sender's headers are part of a message, and those of people are derived from."""
    message = testing.message(TOPIC, headers={"fedora_messaging_user_ralph": True})
    assert message.usernames == ("ralph",)


def test_an_error_of_the_plugin_is_raised_with_the_message() -> None:
    """What `observe` raises comes out as it is, with a note that shows the message."""
    with pytest.raises(KeyError, match="owner") as caught:
        testing.run(BuildsByOwner, [build("ralph"), testing.message(TOPIC, {"user": "toshio"})])
    assert '"user":"toshio"' in caught.value.__notes__[0]
    assert any(entry.name == "observe" for entry in caught.traceback)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"{", "not JSON"),
        ({"topic": TOPIC}, "no timestamp"),
        ({"topic": TOPIC, "msg": {"owner": float("nan")}, "timestamp": 1}, "not JSON"),
        ({"topic": TOPIC, "msg": {}, "timestamp": 32503680000}, "future"),
    ],
)
def test_what_is_no_message_is_raised(message: bytes | dict[str, Any], reason: str) -> None:
    """What production would put into quarantine or hold is an error in a test."""
    with pytest.raises(MalformedMessage, match=reason):
        testing.run(BuildsByOwner, [message])


def test_a_message_that_cannot_be_made_is_refused() -> None:
    """The builder keeps the parser's rules."""
    with pytest.raises(MalformedMessage, match="topic"):
        testing.message("")


class Broken(BuildsByOwner):
    """Raises on each message."""

    name = "broken"

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Raise."""
        raise RuntimeError("as always")


class Careless(BuildsByOwner):
    """Changes what it is shown."""

    name = "careless"

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Take the owner out of the message."""
        yield (message.body.pop("owner"),)


def test_a_plugin_that_changes_a_message_is_an_error() -> None:
    """Others would see what it left; the error says what to do, and a trial lists it beside what was counted."""
    with pytest.raises(PluginError, match="observe changed the message, which all plugins share: make a copy"):
        testing.run(Careless, [build("ralph")])
    trial = testing.try_plugin(Careless(), [delivered(build("ralph", number)) for number in range(100)])
    assert totals(trial.documents) == {"ralph": 100}
    assert len(trial.failures) == 100


class Forgetful(BuildsByOwner):
    """Raises on a message the first time only."""

    name = "forgetful"
    seen = 0

    def observe(self, message: Message) -> Iterator[tuple[str]]:
        """Raise, and from then on count."""
        self.seen += 1
        if self.seen == 1:
            raise RuntimeError("once")
        yield ("ralph",)


def test_a_plugin_that_raises_once_is_reported_too() -> None:
    """An error that does not come again, so has no traceback, is still an error."""
    with pytest.raises(PluginError, match="RuntimeError: once"):
        testing.run(Forgetful, [build("ralph")])


def test_a_trial_lists_what_went_wrong_and_goes_on() -> None:
    """A trial raises nothing: what was quarantined is listed with its reason, and the rest is counted."""
    lines = [b"nonsense", b'{"topic":"%s","msg":{},"timestamp":1}' % TOPIC.encode(), delivered(build("ralph"))]
    trial = testing.try_plugin(BuildsByOwner(), lines)
    assert totals(trial.documents) == {"ralph": 1}
    assert (trial.outcome.read, trial.outcome.accepted, trial.outcome.quarantined) == (3, 2, 1)
    malformed, raised = sorted(trial.failures, key=lambda failure: failure.message is not None)
    assert malformed.raw == b"nonsense"
    assert str(malformed).startswith("b'nonsense': not JSON")
    assert raised.message is not None
    assert raised.message.topic == TOPIC
    assert raised.reason == "KeyError: 'owner'"


def test_a_trial_has_the_bytes_that_are_published() -> None:
    """The files of a trial are JSON and CSV as production writes them."""
    trial = testing.try_plugin(BuildsByOwner(), [delivered(build("ralph"))])
    assert trial.files["latest.csv"] == b"owner,total,last_7d,last_30d\r\nralph,1,,\r\n"
    assert trial.files["latest.json"].endswith(b"}\n")


def test_a_trial_accepts_only_the_environments_it_is_given() -> None:
    """Messages of other environments are foreign in a trial, as in an installation."""
    trial = testing.try_plugin(BuildsByOwner(), [delivered(build("ralph"))], environments=("stg",))
    assert trial.outcome.foreign == 1
    assert totals(trial.documents) == {}


def test_a_trial_says_that_the_plugin_was_suspended() -> None:
    """A plugin that only raises is suspended in a trial, as in production, and the trial says why."""
    lines = [delivered(build("ralph", number)) for number in range(1_000)]
    assert "1000 messages in a row" in str(testing.try_plugin(Broken(), lines).suspended)
    assert testing.try_plugin(Broken(), lines[1:]).suspended is None


def delivered(message: Message) -> bytes:
    """Return a message as a source delivers it."""
    envelope = {"topic": message.topic, "msg": message.body, "msg_id": message.id, "timestamp": message.timestamp}
    return json.dumps(envelope).encode()
