"""The findings of a verification: each fault with its weight, the most severe first."""

from dataclasses import dataclass, field
from enum import IntEnum
from threading import Lock


class Weight(IntEnum):
    """How severe a fault is; the lowest number is the most severe."""

    BROKEN = 1
    """A reference does not resolve, bytes are not those that were announced, or a signature is forged."""
    WRONG = 2
    """A document breaks the format: its schema, or a reference from or to it."""
    LATE = 3
    """The publisher has not renewed the pointer in time."""
    SERVED = 4
    """The web server sends headers other than the format requires."""
    ORPHAN = 5
    """A file without any reference to it."""
    NOTE = 6
    """Nothing wrong, but worth knowing."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault.

    Attributes:
        weight: How severe it is.
        path: Where: a path relative to the site's root.
        problem: What is wrong.
        others: How many other files have the same problem.
    """

    weight: Weight
    path: str
    problem: str
    others: int = 0


@dataclass(slots=True)
class Findings:
    """Collects faults; a fault that many files have is shown once, with their number."""

    _single: list[Finding] = field(default_factory=list)
    _grouped: dict[tuple[Weight, str], list[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add(self, weight: Weight, path: str, problem: str) -> None:
        """Add a fault."""
        self._single.append(Finding(weight, path, problem))

    def add_grouped(self, weight: Weight, path: str, problem: str) -> None:
        """Add a fault that many files may have in the same words."""
        with self._lock:
            self._grouped.setdefault((weight, problem), []).append(path)

    def ordered(self) -> list[Finding]:
        """Return all findings, the most severe first, then by path."""
        grouped = [
            Finding(weight, min(paths), problem, len(paths) - 1) for (weight, problem), paths in self._grouped.items()
        ]
        return sorted({*self._single, *grouped})
