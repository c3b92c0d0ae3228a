"""Publishing: what it costs that one per-key document changed, among few and among many."""

import time
from pathlib import Path
from statistics import median

import orjson

from benchmarks.installed import install
from benchmarks.result import Result
from benchmarks.traffic import OLD
from statscache.ingest import Delivery
from statscache.service.publishing import Publishing

FEW, MANY = 100, 20_000
"""Packages, each with a document of its own."""

_ROUNDS = 9
_BATCH = 5_000


def measure(directory: Path) -> list[Result]:
    """Publish sites of `FEW` and of `MANY` documents, each into a new directory under `directory`."""
    seconds = {}
    for documents in (FEW, MANY):
        place = directory / f"{documents}-documents"
        place.mkdir()
        seconds[documents] = _changing_one(place, documents)
    few, many = seconds[FEW], seconds[MANY]
    note = f"{many * 1e3:.0f} ms over {few * 1e3:.0f} ms"
    return [Result(f"publish of one change, {MANY:,} documents over {FEW}", many / few, most=1.5, note=note)]


def _changing_one(directory: Path, documents: int) -> float:
    """Return the median seconds of a publication after one message about one package."""
    installation = install(directory)
    publishing = Publishing(installation)
    lines = [message(number, number) for number in range(documents)]
    for start in range(0, documents, _BATCH):
        installation.ingest.take(Delivery("benchmark", lines[start : start + _BATCH]))
    publishing.publish()
    taken = []
    for number in range(_ROUNDS):
        installation.ingest.take(Delivery("benchmark", [message(documents + number, number)]))
        wall = time.perf_counter()
        publishing.publish()
        taken.append(time.perf_counter() - wall)
    installation.close()
    return median(taken)


def message(number: int, package: int) -> bytes:
    """Return one message about a package."""
    # All in one minute, so that no bucket's end makes other documents dirty.
    return orjson.dumps(
        {
            "topic": "org.fedoraproject.prod.buildsys.tag",
            "timestamp": OLD.start + 43_200,
            "msg_id": f"benchmark-{number}",
            "msg": {"name": f"package-{package}", "user": "ann"},
        }
    )
