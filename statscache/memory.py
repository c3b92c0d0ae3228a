"""Memory of a process: when the garbage collector runs, and what malloc keeps of freed memory.

Documents are trees, which are freed when the last reference to them goes. By default the cyclic garbage collector
visits all of them again and again, which takes a sixth of the time of a publication.

mallopt(3) and malloc_trim(3) are glibc's; other C libraries have neither these functions nor the costs.
"""

import gc
from contextlib import suppress
from typing import Any

_THRESHOLDS = 20_000, 10, 50
"""New objects before the youngest are searched, and how many searches of a generation bring one of the next.

With Python's 700, 10 and 10, one publication searched all objects four times. A first publication leaves 150,000
objects in cycles, 50 MB, so the collector is not switched off.
"""

_M_ARENA_MAX = -8
"""The parameter of mallopt(3) for the number of arenas."""


def collect_rarely() -> None:
    """Leave out of garbage collection what is loaded by now, and search the rest more rarely than by default."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def share_freed() -> None:
    """Let all threads take memory from one place, so that what one of them freed is used by the others.

    By default each thread has an arena of its own, which keeps the greatest size that it ever had: consuming, rendering
    and sending to each target added up to some 50 MB that were free. Threads of Python hardly ever allocate at the same
    time.
    """
    with suppress(AttributeError):
        _libc().mallopt(_M_ARENA_MAX, 1)


def return_freed() -> None:
    """Return free memory to the system; malloc keeps most of it after a large publication.

    A lower M_TRIM_THRESHOLD would do the same all the time, and make each text of 128 KiB and more cost several times
    as much.
    """
    with suppress(AttributeError):
        _libc().malloc_trim(0)


def _libc() -> Any:
    # Imported here: commands that only show something start without it.
    import ctypes

    return ctypes.CDLL(None)
