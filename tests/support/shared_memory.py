"""The directory in memory, for files of tests that need not outlive them."""

import contextlib
import os
import re
import shutil
from pathlib import Path

DIRECTORY = Path("/dev/shm")

_ROOM = 6 << 30


def has_room() -> bool:
    """Return whether it is there, programs start from it, and it has room for the files of all tests."""
    with contextlib.suppress(OSError):
        available = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
        flags = os.statvfs(DIRECTORY).f_flag
        free = min(shutil.disk_usage(DIRECTORY).free, int(available[1]) << 10 if available else 0)
        return free > _ROOM and not flags & os.ST_NOEXEC
    return False
