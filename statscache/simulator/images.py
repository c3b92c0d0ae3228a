"""Simulated events around images: koji makes them, and they are uploaded to clouds."""

from collections.abc import Mapping
from random import Random
from typing import Any

from statscache.simulator.event import ARCHES, Event, hexadecimal

_REGIONS = {
    "aws": (
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "eu-central-1",
        "eu-west-1",
        "eu-west-2",
        "eu-north-1",
        "ap-east-1",
        "ap-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "sa-east-1",
    ),
    "azure": ("eastus", "eastus2", "westus3", "westeurope", "northeurope", "southeastasia", "japaneast"),
    "gcp": ("us", "eu", "asia"),
}
_IMAGES = (
    ("livemedia", "Fedora-Workstation-Live", ("x86_64", "aarch64"), None),
    ("livemedia", "Fedora-KDE-Live", ("x86_64", "aarch64"), None),
    ("livemedia", "Fedora-Xfce-Live", ("x86_64",), None),
    ("appliance", "Fedora-Minimal", ("aarch64",), "raw"),
    ("appliance", "Fedora-Server", ("aarch64",), "raw"),
    ("image", "Fedora-Cloud-Base", ("x86_64", "aarch64", "ppc64le", "s390x"), None),
)
_CHILDREN = {"livemedia": "createLiveMedia", "appliance": "createAppliance", "image": "createImage"}
_PREFIX = "org.fedoraproject.prod."
_KOJI = "https://koji.fedoraproject.org"
_FILES = "https://kojipkgs.fedoraproject.org/work"


def image_tasks(rng: Random, release: str, day: str, at: float) -> list[Event]:
    """Koji makes the live images, appliances and cloud images of a release; one in twelve fails."""
    events = []
    for place, (method, name, arches, form) in enumerate(_IMAGES):
        task = 130_000_000 + rng.randrange(10_000_000)
        began = at + place * 90
        ended = began + 1_500 + rng.random() * 1_800
        failed = rng.random() < 1 / 12
        ending = "FAILED" if failed else "CLOSED"
        made = [_child(task + 1 + number, method, name, arch, day, form, failed) for number, arch in enumerate(arches)]
        options = {"scratch": True, "release": f"{day}.n.0", **({} if form is None else {"format": form})}
        for time, old, new, children in ((began, "FREE", "OPEN", []), (ended, "OPEN", ending, made)):
            info = {
                "arch": "noarch",
                "children": children,
                "create_time": began - 20,
                "host_id": 1 + rng.randrange(300),
                "completion_time": time if children else None,
                "id": task,
                "label": None,
                "method": method,
                "owner": "releng",
                "parent": None,
                "priority": 20,
                "start_time": began,
                "state": 1 + bool(children),
                "request": [
                    name,
                    release,
                    arches[0] if method == "appliance" else list(arches),
                    release.lower(),
                    f"{name.lower()}.ks",
                    options,
                ],
                "url": f"{_KOJI}/koji/taskinfo?taskID={task}",
                "waiting": None,
            }
            msg = {
                "attribute": "state",
                "base_url": _KOJI,
                "files_base_url": _FILES,
                "id": task,
                "info": info,
                "instance": "primary",
                "method": method,
                "new": new,
                "old": old,
                "owner": "releng",
                "srpm": name,
            }
            events.append(Event(time, f"{_PREFIX}buildsys.task.state.change", msg, "apache"))
    return events


def _child(task: int, method: str, name: str, arch: str, day: str, form: str | None, failed: bool) -> dict[str, Any]:
    file = f"{name}-{day}.n.0.{arch}.{form or ('iso' if method == 'livemedia' else 'qcow2')}"
    return {
        "arch": arch,
        "id": task,
        "label": arch,
        "method": _CHILDREN[method],
        "state": 5 if failed else 2,
        "result": None if failed else {"arch": arch, "files": [file], "logs": ["root.log"], "task_id": task},
    }


def cloud_images(rng: Random, compose: str, release: str, number: int, at: float) -> list[Event]:
    """The cloud images of a finished compose are uploaded, tested and published.

    Args:
        rng: The random number generator.
        compose: Id of the compose.
        release: Its release in lowercase, such as `rawhide` or `45`.
        number: The number of the release, which `rawhide` has too.
        at: When the first upload begins.
    """
    events = []
    for place, arch in enumerate(ARCHES[:2]):
        uploaded = at + place * 900
        name = f"Fedora-Cloud-Base-AmazonEC2.{arch}-{compose.removeprefix('Fedora-')}"
        images = {region: f"ami-0{hexadecimal(rng, 16)}" for region in _REGIONS["aws"]}
        events += _by_fedimg(rng, compose, release, arch, name, images, uploaded)
        events += _by_uploader(compose, release, number, arch, name, images, uploaded)
    container = {
        "architectures": list(ARCHES),
        "compose_id": compose,
        "registries": ["quay.io/fedora"],
        "release": number,
        "repository": "fedora",
        "tags": [str(number), release],
    }
    topic = f"{_PREFIX}fedora_image_uploader.published.v1.container.nightly.Container_Base_Generic.multi"
    events.append(Event(at + 2_000, topic, container, "image-uploader"))
    return events


def _by_fedimg(
    rng: Random, compose: str, release: str, arch: str, name: str, images: Mapping[str, str], at: float
) -> list[Event]:
    """Return what fedimg announces of one image: its upload and test in the first region, then each publication.

    Args:
        rng: The random number generator.
        compose: Id of the compose.
        release: Its release in lowercase.
        arch: The image's architecture.
        name: The image's name.
        images: Its id in each region.
        at: When the upload begins, seconds since 1970 UTC.
    """
    events = []
    url = f"https://kojipkgs.fedoraproject.org/compose/{release}/{compose}/compose/Cloud/{arch}/images/{name}.raw.xz"
    for position, (region, image) in enumerate(images.items()):
        extra = {"id": image, "virt_type": "hvm", "vol_type": "gp3"}
        common = {"compose": compose, "extra": extra, "image_name": name, "image_url": url, "service": "EC2"}
        time = at + 120 + position * 20
        if position == 0:
            test = "failed" if rng.random() < 0.1 else "completed"
            for delay, topic, status in (
                (-110, "upload", "started"),
                (-5, "upload", "completed"),
                (5, "test", "started"),
                (500, "test", test),
            ):
                msg = {**common, "destination": f"EC2 ({region})", "status": status}
                events.append(Event(time + delay, f"{_PREFIX}fedimg.image.{topic}", msg, "fedimg"))
        events.append(Event(time, f"{_PREFIX}fedimg.image.publish", {**common, "destination": region}, "fedimg"))
    return events


def _by_uploader(
    compose: str, release: str, number: int, arch: str, name: str, images: Mapping[str, str], at: float
) -> list[Event]:
    """Return what the image uploader announces of one image, for each provider; arguments as for `_by_fedimg`."""
    about: dict[str, Any] = {
        "architecture": arch,
        "compose_id": compose,
        "release": number,
        "subvariant": "Cloud_Base",
    }
    azure = f"Fedora-Cloud-{release.capitalize()}-{'x64' if arch == 'x86_64' else 'Arm64'}"
    version = f"{number}.{compose.rpartition('-')[2].partition('.')[0]}.0"
    google = f"fedora-cloud-{release}-{version.replace('.', '-')}-{arch.replace('_', '-')}"
    published: dict[str, dict[str, Any]] = {
        "aws": {"image_name": name, "regions": images},
        "azure": {
            "image_definition_name": azure,
            "image_version_name": version,
            "regions": list(_REGIONS["azure"]),
            "image_resource_id": f"/CommunityGalleries/Fedora/Images/{azure}/Versions/{version}",
        },
        "gcp": {
            "family": f"fedora-cloud-{release}",
            "image_name": google,
            "image_url": f"https://www.googleapis.com/compute/v1/projects/fedora-cloud/global/images/{google}",
            "storage_locations": list(_REGIONS["gcp"]),
        },
    }
    topic = f"{_PREFIX}fedora_image_uploader.published.v1"
    return [
        Event(
            at + 600 + 30 * delay,
            f"{topic}.{provider}.nightly.Cloud_Base.{arch}",
            {**about, **body},
            "image-uploader",
        )
        for delay, (provider, body) in enumerate(published.items())
    ]
