"""Rules that read fields at fixed places, which most families of topics need.

A rule takes the topic's name and the body, and returns `Facts`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from statscache.derivation.values import ACCOUNTS, PACKAGES, Answers, Path, at, built, first, packages, paths, people

Facts = tuple[str | None, Sequence[str], Sequence[str]]
"""What a rule found: who acted; names of those involved; names of packages, both in any order, some more than once."""

Rule = Callable[[str, dict[str, Any]], Facts]


def fields(*, actor: str = "", people_at: str = "", packages_at: str = "", builds_at: str = "") -> Rule:
    """Return a rule that reads fields at fixed places, each given as paths set apart by spaces.

    Packages are given either by name or as builds.

    Args:
        actor: Paths that may hold the person who acted; the first place that names a person wins.
        people_at: Paths of other people involved.
        packages_at: Paths of packages by name.
        builds_at: Paths of packages by name, version and release.
    """
    actors, others, named, nvrs = _places(actor), _places(people_at), _places(packages_at), _places(builds_at)

    def rule(name: str, body: dict[str, Any]) -> Facts:
        agent: str | None = None
        for key, rest in actors:
            found = at(body.get(key), rest) if rest else body.get(key)
            # It is nearly always a name, or nothing.
            agent = ACCOUNTS[found] if type(found) is str else first(found) if found is not None else None
            if agent is not None:
                break
        involved = _read(others, body, ACCOUNTS, people) if others else ()
        concerned = _read(named, body, PACKAGES, packages) if named else ()
        if nvrs:
            concerned = [name for key, rest in nvrs for name in built(at(body.get(key), rest))]
        return agent, involved, concerned

    return rule


def _read(
    places: tuple[tuple[str, Path], ...],
    body: dict[str, Any],
    known: Answers[str | None],
    read: Callable[[Any], list[str]],
) -> list[str]:
    names: list[str] = []
    for key, rest in places:
        found = at(body.get(key), rest) if rest else body.get(key)
        if type(found) is str:
            if (name := known[found]) is not None:
                names.append(name)
        elif found is not None:
            names += read(found)
    return names


def _places(text: str) -> tuple[tuple[str, Path], ...]:
    # Most places are keys of the body itself, for which `at` would be a detour.
    return tuple((path[0], path[1:]) for path in paths(text))
