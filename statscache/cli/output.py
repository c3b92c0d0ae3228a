"""Standard output that cannot be written to: the disk behind it is full, or its reader has gone."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from statscache.exceptions import OutputError

if TYPE_CHECKING:
    from typing_extensions import Buffer


@contextmanager
def guarded() -> Iterator[None]:
    """Tell failures of standard output from those of other files, and flush it at the end.

    Raises:
        BrokenPipeError: Whoever read it has seen enough.
        OutputError: It cannot be written to.
    """
    plain = sys.__stdout__
    if plain is None or plain is not sys.stdout:
        yield
        return
    buffered = io.BufferedWriter(_Output(plain.fileno(), "w", closefd=False))
    out = io.TextIOWrapper(buffered, plain.encoding, plain.errors, line_buffering=plain.line_buffering)
    with redirect_stdout(out):
        try:
            yield
        finally:
            out.flush()


class _Output(io.FileIO):
    _failed = False

    def write(self, data: "Buffer") -> int:
        # After a failure, data left in buffers cannot be written, and closing them must not fail again.
        if self._failed:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        except OSError as error:
            self._failed = True
            if isinstance(error, BrokenPipeError):
                raise
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error
