"""What a section of the benchmark reports, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One measured quantity.

    Attributes:
        what: What was measured, in words.
        value: The number.
        unit: Of the number; `x` where it is a ratio.
        most: The greatest value that is promised; None where nothing is.
        note: What the number is made of.
    """

    what: str
    value: float
    unit: str = "x"
    most: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the promise is kept; `-` where nothing is promised."""
        if self.most is None:
            return "-"
        return "met" if self.value <= self.most else "MISSED"


def table(results: Sequence[Result]) -> str:
    """Return the results as lines of aligned columns."""
    rows = [("", "measured", "at most", "", "")]
    for result in results:
        most = "-" if result.most is None else f"{result.most:g} {result.unit}"
        rows.append((result.what, f"{result.value:.2f} {result.unit}", most, result.verdict, result.note))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for what, *middle, note in rows:
        columns = [what.ljust(widths[0])]
        columns += [text.rjust(width) for text, width in zip(middle, widths[1:4], strict=True)]
        lines.append("  ".join([*columns, note]).rstrip())
    return "\n".join(lines)
