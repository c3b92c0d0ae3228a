"""`Latest` and `Log`: the newest values of each key.

Both are one merge: of all entries of a key the newest N stay, where newest is the greatest (timestamp, id of the
message as bytes, index of the yield). `Latest` is N = 1.
"""

from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import Any, ClassVar, Protocol, cast

import orjson
from sqlalchemy import Connection, delete, func, select, tuple_

from statscache import canonical
from statscache.exceptions import YieldError
from statscache.kinds import keys, lost_rows
from statscache.kinds.base import Kind, Statistic
from statscache.kinds.consistency import ENTRY_IS_ITS_CHECKSUM, KEYS, has_key, has_row
from statscache.kinds.keys import Key
from statscache.kinds.presentation import Column
from statscache.kinds.search import JSON
from statscache.kinds.state import Dirty, State
from statscache.kinds.tables import add_key_names, entry, key
from statscache.kinds.yields import Yields
from statscache.store.bulk import Upsert, among, of_bytes

_LARGEST_VALUE = 4_096
_SHORT = 100
_CACHED_KEYS = 10_000

Entries = dict[Key, list[tuple[int, bytes, int, bytes]]]
"""The newest entries of each key: timestamp, id of the message, index of the yield, and fields as JSON."""

_add_entries = Upsert(entry)


def check_fields(name: Key, value: Any, taken: frozenset[str], most: int = _LARGEST_VALUE) -> bytes:
    """Return the fields that a plugin keeps of a key as canonical JSON.

    What is too large is shortened, since the bus decides how long texts are: see `_shortened`.

    Args:
        name: The key.
        value: What the plugin yielded.
        taken: Names that the fields may not have.
        most: Bytes that are kept.

    Raises:
        YieldError: It is not a dict of JSON, has a reserved field, or has too many fields.
    """
    if not isinstance(value, dict):
        raise YieldError(f"the value of {name!r:.200} must be a dict of fields; got {value!r:.200}")
    if found := sorted(value.keys() & taken):
        raise YieldError(f"the value of {name!r:.200} has the fields {found}, which the record has already")
    try:
        data = canonical.trimmed(canonical.encode(value))
        if len(data) > most:
            data = canonical.trimmed(canonical.encode(_shortened(value, most)))
    except TypeError as error:
        raise YieldError(f"the value of {name!r:.200} is not JSON: {error}") from error
    if len(data) > most:
        raise YieldError(f"the value of {name!r:.200} has {len(data)} bytes; at most {most} are kept")
    return data


def _shortened(value: dict[str, Any], most: int) -> dict[str, Any]:
    """Return fields of at most `most` bytes, if possible, from the largest one on.

    A text is cut, and ends with an ellipsis. An address of the web, a list or an object would be useless if it were
    cut, and becomes null.
    """
    sizes = {field: len(canonical.encode(content)) for field, content in value.items()}
    excess = sum(sizes.values()) + sum(len(canonical.encode(field)) + 2 for field in value) + 1 - most
    short = dict(value)
    for field in sorted(value, key=lambda field: (-sizes[field], field)):
        if excess <= 0:
            break
        content = value[field]
        is_prose = type(content) is str and not content.startswith(("http://", "https://"))
        short[field] = f"{content[:_SHORT]}\u2026" if is_prose and len(content) > _SHORT else None
        excess -= sizes[field] - len(canonical.encode(short[field]))
    return short


class LatestKind(Kind):
    """The newest entries of each key; one of each, unless a variant keeps more."""

    name = "Latest"
    description = "Latest: the newest value of each key, however old it is, with its time."
    rows_are = "{unit}"
    columns = (Column("timestamp", "Time", is_number=False),)
    tables = (key, entry)
    searched = (JSON(entry, "value"),)
    invariants = (*KEYS, has_key(entry), has_row(entry), ENTRY_IS_ITS_CHECKSUM)

    def __init__(self, plugin: Statistic) -> None:
        super().__init__(plugin)
        self._admitted: set[Key] = set()

    def key(self, dimensions: tuple[str, ...], given: Any) -> Key:
        try:
            if given in self._admitted:
                return cast(Key, given)
        except TypeError:
            # `check` refuses a part that cannot be hashed, and says why.
            pass
        name = super().key(dimensions, given)
        # What is not admitted as it is may be of any length.
        if name == given:
            if len(self._admitted) >= _CACHED_KEYS:
                self._admitted.clear()
            self._admitted.add(name)
        return name

    @property
    def capacity(self) -> int:
        """How many entries of each key are kept."""
        return 1

    @property
    def newest(self) -> int | None:
        return None if self.plugin.dimensions else self.capacity

    def check(self, item: Any) -> tuple[Key, bytes]:
        if type(item) is not tuple or len(item) != 2 or type(item[0]) is not tuple:
            message = f"{self.name} takes a key and a value, such as (('rawhide',), {{'state': 'done'}})"
            raise YieldError(f"{message}; got {item!r:.200}")
        name = self.key(self.plugin.dimensions, item[0])
        return name, check_fields(name, item[1], self.taken)

    def key_of(self, checked: Any) -> Key:
        key: Key = checked[0]
        return key

    def reduce(self, yields: Yields) -> Entries:
        entries: Entries = {}
        for timestamp, message, index, (name, value) in yields.one_by_one():
            entries.setdefault(name, []).append((timestamp, message.encode(), index, value))
        return {name: nlargest(self.capacity, rows, key=lambda row: row[:3]) for name, rows in entries.items()}

    def merge(self, state: State, reduced: Entries) -> set[Dirty]:
        connection, plugin = state.connection, state.plugin
        digests = {name: keys.digest(name) for name in reduced}
        add_key_names(connection, plugin, reduced)
        rows = [(digests[name], *row) for name, rows in reduced.items() for row in rows]
        _add_entries(connection, [(plugin, *row, of_bytes(*row)) for row in rows])
        self._trim(state, [*digests.values()])
        return {Dirty("latest")}

    def _trim(self, state: State, digests: list[int]) -> None:
        primary = entry.c.plugin, entry.c.key, entry.c.timestamp, entry.c.message, entry.c.index
        order = [column.desc() for column in primary[2:]]
        rank = func.row_number().over(partition_by=entry.c.key, order_by=order).label("rank")
        mine = entry.c.plugin == state.plugin, among(entry.c.key, digests)
        ranked = select(*primary, rank).where(*mine).subquery()
        surplus = select(*(ranked.c[column.name] for column in primary)).where(ranked.c.rank > self.capacity)
        state.connection.execute(delete(entry).where(entry.c.plugin == state.plugin, tuple_(*primary).in_(surplus)))

    def has_lost_rows(self, state: State, since: Mapping[int, int]) -> bool:
        return lost_rows.keys_have_none(state.connection, state.plugin, entry)

    def dump(self, connection: Connection, plugin: int, through: int | None) -> Iterator[tuple[Any, ...]]:
        for row in connection.execute(_entries(plugin)):
            yield ("entry", keys.load(row.dimensions), row.timestamp, row.message, row.index, row.value)

    def latest(self, state: State) -> list[dict[str, Any]]:
        return [
            {**dict(zip(self.plugin.dimensions, name, strict=True)), "timestamp": timestamp, **value}
            for name, timestamp, value in self.values(state)
        ]

    def values(self, state: State) -> Iterator[tuple[Key, int, dict[str, Any]]]:
        """Yield key, timestamp and fields of each entry, sorted as `latest`, for `documents`."""
        for row in state.connection.execute(_entries(state.plugin)):
            if row.checksum != of_bytes(*row[1:6]):
                raise keys.damaged(self.plugin.name)
            yield keys.named(self.plugin.name, row.key, row.dimensions), row.timestamp, orjson.loads(row.value)


class Logging(Statistic, Protocol):
    """A plugin that logs."""

    entries: ClassVar[int]


class LogKind(LatestKind):
    """The newest entries of each key, as many as the plugin says."""

    name = "Log"
    description = "Log: the newest entries of each key, newest first."
    rows_are = "newest {unit}"
    rows_are_events = True
    plugin: Logging

    @property
    def capacity(self) -> int:
        return self.plugin.entries


def _entries(plugin: int) -> Any:
    return (
        select(entry, key.c.dimensions)
        .join(key, (key.c.plugin == entry.c.plugin) & (key.c.key == entry.c.key))
        .where(entry.c.plugin == plugin)
        .order_by(key.c.dimensions, entry.c.timestamp.desc(), entry.c.message.desc(), entry.c.index.desc())
    )
