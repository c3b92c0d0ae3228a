"""Who contributes: what each person did, and how many people there are. Bots are left out.

A contributor is the person who *acted*: another person's comment on my update counts as theirs, not mine.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from statscache.plugins import DAY, Counter, Distinct, Feed, Message, State
from statscache_plugins.agents import WITH_BOTS

_KNOWN_BEFORE = 30 * DAY
"""How long before the first known contribution of a newcomer nothing of theirs must have been known."""


class Contributors(Counter):
    """What each person did, by category."""

    name = "contributors"
    title = "Contributors"
    subject = "people"
    definition = (
        "One is counted for each message under the person who acted, and under the message's category. Who is merely"
        " concerned does not count; accounts on the list of bots are left out."
    )
    unit = "contributions"
    dimensions = ("user",)
    entities: ClassVar[dict[str, str]] = {"user": "person"}
    breakdown = "category"
    depends_on = ("agent", "category")
    declared_settings = WITH_BOTS
    people = True
    unbounded = True
    trailing: ClassVar[dict[str, int]] = {"leaders-30d": 30}
    columns: ClassVar[dict[str, tuple[str, ...]]] = {
        "newcomers": ("timestamp", "value"),
        "newcomers-by-category": ("timestamp", "category", "value"),
        "newest": ("user", "timestamp"),
    }
    slow_documents = ("newcomers", "newcomers-by-category", "newest")
    feed = Feed("New contributors", ("user",), document="newest")
    calendars = True
    version = 2

    def observe(self, message: Message) -> tuple[tuple[str, str | None], ...]:
        agent = message.agent
        return ((agent, message.category),) if agent and agent not in self.settings["bots"] else ()

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from super().documents(state)
        new = {day: people for day, people in self.newcomers(state)}  # noqa: C416 - the pairs are lists
        by_day = [{"timestamp": day, "value": _newcomers(new, day, day, state)} for day in _days(new, state)]
        yield "newcomers", {"rows": by_day}
        by_category = {(day, category): people for day, category, people in self.newcomers_by_part(state, days=30)}
        categories = sorted({category for _, category in by_category}, key=lambda name: (name is not None, name))
        rows = [
            {"timestamp": day, "category": category, "value": _newcomers(by_category, (day, category), day, state)}
            for day in _days((day for day, _ in by_category), state)
            for category in categories
        ]
        yield "newcomers-by-category", {"rows": rows}
        yield "newest", self._newest(state)

    def _newest(self, state: State) -> dict[str, Any]:
        """Return the people first seen recently, and since when newcomers are known: 30 days after the beginning."""
        if state.known.since is None:
            return {"since": None, "rows": [], "partial": {"newcomers": None}}
        since = state.known.since + _KNOWN_BEFORE
        rows = self.newest(state, since=since)
        today = _midnight(state)
        # A person first seen after a gap may have begun in it.
        unknown = {"newcomers": since} if since >= today else state.known.partial_of("newcomers", since, today)
        return {"since": since, "rows": rows, "partial": unknown}


def _newcomers(counted: Mapping[Any, int], which: Any, day: int, state: State) -> int | None:
    """Return how many were counted; None if the day is not wholly known, since the rest may have begun unseen."""
    return counted.get(which, 0) if state.known.is_whole(day, day + DAY) else None


def _days(begun: Iterable[int], state: State) -> range:
    """Return the days from the first of these to the last whole one; without holes, late messages take no row away."""
    return range(min(begun, default=_midnight(state)), _midnight(state), DAY)


def _midnight(state: State) -> int:
    return (state.through or 0) // DAY * DAY


class UniqueContributors(Distinct):
    """How many different people contributed, by day, week and month."""

    name = "unique-contributors"
    title = "Unique contributors"
    subject = "people"
    featured = True
    definition = (
        "One is counted for each person who acted at least once in the day, ISO week or month; accounts on the list of"
        " bots are left out."
    )
    unit = "people"
    depends_on = ("agent",)
    declared_settings = WITH_BOTS
    version = 2

    def observe(self, message: Message) -> tuple[tuple[tuple[()], str], ...]:
        agent = message.agent
        return (((), agent),) if agent and agent not in self.settings["bots"] else ()


class UniqueContributorsByCategory(Distinct):
    """How many different people contributed, by category and by day, week and month."""

    name = "unique-contributors-by-category"
    title = "Unique contributors by category"
    subject = "people"
    definition = (
        "One is counted for each person who acted at least once in the category in the day, ISO week or month; bots are"
        " left out. Who acts in two categories counts in both, so the sum over categories is not the number of people."
    )
    unit = "people"
    dimensions = ("category",)
    depends_on = ("agent", "category")
    declared_settings = WITH_BOTS
    version = 2

    def observe(self, message: Message) -> tuple[tuple[tuple[str | None], str], ...]:
        agent = message.agent
        return (((message.category,), agent),) if agent and agent not in self.settings["bots"] else ()


PLUGINS = (Contributors, UniqueContributors, UniqueContributorsByCategory)
