"""Kills: where they are aimed, and where they hit; both are read from the log of the killed process."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

_TRANSACTION = re.compile(rb"transaction (begins|has committed)")
_PUBLISHING = re.compile(
    rb": publishing: ([a-z ]+?)(?: of [a-z-]+)?$|: published generation |: publishing failed", re.MULTILINE
)
# With the lines below it, up to the next line that begins with a date: a traceback.
_TROUBLE = re.compile(rb"^\S+ \S+ ((?:ERROR|CRITICAL) .*(?:\n(?!\d{4}-).*)*)", re.MULTILINE)
EXPECTED_TROUBLE = b"another publisher is working"
"""The error of a process that is started before PostgreSQL has seen that the previous one is dead."""


class Aim(NamedTuple):
    """Where a kill is aimed at.

    Attributes:
        text: The text of the log that calls for it; empty for the start of the process.
        delay: Seconds to wait then, at most.
        warm: True if that text counts only when new messages have been committed, so that there is work to publish.
    """

    text: bytes
    delay: float
    warm: bool = True

    def is_reached(self, log: bytes) -> bool:
        """Return whether a process that has written `log` is there."""
        start = log.find(b"transaction has committed") if self.warm else 0
        return start >= 0 and self.text in log[start:]


AIMS = (
    Aim(b"transaction begins", 0.0, warm=False),
    Aim(b"publishing: objects", 0.1),
    Aim(b"publishing: readable paths", 0.1),
    Aim(b"transaction begins", 0.01),
    Aim(b"publishing: rendering", 0.1),
    Aim(b"publishing: committing", 0.05),
    Aim(b"publishing: status", 0.0),
    Aim(b"publishing: pointer", 0.0),
    Aim(b"publishing: rendering", 0.3, warm=False),
    Aim(b"publishing: deleting", 0.0),
    Aim(b"", 2.0, warm=False),
)
"""The kills of a run, in turns."""


@dataclass
class Log:
    """What a killed process had written.

    Attributes:
        text: The log.
        transaction: True if it was killed inside an open transaction that takes messages in.
        step: The step of publishing inside which it was killed; empty if none.
    """

    text: bytes
    transaction: bool = field(init=False)
    step: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.transaction = [match[1] for match in _TRANSACTION.finditer(self.text)][-1:] == [b"begins"]
        for step in _PUBLISHING.findall(self.text):
            self.step = step.decode()

    @property
    def place(self) -> str:
        """Where the process was killed, for the summary."""
        places = ["in an open transaction"] if self.transaction else []
        places += [f"in publishing ({self.step})"] if self.step else []
        return " and ".join(places) or "elsewhere"

    @property
    def trouble(self) -> list[str]:
        """Errors that it had logged, except those that a kill explains."""
        return [line.decode() for line in _TROUBLE.findall(self.text) if EXPECTED_TROUBLE not in line]
