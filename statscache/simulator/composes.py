"""Simulated events that come by the calendar: composes, cloud images and pushes of updates.

They are planned by the UTC day, and a course lasts up to eight hours. A plan follows from seed and day alone.
"""

from datetime import UTC, datetime
from random import Random

from statscache.simulator.event import Event
from statscache.simulator.images import cloud_images, image_tasks

_PHASES = ("createrepo", "buildinstall", "createiso", "ostree", "image_build")
_PREFIX = "org.fedoraproject.prod."


def _old_compose(rng: Random, branch: str, at: float) -> list[Event]:
    """A compose as it was announced before pungi: its stages for each architecture."""
    events = [Event(at, f"{_PREFIX}compose.{branch}.start", {"arch": "", "branch": branch, "log": "start"}, "masher")]
    for place, stage in enumerate(("mash", "pungify", "rsync")):
        for arch in ("", "arm"):
            began = at + 300 + place * 3000 + rng.random() * 60
            for time, what, log in ((began, "start", "start"), (began + 2400, "complete", "done")):
                msg = {"arch": arch, "branch": branch, "log": log}
                events.append(Event(time, f"{_PREFIX}compose.{branch}.{stage}.{what}", msg, "masher"))
    events.append(
        Event(
            at + 10_000, f"{_PREFIX}compose.{branch}.complete", {"arch": "", "branch": branch, "log": "done"}, "masher"
        )
    )
    return events


def _compose(rng: Random, release: str, number: int, day: str, respin: int, at: float) -> list[Event]:
    """A compose by pungi: its status, its phases, and its images unless it is doomed."""
    compose = f"Fedora-{release}-{day}.n.{respin}"
    path = release if release == "Rawhide" else "branched"
    location = f"https://kojipkgs.fedoraproject.org/compose/{path.lower()}/{compose}/compose"
    draw, ended = rng.random(), at + 9_000 + rng.random() * 7_200
    final = "DOOMED" if draw < 0.1 else "FINISHED_INCOMPLETE" if draw < 0.7 else "FINISHED"
    common = {
        "compose_date": day,
        "compose_id": compose,
        "compose_label": None,
        "compose_path": location,
        "compose_respin": respin,
        "compose_type": "nightly",
        "location": location,
        "release_is_layered": False,
        "release_name": "Fedora",
        "release_short": "Fedora",
        "release_type": "ga",
        "release_version": release,
    }
    topic = f"{_PREFIX}pungi.compose.status.change"
    events = [
        Event(time, topic, {**common, "status": status}, "root") for time, status in ((at, "STARTED"), (ended, final))
    ]
    for place, phase in enumerate(_PHASES if final != "DOOMED" else _PHASES[:2]):
        began = at + 60 + place * 1_700
        for time, what in ((began, "start"), (began + 1_600, "stop")):
            msg = {**common, "phase_name": phase}
            events.append(Event(time, f"{_PREFIX}pungi.compose.phase.{what}", msg, "root"))
    if final != "DOOMED":
        events += image_tasks(rng, release, day, at + 6_900)
        events += cloud_images(rng, compose, release.lower(), number, ended + 600)
    return events


def _push(rng: Random, product: str, version: str, at: float) -> list[Event]:
    """The bot `releng` composes the updates of a release, and the mirrors sync them: testing, then stable."""
    branch = f"f{version}" if product == "fedora" else f"{product}{version}"
    events = [Event(at, f"{_PREFIX}bodhi.compose.start", {"agent": "releng"}, "bodhi")]
    stable, testing = ("updates", "updates-testing") if product == "fedora" else ("epel", "epel-testing")
    tags = {testing: f"{branch}-{testing.removeprefix('epel-')}", stable: f"{branch}-updates"}
    if product == "epel":
        tags[stable] = branch
    for place, (repository, tag) in enumerate(tags.items()):
        began = at + 60 + place * 3_600
        failed = rng.random() < 0.05
        for delay, what in ((0, "composing"), (3_000, "complete"), (3_060, "sync.wait"), (3_300, "sync.done")):
            if failed and delay > 3_000:
                break
            msg: dict[str, object] = {"agent": "releng", "ctype": "rpm", "repo": tag}
            if what == "complete":
                msg["success"] = not failed
            events.append(Event(began + delay + rng.random() * 20, f"{_PREFIX}bodhi.compose.{what}", msg, "bodhi"))
        sync = {
            "bytes": f"{1 + rng.randrange(90)}.{rng.randrange(10)}G",
            "deleted": str(rng.randrange(9)),
            "release": version,
            "repo": repository,
        }
        if not failed:
            topic = f"{_PREFIX}bodhi.updates.{product}.sync"
            events.append(Event(began + 3_500 + rng.random() * 90, topic, sync, "ftpsync"))
    return events


def planned(rng: Random, midnight: int) -> list[Event]:
    """Return the events planned for the UTC day that begins at `midnight`, in seconds since 1970 UTC.

    The first is at or after midnight, the last before the end of the next day.
    """
    day = datetime.fromtimestamp(midnight, UTC).strftime("%Y%m%d")
    events = []
    for hour, minute, release, number in ((5, 15, "Rawhide", 46), (7, 15, "45", 45), (17, 15, "Rawhide", 46)):
        at = midnight + hour * 3600 + minute * 60 + rng.random() * 30
        events += _compose(rng, release, number, day, 0 if hour < 12 else 1, at)
    events += _old_compose(rng, "rawhide", midnight + 8 * 3600 + rng.random() * 30)
    events += _old_compose(rng, "branched", midnight + 10 * 3600 + rng.random() * 30)
    for product, version in (("fedora", "45"), ("fedora", "44"), ("epel", "10"), ("epel", "9")):
        events += _push(rng, product, version, midnight + rng.random() * 1800)
    return events
