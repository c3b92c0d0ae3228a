"""What a batch adds to the database: all that can be made of it before its rows are written.

It depends on which messages the journal knows, and from when on messages count for a plugin. Another process that
cannot look assumes that none is known; where one is after all, the addition is made anew by who commits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

from statscache.ingest.batch import Batch
from statscache.ingest.combining import Combined, Placed, combine
from statscache.plugins import Plugin
from statscache.plugins.watch import Watch
from statscache.store.journal import Identity, Packed, pack
from statscache.store.records import Records
from statscache.wording import counted

Known = Mapping[int, Sequence[Identity]]
"""Identities of messages in the journal, by the digest of the id."""


@dataclass(slots=True)
class Addition:
    """What a batch adds.

    Attributes:
        identities: Of all its messages that may enter the journal, copies included, in order of delivery.
        times: Timestamps of the same messages.
        places: Their places, counted from 1 behind the journal's end; None for a copy.
        segments: The records of those that are no copies, as the journal stores them.
        combined: What each plugin made of them, by its name.
        complete_from: Timestamps before which messages do not count for a plugin, by its name, where there is one.
        conflicts: Number of copies whose content differs from what they are copies of.
        malformed: Bytes and reason of what is no message.
        held: Digest, due time and bytes of messages of the future.
        foreign: Number of messages of other environments and of our own.
        rewrites: The journal's number of rewrites when it was known who was forgotten.
    """

    identities: Sequence[Identity]
    times: Sequence[int]
    places: Sequence[int | None]
    segments: Sequence[Packed]
    combined: dict[str, Combined]
    complete_from: Mapping[str, int]
    conflicts: int
    malformed: list[tuple[bytes, str]]
    held: list[tuple[int, int, bytes]]
    foreign: int
    rewrites: int

    @property
    def accepted(self) -> int:
        """Number of messages that are new."""
        return sum(segment.messages for segment in self.segments)

    @property
    def known(self) -> int:
        """Number of copies."""
        return len(self.places) - self.accepted

    def sent(self) -> "Addition":
        """Return the same without what only the process needs that made it."""
        return replace(self, combined={name: replace(each, parts=None) for name, each in self.combined.items()})

    def without_new(self, known: Known) -> "Addition | None":
        """Return the same, where nothing is new, because all is known; None if something is new all the same."""
        places, conflicts = _place(self.identities, known)
        if any(place is not None for place in places):
            return None
        return replace(self, places=places, segments=(), combined={}, conflicts=conflicts)


def add_up(
    batch: Batch, known: Known, plugins: Iterable[Plugin], complete_from: Mapping[str, int], watch: Watch
) -> Addition:
    """Make of a batch all that can be made before its rows are written.

    Args:
        batch: The batch.
        known: What the journal knows of its messages; nothing if they are taken to be new.
        plugins: Those that are to fold it, or may.
        complete_from: Timestamps before which messages do not count for a plugin, by its name, where there is one.
        watch: Is told what the plugins are doing.
    """
    times = batch.columns.times
    places, conflicts = _place(batch.identities, known)
    placed = Placed(batch.records, places)
    combined = {}
    with watch.observing():
        # What is known as a whole says nothing new, of the plugins neither.
        for plugin in plugins if any(place is not None for place in places) else ():
            if (observed := batch.observed.get(plugin.name)) is not None:
                watch.note(plugin, f"what it made of {counted(observed.messages, 'message')}")
                counting = placed.since(complete_from.get(plugin.name), times)
                combined[plugin.name] = combine(plugin, observed, counting)
    records, sent = batch.records, times
    if not placed.all_count:
        new = [place is not None for place in places]
        records = Records(records[index] for index, is_new in enumerate(new) if is_new)
        sent = [*compress(times, new)]
    return Addition(
        batch.identities,
        times,
        places,
        pack(records, sent),
        combined,
        complete_from,
        conflicts,
        batch.malformed,
        batch.held,
        batch.foreign,
        batch.rewrites,
    )


def _place(identities: Sequence[Identity], known: Known) -> tuple[Sequence[int | None], int]:
    """Return the place of each message, None for a copy of the journal or the batch, and the number of conflicts."""
    if not known and len({digest for _, digest, _ in identities}) == len(identities):
        return range(1, 1 + len(identities)), 0
    met: dict[int, list[Identity]] = {digest: [*same] for digest, same in known.items()}
    places: list[int | None] = []
    place = conflicts = 0
    for identity in identities:
        day, digest, content = identity
        same = met.setdefault(digest, [])
        original = next((other for other in same if abs(other[0] - day) <= 1), None)
        if original is None:
            place += 1
            places.append(place)
            same.append(identity)
        else:
            places.append(None)
            conflicts += original[2] != content
    return places, conflicts
