"""What the database knows of sources, consumers and targets: a row of each."""

from typing import NamedTuple

ARCHIVE = "archive:"
"""How the names of sources begin that are archives; they stay private, for they tell paths."""

GONE = 60
"""Seconds without a sign of life after which a consumer is gone."""


class SourceRow(NamedTuple):
    """One source.

    Attributes:
        name: Such as `fedmsg`, or the path of an archive.
        newest: Timestamp of the newest message that came from it; None before the first.
        heard: Up to when everything that a live source sent has come, seconds since 1970 UTC; None for other sources.
        offset: Bytes of an archive that have been read and committed.
        accepted: Messages accepted from it as they came, without those that were held or tried again.
        quarantined: Malformed lines that came from it.
        seen_at: Wall clock of its last batch, seconds since 1970 UTC.
    """

    name: str
    newest: int | None = None
    heard: int | None = None
    offset: int = 0
    accepted: int = 0
    quarantined: int = 0
    seen_at: int = 0


class ConsumerRow(NamedTuple):
    """The consumers of one live source, of all processes together.

    Attributes:
        name: Name of the source.
        worked_at: When one of them last looked for messages, also in vain; wall clock, seconds since 1970 UTC.
        batches: Transactions in which they accepted what had come.
        milliseconds: That these took.
        rejected: Messages that they refused because they have no valid signature.
        endpoints: Addresses of the bus that they connect to; 0 for a source that has none.
        unconnected: Those of them at which no one answers, one a line.
    """

    name: str
    worked_at: int
    batches: int = 0
    milliseconds: int = 0
    rejected: int = 0
    endpoints: int = 0
    unconnected: str = ""

    @property
    def is_cut_off(self) -> bool:
        """True if no one answers at any address of the bus."""
        return 0 < self.endpoints == len(self.unconnected.splitlines())


class TargetRow(NamedTuple):
    """One target.

    Attributes:
        name: As the configuration names it.
        generation: The generation that it serves; None before the first.
        snapshot: Id of the snapshot that it serves; None before the first.
        published_at: Wall clock of the last success, seconds since 1970 UTC; None before the first.
        requests: Operations of the last success.
        bytes: Bytes that it sent.
        milliseconds: How long it took.
        invalidation_due: True if caches before it must still forget what they hold.
        sending: The generation that is being sent there, whose objects stay; None if none is.
        trying_since: Wall clock of the first attempt since the last success, seconds since 1970 UTC; None if the last
            attempt succeeded.
        due_at: Wall clock by which an attempt must have succeeded, seconds since 1970 UTC; None before the first.
        error: Why the last attempt failed; None if it did not, and while the first one is under way.
    """

    name: str
    generation: int | None = None
    snapshot: str | None = None
    published_at: int | None = None
    requests: int = 0
    bytes: int = 0
    milliseconds: int = 0
    invalidation_due: bool = False
    sending: int | None = None
    trying_since: int | None = None
    due_at: int | None = None
    error: str | None = None

    def late(self, now: int) -> int:
        """Return for how many seconds it has been behind at the time `now`; 0 if it is not, or if no one tries."""
        return max(0, now - self.due_at) if self.due_at is not None and self.trying_since is not None else 0

    def is_ok(self, now: int) -> bool:
        """Return whether it was published to, the last attempt succeeded, and it is not behind at the time `now`."""
        return self.published_at is not None and self.error is None and not self.late(now)
