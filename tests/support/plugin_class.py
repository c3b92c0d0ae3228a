"""A plugin class that is right, and ways to make it wrong."""

from typing import Any

from statscache.plugins import Counter, Plugin

GOOD: dict[str, Any] = {
    "__doc__": "Something.",
    "name": "wrong",
    "title": "Wrong",
    "dimensions": ("key",),
    "observe": lambda self, message: (),
}


def define(kind: Any = Counter, **changes: Any) -> type[Plugin]:
    """Define a plugin class that is right except for the changes; `...` takes an attribute out."""
    attributes = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return type("Wrong", (kind,), {"__module__": "shop.plugins", **attributes})
