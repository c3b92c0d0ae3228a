import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import Site, line
from statscache import testing
from statscache.message import Message
from statscache.parsing import parse
from statscache_plugins import durations
from statscache_plugins.forge_kinds import KINDS
from statscache_plugins.forges import (
    ForgeEvents,
    ForgeEventsByProject,
    ForgeEventsByUser,
    PullRequests,
    PullRequestsByTimeToMerge,
)

PREFIX = "io.pagure.prod.pagure."
STATISTICS = (Path(__file__).parents[2] / "docs/statistics.md").read_text()


def event(name: str, body: dict[str, Any] | None = None, number: int = 0) -> Message:
    """Return a message of Pagure, a second later for each number."""
    return testing.message(PREFIX + name, body, timestamp=testing.NOON + number)


def closed(seconds: Any = 0, number: int = 0, **more: Any) -> Message:
    """Return the message of a pull request that was closed so many seconds after it was opened."""
    opened = str(testing.NOON + number - seconds) if isinstance(seconds, int) else seconds
    request = {"id": number, "date_created": opened, "status": "Closed"}
    return event("pull-request.closed", {"merged": True, "pullrequest": request, **more}, number)


def totals(documents: dict[str, Any], dimension: str) -> dict[str, int]:
    """Return the total of each row of `latest`."""
    return {row[dimension]: row["total"] for row in documents["latest.json"]["rows"]}


@pytest.fixture(scope="module")
def real(messages_path: Path) -> list[Message]:
    """The real messages of Pagure, each once."""
    messages = {message.id: message for message in map(parse, messages_path.read_bytes().splitlines())}
    return [message for message in messages.values() if message.category == "pagure"]


def test_events_count_by_kind(real: list[Message]) -> None:
    """Each real message counts once, under what happened."""
    kinds = totals(testing.run(ForgeEvents, real), "event")
    assert sum(kinds.values()) == len(real) > 35
    assert kinds["pull request comment"] == 7
    assert kinds["push"] == 4
    # The real one has the reason as its status.
    assert kinds["issue closed"] == 1


def test_real_events_count_for_their_project(real: list[Message]) -> None:
    """Issues, commits, pull requests and forks tell their project, each in a place of its own; one of them does not."""
    projects = totals(testing.run(ForgeEventsByProject, real), "project")
    assert {"pagure", "pungi", "mdapi", "fedora-hubs", "fedora-websites", "foo", "test"} <= projects.keys()
    assert sum(projects.values()) == len(real) - 1


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ({"fullname": "rpms/bash", "name": "bash"}, "rpms/bash"),
        ({"name": "pagure"}, "pagure"),
        ({"fullname": "forks/ralph/rpms/bash", "parent": {"fullname": "rpms/bash"}}, "rpms/bash"),
        ({"fullname": "forks/ralph/rpms/bash", "parent": None}, "rpms/bash"),
        ({"fullname": "forks/ralph/pagure"}, "pagure"),
        ({"fullname": 5, "name": None}, None),
        ("pagure", None),
    ],
)
def test_a_fork_counts_for_what_was_forked(project: Any, expected: str | None) -> None:
    """A fork's own name would name its owner; it counts for its parent, also where that is not told."""
    documents = testing.run(ForgeEventsByProject, [event("project.edit", {"project": project})])
    assert totals(documents, "project") == ({expected: 1} if expected else {})


def test_events_count_for_the_person_who_acted() -> None:
    """Bots do not count, nor does an author when somebody else acted."""
    request = {"pullrequest": {"user": {"name": "toshio"}, "project": {"fullname": "rpms/bash"}}}
    messages = [
        event("pull-request.new", {"agent": "ralph", **request}),
        event("pull-request.closed", {"agent": "ralph", "pullrequest": {"user": {"name": "toshio"}}}, 1),
        event("pull-request.flag.added", {"agent": "packagerbot", **request}, 2),
    ]
    documents = testing.run(ForgeEventsByUser, messages)
    assert totals(documents, "user") == {"ralph": 2}
    parts = documents["by/ralph.json"]["parts"]
    assert [(part["project"], part["total"]) for part in parts] == [(None, 1), ("rpms/bash", 1)]


def test_pull_requests_are_opened_merged_or_closed() -> None:
    """Where `merged` is missing, the request's status tells."""
    status = {"status": "Merged"}
    messages = [
        event("pull-request.new"),
        closed(number=1),
        closed(number=2, merged=False),
        closed(number=3, merged=None),
        closed(number=4, merged=None, pullrequest=status),
        event("pull-request.comment.added"),
    ]
    assert totals(testing.run(PullRequests, messages), "outcome") == {"opened": 1, "merged": 2, "closed": 2}


def test_only_what_was_merged_took_a_time_to_merge() -> None:
    """What was closed without is not counted; `latest` counts requests, and has no sum of seconds."""
    documents = testing.run(PullRequestsByTimeToMerge, [closed(60), closed(90, 1), closed(5, 50, merged=False)])
    [row] = documents["latest.json"]["rows"]
    assert (row["forge"], row["measure"], row["total"]) == ("pagure", "pull requests", 2)
    series = documents["series/1h/2015-08.json"]["rows"]
    assert {measure: value for _, _, measure, value in series} == {"pull requests": 2, "seconds": 150}


def test_the_time_to_merge_has_a_mean_and_a_median(tmp_path: Path) -> None:
    """Of the last 30 full days, by forge and over all; the page shows durations, and no sum of seconds."""
    times = 10_500, 10_800, 11_000, 11_100, 11_200
    messages = [closed(seconds, number) for number, seconds in enumerate(times)]
    messages.append(event("pull-request.new", number=DAY))
    site = Site(f"sqlite:///{tmp_path}/x.db", tmp_path, (PullRequestsByTimeToMerge, PullRequests))
    site.feed(line(each.id, each.timestamp, each.topic, each.body) for each in messages)
    site.publish()
    document = site.document("v1/plugins/pull-requests-by-time-to-merge/durations.json")
    assert (document["all"]["count"], document["all"]["mean"]) == (5, sum(times) // 5)
    assert document["all"]["median"] == pytest.approx(11_000, rel=0.05)
    assert document["rows"] == [{"forge": "pagure", **document["all"]}]
    assert "last_30d" in document["partial"]
    page = (site.public / "plugins/pull-requests-by-time-to-merge/index.html").read_text()
    assert "<strong>3\u00a0h 3\u00a0min</strong> <span>median, mean 3\u00a0h 2\u00a0min, over 5 pull requests" in page
    words = re.findall(r"<th [^>]*><bdi>(.*?)</bdi></th>", page)
    assert words == ["forge", "Median, 30 days", "Mean, 30 days", "Total", "Last 30 days", "Last 7 days", "Last 24 h"]
    assert '<td class="number" data-sort="11011" data-label="Median, 30 days">3\u00a0h 3\u00a0min</td>' in page
    assert str(sum(times)) not in page
    assert f"{sum(times):,}" not in page
    site.close()


@given(st.lists(st.integers(0, 10**8) | st.integers(0, 100), min_size=1, max_size=30), st.randoms())
def test_a_median_is_wrong_by_a_twentieth_at_most(times: list[int], random: Random) -> None:
    """Whatever the order of the messages, and how their counts were added up."""
    rows: list[dict[str, Any]] = []
    for seconds in times:
        counted = durations.yields("pagure", seconds, "merges")
        rows += [{"forge": key, "measure": measure, "value": value} for (key, measure), value in counted]
    document = durations.summary(rows, "forge", "merges")
    median = sorted(times)[(len(times) - 1) // 2]
    assert document["all"]["median"] == pytest.approx(median, rel=0.05)
    assert document["all"]["mean"] == round(sum(times) / len(times))
    assert document["rows"] == [{"forge": "pagure", **document["all"]}]
    random.shuffle(rows)
    assert durations.summary(rows, "forge", "merges") == document


@pytest.mark.parametrize("opened", ["", "yesterday", "-5", "1" * 11, "\N{ARABIC-INDIC DIGIT FIVE}", None, 1.5, -1])
def test_a_merge_without_a_time_of_opening_has_no_duration(opened: Any) -> None:
    """What is not a time, or lies after the merge, adds nothing to the sum nor to its divisor."""
    assert testing.run(PullRequestsByTimeToMerge, [closed(opened)])["latest.json"]["rows"] == []


DAY = 86400


def hook(name: str, payload: dict[str, Any], number: int = 0, agent: str | None = "ann") -> Message:
    """Return what a webhook sent, as it is forwarded."""
    body = {"agent": agent, "body": payload, "headers": {}}
    return testing.message(f"org.fedoraproject.prod.{name}", body, timestamp=testing.NOON + number)


def requests() -> list[Message]:
    """Return a request that is opened and merged two days later on each forge, and one that is closed on most."""
    repository = {"full_name": "rpms/bash"}
    opened = "2015-08-06T12:00:00Z"
    merged = {"merged": True, "created_at": opened}
    project = {"path_with_namespace": "rpms/bash"}
    messages = [event("pull-request.new", {"agent": "ann"}), closed(2 * DAY, agent="ann")]
    for number, forge in enumerate(("forgejo", "github")):
        actions: list[tuple[str, dict[str, Any]]] = [
            ("opened", {}),
            ("synchronized", {}),
            ("closed", merged),
            ("closed", {"merged": False}),
        ]
        messages += [
            hook(f"{forge}.pull_request", {"action": action, "pull_request": request, "repository": repository}, number)
            for action, request in actions
        ]
    for action in ("open", "update", "merge", "close"):
        about = {"action": action, "created_at": "2015-08-06 12:00:00 UTC"}
        messages.append(hook("gitlab.merge_request", {"object_attributes": about, "project": project}))
    old = {
        "fas_usernames": {"hub": "ann"},
        "sender": {"login": "hub"},
        "repository": repository,
        "pull_request": merged,
    }
    messages.append(testing.message("org.fedoraproject.prod.github.pull_request.closed", old, timestamp=testing.NOON))
    return [
        testing.message(f"a.b.prod.{m.name}", m.body, timestamp=m.timestamp, id=str(n)) for n, m in enumerate(messages)
    ]


def test_pull_requests_go_on_across_a_move() -> None:
    """Opened, merged and closed ones of each forge, whatever its webhook calls them; the headline is what is merged."""
    rows = testing.run(PullRequests, requests())["latest.json"]["rows"]
    assert {(row["forge"], row["outcome"]): row["total"] for row in rows} == {
        ("forgejo", "closed"): 1,
        ("forgejo", "merged"): 1,
        ("forgejo", "opened"): 1,
        ("github", "closed"): 1,
        ("github", "merged"): 2,
        ("github", "opened"): 1,
        ("gitlab", "closed"): 1,
        ("gitlab", "merged"): 1,
        ("gitlab", "opened"): 1,
        ("pagure", "merged"): 1,
        ("pagure", "opened"): 1,
    }


def test_the_time_to_merge_is_that_of_each_forge() -> None:
    """What a webhook says of the request tells when it was opened, in ISO 8601 or as GitLab wrote it."""
    rows = testing.run(PullRequestsByTimeToMerge, requests())["series/1d/2015.json"]["rows"]
    days = {forge: value // DAY for _, forge, measure, value in rows if measure == "seconds"}
    assert days == {"forgejo": 2, "github": 4, "gitlab": 2, "pagure": 2}


def test_activity_goes_on_across_a_move() -> None:
    """People and projects count on every forge; what happens has one name on all of them."""
    documents = testing.run(ForgeEventsByUser, requests())
    assert totals(documents, "user") == {"ann": 15}
    parts = {part["project"]: part["total"] for part in documents["by/ann.json"]["parts"]}
    assert parts["rpms/bash"] >= 13, "a project that moves goes on"
    rows = testing.run(ForgeEventsByProject, requests())["latest.json"]["rows"]
    assert {(row["forge"], row["project"]): row["total"] for row in rows} == {
        ("forgejo", "rpms/bash"): 4,
        ("github", "rpms/bash"): 5,
        ("gitlab", "rpms/bash"): 4,
    }
    kinds: Counter[str] = Counter()
    for row in testing.run(ForgeEvents, requests())["latest.json"]["rows"]:
        kinds[row["event"]] += row["total"]
    assert kinds == {"pull request opened": 4, "pull request merged": 5, "pull request closed": 3, "other": 3}


_ON_REQUEST = {"issue": {"number": 1, "pull_request": {"html_url": "x"}}}
_DELETED = {"ref": "refs/heads/old", "deleted": True}
_NONE = "0" * 40


@pytest.mark.parametrize(
    ("name", "said", "kind"),
    [
        ("pagure.issue.new", {}, "issue opened"),
        ("forgejo.issues", {"action": "opened"}, "issue opened"),
        ("github.issue.opened", {"action": "opened"}, "issue opened"),
        ("gitlab.issue", {"object_attributes": {"action": "open"}}, "issue opened"),
        ("gitlab.confidential_issue", {"object_attributes": {"action": "open"}}, "issue opened"),
        ("pagure.issue.edit", {"fields": ["status"], "issue": {"status": "Closed"}}, "issue closed"),
        ("pagure.issue.edit", {"fields": ["status"], "issue": {"status": "Open"}}, "other"),
        ("pagure.issue.edit", {"fields": ["title"], "issue": {"status": "Closed"}}, "other"),
        ("github.issues", {"action": "closed"}, "issue closed"),
        ("gitlab.issue", {"object_attributes": {"action": "close"}}, "issue closed"),
        ("forgejo.issues", {"action": "reopened"}, "other"),
        ("pagure.issue.comment.added", {}, "issue comment"),
        ("github.issue.comment", {"action": "created", "issue": {"number": 1}}, "issue comment"),
        ("forgejo.issue_comment", {"action": "created", "issue": {"pull_request": None}}, "issue comment"),
        ("forgejo.issue_comment", {"action": "edited", "issue": {}}, "other"),
        ("gitlab.note", {"object_attributes": {"noteable_type": "Issue"}}, "issue comment"),
        ("pagure.pull-request.new", {}, "pull request opened"),
        ("gitlab.merge_request", {"object_attributes": {"action": "open"}}, "pull request opened"),
        ("pagure.pull-request.closed", {"merged": True}, "pull request merged"),
        ("github.pull_request.closed", {"pull_request": {"merged": True}}, "pull request merged"),
        ("gitlab.merge_request", {"object_attributes": {"action": "merge"}}, "pull request merged"),
        ("forgejo.pull_request", {"action": "closed", "pull_request": {"merged": False}}, "pull request closed"),
        ("forgejo.pull_request", {"action": "synchronized"}, "other"),
        ("pagure.pull-request.comment.added", {}, "pull request comment"),
        ("github.issue.comment", {"action": "created", **_ON_REQUEST}, "pull request comment"),
        ("forgejo.issue_comment", {"action": "created", "is_pull": True}, "pull request comment"),
        ("github.pull_request_review_comment", {"action": "created"}, "pull request comment"),
        ("gitlab.note", {"object_attributes": {"noteable_type": "MergeRequest"}}, "pull request comment"),
        ("gitlab.note", {"object_attributes": {"noteable_type": "Commit"}}, "other"),
        ("gitlab.note", {"object_attributes": {"noteable_type": "Issue", "action": "update"}}, "other"),
        ("github.pull_request_review", {"action": "submitted"}, "pull request review"),
        ("github.pull_request_review", {"action": "dismissed"}, "other"),
        ("forgejo.pull_request_approved", {"action": "reviewed"}, "pull request review"),
        ("forgejo.pull_request_comment", {"action": "reviewed"}, "pull request review"),
        ("gitlab.merge_request", {"object_attributes": {"action": "approved"}}, "pull request review"),
        ("pagure.git.receive", {}, "push"),
        ("github.push", {"ref": "refs/heads/main"}, "push"),
        ("gitlab.push", {"object_kind": "push", "ref": "refs/heads/main", "after": "1" * 40}, "push"),
        ("github.push", _DELETED, "other"),
        ("gitlab.tag_push", {"ref": "refs/tags/v1", "after": _NONE}, "other"),
        ("pagure.git.tag.creation", {}, "tag"),
        ("forgejo.push", {"ref": "refs/tags/v1"}, "tag"),
        ("gitlab.tag_push", {"ref": "refs/tags/v1"}, "tag"),
        ("forgejo.create", {"ref": "v1", "ref_type": "tag"}, "other"),
        ("github.release", {"action": "published"}, "release"),
        ("github.release", {"action": "created"}, "other"),
        ("gitlab.release", {"action": "create"}, "release"),
        ("pagure.project.new", {}, "repository created"),
        ("forgejo.repository", {"action": "created"}, "repository created"),
        ("pagure.project.deleted", {}, "repository deleted"),
        ("github.repository", {"action": "deleted"}, "repository deleted"),
        ("github.star", {}, "star or fork"),
        ("github.star", {"action": "deleted"}, "other"),
        ("github.watch", {"action": "started"}, "other"),
        ("forgejo.fork", {}, "star or fork"),
        ("pagure.project.forked", {}, "star or fork"),
        ("pagure.pull-request.flag.updated", {}, "check"),
        ("github.workflow_run", {"action": "completed"}, "check"),
        ("forgejo.action_run_failure", {"action": "failure"}, "check"),
        ("gitlab.pipeline", {"object_attributes": {"status": "success"}}, "check"),
        ("gitlab.job", {"object_kind": "build"}, "check"),
    ],
)
def test_an_event_has_the_same_name_on_every_forge(name: str, said: dict[str, Any], kind: str) -> None:
    """Bodies of all eras and forges; docs/statistics.md names the event beside the kind."""
    messages = [testing.message(f"org.fedoraproject.prod.{name}", said)]
    if not name.startswith("pagure"):
        messages.append(hook(name, said, 1))
    assert totals(testing.run(ForgeEvents, messages), "event") == {kind: len(messages)}
    if kind == "other":
        return
    row = next(line for line in STATISTICS.splitlines() if line.startswith(f"| `{kind}` |"))
    event = name.partition(".")[2]
    event = re.sub(r"^issue(?=\.(opened|closed))", "issues", event).replace("issue.comment", "issue_comment")
    if name.startswith("pagure"):
        event = name.partition(".")[2].replace("flag.updated", "flag.*")
    assert event.replace("confidential_", "").replace("_failure", "_*") in row


def test_the_documentation_lists_every_kind() -> None:
    """The table of kinds has those of the code, in the same order."""
    table = STATISTICS.partition("| event | Pagure |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE) == [*KINDS]


def test_a_word_of_the_sender_does_not_become_a_key() -> None:
    """An action that no forge has, or another value, counts as `other`."""
    for action in ("x" * 41, "no word", "", 5, None, ["opened"]):
        kinds = totals(testing.run(ForgeEvents, [hook("forgejo.issues", {"action": action})]), "event")
        assert kinds == {"other": 1}
