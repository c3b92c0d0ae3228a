"""Derivation: who acted, who is involved, which packages are concerned, and how to say it to a person.

All of it is a pure function of what the sender published. Headers of fedora-messaging come first, since the
sender's own classes wrote them; where they name nobody, or no package, the table of rules by topic reads the
body.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from statscache.derivation.table import rule
from statscache.derivation.text import link, subtitle
from statscache.derivation.values import first, packages, person

__all__ = ["Derived", "derive", "link", "subtitle"]

Derived = tuple[str | None, tuple[str, ...], tuple[str, ...]]
"""Who acted, who is involved, and which packages are concerned; names are sorted, each once."""

_USER = "fedora_messaging_user_"


def derive(name: str, body: dict[str, Any], headers: dict[str, Any]) -> Derived:
    """Return what follows from a message of topic `name` (without prefix and environment); never raises.

    The agent is the one that the topic's rule finds in the body. Without one, it is the body's `agent` if the
    headers name that person, or the only person whom the headers name. The agent is always among the
    usernames.
    """
    topical = rule(name)
    agent, involved, concerned = topical(name, body) if topical else (None, (), ())
    if headers:
        if named := {who for key in headers if key.startswith(_USER) and (who := person(key[len(_USER) :]))}:
            agent, involved = _agent_among(named, agent, body), named
        concerned = _named_packages(headers) or concerned
    if agent is not None and agent not in involved:
        involved = (agent, *involved)
    return agent, _sorted(involved), _sorted(concerned)


def _sorted(names: Collection[str]) -> tuple[str, ...]:
    # Most messages involve one person and concern one package at most. The same name is then the same tuple, so that
    # statistics that count how often each occurs stay in the processor's cache.
    if len(names) == 1:
        return _alone(*names)
    return tuple(sorted(set(names))) if names else ()


@lru_cache(maxsize=16_384)
def _alone(name: str) -> tuple[str]:
    return (name,)


def _agent_among(named: set[str], agent: str | None, body: dict[str, Any]) -> str | None:
    """Return the agent, given whom the headers name and whom the topic's rule found to act."""
    if agent is not None:
        # The headers' spelling stands: some applications write names with a capital letter in the body.
        if agent in named:
            return agent
        return next((who for who in sorted(named) if who.lower() == agent.lower()), agent)
    claimed = first(body.get("agent"))
    if claimed in named:
        return claimed
    return next(iter(named)) if len(named) == 1 else None


def _named_packages(headers: dict[str, Any]) -> set[str]:
    # fedora_messaging_KIND_NAME: a name may hold underscores, a kind does not.
    return {package for key in headers if not key.startswith(_USER) for package in packages(key.split("_", 3)[-1])}
