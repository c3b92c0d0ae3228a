"""Releases: which release of the distribution a message is about, and which one was current at a time.

A release is named as its branch is: `f45`, `epel9`, `rawhide`, `eln`. A new release needs no code: its name is read
from the message, and its date, where the table has none, follows from Fedora's schedule.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from statscache.plugins import Message, fields

_LONGEST = 200
_NUMBER = r"([1-9][0-9]{0,2})"
# How a tag, target, branch, chroot, compose or Bodhi's release begins, in lowercase, and what its branch begins with.
_NAMES = tuple(
    (re.compile(pattern), branch)
    for pattern, branch in (
        (rf"(?:dist-)?f{_NUMBER}(?:[-.mcf]|$)", "f"),
        (rf"fedora-(?:[a-z]+-)*?{_NUMBER}(?:-|$)", "f"),
        (rf"(?:dist-)?epel-?{_NUMBER}(?:[-._n]|$)", "epel"),
        (rf"el-?{_NUMBER}(?:[-._]|$)", "epel"),
        (rf"dist-{_NUMBER}e-epel(?:-|$)", "epel"),
        (r"(?:fedora-)?(rawhide|eln)(?:-|$)", ""),
    )
)
_DIST = re.compile(rf"\.(fc|el){_NUMBER}(?![0-9])")
_BRANCHES = {"fc": "f", "el": "epel"}


def named(text: str | None) -> str | None:
    """Return the release of a tag, target, branch, chroot, compose or Bodhi release; None if it has none.

    Modular and minor releases are counted with the release that they belong to: `F29M` is f29, `epel10.1` is epel10.
    """
    # Cached values must be short, and a sender chooses this one.
    return _named(text) if text is not None and len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _named(text: str) -> str | None:
    lowered = text.lower()
    for pattern, branch in _NAMES:
        if match := pattern.match(lowered):
            return branch + match[1]
    return None


def built_for(text: str | None) -> str | None:
    """Return the release whose dist tag is in a package's release or file, such as `1.fc45` or `bash-5-3.el9.rpm`.

    None if there is none.
    """
    match = _DIST.search(text[-_LONGEST:]) if text is not None else None
    return _BRANCHES[match[1]] + match[2] if match else None


def _build(name: str, body: dict[str, Any]) -> str | None:
    return _requested(body, "request") or built_for(fields.text(body, "release"))


def _rpm(name: str, body: dict[str, Any]) -> str | None:
    rpm, info = fields.text(body, "rpm", "release"), fields.text(body, "info", "release")
    return built_for(rpm or info or fields.text(body, "build", "release"))


def _override(name: str, body: dict[str, Any]) -> str | None:
    return built_for(fields.text(body, "override", "nvr") or fields.text(body, "override", "build"))


def _task(name: str, body: dict[str, Any]) -> str | None:
    return _requested(body, "info", "request") or built_for(fields.text(body, "srpm"))


def _requested(body: dict[str, Any], *path: str) -> str | None:
    """Return the release of the target, which a request of a build names second, after the source."""
    request = fields.items(body, *path)
    return named(request[1]) if len(request) > 1 and type(request[1]) is str else None


def _update(name: str, body: dict[str, Any]) -> str | None:
    for update in (fields.value(body, "update"), fields.value(body, "comment", "update")):
        if release := named(fields.text(update, "release", "name")) or built_for(fields.text(update, "title")):
            return release
    title = fields.text(body, "comment", "update_title")
    # A request to test an update names its release and builds.
    return built_for(title) or named(fields.text(body, "artifact", "release"))


def _push(name: str, body: dict[str, Any]) -> str | None:
    return named(f"{'epel' if name.startswith('bodhi.updates.epel') else 'f'}{fields.text(body, 'release')}")


def _compose(name: str, body: dict[str, Any]) -> str | None:
    branch = name.removeprefix("compose.").partition(".")[0]
    return named(f"f{branch}" if branch.isascii() and branch.isdecimal() else branch)


def _git(name: str, body: dict[str, Any]) -> str | None:
    branch = fields.text(body, "commit", "branch")
    # Packages were developed for rawhide on `master` until 2021; elsewhere that is the main line of anything.
    if branch == "master" and fields.value(body, "commit", "namespace") in ("rpms", None):
        return "rawhide"
    return named(branch)


def _field(key: str) -> Callable[[str, dict[str, Any]], str | None]:
    def read(name: str, body: dict[str, Any]) -> str | None:
        # Nearly half of all messages come here, so the field is read without further calls.
        value = body.get(key)
        return _named(value) if type(value) is str and len(value) <= _LONGEST else None

    return read


def _koschei(name: str, body: dict[str, Any]) -> str | None:
    # A collection is named after a release; older bodies name it as `repo`.
    return named(fields.text(body, "collection") or fields.text(body, "repo"))


_READERS: dict[str, Callable[[str, dict[str, Any]], str | None]] = {
    "allpackages": _field("branch"),
    "bodhi.buildroot_override": _override,
    "bodhi.compose": _field("repo"),
    "bodhi.errata": _update,
    "bodhi.mashtask": _field("repo"),
    "bodhi.repo": _field("repo"),
    "bodhi.update": _update,
    "bodhi.updates": _push,
    "buildsys.build": _build,
    "buildsys.package": _field("tag"),
    "buildsys.repo": _field("tag"),
    "buildsys.rpm": _rpm,
    "buildsys.tag": _field("tag"),
    "buildsys.task": _task,
    "buildsys.untag": _field("tag"),
    "ci.pipeline": _field("branch"),
    "compose": _compose,
    "copr": _field("chroot"),
    "fedora_image_uploader.published": _field("compose_id"),
    "git.receive": _git,
    "koschei.collection": _koschei,
    "koschei.package": _koschei,
    "openqa.job": _field("BUILD"),
    "pungi.compose": _field("compose_id"),
}
"""What reads the release of a message, by the beginning of its topic."""

TOPICS = tuple(f"{beginning}.#" for beginning in _READERS)
"""The topics whose messages name their release."""


def release(message: Message) -> str | None:
    """Return the release that a message is about, such as `f45`, `epel9`, `rawhide` or `eln`; None if it names none.

    It is what the message names: the target or tag of koji, the release or repository of Bodhi, the branch of a commit
    or compose, the chroot of copr, the compose that was tested; else the dist tag of the package. Nothing is
    concluded from the time: a build for rawhide counts for `rawhide` where its target is named, and for the number in
    its dist tag where it is not.
    """
    reader = _reader(message.name)
    return reader(message.name, message.body) if reader else None


@lru_cache(maxsize=4096)
def _reader(name: str) -> Callable[[str, dict[str, Any]], str | None] | None:
    first, _, rest = name.partition(".")
    return _READERS.get(f"{first}.{rest.partition('.')[0]}") or _READERS.get(first)


_FIRST = 16
_DATES = (
    "2011-11-08", "2012-05-29", "2013-01-15", "2013-07-02", "2013-12-17", "2014-12-09", "2015-05-26", "2015-11-03",
    "2016-06-21", "2016-11-22", "2017-07-11", "2017-11-14", "2018-05-01", "2018-10-30", "2019-04-30", "2019-10-29",
    "2020-04-28", "2020-10-27", "2021-04-27", "2021-11-02", "2022-05-10", "2022-11-15", "2023-04-18", "2023-11-07",
    "2024-04-23", "2024-10-29", "2025-04-15", "2025-10-28",
)  # fmt: skip
# When Fedora 16 and those after it were released; the bus is younger.
_RELEASED = tuple(int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()) for date in _DATES)


def current(timestamp: int) -> str:
    """Return the Fedora release that was the newest at `timestamp`, in seconds since 1970 UTC, such as `f23`.

    After the last release that the table knows, one comes each April and each October, on the 21st, as Fedora's
    schedule has it: what is published must not depend on who updates the table when.
    """
    known = bisect_right(_RELEASED, timestamp)
    if known < len(_RELEASED):
        return f"f{_FIRST + max(known, 1) - 1}"
    last, now = datetime.fromtimestamp(_RELEASED[-1], UTC), datetime.fromtimestamp(timestamp, UTC)
    return f"f{_FIRST + len(_RELEASED) - 1 + _half_years(now) - _half_years(last)}"


def released(name: str) -> int:
    """Return the release time of a Fedora release, such as `f23`, in seconds since 1970 UTC: see `current`."""
    at = max(int(name.removeprefix("f")) - _FIRST, 0)
    if at < len(_RELEASED):
        return _RELEASED[at]
    half_years = _half_years(datetime.fromtimestamp(_RELEASED[-1], UTC)) + at - (len(_RELEASED) - 1)
    year, is_october = divmod(half_years - 1, 2)
    return int(datetime(year, 10 if is_october else 4, 21, tzinfo=UTC).timestamp())


def _half_years(moment: datetime) -> int:
    """Return how many 21sts of April and October there were before `moment` since the year 0."""
    return 2 * moment.year + sum((moment.month, moment.day) >= (month, 21) for month in (4, 10))
