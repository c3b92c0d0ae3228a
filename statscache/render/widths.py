"""How much room text takes, as far as the publisher can know it.

The letters are those of DejaVu Sans, a wide font: what has room in it has room in others. So the style of a page
decides between a table and cards before any script runs, and nothing moves when one does.
"""

from itertools import repeat

_LETTERS = {
    "ijl'|": 0.28,
    " \u00a0.,:;!fI/\\-": 0.37,
    "tr()[]": 0.42,
    "cszLFJ_?": 0.58,
    "ABCDGHKNOQRUVXZ&\u2212": 0.84,
    "mwMW@%\u2014": 1.0,
}
_SMALL = 0.64
_OTHER = 1.4
"""Widest letters of other scripts, and emoji."""

_WIDTHS = {
    **{chr(code): _SMALL for code in range(32, 127)},
    **{letter: width for letters, width in _LETTERS.items() for letter in letters},
}
_BOLD = 1.1


def of_text(text: str, *, is_bold: bool = False) -> float:
    """Return the width of a text on one line, in em."""
    width = sum(map(_WIDTHS.get, text, repeat(_OTHER)))
    return width * _BOLD if is_bold else width


def of_longest_word(text: str, *, is_bold: bool = False) -> float:
    """Return the width of a text that may have a line for each word, in em."""
    return max((of_text(word, is_bold=is_bold) for word in text.split()), default=0)
