"""Which names of entities a render makes again: those of keys that changed, or all where names may have gone."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from statscache import layout
from statscache.kinds.entities import ENTITIES
from statscache.pace import Pace
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.render import entities
from statscache.render.documents import Document
from statscache.render.entities import Made, Source
from statscache.render.result import RenderedPlugin
from statscache.store import changed_keys, positions, published
from statscache.store.positions import Position


class Updated(NamedTuple):
    """The documents of one entity's names that may have changed, and the paths of those that are gone."""

    documents: list[Document]
    removed: list[str]


def updates(
    connection: Connection,
    registry: Registry,
    rows: Mapping[str, Position],
    plugins: Sequence[RenderedPlugin],
    *,
    slow: bool,
    force: bool,
) -> Iterator[Updated]:
    """Make the names of each entity again, as far as a render changed them.

    Args:
        connection: The render's database snapshot.
        registry: The plugins.
        rows: Their rows, by name.
        plugins: The result of each plugin that was rendered.
        slow: True if slow documents were rendered.
        force: True if everything was.
    """
    rendered = {each.info.name: each for each in plugins}
    for entity in ENTITIES:
        counting = [plugin for plugin in registry if entity in plugin.entities.values() and plugin.name in rendered]
        # Where all is rendered, the tree is written again, whatever its rows say.
        there = set() if force else {*published.below(connection, layout.entity_root(entity), "data")}
        # Of a plugin that was folded again, or from which a person was removed, names may have gone.
        everything = force or any(
            rendered[plugin.name].renewed or (slow and rows[plugin.name].rendered_with is None) for plugin in counting
        )
        sources = [_source(connection, plugin, rendered[plugin.name]) for plugin in counting]
        made = entities.make(connection, entity, sources, everything=everything) if sources else Made([], set())
        yield Updated(made.documents, sorted(there - made.paths))


def _source(connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Source:
    changed, waiting = _changed(connection, plugin, rendered), _waiting(connection, plugin, rendered)
    return Source(plugin, rendered.row.id, changed, waiting)


def _changed(connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Collection[int] | None:
    """Return the digests of the keys of a plugin whose documents were rendered; None where it has none."""
    if not plugin.unbounded:
        return None
    if Pace.SLOW not in rendered.paces or rendered.renewed:
        return ()
    return {int(digest) for digest in positions.marked_keys(connection, rendered.row)["key"]}


def _waiting(connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Collection[int] | None:
    """Return the digests of the keys of which this render made no document, though they changed; None for any."""
    if not plugin.unbounded:
        return ()
    if Pace.SLOW in rendered.paces:
        left = rendered.keys_left
    elif any(mark.document == positions.EVERYTHING for mark in positions.marked(connection, rendered.row)):
        return None
    else:
        left = positions.marked_keys(connection, rendered.row).tobytes()
    if not left:
        return ()
    return {int(digest) for digest in changed_keys.unpack([left])["key"]}
