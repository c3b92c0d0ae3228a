"""Cloud images: the newest in each region, from fedimg and from the uploader of today."""

import json
from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.testing import NOON
from statscache_plugins.cloud_images import CloudImages, images

PROD = "org.fedoraproject.prod."
UPLOADER = "fedora_image_uploader.published.v1."
CONSOLE = "https://console.aws.amazon.com/ec2/home?region={}#LaunchInstances:ami={}"


def fedimg(verb: str, destination: Any, ami: str, timestamp: int = NOON, **changes: Any) -> Any:
    """Return an announcement of fedimg."""
    body = {
        "compose": "Fedora-Atomic-27-20180507.0",
        "destination": destination,
        "extra": {"id": ami, "virt_type": "hvm", "vol_type": "gp2"},
        "image_name": "Fedora-Atomic-27-20180507.0.x86_64",
        "service": "EC2",
        **changes,
    }
    return testing.message(f"{PROD}fedimg.image.{verb}", body, timestamp=timestamp)


def uploaded(provider: str, timestamp: int = NOON, **changes: Any) -> Any:
    """Return an announcement of the uploader."""
    body = {
        "architecture": "x86_64",
        "compose_id": "Fedora-Cloud-41-20240912.0",
        "release": 41,
        "subvariant": "Cloud_Base",
        **changes,
    }
    return testing.message(f"{PROD}{UPLOADER}{provider}.nightly.Cloud_Base.x86_64", body, timestamp=timestamp)


AZURE: dict[str, Any] = {
    "image_definition_name": "Fedora-Cloud-41-x64",
    "image_resource_id": "/CommunityGalleries/Fedora/Images/Fedora-Cloud-41-x64/Versions/41.20240912.0",
    "image_version_name": "41.20240912.0",
    "regions": ["eastus", "westeurope"],
}


def test_the_newest_image_of_each_region_can_be_launched_from_one_document() -> None:
    """A message of the uploader replaces the images of all its regions; the others keep theirs."""
    old = uploaded("aws", image_name="old", regions={"us-east-1": "ami-1", "sa-east-1": "ami-2"})
    new = uploaded("aws", NOON + 60, image_name="new", regions={"us-east-1": "ami-3", "us-west-2": "ami-4"})
    document = testing.run(CloudImages, [new, old])["images.json"]
    common = {
        "release": "f41",
        "architecture": "x86_64",
        "flavour": "cloud-base",
        "provider": "aws",
        "compose": "Fedora-Cloud-41-20240912.0",
        "public": True,
        "test": None,
        "id": None,
    }
    assert document["images"] == [
        {**common, "image": "new", "timestamp": NOON + 60, "regions": {"us-east-1": "ami-3", "us-west-2": "ami-4"}},
        {**common, "image": "old", "timestamp": NOON, "regions": {"sa-east-1": "ami-2"}},
    ]
    assert document["launch"]["aws"].format(region="us-east-1", id="ami-3") == CONSOLE.format("us-east-1", "ami-3")


def test_one_id_for_all_regions_is_said_once() -> None:
    """What Azure has replicated is launched by the same id anywhere."""
    (image,) = testing.run(CloudImages, [uploaded("azure", **AZURE)])["images.json"]["images"]
    assert image["id"] == AZURE["image_resource_id"]
    assert image["regions"] == {"eastus": None, "westeurope": None}


def test_what_is_public_comes_before_what_was_only_uploaded() -> None:
    """While the next image is uploaded, readers launch the one that is public; tests are told by image."""
    documents = testing.run(
        CloudImages,
        [
            fedimg("publish", "us-east-1", "ami-1"),
            fedimg(
                "upload",
                "EC2 (us-east-1)",
                "ami-9",
                NOON + 90,
                status="completed",
                image_name="Fedora-Atomic-27-2.x86_64",
            ),
            fedimg("upload", "EC2-eu-west-1", "ami-2", NOON + 5, status="completed"),
            fedimg("copy", "us-west-2", "ami-3", NOON + 7),
            fedimg("test", "EC2 (us-east-1)", "ami-1", NOON + 8, status="completed"),
            fedimg("test", "EC2 (us-east-1)", "ami-1", NOON + 9, status="failed"),
            fedimg("test", "EC2 (us-east-1)", "ami-1", NOON + 10, status="started"),
            fedimg("upload", "EC2 (sa-east-1)", "ami-5", status="failed"),
        ],
    )
    (image,) = documents["images.json"]["images"]
    assert image["regions"] == {"eu-west-1": "ami-2", "us-east-1": "ami-1", "us-west-2": "ami-3"}
    assert (image["public"], image["test"], image["timestamp"]) == (False, "test-failed", NOON + 7)
    stages = {(row["region"], row["stage"]): row["id"] for row in documents["latest.json"]["rows"]}
    assert stages == {
        ("us-east-1", "published"): "ami-1",
        ("us-east-1", "uploaded"): "ami-9",
        ("us-east-1", "tested"): "ami-1",
        ("us-east-1", "test-failed"): "ami-1",
        ("eu-west-1", "uploaded"): "ami-2",
        ("us-west-2", "uploaded"): "ami-3",
        ("sa-east-1", "upload-failed"): "ami-5",
    }


@pytest.mark.parametrize(
    ("name", "compose", "release", "architecture", "flavour"),
    [
        ("fedora-cloud-base-rawhide-20140604.x86_64", None, "rawhide", "x86_64", "cloud-base"),
        (
            "Fedora-Cloud-Base-24-20160710.0.x86_64",
            {"compose_id": "Fedora-Atomic-24-20160710.0"},
            "f24",
            "x86_64",
            "cloud-base",
        ),
        ("Fedora-Cloud-Base-AmazonEC2.aarch64-41-Prerelease-1.2", None, "f41", "aarch64", "cloud-base"),
        (
            "Fedora-Cloud-Base-AmazonEC2.riscv64-Rawhide-1",
            "Fedora-Rawhide-20260801.n.0",
            "rawhide",
            "riscv64",
            "cloud-base",
        ),
        ("Fedora-Atomic-27-20180507.0.x86_64", "Fedora-Atomic-27-20180507.0", "f27", "x86_64", "atomic"),
        ("something else", None, None, None, None),
    ],
)
def test_names_of_images_say_what_they_are(
    name: str, compose: Any, release: str | None, architecture: str | None, flavour: str | None
) -> None:
    """Names changed over the years; a new release or architecture needs no code."""
    (image,) = images(fedimg("publish", "eu-west-2", "ami-1", image_name=name, compose=compose))
    assert (image.release, image.architecture, image.flavour) == (release, architecture, flavour)


@pytest.mark.parametrize(
    ("destination", "service", "provider", "region"),
    [
        ("EC2 (us-east-1)", None, "aws", "us-east-1"),
        ("EC2-eu-west-1", "EC2", "aws", "eu-west-1"),
        ("us-gov-west-1", "EC2", "aws", "us-gov-west-1"),
        ("DFW", "Rackspace", "rackspace", "DFW"),
        ("somewhere", None, "unknown", "somewhere"),
    ],
)
def test_a_destination_is_a_provider_and_a_region(
    destination: str, service: str | None, provider: str, region: str
) -> None:
    """With brackets, with a dash, or alone."""
    (image,) = images(fedimg("publish", destination, "ami-1", service=service))
    assert (image.provider, image.region) == (provider, region)


def test_every_provider_of_the_uploader_is_known() -> None:
    """Region, id and link are what each provider has: regions, locations, registries."""
    google = {
        "image_name": "fedora-cloud-41-x86-64",
        "storage_locations": ["us", "eu"],
    }
    container = {
        "architectures": ["x86_64", "s390x"],
        "registries": ["quay.io/fedora"],
        "repository": "fedora",
        "tags": ["41", "latest"],
    }
    console = "https://console.cloud.google.com/compute/imagesDetail/projects/fedora-cloud/global/images/"
    found = {
        provider: [
            (image.architecture, image.region, image.id, image.link) for image in images(uploaded(provider, **body))
        ]
        for provider, body in (("azure", AZURE), ("gcp", google), ("container", container), ("next", AZURE))
    }
    assert found == {
        "azure": [("x86_64", region, AZURE["image_resource_id"], None) for region in ("eastus", "westeurope")],
        "gcp": [
            ("x86_64", region, "fedora-cloud-41-x86-64", f"{console}fedora-cloud-41-x86-64") for region in ("us", "eu")
        ],
        "container": [(arch, "quay.io/fedora", "quay.io/fedora/fedora:41", None) for arch in ("x86_64", "s390x")],
        "next": [],
    }


def test_the_first_messages_of_the_uploader_say_the_flavour_in_the_name() -> None:
    """Those of 2024 had no subvariant and no release; the next image takes their place."""
    missing: dict[str, Any] = {"subvariant": None, "release": None, "compose_id": "Fedora-41-20240911.0"}
    name = "Fedora-Cloud-Base-AmazonEC2.x86_64-41-Prerelease-1.2"
    amazon = uploaded("aws", image_name=name, regions={"us-east-1": "ami-1"}, **missing)
    azure = uploaded("azure", **AZURE, **missing)
    found = {(image.release, image.flavour) for message in (amazon, azure) for image in images(message)}
    assert found == {("f41", "cloud-base"), ("f41", "cloud")}
    later = uploaded("aws", NOON + 60, image_name="new", regions={"us-east-1": "ami-2"})
    (image,) = testing.run(CloudImages, [amazon, later])["images.json"]["images"]
    assert image["image"] == "new"


def test_a_container_is_of_the_compose_that_was_published_last() -> None:
    """Every compose has the same name: that of repository and tag."""

    def container(compose: str, registry: str, timestamp: int) -> Any:
        place = {"repository": "fedora", "tags": ["41", "latest"], "registries": [registry]}
        return uploaded("container", timestamp, compose_id=f"Fedora-41-{compose}.0", **place)

    messages = [container("20240912", "a.example.org", NOON), container("20240913", "b.example.org", NOON + 60)]
    (image,) = testing.run(CloudImages, messages)["images.json"]["images"]
    assert (image["compose"], image["timestamp"]) == ("Fedora-41-20240913.0", NOON + 60)


def test_a_link_holds_what_the_bus_says_only_in_quotes() -> None:
    """No id leads a link to another place."""
    message = uploaded("aws", image_name="a", regions={"us-east-1&x=/": "ami-1#'\"<b>"})
    (image,) = images(message)
    assert image.link == CONSOLE.format("us-east-1%26x%3D%2F", "ami-1%23%27%22%3Cb%3E")


@pytest.mark.parametrize(
    "message",
    [
        fedimg("upload", "EC2 (us-east-1)", "ami-1", status="started"),
        fedimg("wat", "us-east-1", "ami-1"),
        fedimg("publish", "us-east-1", "ami-1", image_name=None),
        fedimg("publish", {"region": "us-east-1"}, "ami-1"),
        uploaded("aws", image_name="a", regions=["us-east-1"]),
        uploaded("aws", image_name="a", regions={"us-east-1": ["ami-1"]}),
        uploaded("azure", **{**AZURE, "regions": "eastus"}),
        uploaded("gcp", image_name=5, storage_locations=["us"]),
        uploaded("container", registries=["quay.io"], repository="fedora", tags=[]),
    ],
)
def test_what_names_no_image_in_a_place_is_left_out(message: Any) -> None:
    """What has only begun, or lacks a name or a region, is not an image."""
    assert images(message) == []


def test_a_hundred_regions_of_twenty_releases_stay_within_the_budget() -> None:
    """However many images there are, the documents hold the newest, and are small."""
    messages = [
        uploaded(
            "aws",
            NOON + number,
            compose_id=f"Fedora-Cloud-{number}-20240912.0",
            image_name=f"Fedora-Cloud-Base-{number}",
            regions={f"region-{place}": f"ami-0123456789abc{number}{place}" for place in range(100)},
        )
        for number in range(20, 40)
    ]
    lines = [
        json.dumps({"topic": message.topic, "body": message.body, "timestamp": message.timestamp}).encode()
        for message in messages
    ]
    trial = testing.try_plugin(CloudImages(), lines)
    assert not trial.failures
    assert max(len(trial.files["latest.json"]), len(trial.files["images.json"])) <= 100_000
    rows = trial.documents["latest.json"]["rows"]
    assert {row["release"] for row in rows} == {"f39", "f38", "f37"}
    assert len(rows) > 200
    assert trial.documents["images.json"]["images"][0]["release"] == "f39"


def test_real_images(messages_path: Path) -> None:
    """What fedimg really sent names three images that can be launched."""
    found = testing.run(CloudImages, messages_path.read_bytes().splitlines())["images.json"]["images"]
    assert {(image["release"], image["flavour"], *image["regions"].items()) for image in found} == {
        ("f24", "cloud-base", ("eu-west-1", "ami-9374bcd")),
        ("f27", "atomic", ("eu-west-2", "ami-d494d8ca"), ("us-west-2", "ami-5c54f350")),
        ("rawhide", "cloud-base", ("eu-west-1", "ami-9374bcd")),
    }
