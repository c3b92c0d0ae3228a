"""Derivation: who acted, who is involved, which packages are concerned, and how to say it to a person.

All of it is a pure function of what the sender published. Headers of fedora-messaging come first, since the
sender's own classes wrote them; where they name nobody, or no package, the table of rules by topic reads the
body.
"""

from collections.abc import Sequence
from typing import Any

from statscache.derivation.table import RULES
from statscache.derivation.text import link, subtitle
from statscache.derivation.values import Answers, first, packages, person

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
    rule = RULES[name]
    agent, involved, concerned = rule(name, body) if rule else (None, (), ())
    if headers:
        if named := {who for key in headers if key.startswith(_USER) and (who := person(key[len(_USER) :]))}:
            agent, involved = _agent_among(named, agent, body), [*named]
        concerned = [*_named_packages(headers)] or concerned
    if agent is not None:
        if not involved and not concerned:
            return _ACTS[agent]
        involved = (agent, *involved)
    return agent, _sorted(involved), _sorted(concerned)


# Most messages involve one person and concern one package at most. Equal names are then the same tuple, so that
# statistics that count how often each occurs stay in the processor's cache.
_ALONE = Answers[tuple[str, ...]](lambda name: (name,))
_ACTS = Answers[Derived](lambda agent: (agent, _ALONE[agent], ()))


def _sorted(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > 2:
        names = sorted({*names})
        return tuple(names) if len(names) > 1 else _ALONE[names[0]]
    if len(names) == 2:
        one, other = names
        return (one, other) if one < other else (other, one) if other < one else _ALONE[one]
    return _ALONE[names[0]] if names else ()


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
