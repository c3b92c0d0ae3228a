"""How far each source has come, and the gap that a live one leaves when it was not heard for a while.

A gap is told by this machine's clock, since messages cannot tell it: they come late, and clocks of senders go wrong.
It begins at the time up to which everything has come, and ends when the source was heard again. Messages have a say in
one thing only: what waits for us while we are behind was sent after most of those that we took last.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median_low

from sqlalchemy import Connection

from statscache.ingest.delivery import Delivery, Outcome
from statscache.store import coverage, sources
from statscache.store.sources import SourceRow

_ASTRAY = 10
"""Seconds by which our clock may say that the future was heard, before we take it that it was set back."""


def move(connection: Connection, delivery: Delivery, times: Sequence[int], outcome: Outcome) -> None:
    """Move the source of a delivery, and record the gap before it if it leaves one.

    Args:
        connection: The transaction that accepts the delivery.
        delivery: What the source delivered.
        times: Timestamps of its messages that are ours, known ones included.
        outcome: How its lines were disposed of.
    """
    row = sources.load(connection, delivery.source) or SourceRow(delivery.source)
    now = int(time.time())
    heard = row.heard
    if delivery.connected is not None:
        connected = min(delivery.connected, now + 1)
        if heard is not None:
            if heard > now + _ASTRAY:
                # What the clock said before it was set back is worth nothing; messages say at least something.
                heard = min(now, row.newest or now)
            coverage.record(connection, heard, connected, complete=False)
        until = min(now, median_low(times)) if times else connected
        heard = max(until, connected, heard or 0)
    newest = max(times, default=row.newest)
    moved = replace(
        row,
        newest=newest if newest is None or row.newest is None else max(newest, row.newest),
        heard=heard,
        offset=max(delivery.offset, row.offset),
        accepted=row.accepted + outcome.accepted,
        set_aside=row.set_aside + outcome.set_aside,
        seen_at=now,
    )
    sources.save(connection, moved)
