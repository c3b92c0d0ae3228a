"""Read the files of a published tree, each at most as large as was announced, and record the faults."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from statscache import canonical, layout
from statscache.exceptions import Unreachable
from statscache.publish.headers import is_text
from statscache.verify import headers
from statscache.verify.findings import Findings, Weight
from statscache.verify.places import Answer, NoAnswer, Place, Unreadable

if TYPE_CHECKING:
    from statscache.verify.unfinished import Unfinished

LARGEST = 16 * 1024 * 1024
"""Maximum size in bytes of any file of a tree: none grows with history."""

_AT_ONCE = 256
_MOST_SILENCES = 20
_GZIP = b"\x1f\x8b"

FINISHED = "the next publication finishes it: `statscache publish`, or `run`"
"""The advice in findings about an unfinished publication."""

IS_UNFINISHED = f"it belongs to a publication that is under way, or was interrupted; {FINISHED}"
"""The finding for a file of an unfinished publication."""

_Item = TypeVar("_Item")

Tell = Callable[[str, int, int], None]
"""Called with the step, how much of it is done, and how much there is."""


class Reader:
    """Reads files of a place, several at a time.

    Args:
        place: The place.
        findings: Collects all faults.
        tell: Called with the progress.

    Attributes:
        always_compressed: True if a web server has only compressed files, whatever is requested.
        unfinished: The files that an unfinished publication may have written; None before the tree was walked.
    """

    def __init__(self, place: Place, findings: Findings, tell: Tell) -> None:
        self.place = place
        self.findings = findings
        self._tell = tell
        self._silences = count(1)
        self.always_compressed = False
        self.unfinished: Unfinished | None = None

    def each(self, what: str, items: Sequence[_Item], check: Callable[[_Item], None]) -> None:
        """Call `check` for all items, with as many threads as the place has connections.

        Raises:
            Unreachable: The place no longer answers.
        """
        with ThreadPoolExecutor(self.place.connections) as executor:
            # With one connection, threads would only wait for each other.
            check_all = executor.map if self.place.connections > 1 else map
            for at in range(0, len(items), _AT_ONCE):
                self._tell(what, at, len(items))
                for _ in check_all(check, items[at : at + _AT_ONCE]):
                    pass

    def file(self, path: str, limit: int = LARGEST) -> bytes | None:
        """Return a file of at most `limit` bytes; None, and a finding, if it cannot be fetched.

        Raises:
            Unreachable: The place no longer answers.
        """
        answer = self._answer(path, lambda: self.place.read(path, limit))
        if answer is None:
            return None
        if self.place.is_served:
            for weight, problem in self._problems(path, answer):
                self.findings.add_grouped(weight, path, problem)
            if is_text(path) and answer.data.startswith(_GZIP):
                self.findings.add_grouped(
                    Weight.BROKEN, path, "it is compressed twice, and its headers name one compression"
                )
        return answer.data

    def object(self, name: str, size: int, referrer: str) -> bytes | None:
        """Return the bytes of an object; None, and a finding, if they are not those that its name and size announce.

        Args:
            name: Its name.
            size: Its size in bytes, as the referring file says.
            referrer: The file that refers to it.

        Raises:
            Unreachable: The place no longer answers.
        """
        if not layout.OBJECT_NAME.fullmatch(name):
            self.findings.add(Weight.BROKEN, referrer, f"it refers to {name!r:.100}, which does not name an object")
            return None
        path = layout.object_path(name)
        if size > LARGEST:
            self.findings.add(
                Weight.BROKEN, path, f"{referrer} says that it has {size:,} bytes; at most {LARGEST:,} are allowed"
            )
            return None
        data = self.file(path, max(size, 4096))
        if data is None:
            return None
        if canonical.digest(data) != name.partition(".")[0]:
            self.findings.add(Weight.BROKEN, path, "its bytes do not match the digest in its name")
            return None
        if len(data) != size:
            self.findings.add(Weight.BROKEN, path, f"it has {len(data):,} bytes; {referrer} says {size:,}")
        return data

    def alias(self, path: str, name: str, size: int) -> bytes | None:
        """Return the bytes of a readable path; None, and a finding, if they are not those of its object.

        A file of an unfinished publication is not a fault, only a note.

        Raises:
            Unreachable: The place no longer answers.
        """
        largest = size if self.unfinished is None else self.unfinished.largest(path, size)
        data = self.file(path, max(min(largest, LARGEST), 4096))
        if data is None:
            return None
        digest = canonical.digest(data)
        if digest != name.partition(".")[0]:
            if self.unfinished is not None and self.unfinished.has(path, digest):
                self.findings.add_grouped(Weight.NOTE, path, IS_UNFINISHED)
                return None
            self.findings.add(Weight.BROKEN, path, f"its bytes do not match the digest in its manifest: {name}")
            return None
        return data

    def check_object(self, name: str, size: int, referrer: str) -> None:
        """Add a finding if an object is missing or has another size; its bytes are not read.

        Raises:
            Unreachable: The place no longer answers.
        """
        if not layout.OBJECT_NAME.fullmatch(name):
            self.findings.add(Weight.BROKEN, referrer, f"it refers to {name!r:.100}, which does not name an object")
            return
        path = layout.object_path(name)
        answer = self._answer(path, lambda: self.place.look(path))
        if answer is not None and answer.size not in (None, size):
            self.findings.add(Weight.BROKEN, path, f"it has {answer.size:,} bytes; {referrer} says {size:,}")

    def _problems(self, path: str, answer: Answer) -> Iterator[tuple[Weight, str]]:
        return headers.problems(path, answer.headers, len(answer.data), always_compressed=self.always_compressed)

    def _answer(self, path: str, ask: Callable[[], Answer | None]) -> Answer | None:
        try:
            answer = ask()
        except NoAnswer as error:
            if next(self._silences) > _MOST_SILENCES:
                raise Unreachable(f"{self.place.name} no longer answers: {path}: {error}") from error
            self.findings.add(Weight.BROKEN, path, str(error))
            return None
        except Unreadable as error:
            self.findings.add(Weight.BROKEN, path, str(error))
            return None
        if answer is None:
            self.findings.add(Weight.BROKEN, path, "the file is missing, but referred to")
        return answer
