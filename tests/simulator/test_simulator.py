"""The simulator gives the same plausible traffic everywhere, in order, in fedmsg's envelope."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import pytest

from statscache import testing
from statscache.parsing import parse
from statscache.simulator import Traffic, simulate
from statscache_plugins.badges import Badges
from statscache_plugins.forges import ForgeEvents, ForgeEventsByUser, PullRequests, PullRequestsByTimeToMerge

MONDAY = 1784505600
HOUR = 3600
DAY = 86400
SMALL = Traffic(start=MONDAY, end=MONDAY + DAY, per_day=3000, people=200, packages=400)


def test_the_same_traffic_on_every_machine() -> None:
    """The bytes of a seed and window do not change, whatever the machine, the release and the hash seed."""
    program = (
        "import hashlib, itertools; from statscache.simulator import *;"
        f"lines = itertools.islice(simulate(Traffic(start={MONDAY}, end={MONDAY + DAY})), 3000);"
        "print(hashlib.sha256(b'\\n'.join(lines)).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Pacific/Auckland"}
    other = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    lines = islice(simulate(Traffic(start=MONDAY, end=MONDAY + DAY)), 3000)
    assert other == hashlib.sha256(b"\n".join(lines)).hexdigest()
    assert other == "e8ef15ff2864f941d591385cc234caf572292f9cb4659d84b4e93b78ea0e20a4"


def test_another_seed_gives_other_messages() -> None:
    """No message of one seed is a message of another."""
    one = {json.loads(line)["msg_id"] for line in simulate(SMALL)}
    other = {json.loads(line)["msg_id"] for line in simulate(replace(SMALL, seed=2))}
    assert one
    assert other
    assert not one & other


def test_windows_that_adjoin_hold_what_one_over_both_holds() -> None:
    """A window is a slice of the seed's traffic, wherever it is cut, inside an hour or at midnight."""
    cuts = [MONDAY - 5 * HOUR, MONDAY - 600, MONDAY, MONDAY + 1234, MONDAY + 7 * HOUR, MONDAY + 26 * HOUR]
    whole = list(simulate(Traffic(cuts[0], cuts[-1], per_day=3000)))
    pieces = [line for start, end in pairwise(cuts) for line in simulate(Traffic(start, end, per_day=3000))]
    assert pieces == whole


def test_a_project_that_grows_is_the_same_however_it_is_cut() -> None:
    """Volume rises evenly from a third to the whole and stays there; windows that adjoin have no message twice."""
    growing = (MONDAY - 28 * DAY, MONDAY)
    whole = Traffic(MONDAY - 28 * DAY, MONDAY, per_day=3000, growing=growing)
    assert [whole.volume((MONDAY + days * DAY) // HOUR) for days in (-60, -28, -14, 0, 60)] == [
        1000,
        1000,
        2000,
        3000,
        3000,
    ]
    cuts = [MONDAY - 2 * DAY, MONDAY - DAY, MONDAY, MONDAY + HOUR]
    pieces = [line for start, end in pairwise(cuts) for line in simulate(replace(whole, start=start, end=end))]
    assert pieces == list(simulate(replace(whole, start=cuts[0], end=cuts[-1])))
    assert len({json.loads(line)["msg_id"] for line in pieces}) == len(pieces)


def test_lines_are_in_order_inside_the_window_with_ids_of_their_own() -> None:
    """Times never fall and lie in the window; no id occurs twice; every line is a message of `prod`."""
    envelopes = [json.loads(line) for line in simulate(SMALL)]
    times = [envelope["timestamp"] for envelope in envelopes]
    assert times == sorted(times)
    assert times[0] >= MONDAY
    assert times[-1] < MONDAY + DAY
    assert len({envelope["msg_id"] for envelope in envelopes}) == len(envelopes)
    assert {envelope["topic"].split(".")[2] for envelope in envelopes} == {"prod"}


def test_every_line_is_a_message_and_most_name_an_agent() -> None:
    """The parser accepts every line; most name an agent and some a package."""
    messages = [parse(line) for line in simulate(SMALL)]
    agents = sum(message.agent is not None for message in messages)
    packages = sum(bool(message.packages) for message in messages)
    # Ends of builds and the work of machines are no one's act.
    assert agents > 0.65 * len(messages)
    assert packages > 0.15 * len(messages)


def test_the_volume_the_sizes_and_the_population_are_as_announced() -> None:
    """A week has seven times `per_day` messages within 5 %, of 0.9 to 1.2 kB, from the whole population."""
    traffic = Traffic(MONDAY, MONDAY + 7 * DAY, per_day=3000, people=50, packages=80)
    lines = list(simulate(traffic))
    assert len(lines) == pytest.approx(7 * 3000 + 7 * 250, rel=0.05)
    assert 900 <= sum(map(len, lines)) / len(lines) <= 1200
    assert max(map(len, lines)) < 4000
    coprs = [json.loads(line)["msg"] for line in lines if b".copr.build.start" in line]
    assert len({body["pkg"] for body in coprs}) == 80
    people = Counter(body["user"] for body in coprs)
    assert len(people) == 50
    assert people.most_common(1)[0][1] > 3 * min(people.values())


def test_days_have_a_rhythm_and_composes_and_images_every_day() -> None:
    """Afternoons are busier than nights and weekdays than Sundays; each day has its composes and images."""
    week = [list(simulate(Traffic(MONDAY + day * DAY, MONDAY + (day + 1) * DAY, per_day=3000))) for day in range(7)]
    assert len(week[1]) > 1.5 * len(week[6])
    hours = Counter(int(json.loads(line)["timestamp"]) % DAY // HOUR for line in week[1])
    assert hours[14] > 2 * hours[3]
    for lines in week:
        topics = Counter(json.loads(line)["topic"] for line in lines)
        assert topics["org.fedoraproject.prod.pungi.compose.status.change"] >= 5
        assert topics["org.fedoraproject.prod.compose.rawhide.complete"] == 1
        for provider in ("aws", "azure", "gcp", "container"):
            assert any(f".fedora_image_uploader.published.v1.{provider}." in topic for topic in topics)


def test_a_project_lives_on_several_forges() -> None:
    """A demo shows events, people and times to merge of each forge."""
    messages = [parse(line) for line in simulate(replace(SMALL, end=MONDAY + 7 * DAY)) if b".prod." in line]
    forges = {"pagure", "forgejo", "github", "gitlab"}
    on_forges = [message for message in messages if message.category in forges]
    for plugin in (ForgeEvents, PullRequests, PullRequestsByTimeToMerge):
        rows = testing.run(plugin, on_forges)["latest.json"]["rows"]
        assert {row["forge"] for row in rows if row["total"]} == forges, plugin.name
    people = testing.run(ForgeEventsByUser, on_forges)["latest.json"]["rows"]
    assert len(people) > 50
    opened = [m for m in on_forges if m.topic.endswith("forgejo.pull_request")]
    assert all(message.agent for message in opened)


@pytest.mark.parametrize(("start", "today"), [(MONDAY - 1200 * DAY, False), (MONDAY, True)])
def test_badges_and_meetings_are_those_of_their_time(start: int, today: bool) -> None:
    """Topics and bodies of today are shown for recent dates, those before for history; statistics have both."""
    window = replace(SMALL, start=start, end=start + 7 * DAY)
    messages = [parse(line) for line in simulate(window) if b".prod." in line]
    names = Counter(message.name for message in messages)
    topics = "badges.badge.award", "fedbadges.badge.award"
    assert [names[topic] > 20 for topic in topics] == [today, not today]
    awards = [message for message in messages if message.name in topics]
    assert testing.run(Badges, awards)["latest.json"]["rows"][0]["total"] == len(awards)
    meetings = [message for message in messages if message.name.startswith("meetbot.meeting.")]
    ended = [message for message in meetings if message.name.endswith(".complete")]
    assert {"end_user" in message.body for message in ended} == {today}
    assert all(message.agent in message.usernames and "?" not in (message.subtitle or "?") for message in ended)


@pytest.mark.parametrize("wrong", [{"people": 0}, {"per_day": 0}, {"end": MONDAY - 1}, {"start": 0}])
def test_traffic_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    """A population without people, or a window that ends before it begins, is refused with the fix."""
    with pytest.raises(ValueError, match="give "):
        Traffic(**{"start": MONDAY, "end": MONDAY + DAY, **wrong})
