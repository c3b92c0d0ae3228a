"""The paths of all published files, as in docs/format.md; no other module spells them.

Paths are relative to the root of the site. Only the standard library is used, because the client imports this module.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

INDEX = "v1/index.json"
"""The pointer to the current snapshot, written last."""

STATUS = "v1/status.json"
CHANGES = "v1/changes.json"
CHANGES_FEED = "feeds/changes.xml"

PENDING = "v1/pending.json"
"""Names the snapshot being published, so that the next publisher knows which files may be new."""

OUTSIDE = (INDEX, STATUS, CHANGES, CHANGES_FEED, PENDING)
"""The files that belong to no snapshot."""

OBJECTS = "v1/objects/"
"""The directory of files that never change."""

SNAPSHOTS = "v1/snapshots/"
"""The directory of root manifests."""

FRONT_PAGE = "index.html"
STATUS_PAGE = "status/index.html"
NOT_FOUND_PAGE = "404.html"
SITEMAP = "sitemap.xml"
ROBOTS = "robots.txt"
DOCS_PAGE = "docs/index.html"
BOARD_PAGE = "release-engineering/index.html"
"""The page that shows the boards of plugins."""

ENTITY_PAGES = {"person": "people", "package": "packages", "release": "releases", "topic": "topics"}
"""The directory of the page for each type of entity, by the entity's name in the format."""

DIRECTORIES = (
    "v1",
    "plugins",
    "docs",
    "status",
    "examples",
    "assets",
    "release-engineering",
    "feeds",
    *ENTITY_PAGES.values(),
)
"""Directories of the site that belong to statscache alone."""

OBJECT_NAME = re.compile(r"([0-9a-f]{64})\.[a-z0-9]{1,16}")
"""The name of an object: the SHA-256 of its bytes, and the extension of the file, which decides its content type."""

ENTITIES = "v1/entities"
"""The directory of the lists of entities."""

FEEDS = "feeds"
"""The directory of the Atom feeds."""

_DATA = "v1/"
_PLUGINS = "v1/plugins/"
_KEYS = re.compile(r"v1/plugins/[^/]+/by/")
_LONGEST_KEY = 120
_PLAIN = re.compile(r"[a-z0-9-]+")
_PLAIN_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")


def subtree(path: str) -> str:
    """Return the subtree of a file: `data` for JSON and CSV under `v1/`, else `site`."""
    return "data" if path.startswith(_DATA) and path.endswith((".json", ".csv")) else "site"


def has_object(path: str) -> bool:
    """Return whether the bytes of a file are published as an object too: true except for documents of keys."""
    return _KEYS.match(path) is None


def steps(path: str) -> list[str]:
    """Return the names of the entries that lead to a file, from the root of its subtree.

    Below `by/`, the rest of a path is one name, such as `ralph/2013.json`: otherwise, each key with older years would
    need one more manifest.
    """
    found = _KEYS.match(path)
    return path.split("/") if found is None else [*path[: found.end() - 1].split("/"), path[found.end() :]]


def object_name(path: str, data: bytes) -> str:
    """Return the name of the object of the file at `path`; the digest alone if the file has no object."""
    digest = hashlib.sha256(data).hexdigest()
    return f"{digest}.{path.rsplit('.', 1)[-1]}" if has_object(path) else digest


def object_path(name: str) -> str:
    """Return the path of an object."""
    return f"{OBJECTS}{name[:2]}/{name}"


def manifest(snapshot: str) -> str:
    """Return the path of the root manifest of a snapshot."""
    return f"{SNAPSHOTS}{snapshot}.json"


def schema(name: str) -> str:
    """Return the path of the JSON Schema of a kind of document."""
    return f"v1/schema/{name}.json"


def plugin_root(name: str) -> str:
    """Return the directory of the documents of a plugin."""
    return f"{_PLUGINS}{name}"


def page_root(name: str) -> str:
    """Return the directory of the page of a plugin."""
    return f"plugins/{name}"


def page(name: str) -> str:
    """Return the path of the page of a plugin."""
    return f"{page_root(name)}/index.html"


def document(name: str, document: str, form: str = "json") -> str:
    """Return the path of a fixed document of a plugin; `form` is `json` or `csv`."""
    return f"{plugin_root(name)}/{document}.{form}"


def latest(name: str) -> str:
    """Return the path of the document `latest`, which every plugin has."""
    return document(name, "latest")


def badge(name: str) -> str:
    """Return the path of the badge of a plugin."""
    return document(name, "badge")


def plugin_layout(name: str) -> str:
    """Return the path of the document with a plugin's `layout`: how its numbers are grouped and drawn."""
    return document(name, "layout")


def chart(name: str, resolution: str | None = None) -> str:
    """Return the path of a plot of a plugin: that of one resolution, or its main one."""
    return document(name, "chart" if resolution is None else f"chart-{resolution}", "svg")


def all_series(name: str) -> str:
    """Return the directory of all resolutions of a plugin."""
    return f"{plugin_root(name)}/series"


def series_root(name: str, resolution: str) -> str:
    """Return the directory of one resolution of a plugin."""
    return f"{all_series(name)}/{resolution}"


def series_index(name: str, resolution: str) -> str:
    """Return the path of the list of periods of one resolution."""
    return f"{series_root(name, resolution)}/index.json"


def series(name: str, resolution: str, period: str, form: str = "json") -> str:
    """Return the path of one period of a series; `form` is `json` or `csv`."""
    return f"{series_root(name, resolution)}/{period}.{form}"


def keys_root(name: str) -> str:
    """Return the directory of the documents of the keys of a plugin."""
    return f"{plugin_root(name)}/by"


def key_document(name: str, key: Sequence[str | None]) -> str:
    """Return the path of the document of one key of an unbounded plugin."""
    return f"{keys_root(name)}/{key_name(key)}.json"


def is_key_year(path: str) -> bool:
    """Return whether a path is that of an older year of a key."""
    found = _KEYS.match(path)
    return found is not None and "/" in path[found.end() :]


def key_year(name: str, key: Sequence[str | None], year: int) -> str:
    """Return the path of the document of an older year of one key."""
    return f"{keys_root(name)}/{key_name(key)}/{year}.json"


def calendar(name: str, key: Sequence[str | None]) -> str:
    """Return the path of the calendar of one key."""
    return f"{keys_root(name)}/{key_name(key)}.svg"


def key_name(key: Sequence[str | None]) -> str:
    """Return the file name of a key, without extension.

    Bytes of the UTF-8 outside `[a-z0-9-]` become `_` and two hexadecimal digits; parts are joined by a dot; an empty
    part is `_`, null is `__`. A name of over 120 characters is cut: the first 80, `~`, and 32 digits of the SHA-256
    of the whole.
    """
    name = ".".join(map(_encoded, key))
    if len(name) > _LONGEST_KEY:
        return f"{name[:80]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return name


def _encoded(part: str | None) -> str:
    if part is None:
        return "__"
    if _PLAIN.fullmatch(part):
        return part
    return "".join(chr(byte) if byte in _PLAIN_BYTES else f"_{byte:02x}" for byte in part.encode()) or "_"


def entity_root(entity: str) -> str:
    """Return the directory of the names of an entity."""
    return f"{ENTITIES}/{entity}"


def entities(entity: str) -> str:
    """Return the path of the list of the shards of an entity."""
    return f"{entity_root(entity)}/index.json"


def entity_names(entity: str, prefix: str) -> str:
    """Return the path of the names of an entity that begin with a prefix."""
    return f"{entity_root(entity)}/{shard_name(prefix)}"


def shard_name(prefix: str) -> str:
    """Return the file name of the names that begin with a prefix, encoded as a key is."""
    return f"{key_name((prefix,))}.json"


def entity_page(entity: str) -> str:
    """Return the path of the page for all names of an entity."""
    return f"{ENTITY_PAGES[entity]}/index.html"


def feed(name: str) -> str:
    """Return the path of the Atom feed of a plugin."""
    return f"{FEEDS}/{name}.xml"


def documentation(file: str) -> str:
    """Return the path of a file of the documentation; `file` is relative to that."""
    return f"docs/{file}"


def doc_page(name: str) -> str:
    """Return the path of a page of the documentation, such as `plugins` or `adr/0001-libraries`."""
    return documentation(f"{name}/index.html")


def example(file: str) -> str:
    """Return the path of a file of the example pages."""
    return f"examples/{file}"


def asset(name: str) -> str:
    """Return the path of a style, a script or an icon."""
    return f"assets/{name}"


PATHS: Mapping[str, str] = {
    "index": INDEX,
    "status": STATUS,
    "changes": CHANGES,
    "pending": PENDING,
    "schema": schema("<schema>"),
    "layout": plugin_layout("<name>"),
    "document": document("<name>", "<document>"),
    "document-csv": document("<name>", "<document>", "csv"),
    "series-index": series_index("<name>", "<resolution>"),
    "series": series("<name>", "<resolution>", "<period>"),
    "series-csv": series("<name>", "<resolution>", "<period>", "csv"),
    "key": f"{keys_root('<name>')}/<key>.json",
    "key-year": f"{keys_root('<name>')}/<key>/<year>.json",
    "calendar": f"{keys_root('<name>')}/<key>.svg",
    "chart": document("<name>", "<plot>", "svg"),
    "entities": f"{ENTITIES}/<entity>/index.json",
    "entity-names": f"{ENTITIES}/<entity>/<prefix>.json",
    "manifest": manifest("<snapshot>"),
    "object": f"{OBJECTS}<xx>/<object>",
    "front-page": FRONT_PAGE,
    "not-found-page": NOT_FOUND_PAGE,
    "sitemap": SITEMAP,
    "robots": ROBOTS,
    "page": page("<name>"),
    "status-page": STATUS_PAGE,
    "board-page": BOARD_PAGE,
    "people-page": entity_page("person"),
    "packages-page": entity_page("package"),
    "releases-page": entity_page("release"),
    "topics-page": entity_page("topic"),
    "changes-feed": CHANGES_FEED,
    "feed": feed("<name>"),
    "documentation": documentation("<page>"),
    "example": example("<page>"),
    "asset": asset("<asset>"),
}
"""The form of each kind of path, in the notation of docs/format.md; the first that matches a path is its kind."""


class Match(NamedTuple):
    """The kind of file at a path.

    Attributes:
        kind: A name in `PATHS`.
        parts: The text of each placeholder, such as `{"name": "volume"}`; a key is encoded.
    """

    kind: str
    parts: Mapping[str, str]


def match(path: str) -> Match | None:
    """Return the kind of file at a path; None if the format has no such path."""
    for kind, pattern in _PATTERNS:
        if found := pattern.fullmatch(path):
            return Match(kind, found.groupdict())
    return None


def is_period(path: str) -> bool:
    """Return whether a path is that of one period of a series."""
    found = match(path)
    return found is not None and found.kind in ("series", "series-csv")


def is_page(address: str) -> bool:
    """Return whether the path of a URL, which begins with a slash, may be that of a page for people.

    All files that are not pages have an extension.
    """
    name = address.rpartition("/")[2]
    return ("." not in name or name.endswith(".html")) and not address.startswith(f"/{_DATA}")


def plugin_of(path: str) -> str | None:
    """Return the plugin whose documents include the file at `path`, whatever its name; None if none does."""
    return path.removeprefix(_PLUGINS).partition("/")[0] if path.startswith(_PLUGINS) else None


def _pattern(form: str) -> re.Pattern[str]:
    # Only pages are in directories of their own.
    return re.compile(
        re.sub(r"<(\w+)>", lambda found: f"(?P<{found[1]}>{'.+' if found[1] == 'page' else '[^/]+'})", re.escape(form))
    )


_PATTERNS = [(kind, _pattern(form)) for kind, form in PATHS.items()]
