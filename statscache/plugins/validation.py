"""Validate plugin classes: a class that breaks the contract is refused when it is defined, with the fix."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from statscache import layout
from statscache.kinds.entities import ENTITIES
from statscache.kinds.registry import kinds
from statscache.message import EXCERPTS
from statscache.plugins.settings import Setting

if TYPE_CHECKING:
    from statscache.plugins.contract import Plugin

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOPIC = re.compile(r"[^.\s]+(\.[^.\s]+)*")


def taken() -> frozenset[str]:
    """Return the fields of records that no dimension can be named after: the columns of all kinds, and of series."""
    return frozenset({"timestamp", "value", "days"}.union(*(kind.column_names() for kind in kinds().values())))


def is_dimension(name: object) -> bool:
    """Return whether this can be the name of a dimension."""
    return isinstance(name, str) and bool(_DIMENSION.fullmatch(name)) and name not in taken()


def problems(cls: "type[Plugin]") -> Iterator[str]:
    """Yield the faults of a plugin class of any kind, each with its fix."""
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"`name` is {name!r}; give it a name of lowercase letters, digits and '-', such as 'builds-by-owner'"
    if not isinstance(getattr(cls, "title", None), str) or not cls.title.strip():
        yield "`title` is missing; give it a heading for people"
    if not (cls.__dict__.get("__doc__") or "").strip():
        yield "the docstring is missing; its first line is the summary that people read"
    if not hasattr(cls, "kind_class"):
        yield "it derives from Plugin itself; derive from a kind, such as Counter, Latest or Log"
    else:
        yield from cls._faults()
    if not _are_dimensions(cls.dimensions):
        yield f"`dimensions` is {cls.dimensions!r}; give a tuple of names in lowercase, none of {sorted(taken())}"
    elif len(set(cls.dimensions)) != len(cls.dimensions):
        yield f"`dimensions` is {cls.dimensions!r}; each name may occur once"
    if type(cls.topics) is not tuple or any(not _is_pattern(topic) for topic in cls.topics):
        yield f"`topics` is {cls.topics!r}; give a tuple of patterns such as 'buildsys.build.state.change' or 'bodhi.#'"
    if type(cls.version) is not int or cls.version < 1:
        yield f"`version` is {cls.version!r}; give a whole number from 1"
    if not _are_settings(cls.declared_settings):
        example = "a dict of names and settings, such as {'limit': Whole(100)}"
        yield f"`declared_settings` is {cls.declared_settings!r}; give {example}"
    if cls.calendars and not cls.unbounded:
        yield "`calendars` are of the keys of `unbounded` counters"
    if type(cls.clocks) is not tuple or any(type(width) is not int or width < 1 for width in cls.clocks):
        yield f"`clocks` is {cls.clocks!r}; give a tuple of seconds, such as (86400,)"
    if getattr(cls.observe, "__isabstractmethod__", False):
        yield "`observe(self, message)` is missing"
    if owned := sorted(name for name in vars(cls) if any(_is_final(vars(base).get(name)) for base in cls.__mro__[1:])):
        yield f"it overrides {', '.join(owned)}, which the framework owns; choose other names"


def are_days(trailing: object) -> bool:
    """Return whether these are names of documents, each with a number of days from 1."""
    return isinstance(trailing, Mapping) and all(
        isinstance(name, str) and type(days) is int and days >= 1 for name, days in trailing.items()
    )


def are_columns(columns: object) -> bool:
    """Return whether these are names of documents, each with the names of fields, each of them once."""
    return isinstance(columns, Mapping) and all(
        isinstance(name, str)
        and type(fields) is tuple
        and all(isinstance(field, str) for field in fields)
        and len(set(fields)) == len(fields)
        for name, fields in columns.items()
    )


def entities(cls: "type[Plugin]") -> Iterator[str]:
    """Yield the faults of the `entities` of a class."""
    if not cls.entities:
        return
    if len(cls.entities) > 1 or not cls.entities.keys() <= {*cls.dimensions}:
        yield f"`entities` is {cls.entities!r}; give one of `dimensions`, and what it names"
    if unknown := sorted(set(cls.entities.values()) - {*ENTITIES}):
        yield f"`entities` names {unknown}; give one of {', '.join(ENTITIES)}"
    if cls.unbounded and len(cls.dimensions) > 1:
        yield "`entities` of an `unbounded` plugin need keys of one dimension, whose documents its page reads"
    if "person" in cls.entities.values() and not cls.people:
        yield "`entities` names people; set `people = True`, so that it is off where these are not wanted"


def shown(cls: "type[Plugin]") -> Iterator[str]:
    """Yield what is wrong with the board and the feed of a class."""
    if cls.board is not None and not _is_of_board(cls.layout):
        yield "`board` needs a `layout` with `groups`, `statuses` and `stuck`, as docs/release-engineering.md has it"
    if cls.feed is not None and layout.feed(cls.name) == layout.CHANGES_FEED:
        yield "`feed` would be where that of the snapshots is; choose another `name`"
    if cls.feed is not None and (type(cls.feed.names) is not tuple or not cls.feed.names):
        yield f"`feed` has the names {cls.feed.names!r}; give a tuple of fields that name what an entry is about"


def _is_of_board(layout: object) -> bool:
    if not isinstance(layout, Mapping):
        return False
    words = [*layout.get("statuses", {None: None}).values(), layout.get("stuck")]
    needed = [*((word, {"class", "text"}) for word in words)]
    needed += [(group, {"id", "title", "area"}) for group in layout.get("groups", [None])]
    return all(isinstance(each, Mapping) and names <= each.keys() for each, names in needed)


def unbounded(cls: "type[Plugin]") -> Iterator[str]:
    """Yield the faults of a class that declares `unbounded`."""
    if not cls.kind_class.takes_unbounded:
        yield f"`unbounded` {_is_for(cls, 'takes_unbounded')}; leave it out: it publishes no documents of keys"
    elif not cls.dimensions:
        yield "`unbounded` needs at least one dimension"


def depends_on(cls: "type[Plugin]") -> Iterator[str]:
    """Yield the faults of the `depends_on` of a class that declares it."""
    if not cls.kind_class.takes_depends_on:
        yield f"`depends_on` {_is_for(cls, 'takes_depends_on')}; leave it out"
    elif type(cls.depends_on) is not tuple or not set(cls.depends_on) <= {*EXCERPTS}:
        yield f"`depends_on` is {cls.depends_on!r}; give a tuple of names, each one of {', '.join(EXCERPTS)}"


def _is_for(cls: "type[Plugin]", flag: str) -> str:
    """Return which kinds take what a class of another one declares, in words."""
    those = ", ".join(kind.name for kind in kinds().values() if getattr(kind, flag))
    return f"is for {those}; it is a {cls.kind_class.name}"


def _is_final(attribute: object) -> bool:
    """Return True if a method or property is marked as `final`: a base offers it to authors, who do not override it."""
    if isinstance(attribute, property):
        attribute = attribute.fget
    return bool(getattr(attribute, "__final__", False))


def _are_dimensions(dimensions: object) -> bool:
    return type(dimensions) is tuple and all(map(is_dimension, dimensions))


def _are_settings(declared: object) -> bool:
    return isinstance(declared, Mapping) and all(
        isinstance(name, str) and isinstance(setting, Setting) for name, setting in declared.items()
    )


def _is_pattern(topic: object) -> bool:
    return isinstance(topic, str) and bool(_TOPIC.fullmatch(topic)) and "#" not in topic.removesuffix("#")
