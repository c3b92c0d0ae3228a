"""Kinds of events on forges, in one vocabulary for Pagure, Forgejo, GitHub and GitLab.

Pagure says it in the topic. Webhooks of the others are forwarded as they come, in `body`, and say a part of it there;
GitHub's came without that envelope until 2024, with the action in the topic. One thing done is counted once, although
GitHub and Forgejo announce a new branch or tag by `create` and by `push`, and GitHub a star by `star` and by `watch`.
"""

from functools import lru_cache
from typing import Any

from statscache.plugins import Message, fields

KINDS = (
    "issue opened",
    "issue closed",
    "issue comment",
    "pull request opened",
    "pull request merged",
    "pull request closed",
    "pull request comment",
    "pull request review",
    "push",
    "tag",
    "release",
    "repository created",
    "repository deleted",
    "star or fork",
    "check",
    "other",
)
"""Every kind of event. An event without a kind of its own is `other`, such as a label that is set."""

_ON_PAGURE = {
    "commit.flag.added": "check",
    "commit.flag.updated": "check",
    "git.receive": "push",
    "git.tag.creation": "tag",
    "issue.comment.added": "issue comment",
    "issue.new": "issue opened",
    "project.deleted": "repository deleted",
    "project.forked": "star or fork",
    "project.new": "repository created",
    "pull-request.closed": "pull request closed",
    "pull-request.comment.added": "pull request comment",
    "pull-request.flag.added": "check",
    "pull-request.flag.updated": "check",
    "pull-request.new": "pull request opened",
}
# By event and action of a webhook; the action is "" if the body has none.
_IN_WEBHOOKS = {
    "fork": {"": "star or fork"},
    "issue": {"opened": "issue opened", "open": "issue opened", "closed": "issue closed", "close": "issue closed"},
    "pull_request": {
        "approval": "pull request review",
        "approved": "pull request review",
        "close": "pull request closed",
        "closed": "pull request closed",
        "merge": "pull request merged",
        "open": "pull request opened",
        "opened": "pull request opened",
    },
    "pull_request_review": dict.fromkeys(("", "submitted", "reviewed"), "pull request review"),
    "pull_request_review_comment": dict.fromkeys(("", "created"), "pull request comment"),
    "release": dict.fromkeys(("", "published", "create"), "release"),
    "repository": {"created": "repository created", "deleted": "repository deleted"},
    "star": dict.fromkeys(("", "created", "started"), "star or fork"),
}
# Names of one event: of today and of GitHub until 2024; of Forgejo and GitHub and of GitLab.
_SAME = {
    "confidential_issue": "issue",
    "confidential_note": "note",
    "issues": "issue",
    "merge_request": "pull_request",
    "pull_request_approved": "pull_request_review",
    "pull_request_comment": "pull_request_review",
    "pull_request_rejected": "pull_request_review",
    "tag_push": "push",
}
_CHECKS = frozenset({"build", "check_run", "check_suite", "job", "pipeline", "status", "workflow_job", "workflow_run"})
_NOTED = {"Issue": "issue comment", "MergeRequest": "pull request comment"}


def payload(message: Message) -> dict[str, Any]:
    """Return the payload of a webhook without its envelope; for Pagure, the body."""
    inner = message.body.get("body")
    return inner if type(inner) is dict else message.body


# Several statistics ask the same of one message, one after the other.
@lru_cache(maxsize=1)
def forge_and_kind(message: Message) -> tuple[str, str]:
    """Return the forge and the kind of event, one of `KINDS`."""
    forge, _, event = message.name.partition(".")
    body = payload(message)
    kind = _pagure_kind(event, body) if forge == "pagure" else _webhook_kind(event, body)
    return forge, "pull request merged" if kind == "pull request closed" and _is_merged(body) else kind


def _pagure_kind(event: str, body: dict[str, Any]) -> str:
    if event == "issue.edit":
        # The status of a closed issue is `Closed`, or the reason in old bodies, such as `Fixed`.
        status = fields.text(body, "issue", "status") if "status" in fields.texts(body, "fields") else None
        return "other" if status in (None, "Open") else "issue closed"
    return _ON_PAGURE.get(event, "other")


def _webhook_kind(event: str, body: dict[str, Any]) -> str:
    name, _, done = event.partition(".")
    name = _SAME.get(name, name)
    action = _action(body)
    if name in _CHECKS or name.startswith("action_run_"):
        return "check"
    if name == "push":
        return _push_kind(body)
    if name == "issue_comment" or (name, done) == ("issue", "comment"):
        return _comment_kind(body) if action in ("", "created") else "other"
    if name == "note":
        noted = fields.text(body, "object_attributes", "noteable_type") or ""
        return _NOTED.get(noted, "other") if action in ("", "create") else "other"
    return _IN_WEBHOOKS.get(name, {}).get(done or action, "other")


def _push_kind(body: dict[str, Any]) -> str:
    """Return the kind of a push: of commits, or of a tag; a branch or tag that is deleted is `other`."""
    is_deleted = body.get("deleted") is True or not (fields.text(body, "after") or "1").strip("0")
    if is_deleted:
        return "other"
    return "tag" if (fields.text(body, "ref") or "").startswith("refs/tags/") else "push"


def _comment_kind(body: dict[str, Any]) -> str:
    """Return the kind of a comment: forges with GitHub's form send `issue_comment` for pull requests too."""
    of_request = body.get("is_pull") is True or bool(fields.value(body, "issue", "pull_request"))
    return "pull request comment" if of_request else "issue comment"


def _action(body: dict[str, Any]) -> str:
    return fields.text(body, "action") or fields.text(body, "object_attributes", "action") or ""


def _is_merged(body: dict[str, Any]) -> bool:
    for merged in (body.get("merged"), fields.value(body, "pull_request", "merged")):
        if type(merged) is bool:
            return merged
    return fields.text(body, "pullrequest", "status") == "Merged"
