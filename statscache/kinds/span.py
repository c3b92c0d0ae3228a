"""`Span`: when something started and stopped, and what is still in progress.

The start of a key is the earliest that was seen, its stop the latest, and its fields are those of the newest yield
that had any; so the order in which messages come makes no difference.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import orjson
from sqlalchemy import Connection, case, func, select, tuple_

from statscache.exceptions import YieldError
from statscache.kinds import keys, lost_rows
from statscache.kinds.base import Kind, Statistic
from statscache.kinds.consistency import FIELDS_ARE_THEIR_CHECKSUM, KEYS, has_key, has_row
from statscache.kinds.keys import Key
from statscache.kinds.latest import check_fields
from statscache.kinds.presentation import Column
from statscache.kinds.search import JSON
from statscache.kinds.state import Dirty, State
from statscache.kinds.tables import SPAN, add_key_names, key, span
from statscache.kinds.yields import Yields
from statscache.store.bulk import Upsert, of_bytes
from statscache.timeline import HOUR, floor

Entry = tuple[int, bytes, int, bytes]
"""Timestamp, id of the message, index of the yield, and fields as JSON."""

Moves = tuple[int | None, int | None, Entry]
"""The earliest start of a key, its latest stop, and its newest fields."""

_NO_FIELDS: Entry = (-1, b"", 0, b"{}")
"""Timestamp, message, index and value where no yield had fields: older than any that has."""


def _merging(least: Callable[..., Any], greatest: Callable[..., Any]) -> Upsert:
    def merge(table: Any, new: Any) -> dict[str, Any]:
        # A null is unknown; the other value is kept.
        start = func.coalesce(least(table.c.start, new.start), table.c.start, new.start)
        stop = func.coalesce(greatest(table.c.stop, new.stop), table.c.stop, new.stop)
        newer = tuple_(new.timestamp, new.message, new.index) > tuple_(
            table.c.timestamp, table.c.message, table.c.index
        )
        fields = {
            name: case((newer, getattr(new, name)), else_=table.c[name])
            for name in ("timestamp", "message", "index", "fields", "fields_checksum")
        }
        moved = func.coalesce(greatest(start, stop), start, stop)
        numbers: dict[str, Any] = {"start": start, "stop": stop, "moved": moved}
        numbers |= {name: fields[name] for name in ("timestamp", "index", "fields_checksum")}
        return {**numbers, **fields, "checksum": SPAN.merged(numbers)}

    return Upsert(span, merge)


_add_spans = {
    "sqlite": _merging(func.min, func.max),
    "postgresql": _merging(func.least, func.greatest),
}


class Spanning(Statistic, Protocol):
    """A plugin that watches things start and stop."""

    shown: ClassVar[int]
    longest: ClassVar[int | None]


class SpanKind(Kind):
    """The earliest start and the latest stop of each key."""

    name = "Span"
    description = "Span: when something started and stopped, how long it took, and what is still in progress."
    note = "Those that changed last. One that has no stop and is not in progress has ended unseen."
    rows_are = "{unit}"
    rows_are_events = True
    columns = (
        Column("start", "Start", is_number=False),
        Column("stop", "Stop", is_number=False),
        Column("duration", "Took", is_duration=True),
        Column("in_progress", "In progress"),
    )
    tables = (key, span)
    searched = (JSON(span, "fields"),)
    invariants = (*KEYS, has_key(span), has_row(span), FIELDS_ARE_THEIR_CHECKSUM)
    plugin: Spanning

    @property
    def windows(self) -> tuple[int, ...]:
        return () if self.plugin.longest is None else (HOUR,)

    def check(self, item: Any) -> tuple[Key, bool, bytes | None]:
        if type(item) is not tuple or len(item) not in (2, 3) or type(item[0]) is not tuple:
            message = "Span takes a key, 'start' or 'stop', and perhaps a dict, such as (('rawhide',), 'stop')"
            raise YieldError(f"{message}; got {item!r:.200}")
        name = self.key(self.plugin.dimensions, item[0])
        if item[1] not in ("start", "stop"):
            raise YieldError(f"{name!r:.200} must 'start' or 'stop'; got {item[1]!r:.200}")
        fields = check_fields(name, item[2], self.taken) if len(item) == 3 else None
        return name, item[1] == "start", fields

    def key_of(self, checked: Any) -> Key:
        key: Key = checked[0]
        return key

    def reduce(self, yields: Yields) -> dict[Key, Moves]:
        starts: dict[Key, int] = {}
        stops: dict[Key, int] = {}
        newest: dict[Key, Entry] = {}
        for timestamp, message, index, (name, is_start, fields) in yields.one_by_one():
            if is_start:
                starts[name] = min(starts.get(name, timestamp), timestamp)
            else:
                stops[name] = max(stops.get(name, timestamp), timestamp)
            if fields is not None:
                entry = timestamp, message.encode(), index, fields
                newest[name] = max(newest.get(name, _NO_FIELDS), entry)
        names = starts.keys() | stops.keys()
        return {name: (starts.get(name), stops.get(name), newest.get(name, _NO_FIELDS)) for name in names}

    def merge(self, state: State, reduced: dict[Key, Moves]) -> set[Dirty]:
        connection, plugin = state.connection, state.plugin
        add_key_names(connection, plugin, reduced)
        rows = []
        for name, (start, stop, newest) in reduced.items():
            moved = max(time for time in (start, stop) if time is not None)
            digest, (timestamp, message, index, fields) = keys.digest(name), newest
            of_fields = of_bytes(message, fields)
            checksum = SPAN.of(plugin, digest, start or 0, stop or 0, moved, timestamp, index, of_fields)
            rows.append((plugin, digest, start, stop, moved, *newest, of_fields, checksum))
        _add_spans[connection.dialect.name](connection, rows)
        return {Dirty("latest")}

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        return lost_rows.keys_have_none(state.connection, state.plugin, span)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        for row in connection.execute(_spans(plugin).order_by(key.c.dimensions)):
            yield ("span", keys.load(row.dimensions), *row[2:9])

    def latest(self, state: State) -> list[dict[str, Any]]:
        query = _spans(state.plugin).order_by(span.c.moved.desc(), key.c.dimensions.desc()).limit(self.plugin.shown)
        rows = state.connection.execute(query).all()
        for row in rows:
            keys.named(self.plugin.name, row.key, row.dimensions)
            if row.fields_checksum != of_bytes(row.message, row.fields):
                raise keys.damaged(self.plugin.name)
        return [
            {
                **self.record(row.dimensions),
                "start": row.start,
                "stop": row.stop,
                "duration": _duration(row.start, row.stop),
                "in_progress": False if row.stop is not None else self._is_in_progress(state, row.start),
                **orjson.loads(row.fields),
            }
            for row in sorted(rows, key=lambda row: row.dimensions)
        ]

    def _is_in_progress(self, state: State, start: int) -> bool | None:
        """Return True of what has begun and not stopped; None if its stop may have been missed."""
        end = 0 if state.through is None else floor(state.through, HOUR)
        is_overdue = self.plugin.longest is not None and start + self.plugin.longest <= end
        return None if is_overdue or state.known.is_missing_after(start) else True


def _spans(plugin: int) -> Any:
    return (
        select(span, key.c.dimensions)
        .join(key, (key.c.plugin == span.c.plugin) & (key.c.key == span.c.key))
        .where(span.c.plugin == plugin)
    )


def _duration(start: int | None, stop: int | None) -> int | None:
    return stop - start if start is not None and stop is not None and stop >= start else None
