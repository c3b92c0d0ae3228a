"""The page Release engineering: how each thing fares that plugins watch, what is broken first.

It shows the documents that plugins name as their `board`, in the terms of their `layout`. Nothing reads a clock: what
is old, or takes too long, is so at the last whole hour of the data. What has not been heard of for two weeks may have
reached its end of life, and is not called broken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from statscache.render import text
from statscache.render.page_model import PluginView
from statscache.timeline import DAY, HOUR, floor

LEVELS = ("bad", "warn", "unknown", "progress", "old", "good")
"""How a thing may fare, the worst first: only what is done in full and not older than expected is good."""

BROKEN = ("bad", "warn")

MOST_ROWS = 12
"""Rows of a group that are shown at once; the rest is folded."""

_PAST = 14 * DAY
_NAMES = ("component", "release", "architecture")
_IMAGE_NAMES = ("provider", "flavour", "release", "architecture")
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class Step(NamedTuple):
    """A step of something, or the whole of it.

    Attributes:
        name: Empty for the whole.
        level: One of `LEVELS`.
        words: Its state in words.
        time: When it was last heard of, in seconds since 1970 UTC.
        took: Seconds that it took; None if that is not known, or it is not over.
        last_done: When it was done the last time before, if it is not done now.
        run: Its id; empty if it has none.
        link: Where there is more to see; empty if nowhere.
    """

    name: str
    level: str
    words: str
    time: int
    took: int | None = None
    last_done: int | None = None
    run: str = ""
    link: str = ""


class Place(NamedTuple):
    """Where an image can be launched: a region, the id there, and the page to launch it from, or an empty text."""

    region: str
    id: str
    link: str


class Row(NamedTuple):
    """One thing of a group.

    Attributes:
        name: What it is called.
        rest: What tells it from others of that name.
        state: The step that says how it fares.
        steps: All steps, where it has several.
        is_past: True if it has not been heard of for two weeks.
        release: The release that it is of; empty if none is named.
        image: For an image: provider, flavour, release and architecture; empty where unknown.
        places: For an image: where it can be launched.
    """

    name: str
    rest: str
    state: Step
    steps: tuple[Step, ...] = ()
    is_past: bool = False
    release: str = ""
    image: Mapping[str, str] = {}
    places: tuple[Place, ...] = ()

    @property
    def level(self) -> str:
        """How it fares."""
        return self.state.level


class Group(NamedTuple):
    """Things that belong together: the broken ones first, then the newest first, and then those that are past.

    Images are in order of their provider first.

    `omitted` is how many the document left out.
    """

    id: str
    title: str
    area: str
    rows: list[Row]
    omitted: int

    @property
    def current(self) -> list[Row]:
        """The rows that are not past."""
        return [row for row in self.rows if not row.is_past]

    @property
    def past(self) -> list[Row]:
        """The rows that have not been heard of for two weeks."""
        return [row for row in self.rows if row.is_past]

    @property
    def has_images(self) -> bool:
        """True if its rows are images with places."""
        return any(row.places for row in self.rows)

    @property
    def level(self) -> str:
        """How the worst of its rows fares; what is past does not count."""
        return min((row.level for row in self.current), key=LEVELS.index, default="old")

    @property
    def summary(self) -> str:
        """How the worst of its rows fare, in words."""
        said = {row.state.words for row in self.current if row.level == self.level}
        if not said:
            return "nothing for two weeks"
        if self.level == "old":
            return "older than expected"
        return said.pop() if len(said) == 1 else _WORDS[self.level]

    @property
    def share(self) -> str:
        """How many of its rows fare so; empty where there is only one."""
        rows = self.current
        worst = sum(row.level == self.level for row in rows)
        if len(rows) < 2:
            return ""
        return f"all {len(rows)}" if worst == len(rows) else f"{worst} of {len(rows)}"

    @property
    def old(self) -> int:
        """How many of its rows are older than expected."""
        return sum(row.level == "old" for row in self.current)


_WORDS = {"bad": "broken", "warn": "incomplete", "unknown": "unknown", "progress": "in progress", "good": "fine"}


class Board(NamedTuple):
    """All groups that have rows, in the order of the plugins and of their layouts."""

    groups: list[Group]

    @property
    def broken(self) -> list[tuple[Group, Row]]:
        """What is broken or incomplete now, the worst first, then the newest first."""
        found = [(group, row) for group in self.groups for row in group.current if row.level in BROKEN]
        return sorted(found, key=lambda pair: (LEVELS.index(pair[1].level), -pair[1].state.time))

    @property
    def verdict(self) -> str:
        """How all fares, in a few words."""
        levels = [row.level for _, row in self.broken]
        counts = [(levels.count("bad"), "broken"), (levels.count("warn"), "incomplete")]
        if said := ", ".join(f"{number} {words}" for number, words in counts if number):
            return said
        if not any(group.current for group in self.groups):
            return "Nothing was announced lately"
        if old := sum(group.old for group in self.groups):
            return f"Nothing is known to be broken; {old} older than expected"
        return "Nothing is known to be broken"

    @property
    def level(self) -> str:
        """How the worst group fares."""
        return min((group.level for group in self.groups), key=LEVELS.index, default="unknown")

    def worst(self, most: int) -> list[Group]:
        """Return the groups that fare worst, in their own order: at least the first one, for that is asked for most."""
        ranked = sorted(self.groups[1:], key=lambda group: LEVELS.index(group.level))
        return [group for group in self.groups if group in (*self.groups[:1], *ranked[: most - 1])]

    def choices(self, field: str) -> list[str]:
        """Return what the images of all groups have in a field, or as their region, in order."""
        images = [row for group in self.groups for row in group.rows if row.places]
        if field == "region":
            return sorted({place.region for row in images for place in row.places})
        return sorted({row.image[field] for row in images if row.image[field]})


def board(views: Iterable[PluginView], through: int | None) -> Board:
    """Return what the boards of all plugins show.

    Args:
        views: The plugins.
        through: Timestamp of the newest accepted message.
    """
    groups: list[Group] = []
    taken: set[str] = set()
    for view in views:
        if view.board is not None:
            for group in _groups(view.board, view.kind.plugin.layout, floor(through or 0, HOUR)):
                identity = group.id if group.id not in taken else f"{group.id}-{view.info.name}"
                taken.add(identity)
                groups.append(group._replace(id=identity))
    return Board(groups)


def _groups(document: Mapping[str, Any], layout: Mapping[str, Any], now: int) -> Iterator[Group]:
    columns, found = document.get("columns", ()), document.get("groups", ())
    known = {group["id"]: group for group in layout["groups"]}
    for group in found if isinstance(found, list) else ():
        about = known.get(group.get("id")) if isinstance(group, dict) else None
        if about is None:
            continue
        # The document is an author's, and what is in it is the bus's.
        rows, skipped = [], 0
        for item in group.get("items", ()):
            try:
                if "regions" in item:
                    rows.append(_image(item, about, layout, now))
                else:
                    rows.append(_run(item, columns, about, layout, now))
            except _MALFORMED:
                skipped += 1
        rows.sort(key=_broken_first)
        if rows:
            left_out = group.get("omitted")
            omitted = skipped + (left_out if isinstance(left_out, int) else 0)
            yield Group(text.clean(about["id"], 60), text.clean(about["title"], 60), about["area"], rows, omitted)


def _broken_first(row: Row) -> tuple[bool, int, str, int]:
    worse = LEVELS.index(row.level) if row.level in BROKEN else len(BROKEN)
    return row.is_past, worse, row.image.get("provider", ""), -row.state.time


def _run(
    item: Mapping[str, Any], columns: Sequence[str], about: Mapping[str, Any], layout: Mapping[str, Any], now: int
) -> Row:
    steps = [_step(dict(zip(columns, step, strict=True)), about, layout, now) for step in item["steps"]]
    whole = next((step for step in steps if not step.name), max(steps, key=lambda step: step.time))
    # A step that moved after the whole, such as a sync, may be worse off.
    later = [step for step in steps if step.time > whole.time and step.level in (*BROKEN, "progress")]
    state = min([whole, *later], key=lambda step: LEVELS.index(step.level))
    if state is not whole:
        state = state._replace(words=f"{state.name}: {state.words}")
    name, *rest = (text.clean(item[field], 80) for field in _NAMES if item[field])
    if len(steps) == 1 and whole.name:
        rest.append(whole.name)
    newest = max(step.time for step in steps)
    release = text.clean(item["release"] or "", 80)
    return Row(name, _joined(name, rest), state, tuple(steps) if len(steps) > 1 else (), newest < now - _PAST, release)


def _step(values: Mapping[str, Any], about: Mapping[str, Any], layout: Mapping[str, Any], now: int) -> Step:
    start, stop = values["start"], values["stop"]
    time = max(_moment(moment) for moment in (start, stop) if moment is not None)
    status = layout["statuses"].get(values["status"], {"class": "unknown", "text": text.clean(values["status"], 40)})
    level, words = status["class"], status["text"]
    if level == "progress" and now - time > about.get("stuck_after", now):
        level, words = layout["stuck"]["class"], layout["stuck"]["text"]
    elif level == "good" and now - time > about.get("stale_after", now):
        level = "old"
    return Step(
        name=text.clean(values["step"] or "", 60),
        level=level if level in LEVELS else "unknown",
        words=words,
        time=time,
        took=stop - start if start is not None and stop is not None and stop >= start else None,
        last_done=_moment(values["last_done"]) if values["last_done"] is not None else None,
        run=text.clean(values["run"] or "", 80),
        link=_link(values["link"]),
    )


def _image(item: Mapping[str, Any], about: Mapping[str, Any], layout: Mapping[str, Any], now: int) -> Row:
    fields = {name: text.clean(item.get(name) or "", 60) for name in _IMAGE_NAMES}
    time = _moment(item["timestamp"])
    level, words = ("good", "published") if item.get("public", True) else ("progress", "not public yet")
    tested = layout["statuses"].get(item.get("test"))
    if tested is not None and tested["class"] == "bad":
        level, words = tested["class"], tested["text"]
    if level == "good" and now - time > about.get("stale_after", now):
        level = "old"
    form = layout.get("launch", {}).get(fields["provider"], "")
    shared = item.get("id")
    places = []
    for region, own in sorted(item["regions"].items()):
        identity = own or shared or item.get("image") or ""
        link = _link(form.format(region=quote(region, safe=""), id=quote(identity, safe=""))) if own or shared else ""
        places.append(Place(text.clean(region, 60), text.clean(identity, 200), link))
    # What the test came to is said once.
    said = tested["text"] if tested is not None and tested["text"] != words else ""
    rest = _joined("", (text.clean(item.get("image") or "", 120), said))
    state = Step("", level if level in LEVELS else "unknown", words, time)
    return Row(
        _joined("", fields.values()), rest, state, (), time < now - _PAST, fields["release"], fields, tuple(places)
    )


def _moment(value: Any) -> int:
    if not text.is_moment(value):
        raise ValueError(f"{value!r} is not a moment")
    moment: int = value
    return moment


def _joined(name: str, parts: Iterable[str]) -> str:
    return " · ".join(dict.fromkeys(part for part in parts if part and part != name))


def _link(address: Any) -> str:
    found = text.cell(address) if isinstance(address, str) else None
    return found.href if found is not None and found.form == "link" else ""
