"""The client of one site: it finds the current snapshot, and reads it."""

import time
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from statscache import layout, signatures
from statscache.client import shapes
from statscache.client.caches import Cache, DirectoryCache, MemoryCache
from statscache.client.fetcher import Damaged, Fetcher, Missing
from statscache.client.pinned import Pinned, Replaced, Span, parsed
from statscache.client.trust import Outdated, Trust

if TYPE_CHECKING:
    from statscache.schemas import Index, Key, KeyYear, Latest, PluginDocument

LARGEST = 16 * 1024 * 1024
"""Maximum size in bytes of a file that is read."""

_ATTEMPTS = 3
_PAUSE = 0.2

_T = TypeVar("_T")


class Late(UserWarning):
    """The site should have renewed its index by now: the data may be old, or withheld on the way."""


class OtherGeneration(UserWarning):
    """The document of a key is not that of the snapshot that the index names, but newer or, from a cache, older."""


class Client:
    """Reads one site. Data of an expired index come with the warning `Late`.

    With keys, it uses no index that is not signed by one of them, that has expired, or that is older than one it has
    used before; the cache remembers that for the next process.

    Args:
        url: Address of the site's root: http, https, or file for a tree on this machine.
        cache: A directory that keeps what was fetched between runs, and that several processes may share; None keeps
            it in memory.
        keys: PEM files of Ed25519 public keys, by one of which the index must be signed; this needs `cryptography`.
        timeout: Seconds for which the server may be silent.
        accept_expired: True to use an expired index even with keys, with the warning `Late`.

    Raises:
        ValueError: The address is of none of these kinds.
        ConfigurationError: A file holds no public key, or `cryptography` is not installed.
    """

    def __init__(
        self,
        url: str,
        cache: str | Path | None = None,
        keys: Sequence[str | Path] = (),
        timeout: float = 10.0,
        *,
        accept_expired: bool = False,
    ) -> None:
        public = signatures.load_public_keys(Path(path) for path in keys)
        kept: Cache = MemoryCache() if cache is None else DirectoryCache(Path(cache))
        self._fetcher = Fetcher(url, kept, timeout, LARGEST)
        self._trust = Trust(self._fetcher.url, public, kept, accept_expired=accept_expired)
        self._index: Index | None = None

    def discover(self) -> "Index":
        """Return the index: the current snapshot, and its contents.

        If nothing changed since the last call, the server sends only a status.

        Raises:
            Unreachable: The site does not answer.
            Damaged: Its answer is not an index.
            BadSignature: The index is not signed by a trusted key.
            Outdated: With keys, the index is older than one that was used before, or has expired.
        """
        return self._discover(fresh=False)

    def pin(self) -> "Pinned":
        """Return a reader of the snapshot that is current now.

        A snapshot stays readable for as long as the site retains it, and a day longer unless configured otherwise.

        Raises:
            Unreachable: As for `discover`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        return Pinned(self.discover(), self._fetcher)

    def latest(self, plugin: str) -> "Latest":
        """Return the newest numbers of a plugin.

        Raises:
            NotPublished: There is no such plugin, or it has published nothing yet.
            Unreachable: As for `discover`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        return self._read(lambda pinned: pinned.latest(plugin))

    def document(self, plugin: str, name: str) -> "PluginDocument":
        """Return a document that a plugin publishes besides the common ones.

        Raises:
            NotPublished: There is no such plugin or document.
            Unreachable: As for `discover`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        return self._read(lambda pinned: pinned.document(plugin, name))

    def series(self, plugin: str, resolution: str, start: int | datetime, end: int | datetime) -> Span:
        """Return the buckets of a series between two times; only the periods between them are fetched.

        Args:
            plugin: Name of the plugin.
            resolution: `1m`, `1h`, `1d`, `1w` or `1mo`.
            start: A time in the first bucket: seconds since 1970 UTC, or a datetime with a time zone.
            end: The time at or after which no bucket starts.

        Raises:
            NotPublished: There is no such plugin, or it has no series of that resolution.
            ValueError: A datetime has no time zone.
            Unreachable: As for `discover`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        return self._read(lambda pinned: pinned.series(plugin, resolution, start, end))

    def key(self, plugin: str, *key: str | None) -> "Key | None":
        """Return the document of one key of an unbounded plugin; None if the key never occurred.

        While a publication is under way, and where a cache keeps a file for a minute, the document may be of another
        generation than the index, with its own `through`. It comes with the warning `OtherGeneration` then; with keys,
        it is refused instead.

        Args:
            plugin: Name of the plugin.
            key: Text or None for each dimension, in order.

        Raises:
            NotPublished: There is no such plugin, it has no documents of keys, or its keys have other dimensions.
            Replaced: The document is not that of the signed index: try again in a minute.
            Unreachable: As for `discover`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        return cast("Key | None", self._read_of_key("key", plugin, key, layout.key_document(plugin, key)))

    def _read_of_key(self, schema: str, plugin: str, key: Sequence[str | None], path: str) -> Any:
        try:
            return self._read(lambda pinned: pinned.of_key(schema, plugin, key, path), callers=2)
        except Replaced:
            if self._trust.has_keys:
                raise
        about = f"{path} is of another generation than the index"
        warnings.warn(f"{about}: a publication is under way, or a cache keeps it", OtherGeneration, stacklevel=3)
        return self._read(lambda pinned: pinned.of_key(schema, plugin, key, path, any_generation=True), callers=2)

    def key_year(self, plugin: str, year: int, *key: str | None) -> "KeyYear | None":
        """Return the document of an older year of one key; None if it has no event in that year, or the year is recent.

        The years of a key are listed in its document, which has the days of the recent ones itself.

        Args:
            plugin: Name of the plugin.
            year: The calendar year.
            key: Text or None for each dimension, in order.

        Raises:
            NotPublished: There is no such plugin, it has no documents of keys, or its keys have other dimensions.
            Unreachable: As for `discover`.
            Replaced: As for `key`.
            Damaged: As for `discover`.
            BadSignature: As for `discover`.
            Outdated: As for `discover`.
        """
        path = layout.key_year(plugin, key, year)
        return cast("KeyYear | None", self._read_of_key("key-year", plugin, key, path))

    def _read(self, read: Callable[["Pinned"], _T], callers: int = 1) -> _T:
        """Return the result of `read`; warnings name the line that called the client, `callers` methods above."""
        index = self._discover(fresh=False)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._read_from(index, read, callers)
            except Missing:
                # The snapshot was no longer retained, or the index came from a cache that is behind.
                time.sleep(_PAUSE)
                index = self._discover(fresh=True)
        return self._read_from(index, read, callers)

    def _read_from(self, index: "Index", read: Callable[["Pinned"], _T], callers: int) -> _T:
        pinned = Pinned(index, self._fetcher)
        result = read(pinned)
        if pinned.is_late:
            since = f"{self._fetcher.url}{layout.INDEX} expired {int(time.time()) - index['expires_at']:,} s ago"
            warnings.warn(f"{since}: the numbers may be old", Late, stacklevel=3 + callers)
        return result

    def _discover(self, *, fresh: bool) -> "Index":
        index = _checked_index(self._fetcher.changing(layout.INDEX, fresh=fresh))
        self._trust.check_signature(index)
        # One edge of a CDN may be behind another; the pointer never goes back, though clocks may.
        if self._index is not None and _order(index) < _order(self._index):
            index = self._index
        try:
            self._trust.check_age(index)
        except Outdated:
            if fresh:
                raise
            return self._discover(fresh=True)
        self._index = index
        return index


def _order(index: "Index") -> tuple[int, int]:
    return index["generation"], index["generated_at"]


def _checked_index(data: bytes) -> "Index":
    index = parsed(data, layout.INDEX)
    if index.get("schema") != "statscache/index/1":
        raise Damaged(f"{layout.INDEX} has the schema {index.get('schema')!r:.100}; this reads statscache/index/1")
    shapes.check(layout.INDEX, [index], shapes.INDEX)
    shapes.check(layout.INDEX, index["plugins"], shapes.PLUGIN)
    for plugin in index["plugins"]:
        shapes.check(layout.INDEX, plugin["documents"], shapes.REFERENCE)
    return cast("Index", index)
