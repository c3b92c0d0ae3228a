"""What commands share that run for long: how they are stopped, and what they log of a publication."""

import logging
import signal
import threading
from collections.abc import Sequence

from statscache.publish.report import Report
from statscache.snapshot.snapshots import Snapshot
from statscache.timeline import iso

_log = logging.getLogger("statscache")


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set from now on, so that an early one is heeded too."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def end_as_interrupted() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it ends its workers first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def tell(snapshot: Snapshot, reports: Sequence[Report]) -> None:
    """Log one line for a publication."""
    through = iso(snapshot.through) if snapshot.through is not None else "no message yet"
    sent = "; ".join(
        f"{report.target}: {report.objects} objects, {report.files} files, {report.bytes:,} bytes" for report in reports
    )
    _log.info("published generation %d %s, through %s (%s)", snapshot.generation, snapshot.id[:12], through, sent)
