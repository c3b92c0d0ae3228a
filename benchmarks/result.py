"""What a section of the benchmark reports, and how it is shown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """One measured quantity.

    Attributes:
        what: What was measured, in words.
        value: The number.
        unit: Unit of the number; `x` where it is a ratio.
        most: The greatest value that is promised; None if there is none.
        least: The least value that is promised; None if there is none.
        note: What the number is made of.
    """

    what: str
    value: float
    unit: str = "x"
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met` or `MISSED`; `-` if nothing is promised."""
        if self.most is None and self.least is None:
            return "-"
        met = (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)
        return "met" if met else "MISSED"

    @property
    def promise(self) -> str:
        """The limit with its unit; `-` if nothing is promised."""
        if self.least is not None:
            return f">= {self.least:g} {self.unit}"
        return "-" if self.most is None else f"<= {self.most:g} {self.unit}"


def table(results: Sequence[Result]) -> str:
    """Return the results as lines of aligned columns."""
    rows = [("", "measured", "promised", "", "")]
    for result in results:
        rows.append((result.what, f"{result.value:.2f} {result.unit}", result.promise, result.verdict, result.note))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for what, *middle, note in rows:
        columns = [what.ljust(widths[0])]
        columns += [text.rjust(width) for text, width in zip(middle, widths[1:4], strict=True)]
        lines.append("  ".join([*columns, note]).rstrip())
    return "\n".join(lines)
