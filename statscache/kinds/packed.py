"""Compact rows: many small entries of whole numbers in one blob, packed and unpacked for a whole batch at once.

One row upserted costs as much as parsing a message, so what would be a row for each day of a key is an entry of a blob.
A blob begins with the checksum of the rest. The next byte says in which form its entries follow: the first of a few
structures in which all of them fit, little endian, without padding. Nothing here loops over entries in Python; a blob
costs one slice of bytes, and its checksum.
"""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from statscache.exceptions import DamagedStatistics

Whole = NDArray[np.int64]
"""Whole numbers of 64 bits, such as digests, timestamps and sums."""

Entries = dict[str, Whole]
"""Entries of rows as columns of one length, by the name of the field."""

LARGEST = 2**63 - 1
"""Maximum absolute value of a stored sum."""

SEAL = 4
"""Bytes of the checksum."""


def sealed(data: bytes, place: int = 0) -> bytes:
    """Return a blob as it is stored, with a checksum of it and of its place, a number that its row has."""
    return crc32(data, place).to_bytes(SEAL, "little") + data


def opened(stored: bytes, place: int = 0) -> bytes:
    """Return a blob that `sealed` gave at this place, without its checksum.

    Raises:
        DamagedStatistics: It is not what its checksum says.
    """
    data = stored[SEAL:]
    if crc32(data, place) != int.from_bytes(stored[:SEAL], "little"):
        raise DamagedStatistics(
            "a packed row of statistics is damaged in the database: `statscache db check` names the plugin"
        )
    return data


class Packing:
    """One kind of entry, and the forms in which it is packed.

    Args:
        forms: Structures with the same fields, the smallest first; whatever is stored fits in the last.
    """

    def __init__(self, *forms: Sequence[tuple[str, str]]) -> None:
        self._forms = [np.dtype([*form]) for form in forms]
        self._fields = [name for name, _ in forms[0]]

    def pack(self, row: Whole, entries: Entries, rows: int, place: int = 0) -> list[bytes]:
        """Return the blob of each row.

        Args:
            row: The index of each entry's row; entries of a row are adjacent, and rows ascend.
            entries: The entries.
            rows: How many rows there are.
            place: A number that all these rows have, for their checksums.
        """
        counts = np.bincount(row, minlength=rows)
        form_of = np.zeros(rows, np.int64)
        for number, form in enumerate(self._forms[:-1]):
            narrow = np.ones(len(row), bool)
            for name in self._fields:
                narrow &= (entries[name] >= 0) & (entries[name] <= np.iinfo(form[name]).max)
            form_of[np.bincount(row[~narrow], minlength=rows) > 0] = number + 1
        blobs = [sealed(b"", place)] * rows
        for number, form in enumerate(self._forms):
            rows_of_form = np.flatnonzero(form_of == number)
            if not len(rows_of_form):
                continue
            which = form_of[row] == number
            packed = np.empty(np.count_nonzero(which), form)
            for name in self._fields:
                packed[name] = entries[name][which]
            data, head = packed.tobytes(), bytes([number])
            ends = np.cumsum(counts[rows_of_form] * form.itemsize).tolist()
            start = 0
            for index, end in zip(rows_of_form.tolist(), ends, strict=True):
                blobs[index] = sealed(head + data[start:end], place)
                start = end
        return blobs

    def unpack(self, blobs: Sequence[bytes], place: int = 0) -> tuple[Whole, Entries]:
        """Return the index of each entry's blob, ascending, and the entries, in the order of the blobs.

        Raises:
            DamagedStatistics: A blob is not as it was stored.
            ValueError: A blob was not made by `pack`.
        """
        blobs = [opened(blob, place) for blob in blobs]
        lengths = np.fromiter(map(len, blobs), np.int64, len(blobs))
        if not lengths.all():
            raise ValueError("a packed row is empty; its first byte would say in which form the others are")
        data = np.frombuffer(b"".join(blobs), np.uint8)
        heads = np.cumsum(lengths) - lengths
        form_of = data[heads]
        if (form_of >= len(self._forms)).any():
            raise ValueError(f"a packed row has the form {form_of.max()}; there are {len(self._forms)} forms")
        rows, columns = [], []
        for number, form in enumerate(self._forms):
            which = form_of == number
            if not which.any():
                continue
            counts, rest = np.divmod(lengths[which] - 1, form.itemsize)
            if rest.any():
                raise ValueError(f"a packed row is cut off: its entries have {form.itemsize} bytes each")
            body = np.repeat(which, lengths)
            body[heads] = False
            rows.append(np.repeat(np.flatnonzero(which), counts))
            columns.append(data[body].view(form))
        if not rows:
            nothing = np.zeros(0, np.int64)
            return nothing, dict.fromkeys(self._fields, nothing)
        entries = {name: np.concatenate([each[name].astype(np.int64) for each in columns]) for name in self._fields}
        row = np.concatenate(rows)
        if len(rows) > 1:
            order = np.argsort(row, kind="stable")
            row, entries = row[order], {name: column[order] for name, column in entries.items()}
        return row, entries


def starts(*columns: Whole) -> Whole:
    """Return where a new group begins in sorted columns: the first row, and each that differs from the one before."""
    changes = np.ones(len(columns[0]), bool)
    if len(changes):
        changes[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(changes)


def sums(values: Whole, at: Whole) -> NDArray[np.int64] | NDArray[np.object_]:
    """Return the exact sum of each group of values, of which one begins at each index in `at`, the first at 0.

    The sums are Python's whole numbers where 64 bits might be too few.
    """
    if not len(at):
        return np.zeros(0, np.int64)
    longest = int(np.diff(at, append=len(values)).max())
    greatest = max(int(values.max()), -int(values.min()))
    return np.add.reduceat(values if longest * greatest <= LARGEST else values.astype(object), at)


def bounded(values: NDArray[np.int64] | NDArray[np.object_]) -> Whole:
    """Return sums as whole numbers of 64 bits.

    Raises:
        OverflowError: One is too great for them.
    """
    if values.dtype == object and any(abs(value) > LARGEST for value in values.tolist()):
        raise OverflowError("a sum is beyond 64 bits")
    return values.astype(np.int64)
