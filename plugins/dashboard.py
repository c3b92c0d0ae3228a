"""The release engineering dashboard: one document that draws the whole page."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from statscache.plugins import HOUR, Feed, Log, Message, State
from statscache_plugins import board, cloud_images, composes, images, updates
from statscache_plugins.events import LAYOUT, LONGEST, Event, newest_rows

_AREAS: dict[str, tuple[str, Callable[[Message], list[Event]]]] = {
    "compose": ("compose", composes.events),
    "pungi": ("compose", composes.events),
    "bodhi": ("update", updates.events),
    "buildsys": ("image", images.events),
}
"""The reader and the area of the messages of each category; all others are about cloud images."""


class ReleaseDashboard(Log):
    """The state of composes, pushes of updates, images and cloud images, as release engineers watch it."""

    name = "release-dashboard"
    title = "Release engineering"
    subject = "releng"
    definition = (
        "A step of a compose, a push of updates or an image is shown in the state that was announced last: in progress"
        " since it began, or how it ended. Of cloud images the newest that can be launched is shown, with its regions."
    )
    unit = "events"
    dimensions = ("area", "component", "release", "architecture", "step", "place", "status")
    topics = (*composes.TOPICS, *updates.TOPICS, *images.TOPICS, *cloud_images.TOPICS)
    # Enough to find the start of a run behind those of later ones.
    entries = 4
    version = 4
    layout = LAYOUT
    clocks = (HOUR,)
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("link", "run", "start", "stop")}
    board = "dashboard"
    feed = Feed("Release engineering", ("area", "component", "release", "architecture", "step"), "status")

    def observe(self, message: Message) -> list[tuple[tuple[str | None, ...], dict[str, Any]]]:
        if message.category in _AREAS:
            area, events = _AREAS[message.category]
            return [
                (
                    (area, event.component, event.release, event.architecture, event.step, None, event.status),
                    {"run": event.run, "link": _link(area, message, event)},
                )
                for event in events(message)
            ]
        return [
            (
                (
                    board.CLOUD,
                    image.flavour,
                    image.release,
                    image.architecture,
                    image.provider,
                    image.region,
                    image.stage,
                ),
                {"id": image.id, "image": image.name, "compose": image.compose},
            )
            for image in cloud_images.images(message)
        ]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        values = [*self.values(state)]
        runs = board.runs(values, lambda start: _is_missed(state, start))
        yield "latest", {"rows": newest_rows(board.rows(runs, values))}
        yield "dashboard", {"columns": board.COLUMNS, "groups": board.groups(runs, values, LAYOUT["groups"])}


def _is_missed(state: State, start: int) -> bool:
    """Return whether the missing end of a run that began then may have been lost."""
    return start + LONGEST <= (state.through or 0) // HOUR * HOUR or state.known.is_missing_after(start)


def _link(area: str, message: Message, event: Event) -> str | None:
    """Return the address of a finished image, otherwise that of details."""
    return (images.download(message, event) if area == "image" else None) or event.link


PLUGINS = (ReleaseDashboard,)
