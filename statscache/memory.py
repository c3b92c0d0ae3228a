"""Memory of a process: when the garbage collector runs, and what malloc keeps of freed memory.

Documents are trees, which are freed when the last reference to them goes. By default the cyclic garbage collector
visits all of them again and again, which takes a sixth of the time of a publication.

malloc is asked by mallopt(3), which glibc has; other C libraries have neither the function nor the costs.
"""

import gc
from contextlib import suppress

_THRESHOLDS = 20_000, 10, 50
"""New objects before the youngest are searched, and how many searches of a generation bring one of the next.

With Python's 700, 10 and 10, one publication searched all objects four times. A first publication leaves 150,000
objects in cycles, 50 MB, so the collector is not switched off.
"""

_M_TRIM_THRESHOLD, _M_ARENA_MAX = -1, -8
_TRIM = 128 * 1024


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
    _mallopt(_M_ARENA_MAX, 1)


def return_freed() -> None:
    """Return freed memory to the system as it is freed; for services, which stay for months.

    By default malloc raises the size from which it does so to that of the greatest block that was ever freed, and keeps
    the rest: some 25 MB. It costs 4 % of the time of a batch, so programs that end do without.
    """
    _mallopt(_M_TRIM_THRESHOLD, _TRIM)


def _mallopt(parameter: int, value: int) -> None:
    # Imported here: commands that only show something start without it.
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(parameter, value)
