"""All plugins that come with statscache, found as files, so that none is forgotten."""

from importlib import import_module
from pathlib import Path

from statscache.plugins import Plugin

BUNDLED: list[type[Plugin]] = [
    cls
    for path in sorted((Path(__file__).resolve().parents[2] / "plugins").glob("*.py"))
    for cls in getattr(import_module(f"statscache_plugins.{path.stem}"), "PLUGINS", ())
]
