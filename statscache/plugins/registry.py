"""The installed and enabled plugins, and which of them process a message."""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from types import MappingProxyType
from typing import Any

from statscache.exceptions import ConfigurationError, PluginError, UnknownPlugin
from statscache.plugins.contract import Plugin
from statscache.plugins.settings import Setting, table_of
from statscache.plugins.settings import problems as problems_of

GROUP = "statscache.plugin"
"""The entry-point group; an entry point names a plugin class or an iterable of them."""

_CACHED_TOPICS = 50_000


@dataclass(frozen=True, slots=True)
class Problem:
    """A plugin that is not active, and why; the others run.

    Attributes:
        name: Name of the plugin or of the entry point.
        reason: What went wrong, for people.
    """

    name: str
    reason: str


class Registry:
    """The active plugins, in order of name.

    Args:
        plugins: Instances, each name once.
        problems: What could not be loaded.
        turned_off: Plugins that are installed but not active, each with the setting that turns it off.
    """

    def __init__(
        self,
        plugins: Iterable[Plugin],
        problems: Iterable[Problem] = (),
        turned_off: Mapping[type[Plugin], str] = MappingProxyType({}),
    ) -> None:
        self.plugins: tuple[Plugin, ...] = tuple(sorted(plugins, key=lambda plugin: plugin.name))
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.turned_off = {cls: turned_off[cls] for cls in sorted(turned_off, key=lambda cls: cls.name)}
        self._interested: dict[str, tuple[Plugin, ...]] = {}

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.plugins)

    def __len__(self) -> int:
        return len(self.plugins)

    @property
    def entities(self) -> frozenset[str]:
        """The entities that active plugins count, such as `person`; each has a page."""
        return frozenset(entity for plugin in self.plugins for entity in plugin.entities.values())

    @property
    def has_board(self) -> bool:
        """True if an active plugin has a document for the page Release engineering."""
        return any(plugin.board is not None for plugin in self.plugins)

    def get(self, name: str) -> Plugin:
        """Return the active plugin `name`.

        Raises:
            UnknownPlugin: No active plugin has this name; the text lists those that are active.
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
            found = self._interested[topic] = tuple(plugin for plugin in self.plugins if wants(plugin, topic))
        return found


def load(
    enabled: Sequence[str] = ("*",),
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    disabled: Sequence[str] = (),
    shared: Mapping[str, Any] | None = None,
    people: bool = True,
) -> Registry:
    """Load the installed plugins whose name matches one of the patterns `enabled`, and none of `disabled`.

    A plugin that fails to load is a problem of the registry, and the rest run.

    Args:
        enabled: Patterns of names.
        disabled: Patterns of names that are left out.
        settings: A table of settings for each plugin, by name.
        shared: Settings for each plugin that declares them as shared; its own table has precedence.
        people: True to load plugins about people; otherwise they are turned off.

    Raises:
        ConfigurationError: A pattern or table does not match any installed plugin, or a setting is unknown or has a
            wrong value.
    """
    settings, shared = settings or {}, shared or {}
    classes, problems, broken = _installed()
    installed = {name: cls for name, (cls, _) in classes.items()}
    wrong = [*_wrong_settings(installed, settings, shared)]
    missing = dict(_missing(installed, {"enabled": enabled, "disabled": disabled}, settings, shared))
    if broken:
        # A missing plugin may be in a module that failed to load; the other plugins run.
        problems += [Problem(name, reason) for name, reason in missing.items()]
    else:
        wrong += missing.values()
    if wrong:
        raise ConfigurationError("\n  ".join(["the configuration does not fit the installed plugins:", *wrong]))
    plugins: list[Plugin] = []
    turned_off: dict[type[Plugin], str] = {}
    for name, (cls, point) in classes.items():
        setting = _turned_off_by(cls, enabled, disabled, people=people)
        if setting is not None:
            turned_off[cls] = setting
            continue
        try:
            given = {key: value for key, value in shared.items() if key in _shared(cls)}
            plugins.append(cls(given | {**settings.get(name, {})}))
        except Exception as error:
            problems.append(Problem(name, f"{point.value}: {type(error).__name__}: {error}"))
    return Registry(plugins, problems, turned_off)


def _installed() -> tuple[dict[str, tuple[type[Plugin], EntryPoint]], list[Problem], bool]:
    """Return the installed plugin classes by name, what is wrong with others, and True if an entry point failed."""
    classes: dict[str, tuple[type[Plugin], EntryPoint]] = {}
    problems: list[Problem] = []
    broken = False
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        # An entry point is foreign code: an exception in it must not stop the other plugins.
        try:
            found = [*_classes(point)]
        except Exception as error:
            problems.append(Problem(point.name, f"{point.value}: {type(error).__name__}: {error}"))
            broken = True
            continue
        for cls in found:
            other = classes.get(cls.name)
            if other is not None and other[0] is not cls:
                reason = f"{point.value} and {other[1].value} both claim the name; rename one of them"
                problems.append(Problem(cls.name, reason))
                continue
            classes[cls.name] = (cls, point)
    return classes, problems, broken


def _turned_off_by(cls: type[Plugin], enabled: Sequence[str], disabled: Sequence[str], *, people: bool) -> str | None:
    """Return the setting that turns a plugin off; None if it is on."""
    if not _fits(cls.name, enabled):
        return "[plugins] enabled"
    if _fits(cls.name, disabled):
        return "[plugins] disabled"
    return "[privacy] people" if cls.people and not people else None


def _missing(
    installed: Mapping[str, type[Plugin]],
    patterns: Mapping[str, Sequence[str]],
    settings: Mapping[str, Mapping[str, Any]],
    shared: Mapping[str, Any],
) -> Iterator[tuple[str, str]]:
    """Yield the settings that no installed plugin accepts, with the error."""
    names = f"installed are: {', '.join(sorted(installed)) or 'none'}"
    for setting, given in patterns.items():
        for pattern in given:
            if pattern != "*" and not fnmatch.filter(installed, pattern):
                yield pattern, f"[plugins] {setting}: {pattern!r} fits no installed plugin; {names}"
    for name in settings:
        if name not in installed:
            yield name, f"[plugins.settings.{name}]: there is no such plugin; {names}"
    asked = {key for cls in installed.values() for key in _shared(cls)}
    for key in shared:
        if key not in asked:
            yield key, f"[plugins.shared] {key}: no installed plugin asks for it"


def _wrong_settings(
    installed: Mapping[str, type[Plugin]], settings: Mapping[str, Mapping[str, Any]], shared: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the faults of the tables of installed plugins, and of the shared one; each once."""
    for name, table in settings.items():
        if name in installed:
            yield from problems_of(installed[name].declared_settings, table, table_of(name))
    for key, value in shared.items():
        found = (
            problems_of(_shared(cls), {key: value}, "[plugins.shared]")
            for cls in installed.values()
            if key in _shared(cls)
        )
        yield from dict.fromkeys(chain.from_iterable(found))


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _shared(cls: type[Plugin]) -> dict[str, Setting]:
    return {name: setting for name, setting in cls.declared_settings.items() if setting.shared}


def _classes(point: EntryPoint) -> Iterator[type[Plugin]]:
    target = point.load()
    for cls in [target] if isinstance(target, type) else target:
        if not (isinstance(cls, type) and issubclass(cls, Plugin)):
            raise PluginError(f"{cls!r} is not a plugin class; derive it from a kind such as Counter")
        yield cls


def wants(plugin: Plugin, topic: str) -> bool:
    """Return whether a plugin wants messages whose topic, without prefix and environment, is `topic`."""
    return not plugin.topics or any(_matches(pattern.split("."), topic.split(".")) for pattern in plugin.topics)


def _matches(pattern: Sequence[str], topic: Sequence[str]) -> bool:
    if pattern[-1] == "#":
        pattern, topic = pattern[:-1], topic[: len(pattern) - 1]
    return len(pattern) == len(topic) and all(
        part in ("*", actual) for part, actual in zip(pattern, topic, strict=True)
    )
