"""Logging of the command: a line for each event, as text or as JSON; similar lines are limited."""

import logging
import sys
from datetime import UTC, datetime

import orjson

MOST = 100
"""Maximum number of lines of one kind in one period."""

PERIOD = 60.0
"""Seconds."""

_KINDS = 1_000


class Bounded(logging.Filter):
    """Passes at most MOST lines of one kind per PERIOD; the next line says how many were left out.

    Lines of one logger that differ only in their values are of one kind. Debug lines all pass: they were requested.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the line is to be written."""
        if record.levelno < logging.INFO:
            return True
        kind = record.name, str(record.msg)
        if kind not in self._kinds and len(self._kinds) >= _KINDS:
            self._kinds.clear()
        began, number = self._kinds.get(kind, (record.created, 0))
        if record.created - began >= PERIOD:
            if number > MOST:
                record.msg = f"{record.msg} ({number - MOST} more like it were left out)"
            began, number = record.created, 0
        self._kinds[kind] = began, number + 1
        return number < MOST


class AsJSON(logging.Formatter):
    """Makes a JSON object of each event."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the event as one line."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        # The text of a plugin's exception may have lone surrogates.
        return orjson.dumps({name: value.encode(errors="replace").decode() for name, value in event.items()}).decode()


def set_up(*, verbose: bool, json: bool) -> None:
    """Log to standard error.

    Args:
        verbose: True for details.
        json: True to write each line as a JSON object.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Bounded())
    handler.setFormatter(AsJSON() if json else logging.Formatter("%(asctime)s %(levelname)-8s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for noisy in ("alembic", "moksha", "fedmsg", "markdown_it", "watchdog", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It logs that its configuration file is missing, even where none is needed.
    logging.getLogger("fedora_messaging.config").setLevel(logging.WARNING)
    # It logs each failure in six lines and a traceback; the source logs it in one.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    # It logs a traceback for what it cannot close when the database is away; the outage is logged in one line.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    # It warns of each attempt; the failure of the last one is our error.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
