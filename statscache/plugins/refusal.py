"""Why a plugin class is refused: what breaks the contract is told when the class is defined, with the mend."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statscache.plugins.contract import Plugin

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOPIC = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_TAKEN = {
    *("total", "timestamp", "value", "days", "last_24h", "last_7d", "last_30d"),
    *("last_day", "last_week", "last_month", "start", "stop", "duration"),
}
_FRAMEWORK = {
    "all_keys",
    "bucket_starts",
    "check",
    "clear",
    "combine",
    "combine_values",
    "dump",
    "faults",
    "key_documents",
    "kept",
    "latest",
    "merge",
    "moments",
    "newest",
    "record",
    "resolutions",
    "series",
    "tallied",
    "windows",
}
"""What a kind implements; an author leaves it alone."""


def is_dimension(name: object) -> bool:
    """Return whether a dimension can be named so."""
    return isinstance(name, str) and bool(_DIMENSION.fullmatch(name)) and name not in _TAKEN


def problems(cls: "type[Plugin]") -> Iterator[str]:
    """Yield what is wrong with a plugin class, whatever its kind, and the mend of each."""
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"`name` is {name!r}; give it a name of lowercase letters, digits and '-', such as 'builds-by-owner'"
    if not isinstance(getattr(cls, "title", None), str) or not cls.title.strip():
        yield "`title` is missing; give it a heading for people"
    if not (cls.__dict__.get("__doc__") or "").strip():
        yield "the docstring is missing; its first line is the summary that people read"
    if not isinstance(getattr(cls, "kind", None), str):
        yield "it derives from Plugin itself; derive from a kind, such as Counter, Latest or Log"
    else:
        yield from cls.faults()
    if not _are_dimensions(cls.dimensions):
        yield f"`dimensions` is {cls.dimensions!r}; give a tuple of names in lowercase, none of {sorted(_TAKEN)}"
    elif len(set(cls.dimensions)) != len(cls.dimensions):
        yield f"`dimensions` is {cls.dimensions!r}; each name may stand there once"
    if type(cls.topics) is not tuple or any(not _is_pattern(topic) for topic in cls.topics):
        yield f"`topics` is {cls.topics!r}; give a tuple of patterns such as 'buildsys.build.state.change' or 'bodhi.#'"
    if type(cls.version) is not int or cls.version < 1:
        yield f"`version` is {cls.version!r}; give a whole number from 1"
    if type(cls.shared) is not tuple or not all(isinstance(name, str) for name in cls.shared):
        yield f"`shared` is {cls.shared!r}; give a tuple of names of settings, such as ('bots',)"
    takes = () if cls.takes is None else cls.takes
    if type(takes) is not tuple or not all(isinstance(name, str) for name in takes):
        yield f"`takes` is {cls.takes!r}; give a tuple of names of settings, such as ('limit',), or None for any"
    if cls.unbounded and not cls.dimensions:
        yield "`unbounded` needs at least one dimension"
    if type(cls.clocks) is not tuple or any(type(width) is not int or width < 1 for width in cls.clocks):
        yield f"`clocks` is {cls.clocks!r}; give a tuple of seconds, such as (86400,)"
    if getattr(cls.observe, "__isabstractmethod__", False):
        yield "`observe(self, message)` is missing"
    taken = sorted(_FRAMEWORK & vars(cls).keys())
    if taken:
        yield f"it overrides {', '.join(taken)}, which the framework owns; choose other names"


def _are_dimensions(dimensions: object) -> bool:
    return type(dimensions) is tuple and all(map(is_dimension, dimensions))


def _is_pattern(topic: object) -> bool:
    return isinstance(topic, str) and bool(_TOPIC.fullmatch(topic)) and "#" not in topic.removesuffix("#")
