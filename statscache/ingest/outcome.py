"""What a source delivers, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Delivery:
    """Lines from one source, to be accepted in one transaction.

    Attributes:
        source: Name of the source, such as `fedmsg` or the path of an archive.
        lines: Messages, one JSON document each.
        offset: Bytes of an archive that have been read when these lines are accepted; 0 for other sources.
        connected: Since when the live source that delivers them has been heard without a break, by our own clock in
            seconds since 1970 UTC: what it sent between its lines before and then is missing, and becomes a gap.
            None for sources that can be read again.
        oversize: What was too long to be a line, as (first bytes, reason).
        held: Under which digests these lines were held until now; none if they come from the source itself.
    """

    source: str
    lines: Sequence[bytes]
    offset: int = 0
    connected: int | None = None
    oversize: Sequence[tuple[bytes, str]] = ()
    held: Sequence[int] = ()


@dataclass(slots=True)
class Outcome:
    """How many messages met which fate.

    Attributes:
        read: Lines that were looked at.
        accepted: New in the journal.
        known: Copies of messages that the journal holds already.
        conflicts: Those of the copies whose content differs; the first stands.
        foreign: Of environments that are not ours, or statscache's own announcements.
        held: Of the future; admitted when their time comes.
        set_aside: No messages; in quarantine.
        failures: Messages that were accepted, and set aside for a plugin that raised, counted for each plugin.
    """

    read: int = 0
    accepted: int = 0
    known: int = 0
    conflicts: int = 0
    foreign: int = 0
    held: int = 0
    set_aside: int = 0
    failures: int = 0

    def __iadd__(self, other: "Outcome") -> "Outcome":
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        return self

    def __str__(self) -> str:
        known = f"{self.known:,} known" + (f" ({self.conflicts:,} of them differ)" if self.conflicts else "")
        return (
            f"{self.read:,} read, {self.accepted:,} accepted, {known},"
            f" {self.foreign:,} foreign, {self.held:,} held, {self.set_aside:,} set aside"
        )
