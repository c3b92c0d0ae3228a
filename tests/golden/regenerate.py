"""Writes the golden copies of the published schemas: `python tests/golden/regenerate.py`.

Version 1 is frozen: fields are only added. So this refuses to write a schema that loses or retypes what the copy has.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from statscache import schemas

GOLDEN = Path(__file__).resolve().parent / "schema"

_ANNOTATIONS = {"description", "$schema", "$defs"}


def current() -> dict[str, bytes]:
    """Return the schemas as this release publishes them, by file name."""
    return {path.rpartition("/")[2]: data for path, data in schemas.documents()}


def losses(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return what readers of the old schema can no longer rely on in documents of the new one."""
    return [*_losses(_resolved(old, old), _resolved(new, new), "document")]


def _losses(old: Any, new: Any, where: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before.keys() - after.keys():
        yield f"{where}.{name} is gone"
    for name in set(old.get("required", ())) & after.keys() - set(new.get("required", ())):
        yield f"{where}.{name} is no longer always there"
    for name in before.keys() & after.keys():
        yield from _losses(before[name], after[name], f"{where}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(old.get(name), dict):
            if isinstance(new.get(name), dict):
                yield from _losses(old[name], new[name], f"{where}[]")
            else:
                yield f"{where}[] is no longer described"
    compared = (old.keys() | new.keys()) - _ANNOTATIONS - {"properties", "required", "items", "additionalProperties"}
    for name in sorted(compared):
        if old.get(name) != new.get(name):
            yield f"{where} has another {name}: {old.get(name)} became {new.get(name)}"


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    """Return a schema with its references put in their places; none of ours refers to itself."""
    if isinstance(schema, list):
        return [_resolved(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    kept = {name: part for name, part in schema.items() if name not in _ANNOTATIONS or isinstance(part, dict)}
    return {name: _resolved(part, root) for name, part in kept.items() if name != "$defs"}


def main() -> None:
    """Write the copies, unless something would be lost."""
    made = current()
    lost = [f"{path.name}: it is gone" for path in GOLDEN.glob("*.json") if path.name not in made]
    for name, data in made.items():
        if (GOLDEN / name).exists():
            found = losses(orjson.loads((GOLDEN / name).read_bytes()), orjson.loads(data))
            lost += [f"{name}: {loss}" for loss in found]
    if lost:
        sys.exit("\n".join([*lost, "v1 is frozen: within it, fields are only added; publish a v2 beside it"]))
    for name, data in made.items():
        (GOLDEN / name).write_bytes(data)


if __name__ == "__main__":
    main()
