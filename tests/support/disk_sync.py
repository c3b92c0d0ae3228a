"""Tests kill processes, but do not cut the power: nothing in them needs to wait for the disk.

The kernel keeps what a killed process wrote. Waiting for the disk took most of the time of tests that publish, since
`os.sync` writes out what all processes of the machine have changed.
"""

import os

from statscache.store import database

PRAGMAS = database._PRAGMAS
"""Of connections to SQLite outside the tests."""


def switch_off() -> None:
    """Let this process, and those that it forks, not wait for the disk."""
    without = tuple("synchronous = OFF" if "synchronous" in pragma else pragma for pragma in PRAGMAS)
    for module, name, value in ((os, "fsync", _nothing), (os, "sync", _nothing), (database, "_PRAGMAS", without)):
        setattr(module, name, value)


def _nothing(*_: object) -> None:
    pass
