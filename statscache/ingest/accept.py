"""Third stage: what a batch holds besides statistics is written. New messages enter the journal, with their ids."""

import logging
from bisect import bisect_right
from itertools import accumulate

import numpy as np
from sqlalchemy import Connection

from statscache.ingest.delivery import Delivery, Outcome
from statscache.ingest.prepare import Batch
from statscache.ingest.reduce import Reduction
from statscache.store import journal, quarantine, sources
from statscache.store.journal import Head

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
        foreign=batch.foreign,
    )
    sources.release(connection, delivery.held)
    outcome.held, outcome.set_aside = _keep(connection, delivery.source, batch, max_kept)
    if outcome.known or outcome.foreign:
        journal.count(connection, known=outcome.known, conflicts=outcome.conflicts, foreign=outcome.foreign)
    if not accepted:
        return before, outcome
    records = batch.records if accepted == len(new) else batch.records.only(new.tolist(), batch.times.tolist())
    end = journal.append(connection, before, records.segments(), batch.identities.only(new))
    return end, outcome


def places(before: Head, new: np.ndarray) -> np.ndarray:
    """Return the position in the journal of each message of a batch; that of a copy means nothing."""
    return before.position + np.cumsum(new)


def _keep(connection: Connection, source: str, batch: Batch, max_kept: int) -> tuple[int, int]:
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
        quarantine.keep_bytes(connection, raw, reason, source)
    if malformed and (dropped := quarantine.discard(connection, max_kept)):
        _log.warning("dropped the %d oldest lines in quarantine, which is full ([bus] max_kept)", dropped)
    return len(held), len(malformed)
