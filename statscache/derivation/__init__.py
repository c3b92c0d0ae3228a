"""Derivation: who acted, who is involved, which packages are concerned, and a line of text for people.

All of it is a pure function of what the sender published. Who acted is read from the body, by the table of rules by
topic. For who is involved and for packages, headers of fedora-messaging come first, since the sender's own classes
wrote them; if they name no person, or no package, the rules read the body.
"""

from collections.abc import Sequence
from typing import Any

from statscache.derivation.table import RULES
from statscache.derivation.text import link, subtitle
from statscache.derivation.values import MOST_READ, Answers, keys_read, packages, person

__all__ = ["Derived", "derive", "link", "subtitle"]

Derived = tuple[str | None, tuple[str, ...], tuple[str, ...]]
"""Who acted, who is involved, and which packages are concerned; names are sorted, each once."""

_USER = "fedora_messaging_user_"


def derive(name: str, body: dict[str, Any], headers: dict[str, Any]) -> Derived:
    """Return the facts derived from a message of topic `name` (without prefix and environment); never raises.

    The agent is the one that the topic's rule finds in the body, and None on a topic without a rule: headers say
    who is involved, never who acted, so the answer is the same with them and without. The agent is always among
    the usernames.
    """
    rule = RULES[name]
    agent, involved, concerned = rule(name, body) if rule else (None, (), ())
    if headers:
        headers = headers if len(headers) <= MOST_READ else dict.fromkeys(keys_read(headers))
        named = {who for key in headers if key.startswith(_USER) and (who := person(key[len(_USER) :]))}
        if named and agent is not None and agent not in named:
            # Some applications write a name with a capital letter in one of the two places.
            named = {who for who in named if who.lower() != agent.lower()}
        involved = [*named] or involved
        concerned = [*_named_packages(headers)] or concerned
    if agent is not None:
        if not involved and not concerned:
            return _ACTS[agent]
        involved = (agent, *involved)
    return agent, _sorted(involved), _sorted(concerned)


# Most messages involve one person and concern at most one package. Equal names are then the same tuple, so that
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


def _named_packages(headers: dict[str, Any]) -> set[str]:
    # fedora_messaging_KIND_NAME: a name may hold underscores, a kind does not.
    return {package for key in headers if not key.startswith(_USER) for package in packages(key.split("_", 3)[-1])}
