"""For authors of plugins: run a plugin on messages and get its documents, without bus, configuration or files.

It uses the code of production: the same parser, the same journal and fold (on an SQLite database in memory), the same
rendering. So a test gets the documents that readers get.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection

from statscache import layout
from statscache.exceptions import MalformedMessage, PluginError
from statscache.ingest import Delivery, Ingest, Outcome
from statscache.ingest.observe import shown
from statscache.message import Message
from statscache.parsing import parse
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.plugins.watch import Watch
from statscache.render.plugin import PluginRenderer
from statscache.store import Database, coverage, journal, positions, quarantine
from statscache.store.quarantine import Quarantined

NOON = 1439035200
"""2015-08-08T12:00:00Z in seconds since 1970 UTC: the default time of a message."""

_SOURCE = "trial"
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A quarantined line or message, and why.

    Attributes:
        reason: What went wrong, for people.
        raw: The malformed line, or the message's record in the journal.
        message: The message that the plugin failed on; None for a malformed line.
    """

    reason: str
    raw: bytes
    message: Message | None = None

    def __str__(self) -> str:
        """Return the reason and its subject in one line."""
        about = f"{self.raw[:60]!r}" if self.message is None else f"{self.message!r}"
        return f"{about}: {' '.join(self.reason.split())}"


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of running one plugin.

    Attributes:
        files: Bytes of the plugin's files, JSON and CSV, by path below its directory of documents.
        failures: The quarantined lines and messages, in order.
        outcome: Numbers of messages: accepted, known, held, quarantined and so on.
        suspended: Why the plugin was suspended before the end; None if it was not.
    """

    files: dict[str, bytes]
    failures: list[Failure]
    outcome: Outcome
    suspended: str | None

    @property
    def documents(self) -> dict[str, Any]:
        """The JSON documents, parsed, by path below its directory of documents, such as `latest.json`."""
        return {path: orjson.loads(data) for path, data in self.files.items() if path.endswith(".json")}


def message(
    topic: str,
    body: Mapping[str, Any] | None = None,
    *,
    timestamp: int = NOON,
    id: str | None = None,
    headers: Mapping[str, Any] | None = None,
) -> Message:
    """Return a message; equal arguments without an `id` give the same message, which counts once.

    Args:
        topic: The whole topic, such as `org.fedoraproject.prod.copr.build.end`.
        body: The content of the message.
        timestamp: When it was sent, in seconds since 1970 UTC.
        id: Its id; else it is derived from topic, time and body.
        headers: The sender's headers, such as `{"fedora_messaging_user_ralph": True}`.

    Raises:
        MalformedMessage: statscache does not accept such a message.
    """
    envelope = {"topic": topic, "body": body or {}, "timestamp": timestamp, "id": id, "headers": headers}
    return parse(_line(envelope))


def run(plugin: Plugin | type[Plugin], messages: Iterable[Message | Mapping[str, Any] | bytes]) -> dict[str, Any]:
    """Return the JSON documents that `plugin` publishes of `messages`, parsed, by path such as `latest.json`.

    Messages of every environment count. A copy counts once, and order makes no difference.

    Args:
        plugin: The class, or an instance if it has settings.
        messages: Messages, envelopes as dicts (fedmsg, fedora-messaging, datagrepper), or their bytes.

    Raises:
        MalformedMessage: One of them is malformed, or is from the future: production would quarantine or hold it.
        PluginError: The plugin yielded a value that the database refuses, changed a message, or was suspended.
        Exception: Whatever the plugin raised on a message, with a note that shows the message.
    """
    plugin = plugin() if isinstance(plugin, type) else plugin
    trial = try_plugin(plugin, map(_line, messages), budget=float("inf"))
    for failure in trial.failures:
        if failure.message is None:
            raise MalformedMessage(str(failure))
        _observe_again(plugin, failure.message)
        raise PluginError(f"plugin {plugin.name} on {failure}")
    if trial.suspended is not None:
        raise PluginError(f"plugin {plugin.name} was suspended: {trial.suspended}")
    if trial.outcome.held:
        raise MalformedMessage(f"{trial.outcome.held} messages are from the future; give them a time that has passed")
    return trial.documents


def try_plugin(
    plugin: Plugin, lines: Iterable[bytes], *, environments: Collection[str] = (), budget: float = 30.0
) -> Trial:
    """Return the result of `plugin` for `lines`; faults of messages or the plugin are reported, not raised.

    Args:
        plugin: The plugin.
        lines: Messages as a source delivers them, one JSON document each.
        environments: Environments whose messages are accepted; empty for all.
        budget: Seconds that the plugin may take for one batch before it is suspended.
    """
    database = Database("sqlite://")
    try:
        database.prepare()
        watch = _Untouched()
        ingest = Ingest(database, Registry([plugin]), environments, budget, watch)
        ingest.start()
        outcome = Outcome()
        waiting = iter(lines)
        while batch := list(islice(waiting, _BATCH)):
            outcome += ingest.take(Delivery(_SOURCE, batch))
        with database.reading() as connection:
            row = positions.load(connection)[plugin.name]
            failures = [*_failures(connection), *watch.failures]
            return Trial(_render(connection, plugin, row), failures, outcome, row.suspended)
    finally:
        database.close()


class _Untouched(Watch):
    """Detects plugins that change messages, which all plugins share; production does not check."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self._message: Message | None = None

    @contextmanager
    def observing(self) -> Iterator[None]:
        yield
        self._compare()

    def begin(self, plugin: Plugin, message: Message) -> None:
        self._compare()
        self._message = message

    def _compare(self) -> None:
        message, self._message = self._message, None
        if message is not None:
            sent = Message.from_record(message.record())
            if (message.body, message.headers) != (sent.body, sent.headers):
                reason = "observe changed the message, which all plugins share: make a copy and change that"
                self.failures.append(Failure(reason, message.record(), sent))


def _render(connection: Connection, plugin: Plugin, row: positions.Position) -> dict[str, bytes]:
    objects: dict[str, bytes] = {}
    known = coverage.gaps(connection), coverage.complete(connection)
    end, keep = journal.head(connection), objects.__setitem__
    renderer = PluginRenderer(connection, plugin, row, end, *known, keep, Watch(), slow=True, force=True, most=None)
    below = f"{layout.plugin_root(plugin.name)}/"
    rendered = renderer.render(None)
    entries = {**rendered.changed, **dict(rendered.keys)}
    return {path.removeprefix(below): objects[entry.object] for path, entry in sorted(entries.items())}


def _failures(connection: Connection) -> Iterator[Failure]:
    for item in quarantine.listed(connection):
        record = _record(connection, item)
        if record is None:
            yield Failure(item.reason, quarantine.load(connection, item) or b"")
        else:
            yield Failure(item.reason, record, Message.from_record(record))


def _record(connection: Connection, item: Quarantined) -> bytes | None:
    return None if item.position is None else journal.record(connection, item.position)


def _observe_again(plugin: Plugin, message: Message) -> None:
    # The framework keeps only the text of an error; an author needs the traceback into the plugin.
    try:
        for item in plugin.observe(shown(plugin, message)) or ():
            plugin.kind.check(item)
    except Exception as error:
        error.add_note(f"plugin {plugin.name} raised this on {message.record().decode():.1000}")
        raise


def _line(message: Message | Mapping[str, Any] | bytes) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, Message):
        id, topic, timestamp, body, *headers = orjson.loads(message.record())
        message = {"topic": topic, "body": body, "timestamp": timestamp, "id": id, "headers": (headers or [None])[0]}
    # The standard library writes NaN and lone surrogates too, which the parser then refuses.
    return json.dumps(message).encode()
