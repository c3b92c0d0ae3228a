"""Composes: pungi's by id, and what the bus says of those before pungi."""

from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.message import Message
from statscache.testing import NOON
from statscache_plugins.composes import Composes, events, product_of, release_of
from statscache_plugins.events import Event

PROD = "org.fedoraproject.prod."
STATUS = f"{PROD}pungi.compose.status.change"
RAWHIDE = "Fedora-Rawhide-20260801.n.0"


def status(compose: Any, output: Any, timestamp: int = NOON) -> Message:
    """Return an announcement of pungi."""
    body = {"compose_id": compose, "status": output, "location": f"https://example.org/{compose}/compose"}
    return testing.message(STATUS, body, timestamp=timestamp)


def test_a_compose_has_the_times_at_which_it_began_and_ended_and_its_last_state() -> None:
    """Order makes no difference; what is in progress has no stop."""
    documents = testing.run(
        Composes,
        [
            status(RAWHIDE, "FINISHED_INCOMPLETE", NOON + 9000),
            status(RAWHIDE, "STARTED", NOON),
            status("Fedora-45-20260801.n.1", "STARTED", NOON + 60),
            status("Fedora-Cloud-44-20260801.0", "DOOMED", NOON + 70),
        ],
    )
    rows = {row["compose"]: row for row in documents["latest.json"]["rows"]}
    assert rows[RAWHIDE] == {
        "product": "Fedora-Rawhide nightly",
        "compose": RAWHIDE,
        "release": "rawhide",
        "start": NOON,
        "stop": NOON + 9000,
        "duration": 9000,
        "in_progress": False,
        "state": "incomplete",
        "link": f"https://example.org/{RAWHIDE}/compose",
    }
    going = rows["Fedora-45-20260801.n.1"]
    assert (going["start"], going["stop"], going["duration"], going["state"]) == (NOON + 60, None, None, "in-progress")
    doomed = rows["Fedora-Cloud-44-20260801.0"]
    assert (doomed["start"], doomed["stop"], doomed["duration"], doomed["state"]) == (None, NOON + 70, None, "doomed")


def test_a_compose_whose_end_was_never_announced_is_not_in_progress_for_ever() -> None:
    """Two days after its begin, its state is unknown."""
    day = 86400
    messages = [status(RAWHIDE, "STARTED", NOON), status("Fedora-45-20260801.n.1", "STARTED", NOON + 2 * day)]
    rows = testing.run(Composes, messages)["latest.json"]["rows"]
    assert {row["compose"]: (row["in_progress"], row["state"]) for row in rows} == {
        RAWHIDE: (None, None),
        "Fedora-45-20260801.n.1": (True, "in-progress"),
    }


@pytest.mark.parametrize(
    ("compose", "product", "release"),
    [
        (RAWHIDE, "Fedora-Rawhide nightly", "rawhide"),
        ("Fedora-24-20151208.n.7", "Fedora-24 nightly", "f24"),
        ("Fedora-45-20260914.1", "Fedora-45", "f45"),
        ("Fedora-45-20260914.t.1", "Fedora-45 test", "f45"),
        ("Fedora-Modular-Bikeshed-20171208.n.0", "Fedora-Modular-Bikeshed nightly", None),
        ("Fedora-ELN-20260801.n.0", "Fedora-ELN nightly", "eln"),
        ("Fedora-Epel-10-20260801.0", "Fedora-Epel-10", "epel10"),
        ("Fedora-111-20560801.z.0", "Fedora-111 z", "f111"),
        ("Fedora-45", None, None),
        ("-20260801.n.0", None, None),
        ("20260801.n.0", None, None),
        (None, None, None),
    ],
)
def test_product_and_release_stand_in_the_id(compose: str | None, product: str | None, release: str | None) -> None:
    """A new release needs no code; what is not an id is of nothing."""
    assert product_of(compose) == product
    assert release_of(compose) == release


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        ("compose.rawhide.start", {"branch": "rawhide", "arch": ""}, Event("rawhide", "in-progress", "rawhide")),
        (
            "compose.branched.mash.complete",
            {"branch": "18", "arch": "arm"},
            Event("branched", "done", "f18", "arm", "mash"),
        ),
        ("compose.23.cloudimg-staging.done", {"branch": "23"}, Event("23", "done", "f23", None, "cloudimg-staging")),
        ("compose.28.start", {"branch": "28", "short": "Fedora-Modular"}, Event("28 Modular", "in-progress", "f28")),
        (
            "compose.27.complete",
            {"branch": "Modular-27", "compose_id": "Fedora-Modular-27-20171123.n.1"},
            Event("27 Modular", "done", "f27", run="Fedora-Modular-27-20171123.n.1"),
        ),
        ("compose.epelbeta.complete", {"log": "done"}, Event("epelbeta", "done")),
        (
            "pungi.compose.phase.stop",
            {"compose_id": RAWHIDE, "phase_name": "createrepo"},
            Event("Fedora-Rawhide nightly", "done", "rawhide", None, "createrepo", RAWHIDE),
        ),
    ],
)
def test_branch_step_and_architecture_are_distinguished(topic: str, body: dict[str, Any], expected: Event) -> None:
    """The topic has the branch and the step; the body has the architecture, if it is not a primary one."""
    assert events(testing.message(PROD + topic, body)) == [expected]


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("compose.rawhide.wat", {}),
        ("pungi.compose.status.change", {"compose_id": RAWHIDE, "status": "READY"}),
        ("pungi.compose.status.change", {"compose_id": RAWHIDE, "status": None}),
        ("pungi.compose.status.change", {"compose_id": "no id", "status": "STARTED"}),
        ("pungi.compose.status.change", {"compose_id": ["Fedora-24-20151208.n.7"], "status": "STARTED"}),
        ("pungi.compose.phase.start", {"compose_id": RAWHIDE}),
    ],
)
def test_what_says_nothing_of_a_compose_is_left_out(topic: str, body: dict[str, Any]) -> None:
    """Unknown words, and what is not a compose, are no one's state."""
    assert events(testing.message(PROD + topic, body)) == []


def test_real_composes(messages_path: Path) -> None:
    """Of what was really sent, one compose by pungi is known from begin to end."""
    rows = testing.run(Composes, messages_path.read_bytes().splitlines())["latest.json"]["rows"]
    assert [(row["compose"], row["state"], row["duration"]) for row in rows] == [
        ("Fedora-24-20151208.n.7", "canceled", 0)
    ]
