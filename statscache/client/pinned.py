"""Read one snapshot: the objects that its index names, and other files by way of its manifests."""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from statscache import layout
from statscache import pace as paces
from statscache.client import shapes
from statscache.client.fetcher import Damaged, Fetcher, Missing
from statscache.exceptions import StatscacheError
from statscache.pace import Pace
from statscache.timeline import RESOLUTIONS

if TYPE_CHECKING:
    from statscache.schemas import Index, IndexedPlugin, Key, KeyYear, Latest, PluginDocument, SeriesIndex

_SPLIT_DIGITS = 15
_FILES = ("file", "path")


class NotPublished(StatscacheError, LookupError):
    """There is no such plugin, document or resolution in the snapshot; the text lists those that exist."""


@dataclass(frozen=True, slots=True)
class Span:
    """The buckets of a series between two times.

    Attributes:
        columns: `timestamp`, the dimensions, `value`.
        rows: One for each bucket and key that has a value; sorted. A bucket without a row is zero, unless in a gap.
        start: Start of the first bucket, seconds since 1970 UTC.
        end: End of the last bucket.
        width: Seconds of a bucket; None for months.
        complete_through: Buckets that end at or before it are finished.
        gaps: What is known to be missing, `[start, end)`: unknown, not zero.
    """

    columns: tuple[str, ...]
    rows: list[list[Any]]
    start: int
    end: int
    width: int | None
    complete_through: int
    gaps: list[tuple[int, int]]


class Replaced(Missing):
    """The document of a key is of another generation than the pinned one, which is no longer published."""


class Pinned:
    """Reads one snapshot of a site: its documents are consistent, whatever is published meanwhile.

    Documents of keys are published at one path, without history: `key` raises `Replaced` when the one of this snapshot
    has been replaced.

    Attributes:
        index: The index that names the snapshot.
    """

    def __init__(self, index: "Index", fetcher: Fetcher) -> None:
        """Use `Client.pin` instead."""
        self.index = index
        self._fetcher = fetcher
        references = (document for plugin in index["plugins"] for document in plugin["documents"])
        self._named = {document["path"]: (document["object"], document["size"]) for document in references}

    @property
    def is_late(self) -> bool:
        """True if the site should have renewed its index by now: its numbers may be old."""
        return self.index["expires_at"] < time.time()

    def latest(self, plugin: str) -> "Latest":
        """Return the newest numbers of a plugin; see `Client.latest`."""
        return cast("Latest", self._document(self._plugin(plugin), layout.latest(plugin), "latest"))

    def document(self, plugin: str, name: str) -> "PluginDocument":
        """Return a document that a plugin publishes besides the common ones; see `Client.document`."""
        return cast("PluginDocument", self._document(self._plugin(plugin), layout.document(plugin, name), name))

    def series(self, plugin: str, resolution: str, start: int | datetime, end: int | datetime) -> Span:
        """Return the buckets of a series between two times; see `Client.series`."""
        about = self._plugin(plugin)
        first, last = _seconds(start), _seconds(end)
        path = layout.series_index(plugin, resolution)
        listed = cast("SeriesIndex", self._document(about, path, "series-index"))
        shapes.check(path, [listed], shapes.SERIES_INDEX)
        shapes.check(path, listed["periods"], shapes.PERIOD)
        buckets = RESOLUTIONS[resolution]
        first, last = buckets.floor(first), buckets.ceil(last)
        rows: list[list[Any]] = []
        gaps: list[tuple[float, float]] = []
        columns: tuple[str, ...] = ()
        for period in listed["periods"]:
            if period["end"] <= first or period["start"] >= last:
                continue
            part = self._json("series", period["object"], period["size"])
            shapes.check(period["path"], [part], shapes.SERIES)
            shapes.check_rows(period["path"], part["rows"], len(part["columns"]))
            shapes.check_rows(period["path"], part["gaps"], 2, times=2)
            if columns and tuple(part["columns"]) != columns:
                raise Damaged(f"{period['path']} has the columns {part['columns']}; others have {list(columns)}")
            columns = tuple(part["columns"])
            rows += [row for row in part["rows"] if first <= row[0] < last]
            gaps += part["gaps"]
        complete = listed["complete_through"]
        is_fast = paces.of_series(resolution) is Pace.FAST
        through = self.index["through"] if is_fast else self.index["slow_through"]
        if about["state"] == "ok" and through is not None:
            # A plugin that is up to date counted nothing after its last period with a row.
            complete = buckets.floor(through)
        gaps.append((first, max(first, _oldest(about, listed, None if through is None else buckets.floor(through)))))
        columns = columns or ("timestamp", *about["dimensions"], "value")
        complete = max(first, min(last, complete or first))
        return Span(columns, rows, first, last, listed["width"], complete, _clipped(gaps, first, last))

    def key(self, plugin: str, *key: str | None) -> "Key | None":
        """Return the document of one key; see `Client.key`."""
        return cast("Key | None", self.of_key("key", plugin, key, layout.key_document(plugin, key)))

    def key_year(self, plugin: str, year: int, *key: str | None) -> "KeyYear | None":
        """Return the document of an older year of one key; see `Client.key_year`."""
        return cast("KeyYear | None", self.of_key("key-year", plugin, key, layout.key_year(plugin, key, year)))

    def of_key(
        self, schema: str, plugin: str, key: Sequence[str | None], path: str, *, any_generation: bool = False
    ) -> Any:
        """Return a document of a key.

        Args:
            schema: Name of its schema.
            plugin: Name of the plugin.
            key: The key.
            path: Where the document is.
            any_generation: True to return the document of any generation.

        Returns:
            Its content; None if there is no such document.
        """
        about = self._plugin(plugin)
        if not about["unbounded"]:
            raise NotPublished(f"the plugin {plugin} has no documents of keys; its keys are all in `latest`")
        if len(key) != len(about["dimensions"]):
            raise NotPublished(f"keys of {plugin} have the parts {about['dimensions']}; got {list(key)}")
        entry = self._entry(path)
        if entry is None and not any_generation:
            return None
        data = self._fetcher.document(path, None if any_generation else entry.get("digest", ""))
        if data is None and not any_generation:
            raise Replaced(f"{path} is of another generation than {self.index['generation']}: pin again for that one")
        document = None if data is None else _checked(path, data, schema)
        if document is not None and document.get("key") != list(key):
            raise Damaged(f"{path} has the key {document.get('key')!r:.100}; expected {list(key)}")
        return document

    def _plugin(self, name: str) -> "IndexedPlugin":
        for plugin in self.index["plugins"]:
            if plugin["name"] == name:
                return plugin
        known = ", ".join(plugin["name"] for plugin in self.index["plugins"])
        raise NotPublished(f"there is no plugin {name!r}; there are: {known or 'none'}")

    def _document(self, about: "IndexedPlugin", path: str, schema: str) -> Any:
        found = self._named.get(path) or self._find(path)
        if found is None:
            known = ", ".join(document["path"] for document in about["documents"])
            raise NotPublished(f"there is no {path}; {about['name']} has: {known or 'nothing yet'}")
        return self._json(schema, *found)

    def _json(self, schema: str, name: str, size: int) -> Any:
        return _checked(name, self._fetcher.object(name, size), schema)

    def _find(self, path: str) -> tuple[str, int] | None:
        """Return object and size of a data file; None if the snapshot has no such file."""
        entry = self._entry(path)
        return None if entry is None or entry["type"] != "file" else (entry["object"], entry["size"])

    def _entry(self, path: str) -> Any:
        """Return the entry of a data file by way of the manifests; None if the snapshot has no such file."""
        identity = self.index["snapshot"]
        entries = self._entries(self._fetcher.object(f"{identity}.json", None), identity)
        entry = entries.get("data")
        for name in layout.steps(path):
            if entry is None or entry["type"] in _FILES:
                return None
            entries = self._entries(self._fetcher.object(entry["object"], entry["size"]), entry["object"])
            entry = self._among(entries, name)
        return None if entry is None or entry["type"] not in _FILES else entry

    def _among(self, entries: Mapping[str, Any], name: str) -> Any:
        digest = hashlib.sha256(name.encode()).hexdigest()
        for digit in digest[:_SPLIT_DIGITS]:
            entry = entries.get(digit)
            if entry is None or entry["type"] != "split":
                break
            entries = self._entries(self._fetcher.object(entry["object"], entry["size"]), entry["object"])
        entry = entries.get(name)
        return None if entry is None or entry["type"] == "split" else entry

    @staticmethod
    def _entries(data: bytes, name: str) -> Mapping[str, Any]:
        entries = parsed(data, name).get("entries")
        if not isinstance(entries, dict) or not all(_is_entry(entry) for entry in entries.values()):
            raise Damaged(f"{name} is not a manifest")
        return entries


def parsed(data: bytes, name: str) -> dict[str, Any]:
    """Return the content of a JSON object.

    Raises:
        Damaged: The bytes are not a JSON object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Damaged(f"{name} is not a JSON object")
    return value


def _checked(name: str, data: bytes, schema: str) -> Any:
    document = parsed(data, name)
    if document.get("schema") != f"statscache/{schema}/1":
        raise Damaged(f"{name} has the schema {document.get('schema')!r:.100}; expected statscache/{schema}/1")
    return document


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("type"), str)
        and isinstance(entry.get("digest" if entry["type"] == "path" else "object"), str)
        and isinstance(entry.get("size"), int)
    )


def _seconds(moment: int | datetime) -> int:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone; give it one, such as datetime.UTC")
        return int(moment.timestamp())
    return moment


def _joined(gaps: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(gaps):
        if joined and low <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    return joined


def _oldest(about: "IndexedPlugin", listed: "SeriesIndex", through: int | None) -> float:
    """Return the time before which a series has no data: it began then, or older data were deleted."""
    published = min((period["start"] for period in listed["periods"]), default=math.inf)
    since = math.inf if about["since"] is None else about["since"]
    kept = -math.inf if listed["keep"] is None or through is None else min(published, through - listed["keep"])
    return max(min(published, since), kept)


def unknown_days(about: "IndexedPlugin", start: int, end: int) -> list[tuple[int, int]]:
    """Return the whole days of `[start, end)` that are not wholly covered: there, an absent day is not zero.

    Args:
        about: The plugin's entry in the index.
        start: A midnight, in seconds since 1970 UTC.
        end: Another one. Days after the index's `slow_through` are the caller's to leave out.
    """
    since = end if about["since"] is None else about["since"]
    return _clipped([(start, max(start, since)), *about["gaps"]], start, end)


def _clipped(gaps: Iterable[tuple[float, float]], start: int, end: int) -> list[tuple[int, int]]:
    """Return the intervals cut to `[start, end)` and merged, oldest first."""
    inside = ((int(max(low, start)), int(min(high, end))) for low, high in gaps)
    return _joined([(low, high) for low, high in inside if low < high])
