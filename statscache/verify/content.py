"""What a published document says, held against its schema, its path, and what the rest of the tree says."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from statscache import canonical, schemas
from statscache.kinds import keys
from statscache.publish import pointer
from statscache.store.published import Entry
from statscache.verify.findings import Weight

_PLUGIN = re.compile(r"v1/plugins/([^/]+)/(.+)\.json")
_SERIES = re.compile(r"series/([^/]+)/([^/]+)")

Problems = Iterator[tuple[Weight, str]]


def document(path: str, data: bytes, through: int | None, files: Mapping[str, Entry]) -> Problems:
    """Yield what is wrong with a document of the snapshot.

    Args:
        path: Where it is published.
        data: Its bytes.
        through: The clock of the pointer.
        files: Entry of each file of the snapshot, by path.
    """
    if path.endswith(".csv"):
        yield from _table(data)
    if not path.endswith(".json"):
        return
    value, problems = parsed(path, data)
    yield from problems
    if problems or value is None:
        return
    matched = _PLUGIN.fullmatch(path)
    if matched is None or path.endswith("/badge.json"):
        return
    plugin, name = matched.groups()
    if value["plugin"] != plugin:
        yield Weight.WRONG, f"it says that it is of the plugin {value['plugin']!r:.100}"
    if value["through"] is not None and (through is None or value["through"] > through):
        yield Weight.WRONG, f"its `through` {value['through']} is later than that of the pointer, {through}"
    yield from _by_name(plugin, name, value, files)


def _by_name(plugin: str, name: str, value: Any, files: Mapping[str, Entry]) -> Problems:
    if series := _SERIES.fullmatch(name):
        resolution, period = series.groups()
        if value["resolution"] != resolution:
            yield Weight.WRONG, f"it says that it has the resolution {value['resolution']!r:.100}"
        if period == "index":
            yield from _periods(f"v1/plugins/{plugin}/series/{resolution}/", value, files)
        elif value["period"] != period:
            yield Weight.WRONG, f"it says that it is of the period {value['period']!r:.100}"
        elif any(len(row) != len(value["columns"]) for row in value["rows"]):
            yield Weight.WRONG, "a row has another number of cells than there are columns"
    elif name.startswith("by/"):
        if f"by/{keys.path(tuple(value['key']))}" != name:
            yield Weight.WRONG, f"its key {value['key']!r:.100} belongs at by/{keys.path(tuple(value['key']))}.json"
    elif value["schema"] != f"statscache/{name}/1":
        yield Weight.WRONG, f"it says that it is {value['schema']!r:.100}"


def _periods(directory: str, value: Any, files: Mapping[str, Entry]) -> Problems:
    listed = {f"{directory}index.json"}
    for period in value["periods"]:
        for reference in (period, period["csv"]):
            listed.add(reference["path"])
            yield from refers(reference, files)
    for path in sorted(files):
        if path.startswith(directory) and path not in listed:
            yield Weight.WRONG, f"it does not list {path}"


def refers(reference: Any, files: Mapping[str, Entry]) -> Problems:
    """Yield what is wrong with a reference to a file: other than the manifests have it."""
    there = files.get(reference["path"])
    if there is None:
        yield Weight.BROKEN, f"it refers to {reference['path']!r:.200}, which is not in the snapshot"
    elif (there.object, there.size) != (reference["object"], reference["size"]):
        yield Weight.BROKEN, f"it refers to other bytes of {reference['path']} than are in the snapshot"


def index(value: Any, files: Mapping[str, Entry]) -> Problems:
    """Yield what is wrong with the pointer: its own fields, and its references to documents.

    Args:
        value: Its content, which its schema allows.
        files: Entry of each file of the snapshot, by path.
    """
    if value["manifest"] != pointer.manifest_path(value["snapshot"]):
        yield Weight.BROKEN, f"its manifest is {value['manifest']!r:.200}, not that of its snapshot"
    if value["expires_at"] != value["generated_at"] + 3 * value["interval"]:
        yield Weight.WRONG, "`expires_at` is not `generated_at` and 3 intervals"
    names = [plugin["name"] for plugin in value["plugins"]]
    if names != sorted(set(names)):
        yield Weight.WRONG, "its plugins are not in order of name, or one is there twice"
    listed = set()
    for plugin in value["plugins"]:
        for reference in plugin["documents"]:
            listed.add(reference["path"])
            yield from refers(reference, files)
    for path in sorted(files):
        if path.startswith("v1/plugins/"):
            if path.split("/")[2] not in names:
                yield Weight.WRONG, f"it knows no plugin of {path}"
            elif path not in listed and path.count("/") == 3:
                yield Weight.WRONG, f"it does not list {path}"


def parsed(path: str, data: bytes) -> tuple[Any, list[tuple[Weight, str]]]:
    """Return the content of a JSON file, None if it has none, and what is wrong with it by its schema and form."""
    name = schemas.name_of(path)
    if name is not None and (problem := schemas.problem(name, data)):
        return None, [(Weight.WRONG, f"it does not satisfy the schema {name}: {problem}")]
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return None, [(Weight.WRONG, f"it is no JSON: {error}")]
    if canonical.dumps(value) != data:
        return value, [(Weight.WRONG, "it is no canonical JSON")]
    return value if name is not None else None, []


def _table(data: bytes) -> Problems:
    try:
        data.decode()
    except UnicodeDecodeError:
        yield Weight.WRONG, "it is no UTF-8"
    if not data.endswith(b"\r\n"):
        yield Weight.WRONG, "its last line does not end with CR LF"
