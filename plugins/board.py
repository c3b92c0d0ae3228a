"""The dashboard's document, made from announced starts and ends: what is running, how runs ended, what to launch."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import zip_longest
from operator import attrgetter
from typing import Any, NamedTuple

from statscache_plugins.cloud_images import launchable
from statscache_plugins.events import BEGUN, SUCCESSES, UNKNOWN, size

BYTES = 29_000
"""Maximum size in bytes of all items, so that the whole document is below 30 kB."""

# Maximum size in bytes of one item: several times that of a compose of twenty phases. A larger one is left out alone.
_LARGEST = 8_000

COLUMNS = ("step", "status", "start", "stop", "last_done", "run", "link")
"""The fields of the arrays in `steps`."""

CLOUD = "cloud"
"""The area whose items are images in regions; all others are runs with a start and an end."""

Value = tuple[tuple[str | None, ...], int, Mapping[str, Any]]
"""Key (area, component, release, architecture, step, place, status), time and value of an entry."""


class Entry(NamedTuple):
    """Something began or ended; times in seconds since 1970 UTC."""

    timestamp: int
    status: str
    run: str | None
    link: str | None


class Run(NamedTuple):
    """The last run of one step of a component; times in seconds since 1970 UTC.

    Attributes:
        area: `compose`, `update` or `image`.
        component: What it is a run of.
        release: None if none is named.
        architecture: None for the primary ones together, or if none is named.
        step: None for the whole.
        status: `in-progress`, how it ended, or `unknown` if that may have been missed.
        start: None if its start was not announced.
        stop: None if no end was announced.
        last_done: When a run before it was done, if this one is not.
        run: Its id, if it has one.
        link: Where there is more to see.
    """

    area: str
    component: str | None
    release: str | None
    architecture: str | None
    step: str | None
    status: str
    start: int | None
    stop: int | None
    last_done: int | None
    run: str | None
    link: str | None

    @property
    def timestamp(self) -> int:
        """The time of its last announcement."""
        return max(time for time in (self.start, self.stop) if time is not None)


def runs(values: Iterable[Value], is_missed: Callable[[int], bool]) -> list[Run]:
    """Return the last run of each step of each component that is not a cloud image.

    Args:
        values: All entries.
        is_missed: Returns True if the missing end of a run that began at a time may have been lost.
    """
    entries: dict[tuple[str | None, ...], list[Entry]] = {}
    for (area, component, release, architecture, step, _, status), time, value in values:
        if area != CLOUD:
            of = entries.setdefault((area, component, release, architecture, step), [])
            of.append(Entry(time, str(status), value["run"], value["link"]))
    found = (_last_run(of, each) for of, each in entries.items())
    return [
        run._replace(status=UNKNOWN) if run.stop is None and run.start is not None and is_missed(run.start) else run
        for run in found
    ]


def _last_run(of: tuple[str | None, ...], entries: Sequence[Entry]) -> Run:
    newest_first = sorted(entries, key=attrgetter("timestamp"), reverse=True)
    begins = [entry for entry in newest_first if entry.status == BEGUN]
    ends = [entry for entry in newest_first if entry.status != BEGUN]
    starts = [_start_of(end, begins, ends) for end in ends]
    end: Entry | None
    start: Entry | None
    if not begins:
        start, end = None, ends[0]
    elif begins[0] in starts:
        start, end = begins[0], ends[starts.index(begins[0])]
    else:
        start, end = begins[0], None
    if ends and starts[0] is None and (start is None or ends[0].timestamp > start.timestamp):
        # The announcement of the start was lost.
        start, end = None, ends[0]
    shown = end or begins[0]
    good = [entry.timestamp for entry in ends if entry.status in SUCCESSES]
    area, component, release, architecture, step = of
    return Run(
        area=str(area),
        component=component,
        release=release,
        architecture=architecture,
        step=step,
        status=shown.status,
        start=start and start.timestamp,
        stop=end and end.timestamp,
        last_done=good[0] if good and shown.status not in SUCCESSES else None,
        run=shown.run or (start and start.run),
        link=shown.link or (start and start.link),
    )


def _start_of(end: Entry, begins: Sequence[Entry], ends: Sequence[Entry]) -> Entry | None:
    """Return the start of the run that `end` ended: by its id, or else by time; None if there is none."""
    before = [begin for begin in begins if begin.timestamp <= end.timestamp]
    for begin in before:
        if begin.run is not None and begin.run == end.run:
            return begin
    for begin in before:
        if begin.run is None or end.run is None:
            ended = any(begin.timestamp <= other.timestamp < end.timestamp for other in ends)
            return None if ended else begin
    return None


def images(values: Iterable[Value]) -> list[dict[str, Any]]:
    """Return the newest image to launch of each release, architecture, flavour and provider, newest first."""
    places = [
        ((release, architecture, flavour, provider, region, stage), time, value)
        for (area, flavour, release, architecture, provider, region, stage), time, value in values
        if area == CLOUD
    ]
    newest: dict[tuple[str | None, ...], dict[str, Any]] = {}
    for image in launchable(places):
        newest.setdefault(tuple(image[name] for name in ("release", "architecture", "flavour", "provider")), image)
    return [*newest.values()]


def rows(runs: Iterable[Run], values: Sequence[Value]) -> list[dict[str, Any]]:
    """Return a flat record for each run and each image, with the names of the dimensions, sorted by them."""
    records = [
        {
            **{name: getattr(run, name) for name in ("area", "component", "release", "architecture", "step", "status")},
            "place": None,
            "timestamp": run.timestamp,
            "start": run.start,
            "stop": run.stop,
            "run": run.run,
            "link": run.link,
        }
        for run in runs
    ]
    records += [
        {
            "area": CLOUD,
            "component": image["flavour"],
            "release": image["release"],
            "architecture": image["architecture"],
            "step": image["provider"],
            "place": None,
            "status": "published" if image["public"] else "uploaded",
            "timestamp": image["timestamp"],
            "run": image["compose"],
        }
        for image in images(values)
    ]
    order = ("area", "component", "release", "architecture", "step")
    return sorted(records, key=lambda record: _nulls_first(record[name] for name in order))


def groups(runs: Iterable[Run], values: Sequence[Value], layout: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups of the layout with their items, newest first, as far as they fit into `BYTES`.

    A run or image is in the first group that it matches. Where not all fit, the groups take turns, and `omitted` says
    how many items of a group were left out: older ones, and any that alone would take more than `_LARGEST` bytes.
    """
    by_group: list[list[Run]] = [[] for _ in layout]
    found: list[list[dict[str, Any]]] = [[] for _ in layout]
    for run in runs:
        place = _group(layout, run.area, run.component, run.release, run.step)
        if place is not None:
            by_group[place].append(run)
    for place, members in enumerate(by_group):
        found[place] += _run_items(members)
    for image in images(values):
        place = _group(layout, CLOUD, image["flavour"], image["release"], image["provider"])
        if place is not None:
            found[place].append(_short(image))
    kept = _fitting(found)
    return [
        {"id": group["id"], "items": items, "omitted": len(all_items) - len(items)}
        for group, items, all_items in zip(layout, kept, found, strict=True)
    ]


def _group(layout: Sequence[Mapping[str, Any]], area: str, *parts: str | None) -> int | None:
    for place, group in enumerate(layout):
        if group["area"] == area and all(
            any(fnmatchcase(part or "", pattern) for pattern in group.get(name, ("*",)))
            for name, part in zip(("component", "release", "step"), parts, strict=True)
        ):
            return place
    return None


def _run_items(members: Iterable[Run]) -> list[dict[str, Any]]:
    """Return one item for each component, release and architecture, the most recent one first, with its steps."""
    steps: dict[tuple[str | None, ...], list[Run]] = {}
    for run in members:
        steps.setdefault((run.component, run.release, run.architecture), []).append(run)
    newest_first = sorted(steps, key=_nulls_first)
    newest_first.sort(key=lambda item: max(run.timestamp for run in steps[item]), reverse=True)
    return [
        {
            **dict(zip(("component", "release", "architecture"), item, strict=True)),
            "steps": [*_steps(sorted(steps[item], key=_began))],
        }
        for item in newest_first
    ]


def _steps(members: Sequence[Run]) -> Iterator[list[Any]]:
    link = None
    for run in members:
        # A link that all steps share is shown once.
        shown = run._replace(link=None) if run.link == link else run
        link = run.link or link
        yield [getattr(shown, column) for column in COLUMNS]


def _short(image: Mapping[str, Any]) -> dict[str, Any]:
    # There are many, so redundant words are left out; the name of an image has its compose in it.
    return {
        name: value for name, value in image.items() if name != "compose" and value is not None and value is not True
    }


def _began(run: Run) -> tuple[bool, int, str]:
    # The whole comes first, and then its steps in the order in which they ran.
    began = run.timestamp if run.start is None else run.start
    return run.step is not None, began, run.step or ""


def _nulls_first(parts: Iterable[str | None]) -> list[tuple[bool, str]]:
    return [(part is not None, part or "") for part in parts]


def _fitting(found: Sequence[Sequence[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    kept: list[list[dict[str, Any]]] = [[] for _ in found]
    left = BYTES
    for turn in zip_longest(*found):
        for place, item in enumerate(turn):
            taken = 0 if item is None else size(item)
            if item is None or taken > _LARGEST:
                continue
            left -= taken
            if left < 0:
                return kept
            kept[place].append(item)
    return kept
