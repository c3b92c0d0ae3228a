"""JSON Schema (2020-12) of every published document, and the check of a document against its type.

Both are made of the types that also make the documents, so none of the three can drift from the others.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from statscache import canonical
from statscache.schemas.parts import Interval, PluginState, Reference
from statscache.schemas.site import (
    ChangedSnapshot,
    ChangeLog,
    Changes,
    Health,
    Index,
    IndexedPlugin,
    JournalHealth,
    LoadProblem,
    Manifest,
    ManifestEntry,
    PluginHealth,
    Signature,
    SourceHealth,
    Status,
)
from statscache.schemas.statistics import Badge, Header, Key, Latest, Period, PluginDocument, Row, Series, SeriesIndex

__all__ = [
    "DIALECT",
    "TYPES",
    "Badge",
    "ChangeLog",
    "ChangedSnapshot",
    "Changes",
    "Header",
    "Health",
    "Index",
    "IndexedPlugin",
    "Interval",
    "JournalHealth",
    "Key",
    "Latest",
    "LoadProblem",
    "Manifest",
    "ManifestEntry",
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
    "index": Index,
    "key": Key,
    "latest": Latest,
    "manifest": Manifest,
    "series": Series,
    "series-index": SeriesIndex,
    "status": Status,
}
"""The type of each kind of document, by the name of its schema."""


def documents() -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the schema of each kind of document, as they are published."""
    for name in TYPES:
        yield f"v1/schema/{name}.json", canonical.dumps(generate(name))


def generate(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of document.

    Raises:
        KeyError: There is no kind of that name.
    """
    return _adapter(name).json_schema(schema_generator=_Generator) | {"$schema": DIALECT}


def name_of(path: str, document: object) -> str:
    """Return the name of the schema that a published document is to satisfy.

    Args:
        path: Where it is published; a badge is known by its path alone, for its form is another project's.
        document: Its content; what says nothing of itself is taken for a plugin's own document.
    """
    if path.endswith("/badge.json"):
        return "badge"
    said = document.get("schema") if isinstance(document, dict) else None
    name = str(said).removeprefix("statscache/").removesuffix("/1")
    return name if said == f"statscache/{name}/1" and name in TYPES else "document"


def problem(name: str, data: bytes) -> str | None:
    """Return what is wrong with the bytes of a document by its schema, and where; None if nothing is.

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
        return f"it is no strict JSON: {error}"
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
