"""The release engineering dashboard: one small document draws the page."""

import json
from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.message import Message
from statscache.testing import NOON
from statscache_plugins.dashboard import ReleaseDashboard
from statscache_plugins.events import LAYOUT

PROD = "org.fedoraproject.prod."
RUN = "Fedora-Rawhide-20260801.n.{}"
STEP, STATUS, START, STOP, LAST_DONE, RAN, LINK = range(7)


def sent(topic: str, timestamp: int = NOON, **body: Any) -> Message:
    """Return a message."""
    return testing.message(PROD + topic, body, timestamp=timestamp)


def pungi(number: int, status: str, timestamp: int) -> Message:
    """Return an announcement of pungi about a compose of rawhide."""
    return sent("pungi.compose.status.change", timestamp, compose_id=RUN.format(number), status=status)


def old(verb: str, timestamp: int, **body: Any) -> Message:
    """Return an announcement of a compose before pungi, which has no id."""
    return sent(f"compose.rawhide.{verb}", timestamp, **body)


def groups(messages: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the items of the dashboard that have any, by group."""
    document = testing.run(ReleaseDashboard, messages)["dashboard.json"]
    return {group["id"]: group["items"] for group in document["groups"] if group["items"]}


def only_step(messages: Any) -> list[Any]:
    """Return the only step of the only item of the dashboard."""
    ((item,),) = groups(messages).values()
    (step,) = item["steps"]
    found: list[Any] = step
    return found


@pytest.mark.parametrize(
    ("messages", "status", "start", "stop", "last_done"),
    [
        ([old("start", 10)], "in-progress", 10, None, None),
        ([old("start", 10), old("complete", 30)], "done", 10, 30, None),
        ([old("start", 10), old("complete", 10)], "done", 10, 10, None),
        ([old("complete", 30)], "done", None, 30, None),
        # The end was never announced, or lost.
        ([old("start", 10), old("wat", 3 * 86400)], "unknown", 10, None, None),
        ([old("start", 10), old("complete", 30), old("start", 50)], "in-progress", 50, None, 30),
        # The begin of the second run was lost: the first one's is not taken for it.
        ([old("start", 10), old("complete", 30), old("complete", 70)], "done", None, 70, None),
        # The end of the first run was lost.
        ([old("start", 10), old("start", 50), old("complete", 70)], "done", 50, 70, None),
        # Only the end says which compose it was.
        ([old("start", 10), old("complete", 30, compose_id=RUN.format(0))], "done", 10, 30, None),
        ([pungi(0, "STARTED", 10), pungi(0, "FINISHED", 30)], "done", 10, 30, None),
        ([pungi(0, "STARTED", 10), pungi(0, "DOOMED", 30)], "doomed", 10, 30, None),
        ([pungi(0, "FINISHED_INCOMPLETE", 30), pungi(1, "STARTED", 40), pungi(1, "DOOMED", 50)], "doomed", 40, 50, 30),
        # Two composes at once: the one that began last is shown.
        ([pungi(0, "STARTED", 10), pungi(1, "STARTED", 20), pungi(0, "FINISHED", 30)], "in-progress", 20, None, 30),
        (
            [pungi(0, "STARTED", 10), pungi(1, "STARTED", 20), pungi(1, "DOOMED", 25), pungi(0, "FINISHED", 30)],
            "doomed",
            20,
            25,
            30,
        ),
        # A compose whose begin was lost is shown when it ends after the last that began.
        ([pungi(0, "STARTED", 10), pungi(1, "FINISHED", 30)], "done", None, 30, None),
        ([pungi(0, "FINISHED", 5), pungi(1, "STARTED", 10)], "in-progress", 10, None, 5),
    ],
)
def test_a_step_is_in_progress_from_its_begin_to_its_end(
    messages: list[Message], status: str, start: int | None, stop: int | None, last_done: int | None
) -> None:
    """Status, times and the last success are the same in whatever order messages come."""
    for order in (messages, messages[::-1]):
        step = only_step(order)
        assert step[:RAN] == [None, status, start, stop, last_done]


def test_the_last_success_is_found_behind_many_failures() -> None:
    """A release may be doomed for weeks."""
    doomed = [
        pungi(number, status, 100 * number + at)
        for number in range(1, 30)
        for at, status in ((0, "STARTED"), (50, "DOOMED"))
    ]
    step = only_step([pungi(0, "STARTED", 10), pungi(0, "FINISHED", 30), *doomed])
    assert step[STATUS:RAN] == ["doomed", 2900, 2950, 30]
    assert step[RAN] == RUN.format(29)


def test_groups_are_made_up_as_the_layout_says() -> None:
    """Each area, release and kind of image is in the group that the layout names first."""
    image: dict[str, Any] = {"id": 7, "new": "CLOSED", "owner": "releng"}
    messages = [
        old("start", NOON, arch="arm"),
        pungi(0, "STARTED", NOON),
        sent("pungi.compose.phase.start", NOON + 9, compose_id=RUN.format(0), phase_name="createrepo"),
        sent("compose.branched.mash.start", branch="45"),
        sent("pungi.compose.status.change", compose_id="Fedora-45-20260801.n.0", status="STARTED"),
        sent("pungi.compose.status.change", compose_id="Fedora-Cloud-44-20260801.0", status="STARTED"),
        sent("bodhi.updates.fedora.sync", release="45", repo="updates"),
        sent("bodhi.compose.composing", repo="epel9-testing"),
        sent("bodhi.compose.composing", repo="something"),
        sent(
            "fedimg.image.publish",
            image_name="Fedora-Cloud-Base-45-1.x86_64",
            destination="us-east-1",
            extra={"id": "ami-1"},
        ),
        sent("buildsys.task.state.change", method="livemedia", srpm="live-x86_64", **image),
        sent("buildsys.task.state.change", method="kiwiBuild", srpm="KDE-Desktop-Live-x86_64", **image),
        sent("buildsys.task.state.change", method="kiwiBuild", srpm="Cloud-Base-x86_64", **image),
        sent("buildsys.task.state.change", method="appliance", srpm="minimal-armhfp", **image),
        sent("buildsys.task.state.change", method="image", srpm="cloud-x86_64", **image),
    ]
    names = {
        group: [(item.get("component", item.get("flavour")), item.get("architecture")) for item in items]
        for group, items in groups(messages).items()
    }
    assert names == {
        "rawhide": [("Fedora-Rawhide nightly", None), ("rawhide", "arm")],
        "branched": [("Fedora-45 nightly", None), ("branched", None)],
        "compose": [("Fedora-Cloud-44", None)],
        "updates-fedora": [("updates", None)],
        "updates-epel": [("epel-testing", None)],
        "updates": [("something", None)],
        "cloud": [("cloud-base", "x86_64")],
        "live": [("live-x86_64", "x86_64")],
        "live-kiwi": [("KDE-Desktop-Live-x86_64", "x86_64")],
        "arm": [("minimal-armhfp", "armhfp")],
        "image": [("Cloud-Base-x86_64", "x86_64"), ("cloud-x86_64", "x86_64")],
    }
    rawhide = groups(messages)["rawhide"][0]
    assert [step[:STOP] for step in rawhide["steps"]] == [
        [None, "in-progress", NOON],
        ["createrepo", "in-progress", NOON + 9],
    ]


def test_the_layout_is_published_and_names_whatever_the_dashboard_can_say() -> None:
    """A page needs nothing else: each group has a title and thresholds, each status a text and a class."""
    documents = testing.run(ReleaseDashboard, [pungi(0, "STARTED", NOON)])
    layout = documents["layout.json"]
    assert [group["id"] for group in layout["groups"]] == [
        group["id"] for group in documents["dashboard.json"]["groups"]
    ]
    assert all(group["title"] and group["stale_after"] > 0 for group in layout["groups"])
    assert all(status["text"] and status["class"] for status in layout["statuses"].values())
    assert {"stale", "stuck", "launch"} <= layout.keys()
    verbs = [verb for status in LAYOUT["statuses"].values() for verb in status["verbs"]]
    assert len(verbs) == len(set(verbs))


def test_a_link_that_all_steps_share_is_said_once() -> None:
    """Steps of a compose would else repeat where it is."""
    where: dict[str, Any] = {"compose_id": RUN.format(0), "location": "https://example.org/compose"}
    messages = [
        sent("pungi.compose.status.change", NOON, status="STARTED", **where),
        sent("pungi.compose.phase.start", NOON + 1, phase_name="createrepo", **where),
        sent(
            "pungi.compose.phase.start",
            NOON + 2,
            phase_name="ostree",
            compose_id=RUN.format(0),
            location="https://example.org/o",
        ),
    ]
    ((item,),) = groups(messages).values()
    assert [step[LINK] for step in item["steps"]] == ["https://example.org/compose", None, "https://example.org/o"]


def test_latest_holds_the_dashboard_as_flat_rows() -> None:
    """A record for each run and image, with every dimension, for people and spreadsheets."""
    image = {"destination": "us-east-1", "image_name": "Fedora-Cloud-Base-45-1.x86_64", "extra": {"id": "ami-1"}}
    messages = [
        sent("fedimg.image.publish", NOON, **image),
        old("start", NOON, arch="arm"),
        old("complete", NOON + 60, arch="arm"),
    ]
    rows = testing.run(ReleaseDashboard, messages)["latest.json"]["rows"]
    assert rows == [
        {
            "area": "cloud",
            "component": "cloud-base",
            "release": "f45",
            "architecture": "x86_64",
            "step": "aws",
            "place": None,
            "status": "published",
            "timestamp": NOON,
            "run": None,
        },
        {
            "area": "compose",
            "component": "rawhide",
            "release": "rawhide",
            "architecture": "arm",
            "step": None,
            "place": None,
            "status": "done",
            "timestamp": NOON + 60,
            "start": NOON,
            "stop": NOON + 60,
            "run": None,
            "link": None,
        },
    ]


def test_only_the_newest_image_of_a_kind_is_on_the_dashboard() -> None:
    """A region that has not got it yet is left out, rather than shown with another one."""

    def image(region: str, timestamp: int) -> Message:
        body = {
            "destination": region,
            "image_name": f"Fedora-Cloud-Base-45-{timestamp}.x86_64",
            "extra": {"id": region},
        }
        return sent("fedimg.image.publish", timestamp, **body)

    ((item,),) = groups(
        [image("us-east-1", NOON + 60), image("eu-west-1", NOON + 60), image("sa-east-1", NOON)]
    ).values()
    assert item == {
        "release": "f45",
        "architecture": "x86_64",
        "flavour": "cloud-base",
        "provider": "aws",
        "image": f"Fedora-Cloud-Base-45-{NOON + 60}.x86_64",
        "timestamp": NOON + 60,
        "regions": {"eu-west-1": "eu-west-1", "us-east-1": "us-east-1"},
    }


def a_whole_project(releases: range) -> list[Message]:
    """Return what happens in a project with these releases, five architectures and three clouds of up to 21 regions."""
    messages = []
    arches = ("x86_64", "aarch64", "ppc64le", "s390x", "arm")
    for number in releases:
        for arch in arches:
            for at, step in enumerate(("", "mash.", "pungify.", "rsync.", "image.")):
                for verb, time in (("start", at * 100), ("complete", at * 100 + 90)):
                    messages.append(
                        sent(f"compose.{number}.{step}{verb}", NOON + number + time, branch=str(number), arch=arch)
                    )
        for place, repository in enumerate(("updates", "updates-testing")):
            for verb in ("composing", "complete", "sync.wait", "sync.done"):
                messages.append(sent(f"bodhi.compose.{verb}", NOON + number + place, repo=f"f{number}-{repository}"))
        for arch in arches[:2]:
            compose = {
                "architecture": arch,
                "compose_id": f"Fedora-{number}-20260801.n.0",
                "release": number,
                "subvariant": "Cloud_Base",
            }
            published = "fedora_image_uploader.published.v1"
            regions = {f"xx-region-{region:02}": f"ami-0123456789abc{number}{region:02}" for region in range(21)}
            messages += [
                sent(
                    f"{published}.aws",
                    NOON + number,
                    image_name=f"Fedora-Cloud-Base-AmazonEC2.{arch}-{number}-20260801.n.0",
                    regions=regions,
                    **compose,
                ),
                sent(
                    f"{published}.azure",
                    NOON + number,
                    image_definition_name=f"Fedora-Cloud-{number}-x64",
                    image_version_name=f"{number}.20260801.0",
                    image_resource_id=f"/CommunityGalleries/Fedora-5e266ba4/Images/Fedora-Cloud-{number}-x64/Versions/{number}.20260801.0",
                    regions=[f"region-{region}" for region in range(8)],
                    **compose,
                ),
                sent(
                    f"{published}.gcp",
                    NOON + number,
                    image_name=f"fedora-cloud-{number}-20260801-x86-64",
                    image_url="https://www.googleapis.com/compute/v1/projects/fedora-cloud/global/images/a",
                    storage_locations=["us", "eu", "asia"],
                    **compose,
                ),
            ]
            request = ["Fedora-Workstation-Live", str(number), arch, f"f{number}", {"scratch": True}]
            for new in ("OPEN", "CLOSED"):
                messages.append(
                    sent(
                        "buildsys.task.state.change",
                        NOON + number,
                        id=130_000_000 + number,
                        method="livemedia",
                        new=new,
                        owner="releng",
                        info={"request": request},
                    )
                )
    return messages  # fmt: skip


def published(messages: list[Message]) -> tuple[bytes, dict[str, Any]]:
    """Return the bytes of the dashboard, and the dashboard."""
    lines = [
        json.dumps({"topic": message.topic, "body": message.body, "timestamp": message.timestamp}).encode()
        for message in messages
    ]
    trial = testing.try_plugin(ReleaseDashboard(), lines)
    assert not trial.failures
    return trial.files["dashboard.json"], trial.documents["dashboard.json"]


def test_the_dashboard_of_a_whole_project_is_below_30_kb() -> None:
    """Five releases by five architectures with their phases, repositories, images and clouds: nothing is left out."""
    data, document = published(a_whole_project(range(42, 47)))
    assert 15_000 < len(data) < 30_000
    assert {group["id"]: (len(group["items"]), group["omitted"]) for group in document["groups"] if group["items"]} == {
        "compose": (25, 0),
        "updates-fedora": (10, 0),
        "cloud": (30, 0),
        "live": (10, 0),
    }


def test_the_dashboard_never_grows_beyond_30_kb() -> None:
    """Of forty releases the newest are shown, in each group alike, and how many are not."""
    data, document = published(a_whole_project(range(10, 50)))
    assert 25_000 < len(data) < 30_000
    shown = {group["id"]: group for group in document["groups"] if group["items"]}
    assert shown.keys() == {"compose", "updates-fedora", "cloud", "live"}
    for group in shown.values():
        assert group["items"][0]["release"] == "f49"
        assert group["omitted"] > 20


def test_hostile_text_does_not_break_the_bound() -> None:
    """Long names of many composes cost their own place alone."""
    names = ["\u202e" * 400 + str(number) for number in range(200)]
    messages = [sent("bodhi.compose.composing", NOON + number, repo=name) for number, name in enumerate(names)]
    data, document = published([*messages, pungi(0, "STARTED", NOON)])
    assert len(data) < 30_000
    assert [group["id"] for group in document["groups"] if group["items"]] == ["rawhide", "updates"]


def test_a_compose_with_too_many_steps_costs_its_own_place_alone() -> None:
    """What would fill the whole document is left out, and everything else is there."""
    steps = [
        sent("pungi.compose.phase.start", NOON + number, compose_id=RUN.format(0), phase_name=f"{number:0200}")
        for number in range(100)
    ]
    data, document = published([*steps, old("start", NOON), sent("bodhi.compose.composing", repo="f45-updates")])
    assert len(data) < 30_000
    shown = {group["id"]: (len(group["items"]), group["omitted"]) for group in document["groups"]}
    assert (shown["rawhide"], shown["updates-fedora"]) == ((1, 1), (1, 0))


def test_an_image_that_was_made_is_linked_to_where_it_can_be_had() -> None:
    """One that failed, or is being made, is linked to the page of its task."""
    page = "https://koji.fedoraproject.org/koji/taskinfo?taskID=70012"
    made = "https://kojipkgs.fedoraproject.org/work/tasks/12/70012/a.iso"
    for new, link in (("OPEN", page), ("FAILED", page), ("CLOSED", made)):
        info = {"id": 70012, "request": ["F", "45", "x86_64", "f45"], "result": {"files": ["a.iso"]}}
        body: dict[str, Any] = {"id": 70012, "new": new, "owner": "releng", "method": "livemedia", "info": info}
        assert only_step([sent("buildsys.task.state.change", **body)])[LINK] == link


def test_real_messages_draw_a_dashboard(messages_path: Path) -> None:
    """What was really sent: composes by branch and by pungi, pushes, images in regions."""
    shown = groups(messages_path.read_bytes().splitlines())
    assert {group: len(items) for group, items in shown.items()} == {
        "rawhide": 3,
        "branched": 3,
        "compose": 7,
        "updates-fedora": 3,
        "updates-epel": 1,
        "cloud": 3,
    }
    rawhide = shown["rawhide"][0]
    assert [step[:STOP] for step in rawhide["steps"]] == [
        [None, "done", None],
        ["image", "done", 1344447839],
        ["mash", "done", 1344447839],
        ["pungify", "done", 1344447839],
        ["rsync", "unknown", 1512395453],
    ]
