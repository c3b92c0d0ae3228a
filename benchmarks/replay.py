"""Replay: history from a real datagrepper on this machine, compared with only fetching it from that server."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event
from urllib.parse import urlencode

import click
import orjson
import urllib3

from benchmarks.result import Result
from datagrepper_server import Datagrepper
from servers import PostgreSQL
from statscache.config import Config
from statscache.installation import Installation
from statscache.service import history
from statscache.sources.datagrepper_pages import ROWS

MESSAGES = 12_000
"""Messages that the server holds, at most."""

JOBS = 2
"""Windows that are asked for at a time."""


def measure(archive: Path, directory: Path) -> list[Result]:
    """Walk the first messages of `archive` on a server that holds them; nothing where it is not installed."""
    programs = PostgreSQL.find()
    if programs is None or not Datagrepper.is_installed():
        click.echo("PostgreSQL or datagrepper is not installed (.ci/datagrepper), and is left out", err=True)
        return []
    place = directory / "replay"
    place.mkdir()
    with archive.open("rb") as file:
        lines = [line.rstrip(b"\n") for line in islice(file, MESSAGES)]
    times = [orjson.loads(line)["timestamp"] for line in lines]
    start, end = int(min(times)), int(max(times)) + 1
    with PostgreSQL(programs) as database, Datagrepper(database, lines, place) as server:
        url = f"{server.address}raw"
        asked = _ask(url, start, end, len(lines))
        walked = _walk(url, start, end, place)
    note = f"{len(lines) / walked:,.0f} over {len(lines) / asked:,.0f} messages a second, {JOBS} windows at a time"
    return [Result("datagrepper replay over asking alone", asked / walked, note=note)]


def _ask(url: str, start: int, end: int, messages: int) -> float:
    """Return the seconds in which all pages of windows of the same size come, and are thrown away."""
    pool = urllib3.PoolManager(maxsize=JOBS)
    width = (end - start) * history.TARGET // messages + 1

    def fetch(window: int) -> int:
        page, rows = 0, 0
        while page * ROWS <= rows:
            page += 1
            query = {
                "start": window,
                "end": min(window + width, end),
                "page": page,
                "rows_per_page": ROWS,
                "order": "asc",
            }
            response = pool.request("GET", f"{url}?{urlencode(query)}", headers={"Accept": "application/json"})
            rows += orjson.loads(response.data)["count"]
        return rows

    began = time.perf_counter()
    with ThreadPoolExecutor(JOBS) as threads:
        if (found := sum(threads.map(fetch, range(start, end, width)))) < messages:
            raise RuntimeError(f"of {messages} messages the server gave {found}")
    return time.perf_counter() - began


def _walk(url: str, start: int, end: int, directory: Path) -> float:
    """Return the seconds in which a new database has all of it."""
    section = {"url": url, "start": start}
    config = {"database": {"url": f"sqlite:///{directory}/statscache.db"}, "sources": {"datagrepper": section}}
    config["plugins"] = {"hang_note": str(directory / "statscache.hang")}
    installation = Installation(Config.model_validate(config))
    began = time.perf_counter()
    wanted = history.wanted(installation, start, end, only_gaps=False)
    for step in history.walk(installation, wanted, jobs=JOBS, stopping=Event()):
        if step.lost:
            raise RuntimeError(f"the server lost {step.lost[0]}")
    seconds = time.perf_counter() - began
    installation.close()
    return seconds
