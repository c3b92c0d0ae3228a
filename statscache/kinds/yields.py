"""What a plugin yielded of a batch, by column: what every kind reduces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, compress
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Yields:
    """The yields of one plugin, those of one message together and in their order.

    A counter yields few different keys of many messages, so a yield refers to its item by number.

    Attributes:
        items: What `Kind.check` returned; an item may stand for many yields.
        which: Index into `items` of each yield.
        messages: Index in its batch of each yield's message.
        times: Timestamp of each yield's message, in seconds since 1970 UTC.
        ids: Id of each yield's message; empty in a kind that takes `depends_on`, where no id can matter.
    """

    items: Sequence[Any]
    which: np.ndarray
    messages: np.ndarray
    times: np.ndarray
    ids: Sequence[str] = ()

    @staticmethod
    def joined(parts: "Sequence[tuple[int, Yields]]") -> "Yields":
        """Return the yields of batches that become one, each given with the index of its first message."""
        items = [item for _, part in parts for item in part.items]
        starts = accumulate((len(part.items) for _, part in parts), initial=0)
        which = np.concatenate([part.which + start for start, (_, part) in zip(starts, parts, strict=False)])
        messages = np.concatenate([part.messages + first for first, part in parts])
        times = np.concatenate([part.times for _, part in parts])
        return Yields(items, which, messages, times, [id for _, part in parts for id in part.ids])

    def __len__(self) -> int:
        return len(self.which)

    def of(self, wanted: np.ndarray) -> "Yields":
        """Return the yields of the messages that are wanted, given True or False for each message of the batch."""
        return self.only(wanted[self.messages])

    def only(self, chosen: np.ndarray) -> "Yields":
        """Return the yields that are chosen, given True or False for each."""
        if chosen.all():
            return self
        ids = [*compress(self.ids, chosen.tolist())] if self.ids else ()
        return Yields(self.items, self.which[chosen], self.messages[chosen], self.times[chosen], ids)

    def compact(self) -> "Yields":
        """Return the same yields without the items to which none of them refers."""
        used, which = np.unique(self.which, return_inverse=True)
        return replace(self, items=[self.items[at] for at in used.tolist()], which=which)

    def one_by_one(self) -> Iterator[tuple[int, str, int, Any]]:
        """Give each yield's timestamp, message id, index among the yields of its message, and item."""
        index, before = 0, -1
        columns = zip(self.times.tolist(), self.ids, self.messages.tolist(), self.which.tolist(), strict=True)
        for timestamp, id, message, which in columns:
            index = index + 1 if message == before else 0
            before = message
            yield timestamp, id, index, self.items[which]


NOTHING = Yields((), *np.zeros((3, 0), np.int64))
"""The yields of a plugin that yielded nothing."""
