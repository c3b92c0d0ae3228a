"""Events of the simulated project, and small parts that many bodies share."""

from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

RELEASES = (("rawhide", 46), ("f45", 45), ("f44", 44), ("epel10", 10), ("epel9", 9))
ARCHES = ("x86_64", "aarch64", "ppc64le", "s390x")
PROJECTS = ("fedora-infrastructure", "releng", "fedora-docs", "workstation", "bodhi", "fesco", "cloud-sig", "pungi")
_SENTENCES = (
    "I can reproduce this on a fresh installation, but not on one that was upgraded.",
    "Thanks for the quick fix; the scratch build looks good on all four architectures.",
    "Could we hold this until the freeze is over? The change looks safe otherwise.",
    "The test fails when the machine's clock is not in UTC, so I would rather pin it.",
    "Let us drop the bundled copy and depend on the system library instead.",
    "This was discussed in the last meeting: see the log for who agreed to do what.",
    "Rebased on the main branch; the second commit has the part that matters.",
    "Please add a line to the changelog so that people find out about the new default.",
)


class Event(NamedTuple):
    """One message before it has its envelope.

    Attributes:
        time: Seconds since 1970 UTC.
        topic: The whole topic.
        msg: The body.
        username: The Unix account of the sending service; None leaves it out.
    """

    time: float
    topic: str
    msg: dict[str, Any]
    username: str | None


def hexadecimal(rng: Random, digits: int) -> str:
    """Return `digits` random hexadecimal digits."""
    return f"{rng.getrandbits(4 * digits):0{digits}x}"


def version(rng: Random) -> str:
    """Return a version such as `3.14.2`."""
    return f"{rng.randrange(12)}.{rng.randrange(30)}.{rng.randrange(20)}"


def text(rng: Random, sentences: int) -> str:
    """Return some sentences such as people write."""
    return " ".join(_SENTENCES[rng.randrange(8)] for _ in range(sentences))


def iso(time: float) -> str:
    """Return a time (seconds since 1970 UTC) in ISO 8601, to the second."""
    return datetime.fromtimestamp(int(time), UTC).isoformat()


def account(name: str) -> dict[str, Any]:
    """Return an account in the form of pagure."""
    return {"fullname": name.capitalize(), "name": name, "url_path": f"user/{name}"}
