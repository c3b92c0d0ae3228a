# ruff: noqa: E501 - a table of cases is read best with one case a line.

"""Images that koji makes: which, of what, and where they can be fetched."""

from typing import Any

import pytest

from statscache import testing
from statscache.testing import NOON
from statscache_plugins.events import Event
from statscache_plugins.images import ImageTasks, events

TOPIC = "org.fedoraproject.prod.buildsys.task.state.change"
PAGE = "https://koji.fedoraproject.org/koji/taskinfo?taskID=6925144"
FILES = "https://kojipkgs.fedoraproject.org/work/tasks/5144/6925144/"


def task(new: str = "CLOSED", method: str = "livecd", timestamp: int = NOON, **changes: Any) -> Any:
    """Return the announcement of a task of release engineering."""
    info = {
        "id": 6925144,
        "children": [],
        "request": ["Fedora-Live-KDE", "rawhide", "x86_64", "rawhide", "kde.ks", {"scratch": True}],
        **changes.pop("info", {}),
    }
    body = {
        "id": 6925144,
        "info": info,
        "instance": "primary",
        "method": method,
        "new": new,
        "owner": "releng",
        **changes,
    }
    return testing.message(TOPIC, body, timestamp=timestamp)


def rows(*messages: Any) -> list[dict[str, Any]]:
    """Return what is published of the messages."""
    found: list[dict[str, Any]] = testing.run(ImageTasks, messages)["latest.json"]["rows"]
    return found


def test_the_last_image_that_was_made_stays_beside_the_last_that_failed() -> None:
    """A failure does not hide the last good image, and what only began is not an image."""
    assert rows(task(), task("FAILED", timestamp=NOON + 60), task("OPEN", timestamp=NOON + 90)) == [
        {
            "image": "Fedora-Live-KDE",
            "release": "rawhide",
            "architecture": "x86_64",
            "method": "livecd",
            "state": state,
            "timestamp": timestamp,
            "task": "6925144",
            "link": PAGE,
            "download": download,
        }
        for state, timestamp, download in (("done", NOON, FILES), ("failed", NOON + 60, None))
    ]


@pytest.mark.parametrize(
    ("request_", "image", "release", "architectures"),
    [
        (["F", "45", "aarch64", "f45", "a.ks", {"format": "raw"}], "F (raw)", "f45", ["aarch64"]),
        (["F", "20260801", ["x86_64", "aarch64"], "f45-candidate", "a.ks", {}], "F", "f45", ["aarch64", "x86_64"]),
        (["F", "9", "x86_64", "epel9", "a.ks", {}], "F", "f9", ["x86_64"]),
        (["Fedora-Live-SoaS-x86_64", "rawhide"], "Fedora-Live-SoaS-x86_64", "rawhide", ["x86_64"]),
        (["F", None, None, None], "F", None, [None]),
        (["F", {"a": 1}, {"b": 2}, [3], 4, "format"], "F", None, [None]),
        (["F", "rawhide", [7, None], "rawhide"], "F", "rawhide", [None]),
    ],
)
def test_release_architecture_and_format_are_read_from_the_request(
    request_: list[Any], image: str, release: str | None, architectures: list[str | None]
) -> None:
    """Of several architectures each has a row; what is of another type is unknown."""
    found = rows(task(info={"request": request_}))
    assert {(row["image"], row["release"]) for row in found} == {(image, release)}
    assert [row["architecture"] for row in found] == architectures


def test_the_file_is_linked_where_the_message_names_it() -> None:
    """Koji says today what the children of a task have made, for each architecture; several files have a directory."""
    children = [
        {"id": 70012, "arch": "x86_64", "result": {"files": ["a b.iso"], "logs": ["root.log"]}},
        {"id": 70013, "arch": "aarch64", "result": {"files": ["a.iso", "a.iso.sum"]}},
        {"id": 70014, "arch": "noarch", "label": "tag", "result": None},
    ]
    request = ["F", "45", ["x86_64", "aarch64", "s390x"], "f45", {"scratch": True}]
    made = task(files_base_url="https://files.example.org/work", info={"children": children, "request": request})
    assert {row["architecture"]: row["download"] for row in rows(made)} == {
        "x86_64": "https://files.example.org/work/tasks/12/70012/a%20b.iso",
        "aarch64": "https://files.example.org/work/tasks/13/70013/",
        # No other architecture's files are given for those of one that nothing was made for.
        "s390x": None,
    }


@pytest.mark.parametrize(("number", "state"), [(2, "done"), (3, "canceled"), (5, "failed"), ("5", "done")])
def test_an_optional_architecture_fails_alone(number: Any, state: str) -> None:
    """The task is done without it, which the child that should have made it says."""
    children = [{"id": 70012, "arch": "x86_64", "state": 2}, {"id": 70013, "arch": "aarch64", "state": number}]
    found = rows(task(info={"children": children, "request": ["F", "45", ["x86_64", "aarch64"], "f45", {}]}))
    assert {row["architecture"]: row["state"] for row in found} == {"x86_64": "done", "aarch64": state}
    assert all((row["download"] is not None) == (row["state"] == "done") for row in found)


def test_no_address_is_a_name_or_an_architecture() -> None:
    """E-mail and IP addresses are not published, in whatever field of the request they are."""
    found = rows(task(info={"request": ["joe@example.org", "45", ["192.0.2.7"]]}))
    found += rows(task(info={"request": ["F joe@example.org", "45", "joe@example.org"]}))
    assert [(row["image"], row["architecture"]) for row in found] == [("_", "_"), ("F _", "_")]


@pytest.mark.parametrize("changes", [{"instance": "arm"}, {"id": "x", "info": {"id": None}}])
def test_what_cannot_be_derived_is_unknown(changes: dict[str, Any]) -> None:
    """Another koji than the primary one has other addresses, and without a number there is none."""
    (row,) = rows(task(**changes))
    assert (row["link"], row["download"]) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [{"method": "build"}, {"method": ["livecd"]}, {"owner": "ralph"}, {"owner": None}, {"new": "FREE"}, {"new": None}],
)
def test_other_tasks_are_no_images(changes: dict[str, Any]) -> None:
    """Anybody may have koji make an image for a trial; that is not an image of the project."""
    assert events(task(**changes)) == []


@pytest.mark.parametrize(
    ("method", "request_", "image", "release", "architectures"),
    [
        ("kiwiBuild", ["f45", ["x86_64", "aarch64"], "https://example.org/d.git", "Fedora.kiwi", {"profile": "KDE-Desktop-Live"}], "KDE-Desktop-Live", "f45", ["x86_64", "aarch64"]),
        ("kiwiBuild", ["f45", ["x86_64"], "https://example.org/d.git", "a/Fedora.kiwi", {"version": "Rawhide"}], "Fedora", "rawhide", ["x86_64"]),
        ("kiwiBuild", ["f45", ["x86_64"], "https://example.org/d.git", "Fedora.kiwi", {"profile": "Cloud-Base", "type": "oem"}], "Cloud-Base (oem)", "f45", ["x86_64"]),
        ("kiwiBuild", ["f45", [], "https://example.org/d.git", None, {"profile": "Cloud-Base"}], "Cloud-Base", "f45", [None]),
        ("osbuildImage", ["Fedora-IoT", "45", "fedora-iot-45", ["iot-raw-image"], "f45", ["x86_64"], {}], "Fedora-IoT (iot-raw-image)", "f45", ["x86_64"]),
        ("imageBuilderBuild", ["f45", ["x86_64"], ["minimal-raw"], "Fedora-Minimal", "Rawhide", {"release": "1"}], "Fedora-Minimal (minimal-raw)", "rawhide", ["x86_64"]),
        ("imageBuilderBuild", ["f45", "x86_64", None, "Fedora-Minimal"], "Fedora-Minimal", "f45", ["x86_64"]),
    ],
)  # fmt: skip
def test_images_of_koji_plugins(
    method: str, request_: list[Any], image: str, release: str | None, architectures: list[str | None]
) -> None:
    """Koji's plugins take their parameters each in an order of its own."""
    found = events(task(method=method, info={"request": request_}))
    assert [(event.component, event.release, event.step) for event in found] == [(image, release, method)] * len(found)
    assert [event.architecture for event in found] == architectures


def test_two_types_of_one_profile_are_two_images() -> None:
    """Each has a row, whichever was made last."""
    asked = [
        ["f45", ["x86_64"], "u", "Fedora.kiwi", {"profile": "Cloud-Base", "type": type}] for type in ("oem", "docker")
    ]
    tasks = [task(id=number, method="kiwiBuild", info={"request": request}) for number, request in enumerate(asked)]
    assert [(row["image"], row["task"]) for row in rows(*tasks)] == [
        ("Cloud-Base (docker)", "1"),
        ("Cloud-Base (oem)", "0"),
    ]


@pytest.mark.parametrize("method", ["kiwiBuild", "osbuildImage", "imageBuilderBuild"])
@pytest.mark.parametrize("request_", [[], [None], [{}, 7, [], {"a": 1}, 5, "x"], [[], {}, {}, {}, {}, {}, []]])
def test_requests_of_any_shape(method: str, request_: list[Any]) -> None:
    """A request that is none names no image."""
    assert events(task(method=method, info={"request": request_})) == []


def test_what_osbuild_made_lies_elsewhere() -> None:
    """The task's directory holds logs only."""
    (row,) = rows(task(method="osbuildImage", info={"request": ["F", "45", "d", ["t"], "f45", ["x86_64"], {}]}))
    assert (row["state"], row["download"]) == ("done", None)


def test_old_messages_name_the_image_alone() -> None:
    """Before 2014 a message had no `info`: the name holds the architecture."""
    body = {"id": 7, "method": "livecd", "new": "OPEN", "owner": "masher", "srpm": "Fedora-Live-LXDE-i686"}
    assert events(testing.message(TOPIC, body)) == [
        Event(
            "Fedora-Live-LXDE-i686",
            "in-progress",
            architecture="i686",
            step="livecd",
            run="7",
            link="https://koji.fedoraproject.org/koji/taskinfo?taskID=7",
        )
    ]
