"""Badges: the headline number of a plugin, in shields.io's form."""

from pathlib import Path

import pytest

from samples import NOON, Site, line
from statscache.render.badge import short
from statscache_plugins.volume import Volume


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (1250, "1.2k"),
        (99_999, "99.9k"),
        (999_999, "999k"),
        (1_500_000, "1.5M"),
        (-2_500, "-2.5k"),
    ],
)
def test_short_numbers_are_cut_to_what_a_badge_can_hold(number: int, text: str) -> None:
    """A number is cut, never rounded up to more than it is."""
    assert short(number) == text


def test_bounded_counter_has_a_badge_of_the_last_full_day(tmp_path: Path) -> None:
    """The badge says what `latest` sums up for 24 hours, and has only fields that shields.io takes."""
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,))
    site.feed([line("a", NOON), line("b", NOON + 1), line("c", NOON + 3600)])
    site.publish()
    badge = site.document("v1/plugins/volume/badge.json")
    assert badge["message"] == "\u2014 messages in 24 h, since 8 Aug 12:00", "what was before is unknown"
    site.feed([line("first", NOON - 86400)])
    site.publish()
    badge = site.document("v1/plugins/volume/badge.json")
    assert badge == {"schemaVersion": 1, "label": "messages", "message": "2 messages in 24 h", "color": "blue"}
    assert not (site.public / "v1/plugins/volume-by-user/badge.json").exists()
    site.close()
