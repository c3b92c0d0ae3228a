"""Decide which index may be used with keys: a signed one that is not older than a known one, and has not expired.

A signature alone is not enough: a server can send genuine files of last year. So the newest generation is kept in
memory and in the cache, where the next process finds it.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from statscache import layout, signatures
from statscache.client.caches import LASTING, Cache
from statscache.exceptions import StatscacheError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from statscache.schemas import Index


class Outdated(StatscacheError, ValueError):
    """The signed index is older than one that was read before, or has expired; a newer one may be withheld."""


class Trust:
    """Decides which index of one site may be used.

    Args:
        url: Address of the site.
        keys: By one of which an index must be signed; none accepts every index.
        cache: Where the newest generation is remembered.
        accept_expired: True if an expired index may be used.
    """

    def __init__(self, url: str, keys: Sequence["Ed25519PublicKey"], cache: Cache, *, accept_expired: bool) -> None:
        self._url = url
        self._keys = keys
        self._cache = cache
        self._accept_expired = accept_expired
        self._name = hashlib.sha256(url.encode()).hexdigest() + LASTING
        self._newest = 0

    @property
    def has_keys(self) -> bool:
        """True if an index must be signed."""
        return bool(self._keys)

    def check_signature(self, index: "Index") -> None:
        """Check that the index is signed by one of the keys, if there are any.

        Raises:
            BadSignature: It is not.
        """
        if self._keys:
            signatures.check(index, self._keys)

    def check_age(self, index: "Index") -> None:
        """Remember the generation of an index whose signature was checked; without keys, do nothing.

        Raises:
            Outdated: A newer generation is known, or the index has expired.
        """
        if not self._keys:
            return
        generation = index["generation"]
        known = max(self._newest, self._remembered())
        if generation < known:
            raise Outdated(
                f"{self._url}{layout.INDEX} has the generation {generation}, but {known} was read before: an old copy"
                " is served, or the site was started over; if so, remove the cache"
            )
        late = int(time.time()) - index["expires_at"]
        if late > 0 and not self._accept_expired:
            raise Outdated(
                f"{self._url}{layout.INDEX} expired {late:,} s ago: the publisher is late, a newer index is withheld,"
                " or this machine's clock is ahead; `accept_expired=True` reads it anyway"
            )
        self._newest = generation
        if generation > known:
            self._cache.put(self._name, str(generation).encode())

    def _remembered(self) -> int:
        kept = self._cache.get(self._name) or b""
        return int(kept) if kept.isdigit() else 0
