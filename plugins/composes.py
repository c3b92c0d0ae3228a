"""Composes: trees and images made from packages, by pungi and its predecessors."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

from statscache.plugins import Feed, Message, Span, State, fields
from statscache_plugins.events import BEGUN, LONGEST, Event, status_of
from statscache_plugins.releases import named

STATUS = "pungi.compose.status.change"
_PHASES = ("pungi.compose.phase.start", "pungi.compose.phase.stop")

TOPICS = ("compose.*.*", "compose.*.*.*", STATUS, *_PHASES)

# Product and version, date, type (n: nightly, t: test, …) and respin: `Fedora-Rawhide-20260801.n.0`.
_COMPOSE = re.compile(r"([A-Za-z][\w.-]{0,99})-\d{8}(?:\.([a-z]+))?\.\d{1,9}", re.ASCII)
_TYPES = {"n": "nightly", "t": "test", "d": "development", "ci": "ci"}


# Several statistics ask the same of one message, one after the other.
@lru_cache(maxsize=1)
def events(message: Message) -> list[Event]:
    """Return the start or end of a compose, or of a step, that a message of `TOPICS` announces."""
    if message.category == "compose":
        return _by_branch(message)
    compose = fields.text(message.body, "compose_id")
    product = product_of(compose)
    step = fields.text(message.body, "phase_name")
    whole = message.name == STATUS
    status = status_of(fields.text(message.body, "status") if whole else message.name.rpartition(".")[2])
    if product is None or status is None or not (whole or step):
        return []
    return [
        Event(
            product,
            status,
            release=release_of(compose),
            step=None if whole else step,
            run=compose,
            link=fields.url(message.body, "location"),
        )
    ]


def product_of(compose: str | None) -> str | None:
    """Return the series of a compose, such as `Fedora-Rawhide nightly`; None if `compose` is not the id of one."""
    match = None if compose is None else _COMPOSE.fullmatch(compose)
    if match is None:
        return None
    return match[1] if match[2] is None else f"{match[1]} {_TYPES.get(match[2], match[2])}"


def release_of(compose: str | None) -> str | None:
    """Return the release of a compose, such as `f45` for `Fedora-Cloud-45-20260801.0`; None if it has none."""
    match = None if compose is None else _COMPOSE.fullmatch(compose)
    if match is None:
        return None
    product, _, version = match[1].rpartition("-")
    return named(f"epel{version}" if product.lower().endswith("epel") else f"fedora-{version}")


def _by_branch(message: Message) -> list[Event]:
    """Return a step of a compose before pungi: branch and step are in the topic."""
    body = message.body
    _, branch, *steps, verb = message.name.split(".")
    status = status_of(verb)
    if status is None:
        return []
    # One branch is composed in several variants, such as Fedora and Fedora-Modular.
    full = fields.text(body, "branch") or branch
    variant = (fields.text(body, "short") or "").removeprefix("Fedora").strip("-")
    if not variant and full.lower().endswith(f"-{branch.lower()}"):
        variant = full[: -len(branch) - 1]
    return [
        Event(
            f"{branch} {variant}".rstrip(),
            status,
            release=named(f"fedora-{full.rpartition('-')[2]}"),
            architecture=fields.text(body, "arch"),
            step=steps[0] if steps else None,
            run=fields.text(body, "compose_id"),
            link=fields.url(body, "location"),
        )
    ]


class Composes(Span):
    """Composes by pungi: when each began and ended, and how."""

    name = "composes"
    title = "Composes"
    subject = "releng"
    failures: ClassVar[dict[str, tuple[str, ...]]] = {"state": ("doomed", "failed")}
    definition = (
        "One is shown for each compose that pungi announces, by its id: from `STARTED` until it is finished, doomed or"
        " terminated. Its state is the one that was announced last; it is unknown where the end may have been missed,"
        " and two days after the begin."
    )
    unit = "composes"
    dimensions = ("product", "compose")
    topics = (STATUS,)
    longest = LONGEST
    feed = Feed("Composes", ("compose",), "state")
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("link", "release", "state")}

    def observe(self, message: Message) -> Iterator[tuple[tuple[str, str | None], str, dict[str, Any]]]:
        for event in events(message):
            value = {"state": event.status, "release": event.release, "link": event.link}
            yield (event.component, event.run), "start" if event.status == BEGUN else "stop", value

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = self.latest(state)
        yield "latest", {"rows": [{**row, "state": None} if row["in_progress"] is None else row for row in rows]}


PLUGINS = (Composes,)
