"""The files of a snapshot, by path and in order: which there are below a directory is found without looking at all."""

from bisect import bisect_left
from collections.abc import Iterator

from statscache.store.published import Entry


class Files(dict[str, Entry]):
    """Entry of each file of a snapshot by its path; none is added after the first question about a directory."""

    def __init__(self) -> None:
        super().__init__()
        self._ordered: list[str] = []

    def below(self, directory: str) -> Iterator[str]:
        """Yield the paths that begin with `directory`, in order."""
        ordered = self.ordered()
        at = bisect_left(ordered, directory)
        while at < len(ordered) and ordered[at].startswith(directory):
            yield ordered[at]
            at += 1

    def ordered(self) -> list[str]:
        """Return all paths in order."""
        if len(self._ordered) != len(self):
            self._ordered = sorted(self)
        return self._ordered
