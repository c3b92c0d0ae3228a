"""Read people, packages and URLs from bodies that may hold anything anywhere.

Nothing here raises: what is missing, or of another type than its sender promised, is simply not found. The work is
linear in the length of the text, whatever the text is.
"""

import re
from collections.abc import Callable, Sequence
from heapq import nsmallest
from ipaddress import ip_address
from typing import Any, Generic, TypeVar

Path = tuple[str, ...]

Facts = tuple[str | None, Sequence[str], Sequence[str]]
"""What a rule found: who acted; names of those involved; names of packages, both in any order, some more than once."""

MAX_NAME = 200
"""Characters of the longest name of a person or package."""

MOST_READ = 1_000
"""Items of a list, or entries of an object, that are searched for names; later ones are ignored."""

_LONGEST_TEXT = 1_000
_LONGEST_KEPT = 300
_MOST_ANSWERS = 16_384

# Values that senders write instead of a person; `_` replaces a person who was forgotten.
_NOT_PEOPLE = frozenset({"", "_", "anonymous", "nobody", "none", "orphan"})
_ACCOUNT = (
    re.compile(r"https?://([^./@:\s]+)\.id(?:\.stg)?\.fedoraproject\.org/?", re.ASCII),
    re.compile(r"([^./@:\s]+)\.id(?:\.stg)?\.fedoraproject\.org", re.ASCII),
    re.compile(r"([^/@:\s]+)@fedoraproject\.org", re.ASCII),
    re.compile(r"@([^/@:\s]+):fedora\.im", re.ASCII),
)
# Every run of characters that an address may begin with is consumed, whether an address follows or not: a pattern that
# demands the `@` would try each of n beginnings of a run to its end.
_MAIL = re.compile(r"[^\s@<>()\"',;]++(@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)++)?+")
_NET = re.compile(
    r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?!\.?[\w-])|(?<![\w:.])(?=[\da-fA-F:]*:[\da-fA-F]*:)[\da-fA-F:.]+"
)
# Versions have three dots too, as in `bash-5.3.1-2.fc45`; this rules out most of them in less time.
_DOTTED = re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d")
_PERSON_KEYS = ("username", "name", "nickname", "login")


_Answer = TypeVar("_Answer")


class Answers(dict[str, _Answer], Generic[_Answer]):
    """A function of a text that keeps its answers: `answers[text]` costs only a look-up for a known text.

    The bus decides what is asked. So the answer to a long text is not kept, and all are dropped when there are many.
    """

    def __init__(self, function: Callable[[str], _Answer]) -> None:
        self._function = function

    def __missing__(self, text: str) -> _Answer:
        """Return the answer to a text that was not asked before."""
        answer = self._function(text)
        if len(text) <= _LONGEST_KEPT:
            if len(self) >= _MOST_ANSWERS:
                self.clear()
            self[text] = answer
        return answer


def without_addresses(text: str) -> str:
    """Return a text with `_` for each e-mail or IP address, because these must not be published."""
    if "@" in text:
        text = _MAIL.sub(_without_mail, text)
    # There are three dots in an address of IPv4, and at least two colons in one of IPv6.
    is_suspect = (text.count(".") > 2 and _DOTTED.search(text)) or text.count(":") > 1
    return _NET.sub(_masked, text) if is_suspect else text


def _without_mail(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else "_"


def _masked(found: re.Match[str]) -> str:
    address = found[0].rstrip(".")
    return "_" if _is_host(address) else found[0]


def paths(text: str) -> tuple[Path, ...]:
    """Return the paths that `text` lists: keys joined by dots, paths separated by spaces."""
    return tuple(tuple(path.split(".")) for path in text.split())


def at(value: Any, path: Path) -> Any:
    """Return the value at `path` in `value`, or None; a list on the way gives a list of the values found."""
    for depth, key in enumerate(path):
        if type(value) is dict:
            value = value.get(key)
        elif type(value) is list:
            rest = path[depth:]
            return [found for item in value if (found := at(item, rest)) is not None]
        else:
            return None
    return value


def text_at(value: Any, *path: str) -> str:
    """Return the text at `path`, empty if there is none."""
    for key in path:
        if type(value) is not dict:
            return ""
        value = value.get(key)
    return value if type(value) is str else ""


def dict_at(value: Any, *path: str) -> dict[str, Any]:
    """Return the object at `path`, empty if there is none."""
    for key in path:
        if type(value) is not dict:
            return {}
        value = value.get(key)
    return value if type(value) is dict else {}


def list_at(value: Any, *path: str) -> list[Any]:
    """Return the list at `path`, empty if there is none."""
    found = at(value, path)
    return found if type(found) is list else []


def person(text: str) -> str | None:
    """Return the account name in `text`; None if it does not name a person.

    OpenIDs, e-mail aliases and chat addresses that Fedora gives to its account holders are their names. Any
    other address, of mail, the web or a host, is not a person's name, nor is one that is unprintable or too long.
    """
    return ACCOUNTS[text]


def _account(text: str) -> str | None:
    if len(text) > _LONGEST_TEXT:
        return None
    name = text.strip()
    for pattern in _ACCOUNT:
        if match := pattern.fullmatch(name):
            name = match[1]
            break
    if len(name) > MAX_NAME or "@" in name or ":" in name or not name.isprintable() or name.lower() in _NOT_PEOPLE:
        return None
    return None if _is_host(name) or without_addresses(name) != name else name


ACCOUNTS = Answers(_account)
"""What `person` returns, by text."""


def _is_host(name: str) -> bool:
    if name.count(".") != 3 and ":" not in name:
        return False
    try:
        ip_address(name.partition("/")[0])
    except ValueError:
        return False
    return True


def people(value: Any) -> list[str]:
    """Return the account names in `value`: text, an object that describes a person, or a list of these."""
    if type(value) is str:
        account = ACCOUNTS[value]
        return [] if account is None else [account]
    if value is None:
        return []
    if type(value) is dict:
        for key in _PERSON_KEYS:
            found = value.get(key)
            if type(found) is str:
                return people(found)
        return []
    return [name for item in _flat(value) for name in people(item)]


def first(*values: Any) -> str | None:
    """Return the first account name in `values`, each of which may be what `people` reads; None if there is none."""
    for value in values:
        if type(value) is str:
            name = ACCOUNTS[value]
            if name is not None:
                return name
        elif value is not None and (names := people(value)):
            return names[0]
    return None


def packages(value: Any) -> list[str]:
    """Return the package names in `value`: text, an object that describes a package, or a list of these.

    Containers, flatpaks and modules are packages too, as they are in the headers of fedora-messaging.
    """
    if type(value) is str:
        name = PACKAGES[value]
        return [] if name is None else [name]
    if value is None:
        return []
    if type(value) is dict:
        named = value.get("name")
        return packages(named) if type(named) is str else []
    return [name for item in _flat(value) for name in packages(item)]


def _package(text: str) -> str | None:
    if len(text) > _LONGEST_TEXT:
        return None
    name = text.strip()
    is_name = name and name != "_" and len(name) <= MAX_NAME and name.isprintable()
    return name if is_name and without_addresses(name) == name else None


PACKAGES = Answers(_package)
"""What `packages` finds in a text, by text; None if it cannot be a name."""


def built(value: Any) -> list[str]:
    """Return the packages of the builds that `value` names, each by name, version and release.

    Several builds in one text are separated by spaces or commas; objects that describe a build (`nvr`) and
    lists are read too. A text without version and release is not a build.
    """
    found: list[str] = []
    for item in value[:MOST_READ] if type(value) is list else (value,):
        nvr = item.get("nvr") if type(item) is dict else item
        if type(nvr) is str:
            found += BUILT[nvr]
    return found


def _built(text: str) -> tuple[str, ...]:
    builds = (nvr.rsplit("-", 2) for nvr in text.replace(",", " ").split(maxsplit=MOST_READ)[:MOST_READ])
    return tuple(name for parts in builds if len(parts) == 3 and (name := PACKAGES[parts[0]]) is not None)


BUILT = Answers(_built)
"""The packages of the builds that a text names, by text."""


def keys_read(value: dict[str, Any]) -> list[str]:
    """Return the keys of an object that are read: the first in sorted order, since the sender's order is not kept."""
    return nsmallest(MOST_READ, value) if len(value) > MOST_READ else [*value]


def _flat(value: Any) -> list[Any]:
    """Return the items that are read of a list, without nested lists, so that reading never goes deeper."""
    return [item for item in value[:MOST_READ] if type(item) is not list] if type(value) is list else []
