"""What the front page says: a few numbers, a year, what changed in the last week, and all statistics by subject.

All of it follows from what the plugins declare and publish: which are featured, what they are about, which of their
rows are failures. Weeks are of whole days, and nothing is shown of a week with missing data.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from statscache.kinds.presentation import counted
from statscache.plugins.contract import SUBJECTS
from statscache.render import plots, text
from statscache.render.figures import change, headline, newest_time, trend
from statscache.render.page_model import PluginView
from statscache.render.plots import Plot, headline_rows
from statscache.render.tables import Table, tables
from statscache.timeline import DAY, WEEK

MOST_NUMBERS = 4
_MOST_OF_KIND = 3
_RECORDED = 60 * DAY
"""How long a plugin must have counted before a day of it is called a record."""

_VARIANT = "-by-"


class Number(NamedTuple):
    """One of the numbers at the top: its subject, its value in words, and the comparison with the time before.

    `top` is the key that the caption names, if any.
    """

    view: PluginView
    amount: str
    caption: str
    change: str
    top: str = ""


class News(NamedTuple):
    """One thing that changed: what kind, a name and the words after it, and the plugin whose page says more.

    `key` is the name's, where it is that of one; `other` is a second one, which ends the words; `at` is when it
    happened, in seconds since 1970 UTC; `search` is what finds it in the table of the plugin.
    """

    kind: str
    name: str
    after: str
    view: PluginView
    key: str | None = None
    other: str | None = None
    at: int | None = None
    search: str = ""


class Group(NamedTuple):
    """The statistics of one subject; variants of one another are adjacent, the plain one first."""

    subject: str
    title: str
    clusters: list[list[PluginView]]


def numbers(views: Sequence[PluginView]) -> list[Number]:
    """Return the numbers of the featured plugins, in the order of their subjects."""
    return [number for view in _featured(views) if (number := _number(view))][:MOST_NUMBERS]


def year(views: Sequence[PluginView]) -> tuple[PluginView, Plot] | None:
    """Return the featured plugin that is plotted by day, and the plot, all keys in one curve; None if none is.

    One without keys comes first: it is of everything.
    """
    for view in sorted(_featured(views), key=lambda view: len(view.info.dimensions)):
        if view.kind.is_additive and view.kind.adds_up and (plot := plots.year(view)):
            return view, plot
    return None


def _featured(views: Sequence[PluginView]) -> list[PluginView]:
    order = [*SUBJECTS]
    featured = (view for view in views if view.kind.plugin.featured)
    return sorted(featured, key=lambda view: order.index(view.info.subject))


def news(views: Sequence[PluginView], through: int | None) -> list[News]:
    """Return what changed in the last week: failures, records, leaders, newcomers."""
    if through is None:
        return []
    # How long things took counts the same things again.
    plain = [view for view in views if _VARIANT not in view.info.name and view.durations is None]
    found: list[News] = []
    for what, among in ((_failures, views), (_newcomers, views), (_records, plain), (_leaders, views)):
        each = [item for view in among for item in what(view, through)]
        found += each[:_MOST_OF_KIND]
    return found


def groups(views: Sequence[PluginView]) -> list[Group]:
    """Return all statistics by subject, the featured ones first."""
    names = {view.info.name for view in views}
    clusters: dict[str, list[PluginView]] = {}
    for view in sorted(views, key=lambda view: _VARIANT in view.info.name):
        base = view.info.name.partition(_VARIANT)[0]
        clusters.setdefault(base if base in names else view.info.name, []).append(view)
    ordered = sorted(clusters.values(), key=lambda cluster: (not cluster[0].kind.plugin.featured, -len(cluster)))
    return [
        Group(subject, title, of)
        for subject, title in SUBJECTS.items()
        if (of := [cluster for cluster in ordered if cluster[0].info.subject == subject])
    ]


def variant(view: PluginView, plain: PluginView) -> str:
    """Return what a variant is called beside the plain one: `Category` of `Messages by category`."""
    if view is plain:
        return "All"
    title = view.info.title.removeprefix(f"{plain.info.title} by ")
    return text.clean(title[:1].upper() + title[1:], 40)


def _number(view: PluginView) -> Number | None:
    """Return the number of a featured plugin: of the last week if known, else its headline."""
    for column in view.kind.columns:
        window = column.window
        if window is not None and window.width == WEEK and window.name not in view.partial and view.rows:
            rows = [row for row in view.rows if view.kind.is_in_headline(row)]
            if view.kind.adds_up or len(rows) == 1:
                amount = text.amount(sum(row[column.name] for row in rows), view.info.unit)
                caption = f"{counted(view.info.unit, view.info.headline)} {window.words}"
                return Number(view, amount, caption, change(view, window))
    whole = headline(view)
    if whole is None or whole.value is None:
        return None
    return Number(view, text.amount(whole.value, view.info.unit), whole.caption, trend(view), whole.top)


def _failures(view: PluginView, through: int) -> Iterator[News]:
    """Yield the newest row of the last week that is a failure, and the number of others."""
    wanted = view.kind.plugin.failures
    failed = [
        (time, row)
        for row in view.rows
        if any(row.get(name) in values for name, values in wanted.items())
        and (time := newest_time(row)) is not None
        and through - WEEK < time <= through
    ]
    if not failed:
        return
    time, row = max(failed, key=lambda pair: pair[0])
    state = next(str(row[name]) for name, values in wanted.items() if row.get(name) in values)
    name = text.key_label([row[name] for name in view.info.dimensions if name not in wanted and row[name]], 60)
    more = f", and {text.number(len(failed) - 1)} more" if len(failed) > 1 else ""
    yield News("Failed", name, f"{state}{more}", view, at=time, search=state)


def _newcomers(view: PluginView, through: int) -> Iterator[News]:
    """Yield how many keys were seen first in the last seven whole days, where the seven before are known too."""
    end = through // DAY * DAY
    known = dict(view.newcomers)
    fortnight = range(end - 2 * WEEK, end, DAY)
    if view.since is None or view.since > end - 3 * WEEK or not known.keys() >= {*fortnight}:
        return
    before, now = (sum(known[day] for day in week) for week in (fortnight[:7], fortnight[7:]))
    if now:
        name = f"{text.number(now)} new {text.clean(view.info.title, 60).lower()}"
        yield News("New", name, f"in the last 7 full days, {text.number(before)} in those before", view)


def _records(view: PluginView, through: int) -> Iterator[News]:
    """Yield the day of the last seven whole ones that was busier than all before, as far back as days are known."""
    series = next((series for series in view.series if series.resolution == "1d"), None)
    if series is None or not (view.kind.is_additive and view.kind.adds_up):
        return
    # A day that is not wholly known may have been busier, so only those after it are compared.
    end = series.complete_end
    start = max((min(high, end) for _, high in series.gaps), default=series.start)
    if end - start < _RECORDED:
        return
    sums: dict[int, int] = {}
    for timestamp, *_, value in headline_rows(view, series):
        if start <= timestamp < end:
            sums[timestamp] = sums.get(timestamp, 0) + value
    if not sums:
        return
    most = max(sums.values())
    days = [day for day, value in sums.items() if value == most]
    if len(days) == 1 and days[0] >= end - WEEK and most > 0:
        what = counted(view.info.unit, view.info.headline)
        shown = (end - start) // DAY
        after = f"had {text.amount(most, view.info.unit)} {what} on one day, the most in {shown:,} days"
        yield News("Record", text.clean(view.info.title, 60), after, view, at=days[0])


def _leaders(view: PluginView, through: int) -> Iterator[News]:
    """Yield the keys that lead in the shortest period and not in the next longer one, if both are wholly known."""
    if not view.leaderboards:
        return
    whole, *boards = tables(view)
    shortest_first = [*sorted(boards, key=lambda table: table.window.width if table.window else 0), whole]
    for shorter, longer in pairwise(shortest_first):
        if shorter.window is None or shorter.partial:
            continue
        start, _ = shorter.window.bounds(through)
        if longer.partial if longer.window else not _is_known_before(view, start):
            continue
        new, old = _leader(shorter), _leader(longer)
        if new and old and new != old:
            period = f"the last {shorter.window.label}"
            after = f"leads {text.clean(view.info.title, 60).lower()} of {period}, ahead of"
            yield News("Leader", new, after, view, new, old)
        return


def _is_known_before(view: PluginView, start: int) -> bool:
    """Return True if numbers of all time begin before a moment, and nothing of them is missing."""
    return view.since is not None and view.since < start and not view.days


def _leader(table: Table) -> str:
    """Return the first name of a ranking; empty where it ties with the second."""
    first, *others = table.cells
    if others and others[0][1].sort == first[1].sort:
        return ""
    return first[0].text
