"""Images that koji makes: live images, appliances and others."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

from statscache.plugins import Feed, Latest, Message, State, fields
from statscache_plugins.events import BEGUN, LAYOUT, Event, newest_rows, status_of
from statscache_plugins.releases import named

TOPICS = ("buildsys.task.state.change",)

METHODS = frozenset(
    {"appliance", "image", "imageBuilderBuild", "kiwiBuild", "livecd", "livemedia", "osbuildImage"},
)

# States of koji's tasks by number.
_FAILURES: dict[int | None, str] = {3: "canceled", 5: "failed"}

_OWNERS = frozenset(LAYOUT["image_owners"])
_FILES = "https://kojipkgs.fedoraproject.org/work"
_PAGE = "https://koji.fedoraproject.org/koji/taskinfo?taskID="
_MOST_ARCHITECTURES = 20
_ARCHITECTURE = re.compile(r".*[-.]((?:x86_64|aarch64|armhfp|i[3-6]86|ppc64le|ppc64|s390x))", re.ASCII)


# Several statistics ask the same of one message, one after the other.
@lru_cache(maxsize=1)
def events(message: Message) -> list[Event]:
    """Return the starts and ends of koji's tasks for images that a message of `TOPICS` announces.

    Only images made by release engineering count: anyone may have koji make one as a trial.
    """
    body = message.body
    # Nearly all tasks are of other methods, which this rules out first.
    method = fields.text(body, "method")
    if method not in METHODS or fields.text(body, "owner") not in _OWNERS:
        return []
    status = status_of(fields.text(body, "new"))
    request = _request(method, fields.items(body, "info", "request"))
    name = request.name or fields.text(body, "srpm")
    if status is None or name is None:
        return []
    task = fields.number(body, "id")
    event = Event(
        name if request.form is None else f"{name} ({request.form})",
        status,
        release=_release(request.version) or _release(request.target),
        step=method,
        run=None if task is None else str(task),
        link=fields.url(body, "info", "url") or (None if task is None or not _primary(body) else f"{_PAGE}{task}"),
    )
    return [
        event._replace(architecture=architecture, status=_status(status, _maker(body, architecture)))
        for architecture in _architectures(request.architectures, name)
    ]


class Request(NamedTuple):
    """The parameters of a task; all but the name and the form may be of any type."""

    name: str | None
    version: Any
    architectures: Any
    target: Any
    form: str | None


def _request(method: str, parameters: list[Any]) -> Request:
    """Return the parameters of a task by name; their order differs by method, as in koji's plugins."""
    options = parameters[-1] if parameters else None
    one, two, three, four, five, six = (parameters + [None] * 6)[:6]
    if method == "kiwiBuild":
        # Target, architectures, where the description lies, its file. Profile and type tell the images of a file apart.
        file = (fields.text(four) or "").rpartition("/")[2].removesuffix(".kiwi") or None
        profile = fields.text(options, "profile")
        return Request(profile or file, fields.value(options, "version"), two, one, fields.text(options, "type"))
    if method == "osbuildImage":
        # Name, version, distribution, types, target, architectures.
        return Request(fields.text(one), two, six, five, ", ".join(fields.texts(four)) or None)
    if method == "imageBuilderBuild":
        # Target, architectures, types, name, version.
        return Request(fields.text(four), five, two, one, ", ".join(fields.texts(three)) or None)
    # Name, version, one architecture or several, target.
    return Request(fields.text(one), two, three, four, fields.text(options, "format"))


def download(message: Message, event: Event) -> str | None:
    """Return where the image of one of a message's `events` can be fetched: its file, or the directory of several.

    It is None if the image was not made, or if the message does not say which task made it. What osbuild makes is
    imported into koji elsewhere.
    """
    if event.status != "done" or event.step == "osbuildImage":
        return None
    base = fields.url(message.body, "files_base_url") or (_FILES if _primary(message.body) else None)
    maker = _maker(message.body, event.architecture)
    number = fields.number(maker, "id")
    if base is None or number is None or number < 0:
        return None
    files = fields.texts(maker, "result", "files")
    return f"{base}/tasks/{number % 10_000}/{number}/{quote(files[0].rpartition('/')[2]) if len(files) == 1 else ''}"


def _maker(body: dict[str, Any], architecture: str | None) -> Any:
    """Return the task that makes the image of this architecture; None if the message does not name it."""
    info = fields.value(body, "info")
    # A task that has children, perhaps one for each architecture, has them make the files.
    children = fields.items(info, "children")
    makers = [child for child in children if fields.text(child, "arch") == architecture]
    if not makers and len(children) < 2:
        makers = children or [info]
    return makers[-1] if makers else None


def _status(status: str, maker: Any) -> str:
    # A task is done although the one for an optional architecture is not.
    return _FAILURES.get(fields.number(maker, "state"), status) if status == "done" else status


def _primary(body: dict[str, Any]) -> bool:
    return fields.value(body, "instance") in (None, "primary")


def _release(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return named(f"fedora-{value}") or named(value)


def _architectures(value: Any, name: str) -> list[str | None]:
    if one := fields.text(value):
        return [one]
    if several := fields.texts(value)[:_MOST_ARCHITECTURES]:
        return [*dict.fromkeys(several)]
    match = _ARCHITECTURE.fullmatch(name)
    return [match and match[1]]


class ImageTasks(Latest):
    """The newest image of each name, release and architecture that koji made, and the newest that failed."""

    name = "image-tasks"
    title = "Images made by koji"
    subject = "releng"
    failures: ClassVar[dict[str, tuple[str, ...]]] = {"state": ("failed",)}
    definition = (
        "A task of koji is shown when it ends, if release engineering had it make a live image (`livecd`, `livemedia`),"
        " an appliance or another image (also by kiwi, osbuild or image-builder). Of each image the last task that was"
        " done and the last that failed are shown."
    )
    unit = "tasks"
    dimensions = ("image", "release", "architecture", "method", "state")
    entities: ClassVar[dict[str, str]] = {"release": "release"}
    topics = TOPICS
    feed = Feed("Images made by koji", ("image", "release", "architecture", "method"), "state")
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("download", "link", "task")}
    version = 4

    def observe(self, message: Message) -> list[tuple[tuple[str | None, ...], dict[str, Any]]]:
        return [
            (
                (event.component, event.release, event.architecture, event.step, event.status),
                {
                    "task": event.run,
                    "link": event.link,
                    "download": download(message, event),
                },
            )
            for event in events(message)
            if event.status != BEGUN
        ]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": newest_rows(self.latest(state))}


PLUGINS = (ImageTasks,)
