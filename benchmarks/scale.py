"""Scale: what publications cost on the reference history, against the limits of DESIGN.md 9, as one table.

Files, bytes and requests are counts, the same in every run. Seconds are processor time, and only compared with each
other. A minute of traffic is `MINUTE` messages.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import click

from benchmarks import kept, traffic
from benchmarks.publications import Publication, Step, publish
from benchmarks.result import Result

MINUTE = 100
MINUTES = 12
HOUR = 60
BACKLOG = 30_000

MINUTES_A_MONTH = 43_200
PUT_PRICE, GET_PRICE = 0.005, 0.0004
"""Dollars for 1,000 requests to S3, the standard class in us-east-1; DELETE is free."""

SLOW_MINUTES = 10
"""Minutes after which slow documents are updated with default settings."""

FAST_BYTES, FAST_FILES = 300_000, 150
ALL_BYTES, ALL_FILES = 5_000_000, 1_400
HOUR_BYTES = 15_000
MEMORY = 250e6
WRITTEN = 1_500
SECONDS = 1.25
LINEAR = 1.25
"""The limits of DESIGN.md 9: of a fast minute, a whole one, each message of an hour, memory, each message of history,
a minute over the same on one month, and a changed file of the backlog over one of a minute."""

_STEPS = [
    Step(0, slow=True),
    *[Step(MINUTE, slow=False)] * MINUTES,
    Step(0, slow=True),
    *[Step(MINUTE, slow=True)] * MINUTES,
    *[Step(MINUTE, slow=number % SLOW_MINUTES == 0) for number in range(1, HOUR + 1)],
    Step(BACKLOG, slow=True),
]


def measure(directory: Path, part: float = 1.0) -> list[Result]:
    """Publish the reference history, or a part of it, from copies of databases that are kept between runs.

    Args:
        directory: Where to work.
        part: How much of each window of the history to take.

    Raises:
        CalledProcessError: A backfill or a publication failed.
    """
    archive = directory / "afterwards.ndjson"
    traffic.write(archive, traffic.afterwards(sum(step.messages for step in _STEPS)))
    reference = kept.database(f"reference-of-{part:g}", traffic.reference(part))
    month = kept.database(f"month-of-{part:g}", traffic.last_month(part))
    built = kept.built(reference)
    places = [Path(shutil.copytree(kept_at, directory / kept_at.name)) for kept_at in (reference, month)]
    long, short = map(_Run, publish(places, archive, _STEPS))
    for place in places:
        shutil.rmtree(place)
    archive.unlink()
    click.echo(f"\nFor docs/capacity.md, of {built.messages:,} messages:\n\n{_page(long)}\n")
    return [
        Result("database, bytes a message", built.size / built.messages, "B", note=f"{built.messages:,} messages"),
        Result("database, written a message", built.written / built.messages, "B", most=WRITTEN),
        Result("database, peak memory", built.peak / 1e6, "MB", most=MEMORY / 1e6),
        *long.results(""),
        *short.results("one month: "),
        _ratio("a minute, everything, over one month", long.whole, short.whole),
        _ratio("a minute, fast, over one month", long.fast, short.fast),
    ]


class _Run:
    """The publications of one history, in the order of `_STEPS`."""

    def __init__(self, done: Sequence[Publication]) -> None:
        rest = iter(done)
        self.first = next(rest)
        self.fast = [next(rest) for _ in range(MINUTES)]
        next(rest)
        self.whole = [next(rest) for _ in range(MINUTES)]
        self.hour = [next(rest) for _ in range(HOUR)]
        self.backlog = next(rest)

    def results(self, of: str) -> list[Result]:
        """Return what is measured of each publication, beside its limit."""
        sent = sum(done.bytes for done in self.hour)
        messages = sum(done.messages for done in self.hour)
        minute = median(done.cpu / done.files for done in self.whole)
        ratio = self.backlog.cpu / self.backlog.files / minute
        return [
            *_costs(f"{of}first publication", [self.first]),
            *_costs(f"{of}a minute, fast", self.fast, FAST_BYTES, FAST_FILES),
            *_costs(f"{of}a minute, everything", self.whole, ALL_BYTES, ALL_FILES),
            *_costs(f"{of}a minute of an hour", self.hour),
            Result(f"{of}an hour, bytes a message", sent / messages / 1e3, "kB", most=HOUR_BYTES / 1e3),
            *_costs(f"{of}backlog of {BACKLOG:,}", [self.backlog]),
            Result(f"{of}backlog, seconds a file over a minute's", ratio, most=LINEAR),
        ]


def _page(run: _Run) -> str:
    """Return the table of docs/capacity.md, and the sums of S3 below it, as Markdown."""
    rows = {
        "the first publication": [run.first],
        "a minute, fast documents": run.fast,
        "a minute, all documents": run.whole,
        "a minute of an hour with default settings, mean": run.hour,
        f"all documents after a backlog of {BACKLOG:,} messages": [run.backlog],
    }
    lines = [
        "| publication | files | written | PUT | GET | DELETE | sent to S3 | memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for what, done in rows.items():
        mean = {
            name: sum(getattr(each, name) for each in done) / len(done)
            for name in ("files", "bytes", "put", "get", "delete", "sent")
        }
        counts = [f"{mean[name]:,.0f}" for name in ("put", "get", "delete")]
        written, sent, peak = mean["bytes"] / 1e6, mean["sent"] / 1e6, max(each.peak for each in done) / 1e6
        cells = what, f"{mean['files']:,.0f}", f"{written:,.2f} MB", *counts, f"{sent:,.2f} MB", f"{peak:.0f} MB"
        lines.append(f"| {' | '.join(cells)} |")
    put, get, sent = (
        MINUTES_A_MONTH * sum(getattr(each, name) for each in run.hour) / len(run.hour)
        for name in ("put", "get", "sent")
    )
    dollars = put / 1_000 * PUT_PRICE, get / 1_000 * GET_PRICE
    lines += [
        "",
        f"A month of such hours is {put / 1e6:.1f} million PUT and {get / 1e6:.1f} million GET: {dollars[0]:,.0f} and"
        f" {dollars[1]:,.0f} dollars where 1,000 of them cost {PUT_PRICE} and {GET_PRICE} dollars. It sends"
        f" {sent / 1e9:,.0f} GB before compression, which S3 does not bill.",
    ]
    return "\n".join(lines)


def _costs(
    what: str, done: Sequence[Publication], most_bytes: int | None = None, most_files: int | None = None
) -> list[Result]:
    """Return what some publications cost in the median, and what S3 would be asked for."""

    def middle(name: str) -> float:
        return float(median(getattr(each, name) for each in done))

    put, get, delete, sent, seconds = map(middle, ("put", "get", "delete", "sent", "cpu"))
    greatest = f"greatest {max(each.bytes for each in done) / 1e3:,.0f} kB" if len(done) > 1 else ""
    requests = f"S3: {put:,.0f} PUT, {get:,.0f} GET, {delete:,.0f} DELETE; {sent / 1e3:,.0f} kB"
    return [
        Result(f"{what}: files", middle("files"), "", most=most_files, note=requests),
        Result(
            f"{what}: bytes",
            middle("bytes") / 1e3,
            "kB",
            most=most_bytes and most_bytes / 1e3,
            note=greatest,
        ),
        Result(
            f"{what}: memory",
            max(each.peak for each in done) / 1e6,
            "MB",
            most=MEMORY / 1e6,
            note=f"{seconds:.2f} s of processor time",
        ),
    ]


def _ratio(what: str, long: Sequence[Publication], short: Sequence[Publication]) -> Result:
    seconds = [median(each.cpu for each in done) for done in (long, short)]
    note = f"{seconds[0]:.2f} s over {seconds[1]:.2f} s"
    return Result(f"{what}, seconds", seconds[0] / seconds[1], most=SECONDS, note=note)
