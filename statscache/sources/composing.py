"""Simulated events that come by the calendar: composes, cloud images and pushes of updates.

They are planned by the UTC day, and a course lasts up to eight hours. A plan follows from seed and day alone.
"""

from datetime import UTC, datetime
from random import Random

from statscache.sources.building import ARCHES, Event, hexadecimal

_REGIONS = [
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-central-1", "eu-west-1", "eu-west-2",
    "eu-north-1", "ap-east-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-southeast-1",
    "ap-southeast-2", "ca-central-1", "sa-east-1",
]
_PREFIX = "org.fedoraproject.prod."


def _old_compose(rng: Random, branch: str, at: float) -> list[Event]:
    """A compose as it was announced before pungi: its stages for each architecture."""
    events = [Event(at, f"{_PREFIX}compose.{branch}.start", {"arch": "", "branch": branch, "log": "start"},
                    "masher")]
    for place, stage in enumerate(("mash", "pungify", "rsync")):
        for arch in ("", "arm"):
            began = at + 300 + place * 3000 + rng.random() * 60
            for time, what, log in ((began, "start", "start"), (began + 2400, "complete", "done")):
                msg = {"arch": arch, "branch": branch, "log": log}
                events.append(Event(time, f"{_PREFIX}compose.{branch}.{stage}.{what}", msg, "masher"))
    events.append(
        Event(at + 10_000, f"{_PREFIX}compose.{branch}.complete", {"arch": "", "branch": branch,
                                                                   "log": "done"}, "masher")
    )
    return events


def _images(rng: Random, compose: str, release: str, at: float) -> list[Event]:
    """The cloud images of a finished compose are uploaded and published."""
    events = []
    for place, arch in enumerate(ARCHES[:2]):
        name = f"Fedora-Cloud-Base-AmazonEC2.{arch}-{compose.removeprefix('Fedora-')}"
        url = f"https://kojipkgs.fedoraproject.org/compose/{release}/{compose}/compose/Cloud/{arch}/images/{name}.raw.xz"
        uploaded = at + place * 900
        regions = {region: f"ami-0{hexadecimal(rng, 16)}" for region in _REGIONS}
        for number, (region, image) in enumerate(regions.items()):
            extra = {"id": image, "virt_type": "hvm", "vol_type": "gp3"}
            common = {"compose": compose, "extra": extra, "image_name": name, "image_url": url,
                      "service": "EC2"}
            time = uploaded + 120 + number * 20
            if number == 0:
                for delay, status in ((-110, "started"), (-5, "completed")):
                    msg = {**common, "destination": f"EC2 ({region})", "status": status}
                    events.append(Event(time + delay, f"{_PREFIX}fedimg.image.upload", msg, "fedimg"))
            msg = {**common, "destination": region}
            events.append(Event(time, f"{_PREFIX}fedimg.image.publish", msg, "fedimg"))
        published = {
            "architecture": arch, "compose_id": compose, "image_name": name, "regions": regions,
            "release": release, "subvariant": "Cloud_Base",
        }
        topic = f"{_PREFIX}fedora_image_uploader.published.v1.aws.Cloud_Base.{release}.{arch}"
        events.append(Event(uploaded + 600, topic, published, "image-uploader"))
    return events


def _compose(rng: Random, release: str, day: str, respin: int, at: float) -> list[Event]:
    """A compose by pungi: its status, and its images unless it is doomed."""
    compose = f"Fedora-{release}-{day}.n.{respin}"
    path = release if release == "Rawhide" else "branched"
    location = f"https://kojipkgs.fedoraproject.org/compose/{path.lower()}/{compose}/compose"
    draw, ended = rng.random(), at + 9_000 + rng.random() * 7_200
    final = "DOOMED" if draw < 0.1 else "FINISHED_INCOMPLETE" if draw < 0.7 else "FINISHED"
    topic = f"{_PREFIX}pungi.compose.status.change"
    events = [
        Event(time, topic, {
            "compose_date": day, "compose_id": compose, "compose_label": None, "compose_path": location,
            "compose_respin": respin, "compose_type": "nightly", "location": location,
            "release_is_layered": False,
            "release_name": "Fedora", "release_short": "Fedora", "release_type": "ga",
            "release_version": release,
            "status": status}, "root")
        for time, status in ((at, "STARTED"), (ended, final))
    ]
    if final != "DOOMED":
        events += _images(rng, compose, release.lower(), ended + 600)
    return events


def _push(rng: Random, branch: str, at: float) -> list[Event]:
    """The bot `releng` pushes updates to testing and stable."""
    events = [Event(at, f"{_PREFIX}bodhi.mashtask.start", {"agent": "releng"}, "bodhi")]
    for place, repository in enumerate((f"{branch}-updates-testing", f"{branch}-updates")):
        began = at + 60 + place * 3_600
        for delay, what in ((0, "mashing"), (3_000, "complete"), (3_300, "sync.done")):
            msg = {"agent": "releng", "repo": repository}
            events.append(Event(began + delay + rng.random() * 20, f"{_PREFIX}bodhi.mashtask.{what}", msg,
                                "bodhi"))
    sync = {"bytes": f"{1 + rng.randrange(90)}.{rng.randrange(10)}G", "deleted": str(rng.randrange(9)),
            "release": branch.removeprefix("f"), "repo": "updates"}
    events.append(Event(at + 8_000, f"{_PREFIX}bodhi.updates.fedora.sync", sync, "ftpsync"))
    return events


def planned(rng: Random, midnight: int) -> list[Event]:
    """Return the events planned for the UTC day that begins at `midnight`, in seconds since 1970 UTC.

    The first is at or after midnight, the last before the end of the next day.
    """
    day = datetime.fromtimestamp(midnight, UTC).strftime("%Y%m%d")
    events = []
    for hour, minute, release in ((5, 15, "Rawhide"), (7, 15, "45"), (17, 15, "Rawhide")):
        at = midnight + hour * 3600 + minute * 60 + rng.random() * 30
        events += _compose(rng, release, day, 0 if hour < 12 else 1, at)
    events += _old_compose(rng, "rawhide", midnight + 8 * 3600 + rng.random() * 30)
    events += _old_compose(rng, "branched", midnight + 10 * 3600 + rng.random() * 30)
    for branch in ("f45", "f44"):
        events += _push(rng, branch, midnight + rng.random() * 1800)
    return events
