"""Documents that a plugin makes itself: validation, and errors that their author understands."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from statscache import canonical, schemas
from statscache.exceptions import DocumentError
from statscache.plugins import Plugin

LARGEST = 1_000_000
"""Bytes of the largest document that a plugin may make."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_TAKEN = schemas.TYPES.keys() - {"latest"} | {"layout"}


def check_name(plugin: Plugin, name: object, before: set[str]) -> None:
    """Check that a plugin may publish a document of this name, besides those that it published before.

    Raises:
        DocumentError: It may not; the text says why, and what to do.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        fix = "name it with lowercase letters, digits and '-', such as 'leaders'"
        raise DocumentError(f"plugin {plugin.name}: `documents` yields a document named {name!r:.100}; {fix}")
    if name in _TAKEN:
        raise DocumentError(f"plugin {plugin.name}: the document {name!r} has a name that the format uses; rename it")
    if name in before:
        raise DocumentError(f"plugin {plugin.name}: `documents` yields two documents named {name!r}; rename one")


def unknown(plugin: Plugin, name: str, content: Any) -> tuple[dict[str, int | None], Any]:
    """Return what the content itself says is not wholly known, and the content without that.

    Raises:
        DocumentError: Its field `partial` does not say it.
    """
    if not isinstance(content, dict) or "partial" not in content:
        return {}, content
    said = content["partial"]
    if not isinstance(said, dict) or not all(
        isinstance(of, str) and (since is None or type(since) is int) for of, since in said.items()
    ):
        fix = "give names, each with the time from which it is known, or None, as `state.known.partial_of` does"
        raise DocumentError(f"plugin {plugin.name}: `partial` of the document {name!r} is {said!r:.100}; {fix}")
    return dict(said), {field: value for field, value in content.items() if field != "partial"}


def dumps(plugin: Plugin, name: str, header: Mapping[str, Any], content: Any) -> tuple[bytes, Any]:
    """Return the bytes of a document, which has the fields of the header and of the content, and its content as it is.

    What the bus says decides how large a document is, so it is published whatever its size: of one that would have more
    than `LARGEST` bytes the lists are shortened, the longest first, and the field `omitted` says by how many items.

    Raises:
        DocumentError: The content is not JSON, has a field of the header, or is too large without its lists.
    """
    where = f"plugin {plugin.name}: the document {name!r}"
    if header:
        if not isinstance(content, dict):
            raise DocumentError(f"{where} must be a dict of fields; got {type(content).__name__}")
        if taken := sorted({*header, "omitted"} & content.keys()):
            raise DocumentError(f"{where} has the fields {taken}, which every document has; rename them")
        content = {**header, **content}
    try:
        data = canonical.dumps(content)
        if len(data) > LARGEST and isinstance(content, dict):
            content = _shortened(content, len(data) - LARGEST)
            data = canonical.dumps(content)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise DocumentError(f"{where} is not JSON: {error}; use dict, list, str, int, float, bool and None") from error
    if len(data) > LARGEST:
        raise DocumentError(f"{where} has {len(data)} bytes; at most {LARGEST} are published, so let it hold less")
    return data, content


def _shortened(content: Mapping[str, Any], excess: int) -> dict[str, Any]:
    """Return a content with shorter lists, so that it takes at least `excess` bytes less, as far as possible."""
    sizes = {
        name: [len(canonical.encode(item)) + 1 for item in value]
        for name, value in content.items()
        if isinstance(value, list)
    }
    shorter = dict(content)
    omitted = 0
    excess += len('"omitted":,') + len(str(LARGEST))
    for name in sorted(sizes, key=lambda name: (-sum(sizes[name]), name)):
        going: set[int] = set()
        for at in _dispensable(content[name]):
            if excess <= 0:
                break
            excess -= sizes[name][at]
            going.add(at)
        shorter[name] = [item for at, item in enumerate(content[name]) if at not in going]
        omitted += len(going)
    return {**shorter, "omitted": omitted}


def _dispensable(items: list[Any]) -> Iterable[int]:
    """Return the indices of items in the order in which they may go: the oldest first, else the last first."""
    if all(isinstance(item, dict) and isinstance(item.get("timestamp"), int) for item in items):
        return sorted(range(len(items)), key=lambda at: (items[at]["timestamp"], -at))
    return reversed(range(len(items)))
