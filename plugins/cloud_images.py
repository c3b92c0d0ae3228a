"""Cloud images: the newest of each release, architecture, flavour, provider and region, and how to launch it."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice, product
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote

from statscache.plugins import Feed, Latest, Message, State, fields
from statscache_plugins.composes import release_of
from statscache_plugins.events import LAYOUT, newest_rows, status_of
from statscache_plugins.releases import named

_FEDIMG = "fedimg.image."
_UPLOADER = "fedora_image_uploader.published.v1."

TOPICS = (f"{_FEDIMG}*", f"{_UPLOADER}#")

PUBLIC = "published"
_LAUNCHABLE = (PUBLIC, "uploaded")
_TESTS = ("tested", "test-failed")

# What one message may publish: architectures times regions.
_MOST_PLACES = 100

# A region of EC2, written alone, as `EC2-eu-west-1` or as `EC2 (eu-west-1)`.
_REGION = re.compile(r"(?:EC2\s?[-(]?)?([a-z]{2}(?:-[a-z]+)+-[0-9])\)?")
# An architecture follows a dot, and is longer than the letter in the date of a compose.
_ARCHITECTURE = re.compile(r"\.([a-z][a-z0-9_]{2,20})(?=[-.]|$)")


class Image(NamedTuple):
    """An image in one region of one provider.

    Attributes:
        release: Such as `f45` or `rawhide`; None if none is named.
        architecture: Such as `x86_64`.
        flavour: Such as `cloud-base`.
        provider: `aws`, `azure`, `gcp`, `container`, or another service, in lowercase.
        region: Where it can be launched; of a container, the registry.
        stage: `published`, `uploaded` (it may not be public yet), `tested`, `test-failed` or `upload-failed`.
        id: What it is launched by.
        name: What it is called in every region.
        compose: Id of the compose that it was made of.
        link: A page to launch it from, or to see it.
    """

    release: str | None
    architecture: str | None
    flavour: str | None
    provider: str
    region: str
    stage: str
    id: str | None
    name: str
    compose: str | None
    link: str | None


# Several statistics ask the same of one message, one after the other.
@lru_cache(maxsize=1)
def images(message: Message) -> list[Image]:
    """Return the images that a message of `TOPICS` reports; none for one that has only begun."""
    if message.name.startswith(_FEDIMG):
        return _by_fedimg(message)
    return _by_uploader(message)


def _by_fedimg(message: Message) -> list[Image]:
    body = message.body
    verb = message.name.removeprefix(_FEDIMG)
    value = fields.text(body, "status")
    if value == "failed":
        verb = f"{verb}.failed"
    stage, name, place = status_of(verb), fields.text(body, "image_name"), fields.text(body, "destination")
    if stage is None or name is None or place is None or value == "started":
        return []
    match = _REGION.fullmatch(place)
    provider = "aws" if match else (fields.text(body, "service") or "unknown").lower()
    region = match[1] if match else place
    compose = (
        fields.text(body, "compose") or fields.text(body, "compose", "compose_id") or fields.text(body, "compose_id")
    )
    identity = fields.text(body, "extra", "id")
    architecture, flavour, version = _words(name)
    return [
        Image(
            release_of(compose) or named(f"fedora-{version}"),
            architecture,
            flavour,
            provider,
            region,
            stage,
            identity,
            name,
            compose,
            _launch(provider, region, identity),
        )
    ]


def _words(name: str) -> tuple[str | None, str | None, str | None]:
    """Return architecture, flavour and version in the name of an image, such as `Fedora-Cloud-Base-27-1.6.x86_64`."""
    match = _ARCHITECTURE.search(name)
    architecture = match and match[1]
    words = (name.replace(match[0], "") if match else name).lower().split("-")[1:]
    for place, word in enumerate(words):
        if word[:1].isdigit() or word in ("rawhide", "branched", "eln"):
            return architecture, "-".join(part for part in words[:place] if part != "amazonec2") or None, word
    return architecture, None, None


def _by_uploader(message: Message) -> list[Image]:
    body = message.body
    provider = message.name.removeprefix(_UPLOADER).partition(".")[0]
    compose, number = fields.text(body, "compose_id"), fields.number(body, "release")
    release = release_of(compose) or (None if number is None else named(f"fedora-{number}"))
    flavour = fields.text(body, "subvariant") or fields.text(body, "repository")
    # The first messages, of 2024, had neither.
    named_after = fields.text(body, "image_name") or fields.text(body, "image_definition_name")
    flavour = flavour.lower().replace("_", "-") if flavour else _words(named_after or "")[1]
    architectures: Sequence[str | None] = fields.texts(body, "architectures") or [fields.text(body, "architecture")]
    each = product(architectures, [*_places(provider, body)])
    return [
        Image(release, architecture, flavour, provider, region, PUBLIC, identity, name, compose, link)
        for architecture, (region, identity, name, link) in islice(each, _MOST_PLACES)
    ]


def _places(provider: str, body: dict[str, Any]) -> Iterator[tuple[str, str | None, str, str | None]]:
    """Yield region, id, name and link of each place that an image was published in."""
    name = fields.text(body, "image_name")
    if provider == "aws" and name:
        for region, identity in fields.entries(body, "regions"):
            yield region, identity, name, _launch(provider, region, identity)
    elif provider == "azure":
        definition, version = fields.text(body, "image_definition_name"), fields.text(body, "image_version_name")
        for region in fields.texts(body, "regions") if definition and version else ():
            yield region, fields.text(body, "image_resource_id"), f"{definition} {version}", None
    elif provider == "gcp" and name:
        for region in fields.texts(body, "storage_locations"):
            yield region, name, name, _launch(provider, region, name)
    elif provider == "container":
        repository, tag = fields.text(body, "repository"), next(iter(fields.texts(body, "tags")), None)
        for registry in fields.texts(body, "registries") if repository and tag else ():
            yield registry, f"{registry}/{repository}:{tag}", f"{repository}:{tag}", None


def _launch(provider: str, region: str, identity: str | None) -> str | None:
    form = LAYOUT["launch"].get(provider)
    if form is None or identity is None:
        return None
    link: str = form.format(region=quote(region, safe=""), id=quote(identity, safe=""))
    return link


Place = tuple[str | None, ...]
"""Release, architecture, flavour, provider, region and stage."""


def launchable(values: Iterable[tuple[Place, int, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the images that can be launched somewhere, newest first, each with the regions where it is the newest.

    Public images come before those only uploaded, whichever are newer.

    Args:
        values: Place, time and value (`id`, `image`, `compose`) of the newest image of each place and stage.
    """
    shown: dict[Place, tuple[bool, int, Mapping[str, Any]]] = {}
    tests: dict[Place, tuple[int, str]] = {}
    for (*where, region, stage), time, value in values:
        if stage in _LAUNCHABLE:
            rank = (stage == PUBLIC, time, value)
            shown[*where, region] = max(shown.get((*where, region), rank), rank, key=itemgetter(0))
        elif stage in _TESTS:
            test = time, str(stage)
            tests[*where, value["image"]] = max(tests.get((*where, value["image"]), test), test)
    images: dict[Place, dict[str, tuple[bool, int, Mapping[str, Any]]]] = {}
    for (*where, region), newest in shown.items():
        images.setdefault((*where, newest[2]["image"]), {})[region or ""] = newest
    newest_first = sorted(images, key=lambda image: [(part is not None, part or "") for part in image])
    newest_first.sort(key=lambda image: max(time for _, time, _ in images[image].values()), reverse=True)
    return [_launchable(image, images[image], tests.get(image)) for image in newest_first]


def _launchable(
    image: Place, regions: Mapping[str, tuple[bool, int, Mapping[str, Any]]], test: tuple[int, str] | None
) -> dict[str, Any]:
    release, architecture, flavour, provider, name = image
    newest = [*regions.values()]
    # Every compose of a container has the same name.
    _, time, last = max(newest, key=itemgetter(1))
    identities = {value["id"] for _, _, value in newest}
    shared = identities.pop() if len(identities) == 1 and len(regions) > 1 else None
    return {
        "release": release,
        "architecture": architecture,
        "flavour": flavour,
        "provider": provider,
        "image": name,
        "compose": last["compose"],
        "timestamp": time,
        "public": all(public for public, _, _ in newest),
        "test": test and test[1],
        "id": shared,
        "regions": {region: None if shared else value["id"] for region, (_, _, value) in regions.items()},
    }


class CloudImages(Latest):
    """The newest cloud image of each release, architecture, flavour, provider and region."""

    name = "cloud-images"
    title = "Cloud images"
    subject = "releng"
    definition = (
        "An image is shown when a service announces that it is public in a region of a provider (`published`), that it"
        " was put there (`uploaded`), or how its test ended. Of each region and stage the newest is shown."
    )
    unit = "images"
    dimensions = ("release", "architecture", "flavour", "provider", "region", "stage")
    entities: ClassVar[dict[str, str]] = {"release": "release"}
    topics = TOPICS
    feed = Feed(
        "Cloud images",
        ("provider", "flavour", "release", "architecture", "image"),
        document="images",
        records="images",
    )
    columns: ClassVar[dict[str, tuple[str, ...]]] = {"latest": ("compose", "id", "image", "link")}
    version = 2

    def observe(self, message: Message) -> list[tuple[Place, dict[str, Any]]]:
        return [
            (
                (image.release, image.architecture, image.flavour, image.provider, image.region, image.stage),
                {"id": image.id, "image": image.name, "compose": image.compose, "link": image.link},
            )
            for image in images(message)
        ]

    def documents(self, state: State) -> Iterator[tuple[str, dict[str, Any]]]:
        yield "latest", {"rows": newest_rows(self.latest(state))}
        yield "images", {"launch": LAYOUT["launch"], "images": newest_rows(launchable(self.values(state)))}


PLUGINS = (CloudImages,)
