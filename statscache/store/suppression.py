"""Forgotten people, as salted digests of names: enough to recognize a name, not enough to reveal it."""

import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from statscache.message import Message
from statscache.scrubbing import forms, scrub, scrub_bytes, texts
from statscache.store.bulk import Upsert
from statscache.store.schema import journal, suppressed

_CACHED_NAMES = 100_000
_WORDS = re.compile(r"[\w-]+"), re.compile(r"[\w.-]+")

_insert = Upsert(suppressed)


@dataclass(frozen=True)
class Suppression:
    """The list as one transaction saw it; may be handed to another process.

    Attributes:
        rewrites: The journal's number of rewrites then; another one means to read the list again.
        salt: What is hashed with each name.
        digests: Digests of the names.
    """

    rewrites: int = 0
    salt: bytes = b""
    digests: frozenset[bytes] = frozenset()
    _known: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def __bool__(self) -> bool:
        """Return whether any person was forgotten."""
        return bool(self.digests)

    def __contains__(self, name: str) -> bool:
        """Return whether the person of this name was forgotten."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _CACHED_NAMES:
                self._known.clear()
            known = self._known[name] = _digest(name, self.salt) in self.digests
        return known

    def scrub(self, message: Message) -> Message:
        """Return a message without forgotten people who are involved in it."""
        done: frozenset[str] = frozenset()
        # Once a name has been removed, another one may be found to be involved.
        while new := self._named(message.usernames) - done:
            message = scrub(message, new)
            done |= new
        return message

    def scrub_bytes(self, raw: bytes) -> bytes:
        """Return a malformed or held line without words that are names of forgotten people."""
        text = raw.decode(errors="surrogateescape")
        try:
            parts = [text, *texts(json.loads(text))]
        except (ValueError, RecursionError):
            parts = [text]
        words = {word for part in parts for pattern in _WORDS for word in pattern.findall(part)}
        names = self._named(words.union(parts[1:]))
        return scrub_bytes(raw, names) if names else raw

    def _named(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(form for name in names if name in self for form in forms(name))


def load(connection: Connection) -> Suppression:
    """Return the current list."""
    row = connection.execute(select(journal.c.rewrites, journal.c.salt)).one()
    return Suppression(row.rewrites, row.salt or b"", frozenset(connection.scalars(select(suppressed.c.digest))))


def add(connection: Connection, name: str) -> bool:
    """Add a name to the list, for all messages accepted from now on; return whether it is new.

    The caller holds the journal's lock.
    """
    listed = load(connection)
    if name in listed:
        return False
    salt = listed.salt or secrets.token_bytes(32)
    _insert(connection, [(_digest(name, salt),)])
    connection.execute(update(journal).values(salt=salt, rewrites=journal.c.rewrites + 1))
    return True


def _digest(name: str, salt: bytes) -> bytes:
    same = unicodedata.normalize("NFC", name.strip()).lower()
    return hashlib.blake2b(same.encode("utf-8", "surrogatepass"), key=salt, digest_size=32).digest()
