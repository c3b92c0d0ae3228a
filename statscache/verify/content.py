"""Check the content of a published document against its schema, its path and the rest of the tree."""

from collections.abc import Iterator
from typing import Any

import orjson

from statscache import canonical, layout, schemas
from statscache.verify.files import Files
from statscache.verify.findings import Weight

Problems = Iterator[tuple[Weight, str]]


def document(path: str, data: bytes, through: int | None, files: Files) -> Problems:
    """Yield the faults of a document of the snapshot.

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
    found = layout.match(path)
    if found is None or "name" not in found.parts or path == layout.badge(found.parts["name"]):
        return
    if value["plugin"] != found.parts["name"]:
        yield Weight.WRONG, f"it names the plugin {value['plugin']!r:.100}"
    if value["through"] is not None and (through is None or value["through"] > through):
        yield Weight.WRONG, f"its `through` {value['through']} is later than that of the pointer, {through}"
    yield from _by_kind(found, path, value, files)


def _by_kind(found: layout.Match, path: str, value: Any, files: Files) -> Problems:
    kind, parts = found
    if kind in ("series", "series-index") and value["resolution"] != parts["resolution"]:
        yield Weight.WRONG, f"it names the resolution {value['resolution']!r:.100}"
    if kind == "series-index":
        yield from _periods(path, value, files)
    elif kind == "series":
        if value["period"] != parts["period"]:
            yield Weight.WRONG, f"it names the period {value['period']!r:.100}"
        elif any(len(row) != len(value["columns"]) for row in value["rows"]):
            yield Weight.WRONG, "a row does not have one cell for each column"
    elif kind == "key":
        expected = layout.key_document(parts["name"], value["key"])
        if expected != path:
            yield Weight.WRONG, f"its key {value['key']!r:.100} belongs at {expected}"
    elif kind == "key-year":
        expected = layout.key_year(parts["name"], value["key"], value["year"])
        if expected != path:
            yield Weight.WRONG, f"its key {value['key']!r:.100} and year {value['year']} belong at {expected}"
    elif kind == "document" and value["schema"] != f"statscache/{parts['document']}/1":
        yield Weight.WRONG, f"it has the schema {value['schema']!r:.100}"


def _periods(index: str, value: Any, files: Files) -> Problems:
    listed = {index}
    for period in value["periods"]:
        for reference in (period, period["csv"]):
            listed.add(reference["path"])
            yield from reference_faults(reference, files)
    for path in files.below(index.removesuffix("index.json")):
        if path not in listed:
            yield Weight.WRONG, f"it does not list {path}"


def reference_faults(reference: Any, files: Files) -> Problems:
    """Yield the faults of a reference: a file that is missing from the manifests, or other bytes than they name."""
    there = files.get(reference["path"])
    if there is None:
        yield Weight.BROKEN, f"it refers to {reference['path']!r:.200}, which is not in the snapshot"
    elif (there.object, there.size) != (reference["object"], reference["size"]):
        yield Weight.BROKEN, f"it refers to bytes of {reference['path']} that are not those of the snapshot"


def index(value: Any, files: Files) -> Problems:
    """Yield the faults of the pointer: its own fields, and its references to documents.

    Args:
        value: Its content, which its schema allows.
        files: Entry of each file of the snapshot, by path.
    """
    if value["manifest"] != layout.manifest(value["snapshot"]):
        yield Weight.BROKEN, f"its manifest is {value['manifest']!r:.200}, not that of its snapshot"
    if value["expires_at"] != value["generated_at"] + 3 * value["interval"]:
        yield Weight.WRONG, "`expires_at` is not `generated_at` plus 3 intervals"
    names = [plugin["name"] for plugin in value["plugins"]]
    if names != sorted(set(names)):
        yield Weight.WRONG, "its plugins are not sorted by name, or one is listed twice"
    listed = set()
    for plugin in value["plugins"]:
        for reference in plugin["documents"]:
            listed.add(reference["path"])
            yield from reference_faults(reference, files)
    for path in files.ordered():
        plugin = layout.plugin_of(path)
        if plugin is not None:
            if plugin not in names:
                yield Weight.WRONG, f"none of its plugins has the file {path}"
            elif path not in listed and path.rpartition("/")[0] == layout.plugin_root(plugin):
                yield Weight.WRONG, f"it does not list {path}"


def parsed(path: str, data: bytes) -> tuple[Any, list[tuple[Weight, str]]]:
    """Return the content of a JSON file, None if it has none, and its faults by schema and form."""
    name = schemas.name_of(path)
    if name is not None and (problem := schemas.problem(name, data)):
        return None, [(Weight.WRONG, f"it does not satisfy the schema {name}: {problem}")]
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return None, [(Weight.WRONG, f"it is not JSON: {error}")]
    if canonical.dumps(value) != data:
        return value, [(Weight.WRONG, "it is not canonical JSON")]
    return value if name is not None else None, []


def _table(data: bytes) -> Problems:
    try:
        data.decode()
    except UnicodeDecodeError:
        yield Weight.WRONG, "it is not UTF-8"
    if not data.endswith(b"\r\n"):
        yield Weight.WRONG, "its last line does not end with CR LF"
