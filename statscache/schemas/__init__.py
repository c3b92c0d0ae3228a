"""JSON Schema (2020-12) of every published document, and the check of a document against its type.

Both are made of the types that also make the documents, so none of the three can drift from the others.
"""

from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from statscache import canonical, layout
from statscache.schemas.health import (
    Health,
    JournalHealth,
    LoadProblem,
    Oversize,
    PluginHealth,
    SourceHealth,
    Status,
    TargetHealth,
)
from statscache.schemas.parts import Interval, PluginState, Reference
from statscache.schemas.site import (
    ChangedSnapshot,
    ChangeLog,
    Changes,
    Entities,
    EntityNames,
    EntryType,
    Index,
    IndexedPlugin,
    Manifest,
    ManifestEntry,
    Signature,
)
from statscache.schemas.statistics import (
    Badge,
    Header,
    Key,
    KeyYear,
    Latest,
    Part,
    Period,
    PluginDocument,
    Row,
    Series,
    SeriesIndex,
)

__all__ = [
    "DIALECT",
    "TYPES",
    "Badge",
    "ChangeLog",
    "ChangedSnapshot",
    "Changes",
    "Entities",
    "EntityNames",
    "EntryType",
    "Header",
    "Health",
    "Index",
    "IndexedPlugin",
    "Interval",
    "JournalHealth",
    "Key",
    "KeyYear",
    "Latest",
    "LoadProblem",
    "Manifest",
    "ManifestEntry",
    "Oversize",
    "Part",
    "Period",
    "PluginDocument",
    "PluginHealth",
    "PluginState",
    "Reference",
    "Row",
    "Series",
    "SeriesIndex",
    "Signature",
    "SourceHealth",
    "Status",
    "TargetHealth",
    "documents",
    "generate",
    "name_of",
    "problem",
]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES: dict[str, Any] = {
    "badge": Badge,
    "changes": ChangeLog,
    "document": PluginDocument,
    "entities": Entities,
    "entity-names": EntityNames,
    "index": Index,
    "key": Key,
    "key-year": KeyYear,
    "latest": Latest,
    "manifest": Manifest,
    "series": Series,
    "series-index": SeriesIndex,
    "status": Status,
}
"""The type of each kind of document, by the name of its schema."""

_COMMON = ("latest", "badge")
"""The fixed documents with a schema of their own; all others have that of a plugin's own document."""


@cache
def documents() -> tuple[tuple[str, bytes], ...]:
    """Return path and bytes of the schema of each kind of document, as they are published."""
    return tuple((layout.schema(name), canonical.dumps(generate(name))) for name in TYPES)


def generate(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of document.

    Raises:
        KeyError: No kind has that name.
    """
    return _adapter(name).json_schema(schema_generator=_Generator) | {"$schema": DIALECT}


def name_of(path: str) -> str | None:
    """Return the name of the schema that the document at `path` must satisfy; None if there is no schema for it."""
    found = layout.match(path)
    if found is None or found.kind not in TYPES:
        return None
    document = found.parts.get("document")
    return document if document in _COMMON else found.kind


def problem(name: str, data: bytes) -> str | None:
    """Return the first fault of a document by its schema, with its place; None if it is valid.

    Args:
        name: Name of the schema.
        data: The bytes of the document.
    """
    try:
        _adapter(name).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return f"{where}: {first['msg']}{more}"
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return f"it is not strict JSON: {error}"
    return None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(TYPES[name])


class _Generator(GenerateJsonSchema):
    """Leaves out the titles that repeat the names: they say nothing, and releases of pydantic make them differently."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def typed_dict_schema(self, schema: Any) -> JsonSchemaValue:
        json_schema = super().typed_dict_schema(schema)
        json_schema.pop("title", None)
        return json_schema
