"""Which plugins are installed and enabled, and which of them want to see a message."""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from statscache.exceptions import UnknownPlugin
from statscache.plugins.contract import Plugin

GROUP = "statscache.plugin"
"""The entry-point group; an entry point names a plugin class or an iterable of them."""

_CACHED_TOPICS = 50_000


@dataclass(frozen=True, slots=True)
class Problem:
    """A plugin that is not active, and why; the others run.

    Attributes:
        name: Of the plugin or of the entry point.
        reason: What went wrong, for people.
    """

    name: str
    reason: str


class Registry:
    """The active plugins, in order of name.

    Args:
        plugins: Instances, each name once.
        problems: What could not be loaded.
        turned_off: Plugins about people, where these are not wanted.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        problems: Iterable[Problem] = (),
        turned_off: Iterable[type[Plugin]] = (),
    ) -> None:
        self.plugins: tuple[Plugin, ...] = tuple(sorted(plugins, key=lambda plugin: plugin.name))
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.turned_off: tuple[type[Plugin], ...] = tuple(sorted(turned_off, key=lambda cls: cls.name))
        self._interested: dict[str, tuple[Plugin, ...]] = {}

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.plugins)

    def __len__(self) -> int:
        return len(self.plugins)

    def get(self, name: str) -> Plugin:
        """Return the active plugin `name`.

        Raises:
            UnknownPlugin: There is none; the text lists those that there are.
        """
        for plugin in self.plugins:
            if plugin.name == name:
                return plugin
        active = ", ".join(plugin.name for plugin in self.plugins) or "none"
        raise UnknownPlugin(f"no active plugin is named {name!r}; active are: {active}")

    def interested(self, topic: str) -> tuple[Plugin, ...]:
        """Return the plugins that want messages whose topic, without prefix and environment, is `topic`."""
        found = self._interested.get(topic)
        if found is None:
            if len(self._interested) >= _CACHED_TOPICS:
                self._interested.clear()
            found = self._interested[topic] = tuple(plugin for plugin in self.plugins if _wants(plugin, topic))
        return found


def load(
    enabled: Sequence[str] = ("*",),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    shared: Mapping[str, Any] | None = None,
    people: bool = True,
) -> Registry:
    """Load the installed plugins whose name matches one of the patterns `enabled`.

    A plugin that fails to load is a problem of the registry, and the rest run.

    Args:
        enabled: Patterns of names.
        settings: A table of settings for each plugin, by name.
        shared: Settings for each plugin that asks for them, where its own table does not have them.
        people: Whether plugins about people are wanted; else these are turned off.
    """
    classes: dict[str, tuple[type[Plugin], EntryPoint]] = {}
    problems: list[Problem] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        # An entry point is foreign code: whatever it raises is its own problem alone.
        try:
            found = [*_classes(point)]
        except Exception as error:
            problems.append(Problem(point.name, f"{point.value}: {type(error).__name__}: {error}"))
            continue
        for cls in found:
            other = classes.get(cls.name)
            if other is not None and other[0] is not cls:
                reason = f"{point.value} and {other[1].value} both claim the name; rename one of them"
                problems.append(Problem(cls.name, reason))
                continue
            classes[cls.name] = (cls, point)
    plugins: list[Plugin] = []
    turned_off: list[type[Plugin]] = []
    for name, (cls, point) in classes.items():
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in enabled):
            continue
        if cls.people and not people:
            turned_off.append(cls)
            continue
        try:
            asked = {key: value for key, value in (shared or {}).items() if key in cls.shared}
            plugins.append(cls(asked | {**(settings or {}).get(name, {})}))
        except Exception as error:
            problems.append(Problem(name, f"{point.value}: {type(error).__name__}: {error}"))
    return Registry(plugins, problems, turned_off)


def _classes(point: EntryPoint) -> Iterator[type[Plugin]]:
    target = point.load()
    for cls in [target] if isinstance(target, type) else target:
        if not (isinstance(cls, type) and issubclass(cls, Plugin)):
            raise TypeError(f"{cls!r} is no plugin class; derive it from a kind such as Counter")
        yield cls


def _wants(plugin: Plugin, topic: str) -> bool:
    return not plugin.topics or any(_matches(pattern.split("."), topic.split(".")) for pattern in plugin.topics)


def _matches(pattern: Sequence[str], topic: Sequence[str]) -> bool:
    if pattern[-1] == "#":
        pattern, topic = pattern[:-1], topic[: len(pattern) - 1]
    return len(pattern) == len(topic) and all(
        part in ("*", actual) for part, actual in zip(pattern, topic, strict=True)
    )
