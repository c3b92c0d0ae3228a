"""The command `status`: the state of the service, for people and for monitoring."""

import time
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from statscache.cli.context import EXIT_FINDINGS, Context, database_failed, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json, show_table
from statscache.config import Config
from statscache.exceptions import ConfigurationError, SchemaError
from statscache.monitoring.health import health, silence
from statscache.store import state as stored
from statscache.store.rows import GONE, ConsumerRow, TargetRow
from statscache.timeline import iso
from statscache.wording import counted

if TYPE_CHECKING:
    from statscache import schemas


_IF_SILENT = {
    "fedmsg": "is the address right?",
    "fedora-messaging": "are the queue and the routing keys of its bindings right?",
}
"""What to check if nothing was ever received from a bus. Archives in a spool are sources of their own."""


class Level(IntEnum):
    """The severity of the state, with the words and exit statuses of Nagios' plugins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@click.command("status")
@click.option(
    "--max-age",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Nagios check: CRITICAL if a consumer or publisher made no progress for longer.",
)
@as_json
@pass_context
def command(context: Context, max_age: float | None, json_: bool) -> None:
    """Show the state of journal, sources, plugins, targets; exit 3 if there are concerns."""
    try:
        with context.query() as query:
            names = [target.name for target in context.config.publish.targets]
            state = health(query, names)
            silent = silence(query)
            places = stored.targets(query, names)
            owed = stored.owed(query)
            name = stored.journal(query).installation
            consumers = stored.consumers(query)
    except Exception as error:
        text = str(error) if isinstance(error, (ConfigurationError, SchemaError)) else database_failed(error)
        if max_age is None or text is None:
            raise
        level = Level.UNKNOWN if isinstance(error, ConfigurationError) else Level.CRITICAL
        if json_:
            show_json({"concerns": [text]})
        else:
            click.echo(_verdict(level, [text], ""))
        raise click.exceptions.Exit(level) from error
    bad = [row for row in state["plugins"] if row["state"] in ("failed", "stale")]
    concerns = [f"plugin {row['name']}: {row['reason']}" for row in bad]
    concerns += [f"plugin {row['name']}: {row['reason']}" for row in state["problems"]]
    concerns += _target_concerns(state, places)
    concerns += _source_concerns(context.config, consumers)
    if owed:
        concerns.append(
            f"{counted(owed, 'object')} of forgotten people may still be at a target: run `statscache publish`"
        )
    idle = [] if max_age is None else [*_idle(context.config, state, places, max_age)]
    level = Level.CRITICAL if idle else Level.WARNING if concerns else Level.OK
    # The worst comes first: a pager may show only the beginning.
    concerns = idle + concerns
    if json_:
        listed = [row._asdict() for row in places]
        active = [
            {**shown, "unconnected": row.unconnected.splitlines()}
            for shown, row in zip(state["consumers"], consumers, strict=True)
        ]
        more = {"installation": name, "silent": silent, "targets": listed, "concerns": concerns, "consumers": active}
        show_json({**state, **more})
    else:
        if max_age is not None:
            click.echo(_summary(state, silent, level, concerns))
        click.echo(f"installation {name}")
        _show_status(context.config, state, silent, places, consumers)
        for concern in concerns:
            click.echo(f"concern: {concern}")
    if concerns:
        raise click.exceptions.Exit(EXIT_FINDINGS if max_age is None else level)


def _target_concerns(state: "schemas.Health", places: Sequence[TargetRow]) -> Iterator[str]:
    """Yield the faults of targets: failed, behind, or never published to."""
    now = int(time.time())
    for place in places:
        serves = "nothing yet" if place.generation is None else f"generation {place.generation:,}"
        if place.error:
            yield f"{place.error} (it serves {serves})"
        elif place.trying_since is not None and (late := place.late(now)):
            yield (
                f"target {place.name} is behind by {late:,} s: it serves {serves}, and the publication that is"
                f" under way began at {iso(place.trying_since)}"
            )
        elif place.published_at is None and state["slow_through"] is not None:
            yield f"target {place.name}: nothing was ever published there; {_attempt(place)}"


def _attempt(place: TargetRow) -> str:
    """Return the state of the first publication to a target."""
    if place.trying_since is None:
        return "no attempt yet"
    since = iso(place.trying_since)
    return f"attempts since {since} failed" if place.error else f"the first publication is under way since {since}"


def _source_concerns(config: Config, consumers: Sequence[ConsumerRow]) -> Iterator[str]:
    """Yield the sources whose consumers are running, but not connected."""
    now = int(time.time())
    for row in consumers:
        if row.name in config.sources.live and row.is_cut_off and now - row.worked_at <= GONE:
            yield f"source {row.name}: no one answers at {', '.join(row.unconnected.splitlines())}"


def _idle(config: Config, state: "schemas.Health", places: Sequence[TargetRow], max_age: float) -> Iterator[str]:
    """Yield the consumers and publishers without progress for too long; a quiet bus is not a fault."""
    now = int(time.time())
    worked = {row["name"]: row["worked_at"] for row in state["consumers"]}
    sources = config.sources.live or list(worked)
    if not sources:
        yield f"no live source was ever consumed; {max_age:g} s are allowed"
    for name in sources:
        if name not in worked:
            yield f"source {name}: it was never consumed; {max_age:g} s are allowed"
        elif (age := now - worked[name]) > max_age:
            yield f"source {name}: its consumer did nothing for {age} s; {max_age:g} s are allowed"
    for place in places:
        if place.published_at is not None and (age := now - place.published_at) > max_age:
            yield f"target {place.name}: nothing was published there for {age} s; {max_age:g} s are allowed"


def _summary(state: "schemas.Health", silent: int | None, level: Level, concerns: Sequence[str]) -> str:
    """Return one line for Nagios: the verdict, then a bar and the performance data."""
    through = "no message yet" if state["through"] is None else f"through {iso(state['through'])}"
    numbers = {
        "messages": f"{state['journal']['messages']}c",
        "silent": "U" if silent is None else f"{silent}s",
        "behind": str(max((row["behind"] for row in state["plugins"]), default=0)),
        "quarantined": str(state["journal"]["quarantined"] + sum(row["quarantined"] for row in state["plugins"])),
        "missing": f"{sum(end - start for start, end in state['gaps'])}s",
    }
    return f"{_verdict(level, concerns, through)} | " + " ".join(f"{name}={value}" for name, value in numbers.items())


def _verdict(level: Level, concerns: Sequence[str], fine: str) -> str:
    # Nagios takes a bar for the beginning of the performance data.
    text = "; ".join(concerns).replace("|", "/").replace("\n", " ")
    return f"STATSCACHE {level.name}: {text or fine}"


def _show_status(
    config: Config,
    state: "schemas.Health",
    silent: int | None,
    places: Sequence[TargetRow],
    consumers: Sequence[ConsumerRow],
) -> None:
    _show_journal(state, silent)
    for source in state["sources"]:
        newest = "-" if source["newest"] is None else iso(source["newest"])
        click.echo(f"source      {source['name']}: {source['accepted']:,} accepted, newest {newest}")
    for line in _consumers(config, state, consumers):
        click.echo(f"consumer    {line}")
    for place in places:
        if place.published_at is None:
            click.echo(f"target      {place.name}: nothing was published there yet; {_attempt(place)}")
        else:
            click.echo(
                f"target      {place.name}: generation {place.generation:,} at {iso(place.published_at)},"
                f" {counted(place.requests, 'request')}, {counted(place.bytes, 'byte')},"
                f" {place.milliseconds / 1000:.2f} s"
            )
    if state["slow_through"] is not None:
        waiting = sum(row["pending"] for row in state["plugins"])
        click.echo(f"slow        through {iso(state['slow_through'])}; {counted(waiting, 'changed document')} pending")
    if state["held"]:
        click.echo("held        an older snapshot is current until `statscache publish --resume`")
    for document in state["oversize"]:
        path, size, limit = document["path"], document["size"], document["limit"]
        click.echo(f"oversize    {path}: {size:,} bytes; the limit is {limit:,}")
    for start, end in state["gaps"]:
        click.echo(f"gap         {iso(start)} to {iso(end)} ({end - start:,} s)")
    click.echo()
    columns = ["plugin", "state", "behind", "pending", "quarantined", "last event"]
    rows = [
        [
            row["name"],
            row["state"],
            f"{row['behind']:,}",
            f"{row['pending']:,}",
            f"{row['quarantined']:,}",
            "-" if row["last_event"] is None else _day(row["last_event"]),
        ]
        for row in state["plugins"]
    ]
    show_table(columns, rows, frozenset({"behind", "pending", "quarantined"}))


def _show_journal(state: "schemas.Health", silent: int | None) -> None:
    journal = state["journal"]
    through = "no message yet" if state["through"] is None else iso(state["through"])
    click.echo(f"through     {through}" + ("" if silent is None else f"; last message received {silent:,} s ago"))
    kept = journal["messages"] - journal["removed"]
    each = journal["stored_bytes"] / kept if kept else 0
    stored = f"{journal['stored_bytes']:,} bytes, {each:.0f} a message" if each else "empty"
    removed = f", {journal['removed']:,} removed" if journal["removed"] else ""
    held = f"{counted(kept, 'message')} in {counted(journal['segments'], 'segment')}"
    click.echo(f"journal     {held} ({stored}){removed}")
    click.echo(
        f"besides     {journal['known']:,} known, {journal['conflicts']:,} conflicts, {journal['foreign']:,} foreign,"
        f" {journal['held']:,} held, {journal['quarantined']:,} in quarantine"
    )
    if journal["discarded"]:
        discarded = counted(journal["discarded"], "item")
        click.echo(f"warning     {discarded} deleted from quarantine because of the quota ([bus] max_kept)")


def _day(timestamp: int) -> str:
    """Return the day of a timestamp, in UTC, or the time of the day if it is today."""
    day, _, clock = iso(timestamp).rstrip("Z").partition("T")
    return clock if day == iso(int(time.time()))[:10] else day


def _consumers(config: Config, state: "schemas.Health", consumers: Sequence[ConsumerRow]) -> Iterator[str]:
    """Yield a line for each live source: its consumer, or that it has none."""
    now = int(time.time())
    delivered = {row["name"] for row in state["sources"]}
    rows = {row.name: row for row in consumers}
    for name in dict.fromkeys([*config.sources.live, *rows]):
        if name not in rows:
            yield f"{name}: it was never consumed; `statscache run` or `consume` does"
            continue
        row = rows[name]
        refused = f", {row.rejected:,} refused without a valid signature" if row.rejected else ""
        absent = row.unconnected.splitlines()
        if (age := now - row.worked_at) > GONE:
            yield f"{name}: it has no consumer; last active {age:,} s ago{refused}"
        elif absent:
            some = "" if row.is_cut_off else f" ({len(absent)} of {row.endpoints})"
            yield f"{name}: active, and no one answers at {', '.join(absent)}{some}{refused}"
        elif name not in delivered and name in _IF_SILENT:
            yield f"{name}: active, but nothing was ever received; {_IF_SILENT[name]}{refused}"
        elif name == "spool" and config.sources.spool is not None:
            yield f"{name}: active at {iso(row.worked_at)}, takes archives from {config.sources.spool.path}"
        else:
            yield f"{name}: active at {iso(row.worked_at)}{refused}"
