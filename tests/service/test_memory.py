"""Memory of a service: what one of its threads freed, the others use."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PROGRAM = """
    import ctypes, sys, threading
    from pathlib import Path
    from statscache import config
    from statscache.installation import Installation

    Path("statscache.toml").write_text("")
    Installation(config.load(Path("statscache.toml"))).close()
    barrier = threading.Barrier(6)

    def work():
        barrier.wait()
        # Beyond what Python's own allocator takes, and below what malloc maps by itself.
        kept = [bytearray(10_000) for _ in range(100)]
        barrier.wait()
        return kept

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w"))
    libc.malloc_info(0, file)
    libc.fclose(file)
"""


def test_threads_share_one_arena(tmp_path: Path) -> None:
    """Each would keep the most that it ever had; malloc_info(3) lists them."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    subprocess.run([sys.executable, "-c", dedent(PROGRAM)], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "heaps.xml").read_text().count("<heap nr=") == 1
