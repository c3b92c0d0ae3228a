"""Metrics for Prometheus: read from the database, so any process can show them, and a restart loses nothing.

A process that consumes shows them at a port, or writes them into a file for the textfile collector of node_exporter.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from statscache import __version__
from statscache.config import Config
from statscache.exceptions import ConfigurationError
from statscache.installation import Installation
from statscache.monitoring.health import health
from statscache.monitoring.heartbeat import Heartbeat
from statscache.monitoring.probes import listening
from statscache.snapshot import snapshot as snapshots
from statscache.snapshot.snapshot import Snapshot
from statscache.store import plain
from statscache.store import state as stored
from statscache.store.outage import outage
from statscache.store.rows import ConsumerRow, TargetRow

if TYPE_CHECKING:
    from statscache import schemas

SECONDS = 15.0
"""Seconds after which the file is written again."""

_log = logging.getLogger(__name__)


def text(installation: Installation) -> str:
    """Return the metrics in Prometheus' text format."""
    return generate_latest(_registry(installation)).decode()


@contextmanager
def shown(config: Config, heartbeat: Heartbeat) -> Iterator[None]:
    """Show the metrics in this context, as `[metrics]` says; at the port also if the service is alive and ready.

    Args:
        config: The configuration.
        heartbeat: Knows what makes progress.

    Raises:
        ConfigurationError: The port cannot be listened at, or the file cannot be written.
    """
    section = config.metrics
    if section.port is None and section.textfile is None:
        yield
        return
    with closing(Installation(config)) as installation:
        registry = _registry(installation)
        with ExitStack() as stack:
            if section.port is not None:
                stack.enter_context(listening(registry, installation, heartbeat, section.address, section.port))
            if section.textfile is not None:
                stack.enter_context(_writing(registry, section.textfile))
            yield


def _write(path: Path, registry: CollectorRegistry) -> None:
    """Replace the file, readable for node_exporter despite the process's umask."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(generate_latest(registry))
        unfinished.chmod(0o644)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _writing(registry: CollectorRegistry, path: Path) -> Iterator[None]:
    try:
        _write(path, registry)
    except OSError as error:
        raise ConfigurationError(f"[metrics] textfile: cannot write {path}: {error.strerror}") from error
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(SECONDS):
            try:
                _write(path, registry)
            except OSError as error:
                _log.warning("cannot write the metrics: %s", error)

    thread = threading.Thread(target=repeat, name="metrics")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _registry(installation: Installation) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(_FromDatabase(installation))
    return registry


class _FromDatabase(Collector):
    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; only `database_up` and `build_info` if the database does not answer."""
        yield _gauge("build_info", "The release that shows this.", [({"version": __version__}, 1)])
        answers = True
        try:
            metrics = [*self._state()]
        except SQLAlchemyError as error:
            if not outage.explains(error):
                _log.warning("the database has no metrics: %s", error)
            answers, metrics = False, []
        yield _gauge("database_up", "1 if the database answers.", [({}, answers)])
        yield from metrics

    def _state(self) -> Iterator[Metric]:
        config = self._installation.config
        names = [target.name for target in config.publish.targets]
        with self._installation.database.reading() as connection:
            query = plain.over(connection)
            state = health(query, names)
            consumers = stored.consumers(query)
            places = stored.targets(query, names)
            current = snapshots.current(query)
        yield from _of_journal(state)
        yield from _of_sources(state, consumers)
        yield from _of_plugins(state, current)
        yield from _of_site(state, current, places)


def _of_journal(state: "schemas.Health") -> Iterator[Metric]:
    journal = state["journal"]
    yield _gauge("through_timestamp_seconds", "Time of the newest accepted message.", [({}, state["through"])])
    yield _gauge(
        "slow_through_timestamp_seconds",
        "Time of the newest message in the published slow documents.",
        [({}, state["slow_through"])],
    )
    yield _counter("messages_accepted", "Messages that are in the journal, or were.", [({}, journal["messages"])])
    yield _counter("messages_known", "Copies of accepted messages.", [({}, journal["known"])])
    yield _counter("messages_conflicting", "Copies that differed in content.", [({}, journal["conflicts"])])
    yield _counter("messages_foreign", "Messages of other environments, and our own.", [({}, journal["foreign"])])
    yield _counter("messages_removed", "Messages removed from the journal.", [({}, journal["removed"])])
    yield _counter("discarded", "Lines deleted from quarantine because of the quota.", [({}, journal["discarded"])])
    yield _gauge("held_messages", "Messages of the future that are held until their time.", [({}, journal["held"])])
    yield _gauge("quarantine_lines", "Malformed lines in quarantine.", [({}, journal["quarantined"])])
    yield _gauge("journal_segments", "Segments of the journal.", [({}, journal["segments"])])
    yield _gauge("journal_bytes", "Bytes of the journal.", [({}, journal["bytes"])])
    yield _gauge("journal_stored_bytes", "Bytes of the journal, compressed.", [({}, journal["stored_bytes"])])
    yield _gauge("gaps", "Intervals that are known to be missing.", [({}, len(state["gaps"]))])
    missing = sum(end - start for start, end in state["gaps"])
    yield _gauge("missing_seconds", "Time that is known to be missing.", [({}, missing)])


def _of_sources(state: "schemas.Health", consumers: Sequence[ConsumerRow]) -> Iterator[Metric]:
    sources = [({"source": row["name"]}, row) for row in state["sources"]]
    yield _counter("source_messages", "Messages accepted.", [(of, row["accepted"]) for of, row in sources])
    yield _gauge(
        "source_delivered_timestamp_seconds",
        "Time of its last delivery.",
        [(of, row["seen_at"]) for of, row in sources],
    )
    workers = [({"source": row.name}, row) for row in consumers]
    yield _gauge(
        "consumer_worked_timestamp_seconds",
        "Time at which a consumer last looked for messages, also if the bus is quiet.",
        [(of, row.worked_at) for of, row in workers],
    )
    yield _counter(
        "consumer_rejected", "Messages with no valid signature.", [(of, row.rejected) for of, row in workers]
    )
    yield _gauge(
        "consumer_unconnected",
        "Addresses of the bus at which no one answers.",
        [(of, len(row.unconnected.splitlines())) for of, row in workers],
    )
    batches = SummaryMetricFamily("statscache_batch_seconds", "Seconds from a batch to its commit.", labels=["source"])
    for row in consumers:
        batches.add_metric([row.name], row.batches, row.milliseconds / 1000)
    yield batches


def _of_plugins(state: "schemas.Health", current: Snapshot | None) -> Iterator[Metric]:
    named = [({"plugin": row["name"]}, row) for row in state["plugins"]]
    yield _gauge("plugin_ok", "1 if it is up to date.", [(of, row["state"] == "ok") for of, row in named])
    yield _gauge("plugin_failed", "1 if it is suspended.", [(of, row["state"] == "failed") for of, row in named])
    yield _gauge("plugin_stale", "1 if it is held back.", [(of, row["state"] == "stale") for of, row in named])
    yield _gauge(
        "plugin_behind_messages", "Messages that it has not folded yet.", [(of, row["behind"]) for of, row in named]
    )
    yield _gauge(
        "plugin_pending_documents",
        "Documents that changed since slow documents were last updated.",
        [(of, row["pending"]) for of, row in named],
    )
    if current is not None:
        number = [({"plugin": name}, keys) for name, keys in current.summary["keys"].items()]
        yield _gauge("plugin_keys", "Keys when slow documents were last updated.", number)
    yield _gauge("plugin_errors", "Messages quarantined for it.", [(of, row["quarantined"]) for of, row in named])
    yield _gauge("plugin_problems", "Plugins that could not be loaded.", [({}, len(state["problems"]))])


def _of_site(state: "schemas.Health", current: Snapshot | None, places: Sequence[TargetRow]) -> Iterator[Metric]:
    if current is not None:
        yield _gauge("snapshot_generation", "Generation of the newest snapshot.", [({}, current.generation)])
        yield _gauge("snapshot_bytes", "Bytes of all files of the newest snapshot.", [({}, current.size)])
    yield _gauge("publishing_held", "1 if a rollback holds publishing.", [({}, state["held"])])
    yield _gauge("oversize_documents", "Documents over their size limit.", [({}, len(state["oversize"]))])
    now = int(time.time())
    reached = [({"target": row.name}, row) for row in places]
    published = [(of, row) for of, row in reached if row.published_at is not None]
    yield _gauge("target_ok", "1 if it was published to, and keeps up.", [(of, row.is_ok(now)) for of, row in reached])
    yield _gauge(
        "target_behind_seconds",
        "Seconds for which it has been behind; 0 if it keeps up.",
        [(of, row.late(now)) for of, row in reached],
    )
    for name, description, attribute, unit in (
        ("target_published_timestamp_seconds", "Time of the last publication to it.", "published_at", 1),
        ("target_generation", "Generation that it serves.", "generation", 1),
        ("target_publish_seconds", "Seconds that the last publication took.", "milliseconds", 1000),
        ("target_publish_bytes", "Bytes that the last publication sent.", "bytes", 1),
        ("target_publish_requests", "Operations of the last publication.", "requests", 1),
    ):
        yield _gauge(name, description, [(of, getattr(row, attribute) / unit) for of, row in published])


_Samples = Sequence[tuple[dict[str, str], Any]]
"""Labels and value of each sample; those whose value is None are left out."""


def _gauge(name: str, description: str, samples: _Samples) -> Metric:
    return _filled(GaugeMetricFamily, name, description, samples)


def _counter(name: str, description: str, samples: _Samples) -> Metric:
    return _filled(CounterMetricFamily, name, description, samples)


def _filled(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily], name: str, description: str, samples: _Samples
) -> Metric:
    labels = next((list(of) for of, _ in samples), [])
    metric = family(f"statscache_{name}", description, labels=labels)
    for of, value in samples:
        if value is not None:
            metric.add_metric(list(of.values()), float(value))
    return metric
