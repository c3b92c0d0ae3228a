"""The types of the published documents, v1: what makes a document builds it from these, and JSON Schema describes them.

Within v1 fields are only added, so every object is open: a reader ignores fields that it does not know. A field that
not every document has is `NotRequired`. Times are whole seconds since 1970 UTC, intervals `[start, end)`.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config

# Pydantic reads the fields that a TypedDict inherits from this one only, before Python 3.12.
from typing_extensions import TypedDict

Time = Annotated[int, Field(json_schema_extra={"format": "unixtime"})]
Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ObjectName = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\.[a-z0-9]+$")]
Interval = tuple[int, int]
KeyPart = str | None
PluginState = Literal["ok", "stale", "rebuilding", "failed"]

documented = with_config(ConfigDict(use_attribute_docstrings=True))
"""A field's docstring is its description in the schema.

Pydantic reads the docstrings of the class itself only. So a type that has all fields of another repeats them.
"""

documented_open = with_config(ConfigDict(use_attribute_docstrings=True, extra="allow"))
"""The same, for objects that hold fields which a plugin names."""


@documented
class Reference(TypedDict):
    """A published file and the object with the same bytes."""

    path: str
    """Path, relative to the site's root."""
    object: ObjectName
    """Name of the object: SHA-256 of the bytes, and the extension."""
    size: Count
    """Bytes."""
