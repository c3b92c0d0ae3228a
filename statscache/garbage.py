"""When Python's cyclic garbage collector runs.

Messages, records, yields and documents are trees, which are freed when the last reference to them goes. By default the
collector visits all of them again and again: up to a tenth of what a batch costs, and a sixth of a publication.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = 20_000, 10, 50
"""New objects before the youngest are searched, and how many searches of a generation bring one of the next.

With Python's 700, 10 and 10, one publication searched all objects four times. A first publication leaves 150,000
objects in cycles, 50 MB, so the collector is not switched off.
"""


def collect_rarely() -> None:
    """Leave out of garbage collection what is loaded by now, and search the rest more rarely than by default."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Keep the garbage collector from running in this context, in all threads."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
