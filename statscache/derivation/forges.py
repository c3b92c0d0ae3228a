"""Describe an event on a forge in one line: who did what, to which request or issue, of which project.

Pagure names the event in the topic, with `-` and `.` between words; webhooks of Forgejo, GitHub and GitLab have a part
of it in the body. GitHub's had no envelope `body` until 2024. The line leaves out what a body does not have.
"""

from typing import Any

from statscache.derivation.values import dict_at, list_at, text_at

FORGES = frozenset({"forgejo", "github", "gitlab", "pagure"})

# The last one or two words of an event, and the verb for what someone did to a request or issue.
_VERBS = {
    "approval": "approved",
    "approved": "approved",
    "assigned": "assigned",
    "assigned.added": "assigned",
    "assigned.reset": "unassigned",
    "close": "closed",
    "closed": "closed",
    "comment": "commented on",
    "comment.added": "commented on",
    "comment.created": "commented on",
    "comment.deleted": "deleted a comment on",
    "comment.edited": "edited a comment on",
    "demilestoned": "removed the milestone of",
    "dependency.added": "added a dependency to",
    "dependency.removed": "removed a dependency of",
    "drop": "deleted",
    "edit": "edited",
    "edited": "edited",
    "flag.added": "reported a check of",
    "flag.updated": "reported a check of",
    "initial_comment.edited": "edited",
    "label_cleared": "removed the labels of",
    "label_updated": "labeled",
    "labeled": "labeled",
    "merge": "merged",
    "merged": "merged",
    "milestoned": "set the milestone of",
    "new": "opened",
    "note": "commented on",
    "open": "opened",
    "opened": "opened",
    "ready_for_review": "finished the draft of",
    "rebased": "rebased",
    "reopen": "reopened",
    "reopened": "reopened",
    "review_requested": "asked for a review of",
    "reviewed": "reviewed",
    "submitted": "reviewed",
    "synchronize": "updated",
    "synchronized": "updated",
    "tag.added": "labeled",
    "tag.removed": "removed a label of",
    "unapproved": "withdrew the approval of",
    "unassigned": "unassigned",
    "unlabeled": "removed a label of",
    "update": "updated",
    "updated": "updated",
}
_OF_PROJECT = {
    "commit.flag": "reported a check of a commit of",
    "create": "created",
    "delete": "deleted",
    "fork": "forked",
    "member": "changed the members of",
    "page_build": "built the pages of",
    "project.deleted": "deleted the project",
    "project.edit": "edited the project",
    "project.forked": "created the fork",
    "project.group": "changed the members of",
    "project.new": "created the project",
    "project.tag": "changed the labels of",
    "project.user": "changed the members of",
    "repository": "changed the project",
    "star": "starred",
    "star.deleted": "unstarred",
    "team_add": "changed the members of",
    "watch": "starred",
}
_PUSHES = frozenset({"push", "git.receive", "tag_push"})
_REFS = {
    "git.branch.creation": ("created the branch", "branch"),
    "git.branch.deletion": ("deleted the branch", "branch"),
    "git.tag.creation": ("created the tag", "tag"),
    "git.tag.deletion": ("deleted the tag", "tag"),
}
_CHECKS = frozenset({"check_run", "check_suite", "pipeline", "status", "workflow_job", "workflow_run", "build"})


def event_line(name: str, body: dict[str, Any], agent: str | None) -> str | None:
    """Return the line for a message of topic `name`; None if the body does not have enough for one."""
    forge, _, event = name.partition(".")
    inner = body.get("body")
    payload = inner if forge != "pagure" and type(inner) is dict else body
    action = _text(payload, "action") or _text(payload, "object_attributes", "action")
    if action and forge != "pagure" and not event.endswith(f".{action}"):
        event = f"{event}.{action}"
    project = _project(payload)
    who = agent or "Somebody"
    subject = _subject(event, payload, project)
    kind = event.partition(".")[0]
    if kind in _CHECKS or kind.startswith("action_run_"):
        return _check(payload, project)
    if event in _PUSHES:
        return _push(payload, project, who)
    if subject:
        return f"{who} {verb} {subject}" if (verb := _verb(event, payload)) else None
    return _of_project(event, payload, project, who) if project else None


def _of_project(event: str, payload: dict[str, Any], project: str, who: str) -> str | None:
    kind = event.partition(".")[0]
    if event in _REFS:
        verb, field = _REFS[event]
        named = _branch(payload) if field == "branch" else _text(payload, field)
        return f"{who} {verb} {named} of {project}" if named else None
    if kind in ("create", "delete") and (ref := _branch(payload)):
        return f"{who} {_OF_PROJECT[kind]} {_text(payload, 'ref_type') or 'the ref'} {ref} of {project}"
    if kind == "release" and (tag := _text(payload, "release", "tag_name") or _text(payload, "tag")):
        return f"{who} released {tag} of {project}"
    if kind == "commit_comment":
        return f"{who} commented on a commit of {project}"
    names = event, kind, ".".join(event.split(".")[:2])
    done = next((_OF_PROJECT[name] for name in names if name in _OF_PROJECT), None)
    if done is not None:
        return f"{who} {done} {project}"
    return f"{who}: {event.replace('.', ' ').replace('_', ' ')} in {project}"


def _verb(event: str, payload: dict[str, Any]) -> str | None:
    """Return the verb for what someone did to a request or issue: the most specific one for the end of the event."""
    words = event.replace("pull_request_review_comment", "comment").replace("issue_comment", "comment").split(".")
    if words[0].startswith(("pull_request_review", "pull_request_rejected", "pull_request_approved")):
        return "approved" if "approved" in words[0] or _text(payload, "review", "state") == "approved" else "reviewed"
    found = _VERBS.get(".".join(words[-2:])) or _VERBS.get(words[-1]) or _VERBS.get(words[0])
    return "merged" if found == "closed" and _is_merged(payload) else found


def _is_merged(payload: dict[str, Any]) -> bool:
    merged = payload.get("merged"), dict_at(payload, "pull_request").get("merged")
    return True in merged or text_at(payload, "pullrequest", "status") == "Merged"


def _subject(event: str, payload: dict[str, Any], project: str | None) -> str | None:
    """Return the request or issue that a message is about, with its number, project and title; None if it has none."""
    for field in ("pullrequest", "pull_request", "request", "merge_request", "issue", "object_attributes"):
        holder = dict_at(payload, field)
        number = next((found for name in ("number", "iid", "id") if (found := _text(holder, name))), None)
        if not number:
            continue
        if field == "object_attributes" and event.partition(".")[0] not in ("merge_request", "issue"):
            continue
        is_issue = "issue" in (field, event.partition(".")[0]) and not text_at(holder, "pull_request", "html_url")
        kind = "issue" if is_issue else "merge request" if "merge_request" in (field, event[:13]) else "pull request"
        sign = "!" if kind == "merge request" else "#"
        title = _text(holder, "title")
        return f"{kind} {project or ''}{sign}{number}{f': {title}' if title else ''}"
    first = event.partition(".")[0].replace("-", "_")
    named = next((name for name in ("pull_request", "merge_request", "issue") if first.startswith(name)), None)
    if named is None or project is None:
        return None
    return f"{'an' if named == 'issue' else 'a'} {named.replace('_', ' ')} of {project}"


def _project(payload: dict[str, Any]) -> str | None:
    """Return the project, with its namespace if the body has it."""
    places = (
        ("repository", "full_name"),
        ("project", "path_with_namespace"),
        ("project", "fullname"),
        ("pullrequest", "project", "fullname"),
        ("run", "repository", "full_name"),
        ("repo", "fullname"),
        ("project", "name"),
        ("pullrequest", "project", "name"),
        ("request", "project", "name"),
        ("commit", "repo", "fullname"),
        ("commit", "repo", "name"),
        ("commit", "repo"),
        ("repo", "name"),
    )
    return next((found for place in places if (found := _text(payload, *place))), None)


def _branch(payload: dict[str, Any]) -> str | None:
    named = _text(payload, "branch") or _text(payload, "ref")
    return named and named.removeprefix("refs/heads/").removeprefix("refs/tags/")


def _push(payload: dict[str, Any], project: str | None, who: str) -> str | None:
    if project is None:
        return None
    counted = (payload.get(name) for name in ("total_commits", "total_commits_count"))
    commits = list_at(payload, "commits")
    number = next((count for count in counted if type(count) is int and count >= 0), len(commits))
    what = "" if number == 0 else " a commit" if number == 1 else f" {number} commits"
    branch = _branch(payload)
    where = f"{branch} of {project}" if branch else project
    head = dict_at(payload, "head_commit") or (commits[-1] if commits and type(commits[-1]) is dict else {})
    message = (_text(head, "message") or _text(payload, "commit", "message") or "").partition("\n")[0]
    return f"{who} pushed{what} to {where}{f': {message}' if message else ''}"


def _check(payload: dict[str, Any], project: str | None) -> str | None:
    """Return the state of a check or a run of a forge's automation: no person acted."""
    of = f" of {project}" if project else ""
    holders = [dict_at(payload, name) for name in ("check_run", "check_suite", "workflow_run", "workflow_job")]
    for holder in (*holders, dict_at(payload, "object_attributes"), dict_at(payload, "run"), payload):
        states = (_text(holder, name) for name in ("conclusion", "status", "state", "build_status"))
        state = next((found for found in states if found), None)
        if state:
            names = ("context", "build_name") if holder is payload else ("name", "title")
            title = next((found for name in names if (found := _text(holder, name))), None)
            return f"The check{f' {title}' if title else ''}{of}: {state}"
    return None


def _text(value: Any, *path: str) -> str | None:
    """Return a text or whole number of a body; None where there is none, or it is empty."""
    holder = dict_at(value, *path[:-1]) if len(path) > 1 else value
    found = holder.get(path[-1]) if type(holder) is dict else None
    return str(found) if type(found) in (str, int) and found != "" else None
