"""The gate: what a plugin would publish must be plausible beside what it published before.

A statistic that loses most of its rows from one snapshot to the next is more likely broken than true. It keeps its
last documents then, for a person to look at; the other plugins do not wait for that. Compared are the rows of the
fixed documents and of the newest period of each series, and the number of documents of keys. A new version explains
a loss, and so does retention, by which periods end.
"""

from typing import Any

import orjson
from sqlalchemy import Connection

from statscache import layout
from statscache.exceptions import Damaged, Implausible
from statscache.plugins import Plugin
from statscache.render.result import RenderedPlugin
from statscache.store import integrity, published
from statscache.store.published import Entry
from statscache.timeline import Resolution


class Gate:
    """Compares what one plugin would publish with what it published before.

    Args:
        connection: The render's database snapshot.
        plugin: The plugin.
        through: The journal's clock.
        share: The greatest part of the rows that may vanish, from 0 to 1.
        lenient: True if everything is rendered: documents before that are damaged are not compared; else these are an
            error.
    """

    def __init__(
        self, connection: Connection, plugin: Plugin, through: int | None, share: float, *, lenient: bool = False
    ) -> None:
        self._connection = connection
        self._plugin = plugin
        self._through = through
        self._share = share
        self._lenient = lenient

    def check_documents(self, rendered: RenderedPlugin) -> None:
        """Compare fixed documents and series.

        Raises:
            Implausible: More vanished than may, or all, and nothing explains it.
            Damaged: Documents before are damaged.
        """
        if _is_loss_explained(rendered) or not (rendered.fresh or rendered.removed):
            return
        name = self._plugin.name
        for path, entry in self._published(layout.plugin_root(name)).items():
            # A window that moved explains what a plugin's own document lost; `latest` keeps its keys.
            # A layout has no numbers.
            explained = (rendered.crossed and path != layout.latest(name)) or path == layout.plugin_layout(name)
            # A document that is no longer yielded was taken away by its author.
            if path in rendered.fresh and path.endswith(".json") and not explained:
                self._compare(rendered, path, entry)
        for resolution in self._plugin.kind.resolutions:
            periods = self._published(layout.series_root(name, resolution.name))
            periods.pop(layout.series_index(name, resolution.name), None)
            # Labels are in order of time.
            newest = max((path for path in periods if path.endswith(".json")), default=None)
            if newest is not None:
                self._compare(rendered, newest, periods[newest], resolution)

    def check_keys(self, rendered: RenderedPlugin) -> None:
        """Compare the number of documents of keys.

        Raises:
            Implausible: More vanished than may, or all, and nothing explains it.
        """
        keys = layout.keys_root(self._plugin.name)
        gone = sum(path.startswith(f"{keys}/") and path.endswith(".json") for path in rendered.removed)
        if _is_loss_explained(rendered) or not (gone or self._lenient):
            return
        there = published.count(self._connection, keys, "data")
        # Where everything is rendered, nothing is removed: the tree is written again.
        left = sum(path.endswith(".json") for path, _ in rendered.keys) if self._lenient else there - gone
        self._judge("by/", there, left, "documents of keys")

    def _published(self, directory: str) -> dict[str, Entry]:
        try:
            with integrity.explained():
                return published.entries(self._connection, directory, None, "data")
        except Damaged:
            if self._lenient:
                return {}
            raise

    def _compare(self, rendered: RenderedPlugin, path: str, entry: Entry, resolution: Resolution | None = None) -> None:
        fresh = rendered.fresh.get(path)
        if fresh is None and path not in rendered.removed and not self._lenient:
            return
        try:
            old = orjson.loads(published.load(self._connection, entry.object))
        except Damaged:
            if self._lenient:
                return
            raise
        if resolution is not None and self._through is not None:
            expired = resolution.expired_before(self._through)
            if expired is not None and old["end"] <= expired:
                return
        self._judge(path.rpartition("/")[2], _rows(old), 0 if fresh is None else _rows(orjson.loads(fresh)), "rows")

    def _judge(self, name: str, old: int, new: int, what: str) -> None:
        if old and (new == 0 or new < old * (1 - self._share)):
            message = (
                f"{name} would go from {old} {what} to {new}, and at most {self._share:.0%} may vanish"
                " ([publish] gate_share); if that is right, run `statscache publish --force`"
            )
            raise Implausible(message)


def _is_loss_explained(rendered: RenderedPlugin) -> bool:
    """Return True if rows may be lost: another version made the documents before, or a person was forgotten."""
    return rendered.row.loss_explained or rendered.row.rendered_version != rendered.row.version


def _rows(document: dict[str, Any]) -> int:
    rows = document.get("rows")
    return len(rows) if isinstance(rows, list) else 0
