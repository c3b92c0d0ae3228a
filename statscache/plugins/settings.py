"""Settings that a plugin declares: type and default, and whether plugins may share the value."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from statscache.exceptions import ConfigurationError
from statscache.permissions import is_secret


class Setting(ABC):
    """One setting, of one type.

    Args:
        default: The value if the configuration has none, written as the configuration would have it.
        shared: True if `[plugins.shared]` may give the value, where the plugin's own table does not.

    Attributes:
        default: The value if the configuration has none, in the form that the plugin sees.
        shared: True if `[plugins.shared]` may give the value.
        expected: What a value must be, as errors put it after "give".

    Raises:
        ValueError: The default is not of the type.
    """

    expected: str

    def __init__(self, default: Any, *, shared: bool = False) -> None:
        self.shared = shared
        self.default = self.read(default)

    def read(self, value: Any) -> Any:
        """Return a value of the configuration in the form that the plugin sees; a value in that form stays the same.

        Raises:
            ValueError: It is not of the type; the text shows it and says what to give.
        """
        if not self.fits(value):
            raise ValueError(f"is {value!r:.200}; give {self.expected}")
        return value

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Return True if a value is of the type."""


class Names(Setting):
    """A list of texts; the plugin sees a frozenset."""

    expected = "a list of names, such as ['bodhi', 'koschei']"

    def fits(self, value: Any) -> bool:
        return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)

    def read(self, value: Any) -> frozenset[str]:
        return frozenset(super().read(value))


class Text(Setting):
    """A text.

    Args:
        default: The value if the configuration has none.
        choices: The texts that are allowed; empty allows any.
        shared: As for any setting.
    """

    def __init__(self, default: str, *, choices: Collection[str] = (), shared: bool = False) -> None:
        self._choices = choices
        self.expected = f"one of {', '.join(map(repr, choices))}" if choices else "a text"
        super().__init__(default, shared=shared)

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and (not self._choices or value in self._choices)


class Whole(Setting):
    """A whole number.

    Args:
        default: The value if the configuration has none.
        least: The smallest number that is allowed.
        shared: As for any setting.
    """

    def __init__(self, default: int, *, least: int = 0, shared: bool = False) -> None:
        self._least = least
        self.expected = f"a whole number from {least}"
        super().__init__(default, shared=shared)

    def fits(self, value: Any) -> bool:
        return type(value) is int and value >= self._least


class Switch(Setting):
    """True or false."""

    expected = "true or false"

    def fits(self, value: Any) -> bool:
        return isinstance(value, bool)


Declared = Mapping[str, Setting]
"""The settings of a plugin class by name."""


def table_of(plugin: str) -> str:
    """Return the heading of a plugin's table in the configuration."""
    return f"[plugins.settings.{plugin}]"


def problems(declared: Declared, table: Mapping[str, Any], heading: str) -> Iterator[str]:
    """Yield the faults of a table of the configuration: unknown settings, and values of another type.

    Args:
        declared: The settings that the plugin declares.
        table: What the configuration has.
        heading: The table's heading in the configuration, such as `[plugins.settings.volume]`.
    """
    for name, value in table.items():
        if name not in declared:
            yield f"{heading} {name}: is unknown; known here are: {', '.join(sorted(declared)) or 'none'}"
            continue
        try:
            declared[name].read(value)
        except ValueError as error:
            yield f"{heading} {name}: {f'give {declared[name].expected}' if is_secret(name) else error}"


def read(declared: Declared, table: Mapping[str, Any], heading: str) -> dict[str, Any]:
    """Return the values of all declared settings: those of a table of the configuration, and defaults for the rest.

    Raises:
        ConfigurationError: The table has an unknown setting or a wrong value; the text lists all of them.
    """
    if wrong := [*problems(declared, table, heading)]:
        raise ConfigurationError("; ".join(wrong))
    return {name: setting.read(table[name]) if name in table else setting.default for name, setting in declared.items()}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as types of JSON; equal values give the same JSON."""
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in values.items()}
