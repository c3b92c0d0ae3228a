"""Badges: the headline number of a plugin in the form that shields.io's endpoint takes.

Source of the form: https://shields.io/badges/endpoint-badge. It refuses fields that it does not know, so a badge alone
of all documents has neither its schema nor its plugin.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from statscache import schemas
from statscache.kinds.presentation import counted
from statscache.plugins import Plugin

_STEPS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def badge(plugin: Plugin, rows: Sequence[dict[str, Any]], partial: Mapping[str, int | None]) -> schemas.Badge | None:
    """Return the badge of a plugin: the count of a window; None if its kind has no badge.

    Args:
        plugin: The plugin.
        rows: Rows of its `latest`.
        partial: The windows that are not wholly known; their number is a dash.
    """
    window = plugin.kind.badge_window
    if window is None:
        return None
    what = counted(plugin.unit, plugin.headline)
    if window.name in partial:
        message = f"\u2014 {what} in {window.short}"
        return {"schemaVersion": 1, "label": plugin.title.lower(), "message": message, "color": "lightgrey"}
    number = sum(row[window.name] for row in rows if plugin.kind.is_in_headline(row))
    message = f"{short(number)} {what} in {window.short}"
    return {"schemaVersion": 1, "label": plugin.title.lower(), "message": message, "color": "blue"}


def short(number: int) -> str:
    """Return a whole number in at most four digits, such as `12.3k`."""
    for step, letter in _STEPS:
        if abs(number) >= step:
            # One decimal where it says something; cut, not rounded, so that 999,999 is no "1000k".
            scaled = abs(number) * 10 // step
            text = f"{scaled // 10}" if scaled >= 1000 else f"{scaled / 10:g}"
            return f"{'-' if number < 0 else ''}{text}{letter}"
    return str(number)
