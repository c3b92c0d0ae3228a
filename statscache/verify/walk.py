"""Walk a published tree from its pointer: check everything that a reader can reach, and the orphans."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from statscache import layout, signatures
from statscache.exceptions import Unreachable
from statscache.store.published import Entry
from statscache.verify import content, leftovers
from statscache.verify.findings import Finding, Findings, Weight
from statscache.verify.places import NoAnswer, Place, Unreadable, Website
from statscache.verify.reader import FINISHED, LARGEST, Reader, Tell
from statscache.verify.tree import Tree, TreeWalker, objects_of
from statscache.verify.unfinished import Unfinished, noted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ATTEMPTS = 3
_CLOCK_SKEW = 300


@dataclass(slots=True)
class Report:
    """The result of a verification.

    Attributes:
        place: Where the tree is.
        generation: Generation that is current; None if the pointer cannot be used.
        snapshot: Id of the snapshot that is current.
        files: Readable paths of the snapshot.
        objects: Objects that were seen, of retained snapshots too.
        bytes: Bytes of the files of the snapshot.
        snapshots: Retained snapshots.
        signed_by: Ids of the trusted keys by which the pointer is signed.
        findings: All that was found, the most severe first.
    """

    place: str
    generation: int | None = None
    snapshot: str | None = None
    files: int = 0
    objects: int = 0
    bytes: int = 0
    snapshots: int = 0
    signed_by: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def faults(self) -> list[Finding]:
        """The findings that are faults: all but notes."""
        return [finding for finding in self.findings if finding.weight < Weight.NOTE]


def verify(
    place: Place, keys: Sequence["Ed25519PublicKey"] = (), tell: Tell = lambda what, done, total: None
) -> Report:
    """Return all faults of a published tree.

    If the site publishes meanwhile, the check starts again, because its findings may be outdated.

    Args:
        place: Where it is.
        keys: Public keys, by one of which the pointer must be signed; none: signatures are not checked.
        tell: Called with the progress.

    Raises:
        Unreachable: The place does not answer.
    """
    for _ in range(_ATTEMPTS):
        verification = _Verification(place, keys, tell)
        report = verification.run()
        if not report.faults or not verification.was_overtaken():
            break
    return report


class _Verification:
    def __init__(self, place: Place, keys: Sequence["Ed25519PublicKey"], tell: Tell) -> None:
        self._place = place
        self._keys = keys
        self._findings = Findings()
        self._reader = Reader(place, self._findings, tell)
        self._report = Report(place.name)
        self._tree = Tree()
        self._through: int | None = None
        self._unfinished: Unfinished | None = None
        self._tell = tell
        self._seen: dict[str, int] = {}
        self._retained: list[str] = []

    def run(self) -> Report:
        index = self._index()
        if index is not None:
            report = self._report
            report.generation, report.snapshot = index["generation"], index["snapshot"]
            self._through = index["through"]
            self._tree = TreeWalker(self._reader).walk(index["snapshot"])
            self._unfinished = Unfinished(self._place, index["snapshot"], self._tell)
            self._reader.unfinished = self._unfinished
            if self._unfinished.data is not None:
                problem = f"a publication is under way, or was interrupted; {FINISHED}"
                self._findings.add(Weight.NOTE, layout.PENDING, problem)
            self._files()
            if self._tree.is_whole:
                self._add(layout.INDEX, content.index(index, self._tree.files))
            self._outside(index)
            self._history(index["snapshot"])
            if isinstance(self._place, Website):
                self._conditional(self._place, f"{index['snapshot']}.json")
            leftovers.find(self._reader, self._tree.files, self._seen, self._retained)
        self._report.findings = self._findings.ordered()
        return self._report

    def was_overtaken(self) -> bool:
        """Return whether another snapshot has become current since, or a publication has begun or ended."""
        if self._unfinished is not None and noted(self._place) != self._unfinished.data:
            return True
        try:
            answer = self._place.read(layout.INDEX, LARGEST)
        except Unreadable:
            return False
        value, problems = content.parsed(layout.INDEX, answer.data) if answer else (None, [])
        return value is not None and not problems and value["snapshot"] != self._report.snapshot

    def _index(self) -> Any:
        try:
            answer = self._place.read(layout.INDEX, LARGEST, headers={"Accept-Encoding": "identity"})
        except NoAnswer as error:
            raise Unreachable(f"{self._place.name} cannot be reached: {error}") from error
        except Unreadable as error:
            self._findings.add(Weight.BROKEN, layout.INDEX, str(error))
            return None
        if answer is None:
            self._findings.add(Weight.BROKEN, layout.INDEX, "there is no such file: this is not a published tree")
            return None
        if answer.headers.get("content-encoding", "identity") != "identity":
            self._reader.always_compressed = True
            self._findings.add(Weight.NOTE, layout.INDEX, "it is sent compressed to clients that do not accept gzip")
        value, problems = content.parsed(layout.INDEX, answer.data)
        self._add(layout.INDEX, problems)
        if value is None:
            return None
        self._check_time(value)
        self._check_signatures(value)
        self._reader.file(layout.INDEX)
        return value

    def _check_time(self, index: Any) -> None:
        now = int(time.time())
        if index["expires_at"] < now:
            since = f"it expired {now - index['expires_at']:,} s ago"
            self._findings.add(Weight.LATE, layout.INDEX, f"{since}: the publisher is late, or has stopped")
        if index["generated_at"] > now + _CLOCK_SKEW:
            ahead = f"it was written {index['generated_at'] - now:,} s in the future"
            self._findings.add(Weight.LATE, layout.INDEX, f"{ahead}: a clock is wrong")

    def _check_signatures(self, index: Any) -> None:
        if not self._keys:
            if index["signatures"]:
                self._findings.add(
                    Weight.NOTE, layout.INDEX, "it is signed, but no key was given to check the signature"
                )
            return
        try:
            self._report.signed_by = signatures.check(index, self._keys)
        except signatures.BadSignature as error:
            self._findings.add(Weight.BROKEN, layout.INDEX, str(error))

    def _files(self) -> None:
        by_object: dict[Entry, list[str]] = {}
        files = self._tree.files
        for path in files.ordered():
            if files[path].type == "file":
                by_object.setdefault(files[path], []).append(path)
        self._seen = {entry.object: entry.size for entry in by_object} | self._tree.manifests
        self._reader.each("files", [*by_object.items()], self._check_object)
        self._reader.each("documents of keys", [*filter(self._is_key, files.ordered())], self._check_key)
        self._report.files = len(files)
        self._report.bytes = sum(entry.size for entry in files.values())

    def _is_key(self, path: str) -> bool:
        return self._tree.files[path].type == "path"

    def _check_object(self, item: tuple[Entry, list[str]]) -> None:
        entry, paths = item
        data = self._reader.object(entry.object, entry.size, paths[0])
        for path in paths:
            alias = self._reader.alias(path, entry.object, entry.size)
            known = data if data is not None else alias
            if known is not None:
                self._add(path, content.document(path, known, self._through, self._tree.files))

    def _check_key(self, path: str) -> None:
        entry = self._tree.files[path]
        if (data := self._reader.alias(path, entry.object, entry.size)) is not None:
            self._add(path, content.document(path, data, self._through, self._tree.files))

    def _outside(self, index: Any) -> None:
        for path in (layout.STATUS, layout.CHANGES):
            data = self._reader.file(path)
            if data is None:
                continue
            value, problems = content.parsed(path, data)
            self._add(path, problems)
            if value is None:
                continue
            # Both are written before the pointer, so while a publication is under way they may be ahead of it.
            if path == layout.STATUS and value["generation"] < index["generation"]:
                self._findings.add(Weight.WRONG, path, "its generation is older than the pointer's")
            if path == layout.CHANGES:
                self._retained = [row["snapshot"] for row in value["snapshots"]]
                if index["snapshot"] not in self._retained:
                    self._findings.add(Weight.WRONG, path, "the pointer's snapshot is not listed in it")

    def _history(self, current: str) -> None:
        # The root manifest is an object too, and was checked; its size is not needed.
        self._seen[f"{current}.json"] = -1
        known = set(self._seen)
        others = [identity for identity in dict.fromkeys(self._retained) if identity != current]
        for identity in others:
            objects_of(self._reader, identity, self._seen)
        older = [(name, size) for name, size in self._seen.items() if name not in known]
        self._reader.each("older objects", older, lambda item: self._reader.check_object(*item, "an older manifest"))
        self._retained = [current, *others]
        self._report.snapshots = len(self._retained)
        self._report.objects = len(self._seen)

    def _conditional(self, site: Website, name: str) -> None:
        path = layout.object_path(name)
        try:
            answer = site.read(path, LARGEST)
            if answer is None:
                return
            conditions = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
            sent = {ask: answer.headers[name] for name, ask in conditions.items() if name in answer.headers}
            if not sent:
                self._findings.add(Weight.SERVED, path, "neither ETag nor Last-Modified is sent")
            elif not site.is_unmodified(path, {**sent, "Accept-Encoding": "gzip"}):
                self._findings.add(
                    Weight.SERVED, path, "a conditional request is answered with the whole file, not with 304"
                )
        except Unreadable as error:
            self._findings.add(Weight.SERVED, path, str(error))

    def _add(self, path: str, problems: content.Problems | list[tuple[Weight, str]]) -> None:
        for weight, problem in problems:
            self._findings.add(weight, path, problem)
