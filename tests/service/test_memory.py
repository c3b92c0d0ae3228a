"""Memory of a service: what one of its threads freed, the others or the system use."""

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


BLOCKS = """
    from pathlib import Path
    from statscache.memory import return_freed

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    # Blocks of up to the size of the greatest freed one are kept.
    bytearray(30_000_000)
    before = resident()
    blocks = [bytearray(8_000_000) for _ in range(4)]
    # Memory below what is in use cannot be given back by lowering the end of the heap.
    above = bytearray(100_000)
    del blocks
    kept = resident() - before
    return_freed()
    print(kept, resident() - before)
"""


def test_freed_memory_is_returned_to_the_system(tmp_path: Path) -> None:
    """What a large publication needed is not kept for months."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(BLOCKS)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    kept, left = map(int, done.stdout.split())
    assert kept > 30_000_000
    assert left < 4_000_000
