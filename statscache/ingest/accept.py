"""Third stage: write all of a batch except statistics.

New messages enter the journal, with their ids. The source moves on, and leaves a gap if it was not heard for a while.
Gaps are measured with this machine's clock, because messages come late, and clocks of senders go wrong.
It begins at the time up to which everything has come, and ends when the source was heard again. Messages have a say in
one thing only: what waits for us while we are behind was sent after most of those that we took last.
"""

import logging
import time
from bisect import bisect_right
from itertools import accumulate
from statistics import median_low

import numpy as np
from sqlalchemy import Connection

from statscache.ingest.delivery import Delivery, Outcome
from statscache.ingest.prepare import Batch
from statscache.ingest.reduce import Reduction
from statscache.store import coverage, foreign, journal, quarantine, sources
from statscache.store.journal import Head
from statscache.store.rows import SourceRow

_ASTRAY = 10
"""Seconds by which our clock may say that the future was heard, before we take it that it was set back."""

_log = logging.getLogger(__name__)


def accept(
    connection: Connection, before: Head, delivery: Delivery, batch: Batch, reduction: Reduction, max_kept: int
) -> tuple[Head, Outcome]:
    """Append the new messages to the journal, and return its new end and how the lines were disposed of.

    Args:
        connection: The transaction, which holds the journal's lock.
        before: The journal's end.
        delivery: What a source delivered.
        batch: Its messages.
        reduction: Which of them are new.
        max_kept: Quota in bytes for malformed lines, and again for messages of the future.
    """
    new = reduction.new
    accepted = int(new.sum())
    outcome = Outcome(
        read=batch.read,
        accepted=accepted,
        known=len(new) - accepted,
        conflicts=reduction.conflicts,
        foreign=len(batch.foreign),
    )
    sources.release(connection, delivery.held)
    outcome.held, outcome.quarantined = _hold_and_quarantine(connection, delivery.source, batch, max_kept)
    if outcome.known or outcome.foreign:
        # A copy was foreign before.
        new_foreign = foreign.add(connection, batch.foreign)
        journal.count(connection, known=outcome.known, conflicts=outcome.conflicts, foreign=new_foreign)
    if not accepted:
        return before, outcome
    records = batch.records if accepted == len(new) else batch.records.only(new.tolist(), batch.times.tolist())
    end = journal.append(connection, before, records.segments(), batch.identities.only(new))
    return end, outcome


def move_source(connection: Connection, delivery: Delivery, times: np.ndarray, outcome: Outcome) -> None:
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
                # The time before the clock was set back is useless; the messages' times are better than nothing.
                heard = min(now, row.newest or now)
            coverage.record(connection, heard, connected, complete=False)
        until = min(now, median_low(times.tolist())) if len(times) else connected
        heard = max(until, connected, heard or 0)
    newest = int(times.max()) if len(times) else row.newest
    moved = row._replace(
        newest=newest if newest is None or row.newest is None else max(newest, row.newest),
        heard=heard,
        offset=max(delivery.offset, row.offset),
        accepted=row.accepted + outcome.accepted,
        quarantined=row.quarantined + outcome.quarantined,
        seen_at=now,
    )
    sources.save(connection, moved)


def places(before: Head, new: np.ndarray) -> np.ndarray:
    """Return the position in the journal of each message of a batch; that of a copy means nothing."""
    return before.position + np.cumsum(new)


def _hold_and_quarantine(connection: Connection, source: str, batch: Batch, max_kept: int) -> tuple[int, int]:
    """Hold messages of the future, quarantine malformed lines, and return the number of each.

    Past the quota, messages of the future are quarantined too.
    """
    held, malformed = batch.held, batch.malformed
    if held:
        room = max_kept - sources.bytes_held(connection)
        fitting = bisect_right([*accumulate(len(raw) for _, _, raw in held)], room)
        reason = f"of the future, and {max_kept} bytes of such messages are held already ([bus] max_kept)"
        malformed = [*malformed, *((raw, reason) for _, _, raw in held[fitting:])]
        held = held[:fitting]
        sources.hold(connection, [(digest, due, source, raw) for digest, due, raw in held])
    for raw, reason in malformed:
        quarantine.add_line(connection, raw, reason, source)
    if malformed and (dropped := quarantine.discard(connection, max_kept)):
        _log.warning("dropped the %d oldest lines in quarantine, which is full ([bus] max_kept)", dropped)
    return len(held), len(malformed)
