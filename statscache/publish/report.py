"""The result of a publication to one target."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """The result of one publication to one target.

    Attributes:
        target: Name of the target.
        generation: Generation that it serves now.
        snapshot: Id of the snapshot that it serves now.
        objects: Objects and manifests that were sent; they are among the files.
        files: Files that were written.
        bytes: Bytes that were sent.
        deleted: Files that were deleted.
        requests: Operations at the target.
        seconds: How long it took.
    """

    target: str
    generation: int
    snapshot: str
    objects: int = 0
    files: int = 0
    bytes: int = 0
    deleted: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class UpdateResult:
    """The result of an update: the target serves the snapshot, and still needs the cleanup.

    Attributes:
        report: The report so far.
        removed: Readable paths that the snapshot no longer has.
        sweeps: True if the target may hold untracked files.
        mixed: True if the note `layout.PENDING` lies there, and goes at the end.
        orphans: Names of objects that lie there and that the database does not know, once it was swept.
    """

    report: Report
    removed: Sequence[str] = ()
    sweeps: bool = False
    mixed: bool = False
    orphans: set[str] = field(default_factory=set)
