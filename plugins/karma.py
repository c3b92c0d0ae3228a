"""Thanks: karma that is given on IRC, and cookies that are given on Matrix."""

from collections.abc import Iterator
from typing import Any, ClassVar

from statscache.plugins import HOUR, Counter, Message, State, fields
from statscache_plugins.releases import current, named, released


class KarmaReceived(Counter):
    """Karma and cookies that each person received, by release cycle."""

    name = "karma-received"
    title = "Karma received"
    subject = "people"
    definition = (
        "One is added for each ++ on IRC and each cookie on Matrix that a person is given by another, and one is taken"
        " away for each --, in the release cycle that the message names, else in that of the newest Fedora release at"
        " the time. What people give themselves does not count."
    )
    unit = "points"
    dimensions = ("user",)
    entities: ClassVar[dict[str, str]] = {"user": "person"}
    breakdown = "cycle"
    topics = ("irc.karma", "maubot.cookie.give.#")
    people = True
    unbounded = True
    trailing: ClassVar[dict[str, int]] = {"leaders-30d": 30}
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"leaders-cycle": ("user", "value")}
    # Which cycle is the current one changes at the end of a day, what is known of it at any time.
    clocks = (HOUR,)

    def observe(self, message: Message) -> tuple[tuple[tuple[str, str], int], ...]:
        recipient, points = _recipient(message), _points(message)
        return (((recipient, _cycle(message)), points),) if recipient and points else ()

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from super().documents(state)
        cycle = self._current_cycle(state)
        rows = self.leaders(state, part=cycle)
        yield "leaders-cycle", {"cycle": cycle, "rows": rows, "partial": _unknown(state, cycle)}

    def _current_cycle(self, state: State) -> str | None:
        """Return the newest cycle that messages named in the last 30 days, if it is one that can be current."""
        if state.through is None:
            return None
        by_date = current(state.through)
        number = int(by_date.removeprefix("f"))
        # A release may be late or early; the bus knows better than any table.
        named_lately = (f"f{near}" for near in (number + 1, number, number - 1))
        return next((cycle for cycle in named_lately if self.leaders(state, days=30, part=cycle, limit=1)), by_date)


class KarmaGiven(KarmaReceived):
    """Karma and cookies that each person gave, by release cycle."""

    name = "karma-given"
    title = "Karma given"
    subject = "people"
    definition = (
        "One is added for each ++ on IRC and each cookie on Matrix that a person gives to another, and one is taken"
        " away for each --, in the release cycle that the message names, else in that of the newest Fedora release at"
        " the time. What people give themselves does not count."
    )

    def observe(self, message: Message) -> tuple[tuple[tuple[str, str], int], ...]:
        giver, points = message.agent, _points(message)
        # Who was given it may have been forgotten since, which leaves `_`.
        is_given = _recipient(message) or fields.value(message.body, "recipient") == "_"
        return (((giver, _cycle(message)), points),) if giver and is_given and points else ()


def _recipient(message: Message) -> str | None:
    """Return the other of the two people involved; None if there is none, as when people thank themselves."""
    giver = (message.agent or "").lower()
    others = [user for user in message.usernames if user.lower() != giver]
    return others[0] if len(others) == 1 else None


def _points(message: Message) -> int:
    """Return 1 for a ++ or a cookie, -1 for a --, and 0 for neither."""
    if message.category != "irc":
        return 1
    vote = fields.number(message.body, "vote")
    return vote if vote in (1, -1) else 0


def _unknown(state: State, cycle: str | None) -> dict[str, int | None]:
    """Return since when the current cycle is known, if it is not from its begin on, as `partial` has it.

    Messages may name a cycle before its release, or for some time after that of the next one; then the earlier begin
    counts.
    """
    end = (state.through or 0) // HOUR * HOUR
    begin = min(released(cycle or current(end)), released(current(end)))
    return state.known.partial_of("cycle", begin, end)


def _cycle(message: Message) -> str:
    value = fields.text(message.body, "release") or fields.text(message.body, "fedora_release") or ""
    return named(f"f{value}" if value.isascii() and value.isdecimal() else value) or current(message.timestamp)


PLUGINS = (KarmaReceived, KarmaGiven)
