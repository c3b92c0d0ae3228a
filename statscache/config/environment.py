"""Variables of the environment, which override the file: `STATSCACHE_SECTION__KEY`."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel

from statscache.exceptions import ConfigurationError

PREFIX = "STATSCACHE_"
"""Prefix of the variables that override the file."""

OTHERS = {"STATSCACHE_CONFIG", "STATSCACHE_MESSAGES"}
"""Variables with that prefix that are not settings."""


def overridden(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values of a file with those of the environment in their place.

    Args:
        values: Those of the file.
        model: The model that they will be checked by; its types decide which values are text, and which JSON.

    Raises:
        ConfigurationError: A variable that has to be JSON is not.
    """
    merged = _copied(values)
    # A whole section comes before its parts.
    for variable in sorted(os.environ):
        if variable.upper().startswith(PREFIX) and variable not in OTHERS:
            path, annotation = _place(model, variable[len(PREFIX) :].lower().split("__"))
            value = _value(variable, annotation)
            *tables, name = path
            table = merged
            for part in tables:
                inner = table.get(part)
                table[part] = table = inner if isinstance(inner, dict) else {}
            both = isinstance(value, dict) and isinstance(table.get(name), dict)
            table[name] = {**table[name], **value} if both else value
    return merged


def _copied(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copied(value) if isinstance(value, Mapping) else value for name, value in values.items()}


def _place(model: type[BaseModel], path: list[str]) -> tuple[list[str], Any]:
    """Return the keys that lead to a value in the file, and the type of its field; None where there is none."""
    annotation: Any = model
    keys = []
    for part in path:
        section = next(sections(annotation), None)
        field = section.model_fields.get(part) if section is not None else None
        annotation = field.annotation if field is not None else None
        keys.append((field.serialization_alias if field is not None else None) or part)
    return keys, annotation


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a type names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from sections(part)


def _value(variable: str, annotation: Any) -> Any:
    text = os.environ[variable]
    if annotation is not None and not _is_structured(annotation):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if annotation is None:
            return text
        raise ConfigurationError(f"the environment cannot be used: {variable} is not JSON: {error}") from error


def _is_structured(annotation: Any) -> bool:
    """Return whether values of a type are tables or lists."""
    if get_origin(annotation) in (tuple, list, dict) or next(sections(annotation), None) is not None:
        return True
    return any(_is_structured(part) for part in get_args(annotation))
