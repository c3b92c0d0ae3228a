"""Python's cyclic garbage collector, kept out of the hot path."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Keep the cyclic garbage collector from running in this context.

    It would walk over all objects of a batch again and again, up to a tenth of the whole cost, and find nothing:
    messages, records and yields are trees, which are freed when the last reference to them goes.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
