"""Torture: kill a real `statscache run` again and again, complete it from an archive, and compare what it publishes.

    python -m benchmarks.torture [--kills 50] [--decayed 14] [--seed N] [--database URL]...
    python -m benchmarks.torture --outages SECONDS [--seed N]

Simulated traffic, and a hostile sender, share a real fedmsg bus that outlives every kill; what is sent while no one
listens is lost, as in production. Each kill is a SIGKILL, aimed at a line of the service's own log; where it hit is
read from the last lines of that log. After each kill a reader follows the published pointer. In
the end the database is completed from an archive of all that was sent, and must publish the snapshot that the archive
alone gives in an empty database. Then bits are flipped in copies of it, which must publish what is right, or nothing.

With `--outages`, the servers around it fail too: see `benchmarks.outages`.

Exit status: 0 if so, 1 on any difference, 2 for wrong usage.
"""

import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import orjson

from benchmarks import hostile, outages
from benchmarks.kills import AIMS, Aim, Log
from benchmarks.tortured import Installation, TortureError
from benchmarks.tree import BrokenTree
from servers import PostgreSQL
from statscache.simulator import Traffic, simulate
from statscache.simulator.bus import publish_on_bus

START = 1439164800
"""2015-08-10T00:00:00Z, a Monday: when the simulated traffic begins, in seconds since 1970 UTC."""

RATE = 400.0
"""Messages a second on the bus."""

PER_DAY = 15_000
"""Messages of a simulated day, so that a second on the bus is 40 simulated minutes, and buckets of all widths end."""


class Bus(threading.Thread):
    """Publishes traffic until it is stopped, and keeps an archive of all of it.

    Attributes:
        endpoint: Where it publishes.
        first: Timestamp of the first message, seconds since 1970 UTC.
        last: Timestamp of the last one.
        sent: How many there were.
    """

    def __init__(self, archive: Path, seed: int) -> None:
        super().__init__(name="bus", daemon=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        self.first = self.last = self.sent = 0
        self._archive = archive
        self._traffic = Traffic(START, START + 365 * 86400, seed=seed, per_day=PER_DAY, people=300, packages=600)
        self._stopping = threading.Event()

    @property
    def history(self) -> list[str]:
        """Arguments of `backfill` that complete a database."""
        # The messages are of the past; the gaps that the kills left are of now, by the machine's clock.
        return [str(self._archive), "--complete", str(self.first), str(int(time.time()) + 60)]

    def run(self) -> None:
        """Publish until `stop`."""
        publish_on_bus(self._archived(), self.endpoint, RATE)

    def stop(self) -> None:
        """Send no more, and return when the archive is whole."""
        self._stopping.set()
        self.join()

    def _archived(self) -> Iterator[bytes]:
        rng = random.Random(self._traffic.seed)
        with self._archive.open("wb") as file:
            for line in simulate(self._traffic):
                self.last = int(orjson.loads(line)["timestamp"])
                self.first = self.first or self.last
                lines = [line]
                if rng.randrange(hostile.SHARE) == 0:
                    lines.append(hostile.message(rng, self.sent, self.last))
                for each in lines:
                    if self._stopping.is_set():
                        return
                    file.write(each + b"\n")
                    self.sent += 1
                    yield each


def torture(directory: Path, url: str, kills: int, decayed: int, seed: int) -> list[str]:
    """Torture an installation on the empty database `url`, and return a report, line by line.

    Args:
        directory: An empty place for it.
        url: An SQLAlchemy URL.
        kills: How often the service is killed.
        decayed: Copies of an SQLite database in which bits are flipped in the end.
        seed: Seed of all that is random.

    Raises:
        TortureError: The database does not end where an undisturbed one does.
        BrokenTree: A reader would have met a reference that does not resolve.
    """
    started = time.monotonic()
    rng = random.Random(seed)
    bus = Bus(directory / "archive.ndjson", seed)
    tortured = Installation(directory / "tortured", url, bus.endpoint)
    undisturbed = Installation(directory / "undisturbed", "sqlite:///statscache.db", bus.endpoint)
    bus.start()
    logs = []
    for number in range(kills):
        log = tortured.kill(["run"], AIMS[number % len(AIMS)], rng)
        tortured.tree.check()
        logs.append(log)
        seconds = time.monotonic() - started
        click.echo(f"{_kind(url)}: kill {number + 1} of {kills}, after {seconds:.0f} s: {log.place}", err=True)
    bus.stop()
    for _ in range(2):
        logs.append(tortured.kill(["backfill", *bus.history], Aim(b"transaction begins", 0.05, warm=False), rng))
    report = _summary(logs, kills, bus)
    ended, expected = tortured.complete(bus.history), undisturbed.complete(bus.history)
    if ended != expected:
        differing = "\n  ".join(tortured.tree.differences(undisturbed.tree))
        raise TortureError(f"the end is snapshot {ended}, undisturbed {expected}; these differ:\n  {differing}")
    tortured.check(ended, bus.sent)
    generation = tortured.tree.index()["generation"]
    report.append(f"the end is snapshot {ended}, generation {generation}; an undisturbed run's is the same")
    if decayed and url.startswith("sqlite"):
        report.append(tortured.decay(ended, decayed, rng))
    return [f"{_kind(url)}, in {time.monotonic() - started:.0f} s:", *(f"  {line}" for line in report)]


def _summary(logs: Sequence[Log], kills: int, bus: Bus) -> list[str]:
    """Return the report of the kills.

    Raises:
        TortureError: A killed process had logged an error, or too few kills hit.
    """
    if trouble := sorted({text for log in logs for text in log.trouble}):
        raise TortureError("the killed processes had logged errors:\n  " + "\n  ".join(trouble))
    inside = sum(1 for log in logs[:kills] if log.transaction or log.step)
    if 2 * inside < kills:
        raise TortureError(f"only {inside} of {kills} kills hit their mark: have the lines of the log changed?")
    places = Counter(log.place for log in logs).most_common()
    return [
        f"{bus.sent:,} messages of {(bus.last - bus.first) / 86400:.1f} simulated days went over the bus",
        f"{len(logs)} kills, {len(logs) - kills} of them of backfill:",
        *(f"  {number:4} {place}" for place, number in places),
        f"{inside} of {kills} kills of the service were inside an open transaction or a publication",
    ]


def _kind(url: str) -> str:
    return url.partition(":")[0]


@click.command()
@click.option("--kills", type=click.IntRange(1), default=50, show_default=True, help="How often.")
@click.option("--decayed", type=click.IntRange(0), default=14, show_default=True, help="Copies with flipped bits.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the traffic and of the moments of the kills.")
@click.option(
    "--database",
    "urls",
    multiple=True,
    metavar="URL",
    help="An empty database, by its SQLAlchemy URL; may be repeated. Default: SQLite, and PostgreSQL if installed.",
)
@click.option("--outages", "seconds", type=click.IntRange(1), help="Let all servers fail instead, for so many seconds.")
def main(kills: int, decayed: int, seed: int, urls: Sequence[str], seconds: int | None) -> None:
    """Kill a real run again and again, and compare what it publishes in the end with an undisturbed run."""
    # The thread of the bus would keep those that check trees waiting for 5 ms after each read of a file.
    sys.setswitchinterval(0.0005)
    with ExitStack() as stack:
        directory = stack.enter_context(_workplace())
        if seconds is not None:
            try:
                click.echo("\n".join(outages.torture(directory, seconds, seed)))
            except (TortureError, BrokenTree) as error:
                raise click.ClickException(str(error)) from error
            return
        databases = list(urls or _databases(stack))
        # Each waits most of its time, so they share the machine well.
        pool = stack.enter_context(ThreadPoolExecutor(len(databases)))
        runs = {}
        for number, url in enumerate(databases):
            (place := directory / str(number)).mkdir()
            runs[url] = pool.submit(torture, place, url, kills, decayed, seed)
        failures = []
        for url, run in runs.items():
            try:
                click.echo("\n".join(run.result()))
            except (TortureError, BrokenTree) as error:
                failures.append(f"{_kind(url)}: {error}")
        if failures:
            raise click.ClickException("\n".join(failures))


@contextmanager
def _workplace() -> Iterator[Path]:
    """A directory that is gone in the end, unless something was found: then trees and logs are kept for a look."""
    directory = Path(tempfile.mkdtemp(prefix="statscache-torture-"))
    try:
        yield directory
    except click.ClickException:
        click.echo(f"trees and logs are kept in {directory}", err=True)
        raise
    except BaseException:
        shutil.rmtree(directory)
        raise
    shutil.rmtree(directory)


def _databases(stack: ExitStack) -> Iterator[str]:
    yield "sqlite:///statscache.db"
    programs = PostgreSQL.find()
    if programs is None:
        click.echo("PostgreSQL is not installed, and is left out", err=True)
        return
    server = stack.enter_context(PostgreSQL(programs))
    server.execute("CREATE DATABASE torture TEMPLATE template0")
    yield server.url("torture")


if __name__ == "__main__":
    main()
