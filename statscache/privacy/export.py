"""Export all data about a person, for the person: messages, quarantine, state, and published files."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import orjson
import zstandard
from sqlalchemy import Connection, select

from statscache.installation import Installation
from statscache.message import Message, envelope
from statscache.privacy.forget import checked
from statscache.privacy.matcher import NameMatcher
from statscache.scrubbing import forms, is_within, scrub, scrub_bytes
from statscache.snapshot import manifest, snapshots
from statscache.store import journal, positions, published
from statscache.store.schema import held, quarantine


def export(installation: Installation, name: str) -> Iterator[bytes]:
    """Yield parts of a JSON document: all data in which the name occurs.

    Its fields are `messages` of the journal, `held` and `quarantined` as text, `state`, rows by plugin, and
    `published`, paths of the current snapshot.

    Raises:
        NameRefused: It is not the name of an account.
    """
    names = forms(checked(name))
    with installation.database.reading() as connection:
        yield from _list(b'{"messages":[', _messages(connection, names))
        yield from _list(
            b',"held":[', (_text(row.data) for row in connection.execute(select(held)) if _has(row.data, names))
        )
        yield from _list(b',"quarantined":[', _quarantined(connection, names))
        yield b',"state":' + orjson.dumps(_state(installation, connection, names))
        yield from _list(b',"published":[', _published(connection, NameMatcher(name)))
        yield b"}\n"


def _list(before: bytes, items: Iterable[Any]) -> Iterator[bytes]:
    yield before
    for number, item in enumerate(items):
        yield (b",\n" if number else b"\n") + (item if isinstance(item, bytes) else orjson.dumps(item))
    yield b"]"


def _messages(connection: Connection, names: frozenset[str]) -> Iterator[bytes]:
    for _, line in journal.read(connection, 0, journal.head(connection).position):
        if is_within(line, names):
            message = Message.from_record(line)
            if scrub(message, names).record() != line:
                yield envelope(line)


def _quarantined(connection: Connection, names: frozenset[str]) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(quarantine)):
        data = None if row.data is None else zstandard.ZstdDecompressor().decompress(row.data)
        if _has(row.reason.encode(), names) or (data is not None and _has(data, names)):
            yield {"reason": row.reason, "source": row.source, "data": None if data is None else _text(data)}


def _state(installation: Installation, connection: Connection, names: frozenset[str]) -> dict[str, list[Any]]:
    rows, through = positions.load(connection), journal.head(connection).through
    found: dict[str, list[Any]] = {}
    for plugin in installation.registry:
        if plugin.name not in rows:
            continue
        if mine := [*plugin.kind.export(connection, rows[plugin.name].id, through, names)]:
            found[plugin.name] = mine
    return found


def _published(connection: Connection, matches: NameMatcher) -> Iterator[str]:
    current = snapshots.current(connection)
    if current is None:
        return
    load = partial(published.load, connection)
    for change in manifest.difference(partial(published.load_all, connection), [None], current.manifest):
        if change.is_file and change.entry and (matches(change.path.encode()) or matches(load(change.entry.object))):
            yield change.path


def _has(data: bytes, names: frozenset[str]) -> bool:
    return scrub_bytes(data, names) != data


def _text(data: bytes) -> str:
    return data.decode(errors="backslashreplace")
