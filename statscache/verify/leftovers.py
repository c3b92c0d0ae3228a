"""Check the other files in a directory: compressed siblings, which must have the same content, and orphans."""

import gzip
import io
import math
import time
import zlib
from collections.abc import Iterable

import zstandard

from statscache import canonical, layout
from statscache.verify.files import Files
from statscache.verify.findings import Weight
from statscache.verify.places import Unreadable
from statscache.verify.reader import IS_UNFINISHED, LARGEST, Reader

_SIBLINGS = (".gz", ".br", ".zst")
_YOUNG = 86_400


def find(reader: Reader, files: Files, objects: Iterable[str], snapshots: Iterable[str]) -> None:
    """Find wrong siblings and orphans, where all files of the place can be listed.

    An object without a referrer is not a fault in two cases. It is young: it belongs to a publication that is under
    way, or that was interrupted and overtaken by the next. Or it is older than all retained snapshots: its snapshot
    has expired, and its grace period has not ended.

    Args:
        reader: Reads the place.
        files: Entry of each file of the current snapshot, by path.
        objects: Names of all objects that a retained snapshot refers to.
        snapshots: Ids of the retained snapshots.
    """
    listed = reader.place.files()
    if listed is None:
        return
    roots = {layout.manifest(identity) for identity in snapshots}
    others = {*map(layout.object_path, objects), *roots, *layout.OUTSIDE}
    unfinished = reader.unfinished
    if unfinished is not None:
        others |= {*map(layout.object_path, unfinished.objects)}
    oldest = math.inf
    siblings, unknown = list[str](), list[tuple[str, float]]()
    for path, changed in listed:
        if path in roots:
            oldest = min(oldest, changed)
        if path in others or path in files:
            continue
        base = _base(path)
        if base is not None and (base in others or base in files or _is_there(reader, base)):
            siblings.append(path)
        elif unfinished is not None and any(True for _ in unfinished.entries(base or path)):
            reader.findings.add_grouped(Weight.NOTE, path, IS_UNFINISHED)
        elif path.startswith((layout.OBJECTS, layout.SNAPSHOTS)):
            unknown.append((path, changed))
        else:
            reader.findings.add(Weight.ORPHAN, path, "nothing refers to it")
    orphans = []
    for path, changed in unknown:
        if changed < oldest < math.inf or changed > time.time() - _YOUNG:
            orphans.append(path)
        else:
            reader.findings.add(Weight.ORPHAN, path, "nothing refers to it")
    reader.each("objects without referrer", sorted(orphans), lambda path: _check_orphan(reader, path))
    reader.each("compressed files", sorted(siblings), lambda path: _compare(reader, path, files))


def _is_there(reader: Reader, path: str) -> bool:
    try:
        return reader.place.look(path) is not None
    except Unreadable:
        # Reported as unreadable elsewhere.
        return True


def _base(path: str) -> str | None:
    """Return the path of the file whose compressed form this would be; None if it is not one."""
    return next((path.removesuffix(form) for form in _SIBLINGS if path.endswith(form)), None)


def _check_orphan(reader: Reader, path: str) -> None:
    data = reader.file(path)
    if data is None:
        return
    base = _base(path)
    if base is not None:
        # A compressed form is written before its file.
        try:
            data = _unpacked(path, data, LARGEST)
        except (OSError, EOFError, zlib.error, zstandard.ZstdError):
            data = b""
    name = base or path
    if data is None or name in (
        layout.object_path(layout.object_name(name, data)),
        layout.manifest(canonical.digest(data)),
    ):
        problem = "no retained snapshot refers to it; it is deleted after its grace period"
        reader.findings.add_grouped(Weight.NOTE, path, problem)
    else:
        reader.findings.add(Weight.ORPHAN, path, "nothing refers to it, and its bytes do not match its name")


def _compare(reader: Reader, path: str, files: Files) -> None:
    base = _base(path)
    assert base is not None
    if not _is_there(reader, base):
        reader.findings.add(Weight.BROKEN, path, f"it is a compressed form of {base}, which is missing")
        return
    data, plain = reader.file(path, LARGEST), reader.file(base, LARGEST)
    if data is None or plain is None:
        return
    try:
        unfinished = reader.unfinished
        most = len(plain) if unfinished is None else unfinished.largest(base, len(plain))
        unpacked = _unpacked(path, data, most)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        reader.findings.add(Weight.BROKEN, path, f"it cannot be unpacked: {error}")
        return
    if unpacked is not None and unpacked != plain:
        digest = canonical.digest(unpacked)
        is_current = base in files and files[base].object.partition(".")[0] == digest
        if unfinished is not None and unfinished.data is not None and (is_current or unfinished.has(base, digest)):
            reader.findings.add_grouped(Weight.NOTE, path, IS_UNFINISHED)
            return
        reader.findings.add(Weight.BROKEN, path, f"its content differs from {base}")


def _unpacked(path: str, data: bytes, size: int) -> bytes | None:
    """Return the decompressed data, at most one byte more than `size`; None for a form that cannot be read here."""
    if path.endswith(".gz"):
        with gzip.open(io.BytesIO(data)) as file:
            return file.read(size + 1)
    if path.endswith(".zst"):
        with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as file:
            return file.read(size + 1)
    return None
