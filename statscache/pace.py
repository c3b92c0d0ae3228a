"""How soon a document follows the state: fast ones with every publication, slow ones after a longer interval.

Documents that clients poll are fast. Large or numerous ones are slow. There is no other difference.
"""

from enum import StrEnum

from statscache import layout
from statscache.timeline import MINUTELY


class Pace(StrEnum):
    """How soon a document follows the state."""

    FAST = "fast"
    SLOW = "slow"


def of_series(resolution: str) -> Pace:
    """Return the pace of the series of a resolution."""
    return Pace.FAST if resolution == MINUTELY.name else Pace.SLOW


def of(path: str) -> Pace:
    """Return the pace of the document at a path: JSON of fixed documents and all series by minute are fast."""
    found = layout.match(path)
    if found is None:
        return Pace.SLOW
    if found.kind in ("series-index", "series", "series-csv"):
        return of_series(found.parts["resolution"])
    return Pace.FAST if found.kind in ("document", "layout") else Pace.SLOW
