"""Which names of entities a render makes again: those of keys that changed, or all where names may have gone."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from statscache import layout
from statscache.kinds.entities import ENTITIES
from statscache.pace import Pace
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.render import entities
from statscache.render.documents import Document
from statscache.render.entities import Source
from statscache.render.result import RenderedPlugin
from statscache.store import changed_keys, positions, published
from statscache.store.changed_keys import Digests
from statscache.store.positions import Position

_NONE = np.zeros(0, np.int64)


def updates(
    connection: Connection,
    registry: Registry,
    rows: Mapping[str, Position],
    plugins: Sequence[RenderedPlugin],
    add: Callable[[Document], None],
    *,
    slow: bool,
    force: bool,
) -> list[str]:
    """Make the names of each entity again, as far as a render changed them; return the paths of those that are gone.

    Args:
        connection: The render's database snapshot.
        registry: The plugins.
        rows: Their rows, by name.
        plugins: The result of each plugin that was rendered.
        add: Called with each document of names.
        slow: True if slow documents were rendered.
        force: True if everything was.
    """
    rendered = {each.info.name: each for each in plugins}
    removed: list[str] = []
    for entity in ENTITIES:
        counting = [plugin for plugin in registry if entity in plugin.entities.values() and plugin.name in rendered]
        # Where all is rendered, the tree is written again, whatever its rows say.
        there = set() if force else {*published.below(connection, layout.entity_root(entity), "data")}
        # Of a plugin that was folded again, or from which a person was removed, names may have gone.
        everything = force or any(
            rendered[plugin.name].renewed or (slow and rows[plugin.name].rendered_with is None) for plugin in counting
        )
        sources = [_source(connection, plugin, rendered[plugin.name]) for plugin in counting]
        paths = entities.make(connection, entity, sources, add, everything=everything) if sources else set()
        removed += sorted(there - paths)
    return removed


def _source(connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Source:
    waiting = _waiting(connection, plugin, rendered)
    return Source(plugin, rendered.row.id, _made(connection, plugin, rendered, waiting), waiting)


def _made(connection: Connection, plugin: Plugin, rendered: RenderedPlugin, waiting: Digests | None) -> Digests | None:
    """Return the digests of the keys of a plugin whose documents were made; None where it has none.

    Those of keys that wait are made in a later render, which looks at their names then. So names cost in proportion to
    the documents of one publication, however many a sender has made up.
    """
    if not plugin.unbounded:
        return None
    if Pace.SLOW not in rendered.paces or rendered.renewed or waiting is None:
        return _NONE
    marked = np.unique(positions.marked_keys(connection, rendered.row)["key"])
    return marked[~changed_keys.are_in(marked, waiting)]


def _waiting(connection: Connection, plugin: Plugin, rendered: RenderedPlugin) -> Digests | None:
    """Return the digests of the keys of which this render made no document, though they changed; None for any."""
    if not plugin.unbounded:
        return _NONE
    if Pace.SLOW in rendered.paces:
        left = changed_keys.unpack([rendered.keys_left])
    elif any(mark.document == positions.EVERYTHING for mark in positions.marked(connection, rendered.row)):
        return None
    else:
        left = positions.marked_keys(connection, rendered.row)
    return np.unique(left["key"])
