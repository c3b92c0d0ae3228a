"""Simulated traffic: seeded, endless and plausible, for any window of time.

A seed gives one fixed sequence of messages without beginning or end, and a window is a slice of it: two windows that
overlap have the same messages where they do, and two adjoining windows together have those of one over both. The
events of an hour (or, for composes, images and pushes of updates, of a UTC day) are a function of seed and hour alone,
so a window costs its own hours and one day before.

The distribution:

- **Volume.** `per_day` messages on the average day of a week. People are busiest from Monday to Friday and
  from 12 to 16 UTC (four times as busy as at 3 UTC); machines run around the clock. The busiest days have
  about 1.15 times `per_day`.
- **Mix.** Of a thousand messages about 400 are copr's and 180 koji's and dist-git's for builds by packagers;
  the rest is listed in `USUAL`. With the mix `ALL`, one in eleven has one of some 300 rare topics. Composes, images and
  pushes come by the calendar, about 250 messages a day on top.
- **People and packages** are drawn with the weights 1 / (rank + 8), but koschei and upstream releases take any
  package with the same chance: ten days at the default volume name over 2,000 people and 5,000 packages. The bots
  `bodhi`, `koschei`, `releng`, `packagerbot` and `anitya` act besides them.
- **Form.** fedmsg's envelope on one line of JSON, 0.9 to 1.2 kB on average; ids are unique; timestamps are
  floats of microseconds; every line is in the environment `prod`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple, Protocol

import orjson

from statscache.simulator import builds, forges, people, services, updates, webhooks
from statscache.simulator.composes import planned
from statscache.simulator.event import Event
from statscache.simulator.population import Population
from statscache.timeline import DAY, HOUR

_MICROSECONDS = 1_000_000


class Rhythm(NamedTuple):
    """Relative activity of the hours of a UTC day and of the days of a week; only the proportions matter."""

    hours: tuple[int, ...]
    weekdays: tuple[int, ...]

    def share(self, hour: int) -> float:
        """Return the share of an average day's volume in `hour`, in hours since 1970 UTC."""
        # 1 January 1970 was a Thursday, the fourth day of a week that begins on Monday.
        weekday = (hour // 24 + 3) % 7
        return self.hours[hour % 24] / sum(self.hours) * self.weekdays[weekday] * 7 / sum(self.weekdays)


PEOPLE = Rhythm(
    (40, 34, 29, 27, 30, 38, 52, 68, 82, 92, 97, 100, 106, 110, 112, 108, 100, 90, 80, 74, 68, 62, 55, 47),
    (115, 120, 120, 118, 105, 60, 62),
)
MACHINES = Rhythm((100,) * 24, (102, 102, 102, 102, 102, 95, 95))


class Course(Protocol):
    """Makes one course of events, such as a build, from `at` (seconds since 1970 UTC) on; it lasts an hour at most."""

    def __call__(self, population: Population, rng: Random, at: float) -> list[Event]:
        """Return the events of the course."""


Mix = tuple[tuple[int, Rhythm, Course], ...]
"""Kinds of courses: the share of messages of each, relative to the sum, and the rhythm that it follows."""

USUAL: Mix = (
    (400, PEOPLE, builds.copr_build),
    (180, PEOPLE, builds.koji_build),
    (70, MACHINES, builds.koschei_build),
    (20, MACHINES, builds.koji_repo),
    (85, PEOPLE, updates.bodhi_update),
    (40, MACHINES, updates.openqa_job),
    (35, MACHINES, updates.upstream_release),
    (20, PEOPLE, forges.pagure_issue),
    (40, PEOPLE, forges.pagure_pull_request),
    (16, PEOPLE, forges.github_event),
    (30, PEOPLE, webhooks.forgejo_webhook),
    (14, PEOPLE, webhooks.github_webhook),
    (6, PEOPLE, webhooks.gitlab_webhook),
    (5, PEOPLE, people.karma),
    (12, PEOPLE, people.badge),
    (5, PEOPLE, people.wiki_edit),
    (10, PEOPLE, people.mail),
    (4, PEOPLE, people.meeting),
    (1, PEOPLE, people.blog_post),
    (7, PEOPLE, people.playbook),
)
"""The busiest topics, about 85; shares are of a thousand messages."""

ALL: Mix = (*USUAL, (100, PEOPLE, services.rare_event))
"""Nearly 400 topics, most of them with a few messages a day or fewer."""


@dataclass(frozen=True)
class Traffic:
    """The traffic to simulate.

    Attributes:
        start: First second of the window, since 1970 UTC.
        end: First second after the window.
        seed: Another seed gives other traffic of the same distribution.
        per_day: Messages on an average day.
        people: Number of people, at least 1; bots are not included.
        packages: Number of packages, at least 1.
        mix: Kinds of courses and their shares.
        growing: Between these two times (seconds since 1970 UTC) the volume grows evenly from a third of `per_day` to
            the whole; None if it does not grow.
    """

    start: int
    end: int
    seed: int = 1
    per_day: int = 100_000
    people: int = 2500
    packages: int = 6000
    mix: Mix = USUAL
    growing: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("per_day", "people", "packages"):
            if getattr(self, name) < 1:
                raise ValueError(f"Traffic.{name} is {getattr(self, name)}: give 1 or more")
        if not DAY <= self.start <= self.end:
            raise ValueError(
                f"Traffic from {self.start} to {self.end}: give seconds since 1970 UTC, the start from "
                f"{DAY} on and not after the end"
            )

    def volume(self, hour: int) -> float:
        """Return the messages of an average day, as of an hour since 1970 UTC."""
        if self.growing is None:
            return self.per_day
        first, last = self.growing
        grown = min(max((hour * HOUR - first) / (last - first), 0.0), 1.0)
        return self.per_day * (1 + 2 * grown) / 3


def simulate(traffic: Traffic) -> Iterator[bytes]:
    """Yield the messages of the window in order of time, each as one line of JSON without a newline.

    Memory holds the events of about two hours, however long the window is.
    """
    population = Population(traffic.people, traffic.packages)
    first_hour, end_hour = traffic.start // HOUR, -(-traffic.end // HOUR)
    start, end = traffic.start * _MICROSECONDS, traffic.end * _MICROSECONDS
    first_day = first_hour // 24 - 1
    pending = [line for day in (first_day, first_day + 1) for line in _of_day(traffic.seed, day)]
    for hour in range(first_hour - 1, end_hour):
        if hour % 24 == 0 and hour // 24 > first_day + 1:
            pending += _of_day(traffic.seed, hour // 24)
        pending += _of_hour(traffic, population, hour)
        pending.sort()
        limit = min(end, (hour + 1) * HOUR * _MICROSECONDS)
        due = 0
        for time, line in pending:
            if time >= limit:
                break
            due += 1
            if time >= start:
                yield line
        del pending[:due]


def _of_hour(traffic: Traffic, population: Population, hour: int) -> list[tuple[int, bytes]]:
    """Return the courses that begin in `hour` (hours since 1970 UTC) as microseconds and lines."""
    rng = Random((traffic.seed << 40) + (hour << 1))
    lines: list[tuple[int, bytes]] = []
    whole = sum(parts for parts, _, _ in traffic.mix)
    for parts, rhythm, course in traffic.mix:
        wanted = traffic.volume(hour) * parts / whole * rhythm.share(hour)
        made = 0
        while True:
            events = course(population, rng, (hour + rng.random()) * HOUR)
            # The last course is kept with a probability that gives the wanted mean.
            if made + len(events) * rng.random() > wanted:
                break
            made += len(events)
            lines += [_line(rng, event) for event in events]
    return lines


def _of_day(seed: int, day: int) -> list[tuple[int, bytes]]:
    """Return the planned messages of `day` (days since 1970 UTC) as microseconds and lines."""
    rng = Random((seed << 40) + (day << 1) + 1)
    return [_line(rng, event) for event in planned(rng, day * DAY)]


def _line(rng: Random, event: Event) -> tuple[int, bytes]:
    """Return the time of `event` in microseconds, and the event in its envelope."""
    time = int(event.time * _MICROSECONDS)
    unique = f"{rng.getrandbits(128):032x}"
    envelope = {
        "crypto": "x509",
        "headers": {},
        "i": 1 + rng.randrange(5000),
        "msg": event.msg,
        "msg_id": f"{_year(time // _MICROSECONDS)}-{unique[:8]}-{unique[8:12]}-4{unique[13:16]}-"
        f"a{unique[17:20]}-{unique[20:]}",
        "timestamp": time / _MICROSECONDS,
        "topic": event.topic,
    }
    if event.username is not None:
        envelope["username"] = event.username
    return time, orjson.dumps(envelope)


def _year(timestamp: int) -> int:
    return datetime.fromtimestamp(timestamp, UTC).year
