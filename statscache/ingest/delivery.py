"""What a source delivers, and how its lines were disposed of."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain


@dataclass(frozen=True, slots=True)
class Delivery:
    """Lines from one source, to be accepted in one transaction.

    Attributes:
        source: Name of the source, such as `fedmsg` or the path of an archive.
        lines: Messages, one JSON document each. They are read once, a few at a time, and again only if the database
            refuses one of them or somebody is forgotten meanwhile: they need not stay in memory.
        offset: Bytes of an archive that have been read when these lines are accepted; 0 for other sources.
        connected: Since when the connection to a live source has been unbroken, in seconds since 1970 UTC by this
            machine's clock. What the source sent between its previous lines and then is missing, and becomes a gap.
            None for sources that can be read again.
        oversize: Lines that were too long, as (first bytes, reason).
        held: Digests under which these lines were held until now; empty if they come from the source itself.
        pieces: The deliveries that are taken together as this one; empty if there is only this one.
    """

    source: str
    lines: Iterable[bytes]
    offset: int = 0
    connected: int | None = None
    oversize: Sequence[tuple[bytes, str]] = ()
    held: Sequence[int] = ()
    pieces: "Sequence[Delivery]" = ()

    @staticmethod
    def joined(deliveries: "Sequence[Delivery]") -> "Delivery":
        """Return what a source that can be read again delivered one after the other, as one delivery."""
        oversize = [line for delivery in deliveries for line in delivery.oversize]
        lines = _Chain([delivery.lines for delivery in deliveries])
        return replace(deliveries[-1], lines=lines, oversize=oversize, pieces=deliveries)


class _Chain:
    """The lines of several deliveries in sequence, which can be read as often as theirs."""

    def __init__(self, parts: Sequence[Iterable[bytes]]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return chain.from_iterable(self._parts)


@dataclass(slots=True)
class Outcome:
    """How many lines of a delivery were disposed of in which way.

    Attributes:
        read: Lines that were read.
        accepted: Messages that are new in the journal.
        known: Copies of messages that the journal already holds.
        conflicts: Those of the copies whose content differs; the first is kept.
        foreign: Messages of other environments, and statscache's own announcements.
        held: Messages of the future; admitted when their time comes.
        quarantined: Malformed lines, now in quarantine.
        failures: Accepted messages that were quarantined for a plugin that raised, counted once for each plugin.
    """

    read: int = 0
    accepted: int = 0
    known: int = 0
    conflicts: int = 0
    foreign: int = 0
    held: int = 0
    quarantined: int = 0
    failures: int = 0

    def __iadd__(self, other: "Outcome") -> "Outcome":
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    def __str__(self) -> str:
        known = f"{self.known:,} known" + (f" ({self.conflicts:,} of them differ)" if self.conflicts else "")
        return (
            f"{self.read:,} read, {self.accepted:,} accepted, {known},"
            f" {self.foreign:,} foreign, {self.held:,} held, {self.quarantined:,} quarantined"
        )
