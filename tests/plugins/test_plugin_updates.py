"""Pushes of updates, of Fedora and EPEL, as Bodhi announced them then and does now."""

from pathlib import Path
from typing import Any

import pytest

from statscache import testing
from statscache.testing import NOON
from statscache_plugins.events import Event
from statscache_plugins.updates import UpdatePushes, events

PROD = "org.fedoraproject.prod."


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        (
            "bodhi.updates.fedora.sync",
            {"release": "20", "repo": "updates"},
            Event("updates", "done", "f20", step="mirror"),
        ),
        (
            "bodhi.updates.epel.sync",
            {"release": "6", "repo": "epel-testing"},
            Event("epel-testing", "done", "epel6", step="mirror"),
        ),
        (
            "bodhi.compose.composing",
            {"repo": "dist-6E-epel-testing"},
            Event("epel-testing", "in-progress", "epel6"),
        ),
        (
            "bodhi.mashtask.mashing",
            {"repo": "f29-modular-updates-testing"},
            Event("modular-updates-testing", "in-progress", "f29"),
        ),
        ("bodhi.compose.complete", {"repo": "epel9-testing", "success": True}, Event("epel-testing", "done", "epel9")),
        ("bodhi.compose.complete", {"repo": "epel10.1", "success": False}, Event("epel", "failed", "epel10.1")),
        ("bodhi.compose.complete", {"repo": "f111-updates"}, Event("updates", "done", "f111")),
        (
            "bodhi.compose.sync.wait",
            {"repo": "f45-updates"},
            Event("updates", "in-progress", "f45", step="sync"),
        ),
        ("bodhi.compose.sync.done", {"repo": "f45-updates"}, Event("updates", "done", "f45", step="sync")),
        ("bodhi.compose.complete", {"repo": "something"}, Event("something", "done")),
    ],
)
def test_repositories_are_named_by_release_whoever_names_them(
    topic: str, body: dict[str, Any], expected: Event
) -> None:
    """Tags of koji and the words of the sync name the same repositories; a new release needs no code."""
    assert events(testing.message(PROD + topic, body)) == [expected]


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        ("bodhi.compose", {"repo": "f45-updates"}),
        ("bodhi.compose.start", {"agent": "releng"}),
        ("bodhi.compose.composing", {"repo": ["f45-updates"]}),
        ("bodhi.compose.wat", {"repo": "f45-updates"}),
        ("bodhi.updates.fedora.sync", {"repo": "updates"}),
        ("bodhi.updates.fedora.sync", {"repo": "updates", "release": {"name": "F20"}}),
        ("bodhi.updates.fedora.sync", {"repo": "updates", "release": "Fedora"}),
    ],
)
def test_what_names_no_repository_is_left_out(topic: str, body: dict[str, Any]) -> None:
    """A push is one of a repository, of a release."""
    assert events(testing.message(PROD + topic, body)) == []


def test_the_last_push_that_was_done_stays_beside_the_last_that_failed() -> None:
    """A failure does not hide when a repository was last pushed, and what only began is not a push."""

    def composed(success: bool, timestamp: int) -> Any:
        body = {"repo": "f45-updates", "success": success}
        return testing.message(f"{PROD}bodhi.compose.complete", body, timestamp=timestamp)

    begun = testing.message(f"{PROD}bodhi.compose.composing", {"repo": "f45-updates"}, timestamp=NOON + 90)
    documents = testing.run(
        UpdatePushes, [composed(True, NOON), composed(True, NOON - 60), composed(False, NOON + 60), begun]
    )
    assert documents["latest.json"]["rows"] == [
        {
            "release": "f45",
            "repository": "updates",
            "step": "compose",
            "state": "done",
            "timestamp": NOON,
            "size": None,
        },
        {
            "release": "f45",
            "repository": "updates",
            "step": "compose",
            "state": "failed",
            "timestamp": NOON + 60,
            "size": None,
        },
    ]


def test_real_pushes(messages_path: Path) -> None:
    """What was really sent names four pushes."""
    rows = testing.run(UpdatePushes, messages_path.read_bytes().splitlines())["latest.json"]["rows"]
    assert {(row["release"], row["repository"], row["step"], row["size"]) for row in rows} == {
        ("epel6", "epel-testing", "mirror", "28493k"),
        ("epel6", "epel-testing", "sync", None),
        ("f20", "updates", "mirror", "2.8M"),
        ("f29", "updates-testing", "mirror", "1 GiB"),
        ("f29", "updates-testing", "compose", None),
        ("f29", "updates-testing", "sync", None),
    }
