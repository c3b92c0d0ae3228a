"""Parallel work: other processes parse lines and let plugins observe; this one reduces, accepts and folds, in order.

Other processes have no database. What they return does not depend on it, so everything is merged in the same order and
the same transactions as if one process had done it: the bytes are the same, whatever the number of workers, and a
worker that dies takes nothing with it that was committed. Without workers, this process prepares the same pieces.
"""

import multiprocessing
import os
import signal
import threading
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from statscache import __version__
from statscache.config import PluginsSection, PrivacySection
from statscache.exceptions import StatscacheError, WorkerError
from statscache.ingest import Delivery, Ingest, catchup
from statscache.ingest.catchup import Chunk
from statscache.ingest.ingest import WorkerContext
from statscache.ingest.prepare import Batch, Preparer, gc_paused
from statscache.ingest.reduce import PluginResult
from statscache.ingest.watchdog import Watchdog
from statscache.installation import Installation, load_plugins
from statscache.memory import collect_rarely
from statscache.plugins import Plugin
from statscache.plugins.registry import Registry
from statscache.store.records import deflate, inflate

PIECES = 10
"""Deliveries that are prepared apart and then accepted in one transaction."""

Done = TypeVar("Done")

# What a worker has loaded, in each of its threads: a plugin keeps caches of its own.
_loaded = threading.local()


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker has to load to do the same as this process.

    Attributes:
        plugins: The section of the configuration, as JSON.
        privacy: The same.
        environments: Those whose messages are accepted; empty for all.
        max_line: Bytes of the longest line that is taken for a message.
        release: That of this process.
        versions: Name, version and settings of each plugin in this process.
    """

    plugins: str
    privacy: str
    environments: tuple[str, ...]
    max_line: int
    release: str
    versions: tuple[tuple[str, str], ...]


class _Sent:
    """Lines on their way to a worker, compressed, because those of a whole batch wait in memory."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        lines = [*lines]
        self._lengths = array("I", map(len, lines))
        self._data = deflate(b"".join(lines))

    def __iter__(self) -> Iterator[bytes]:
        data = inflate(self._data)
        start = 0
        for length in self._lengths:
            yield data[start : start + length]
            start += length


class Workers:
    """An executor that does the work for one installation.

    Args:
        executor: Any executor; `statscache` is installed where it works, in the same release with the same plugins.
        number: How many work at the same time.
        installation: The installation.
    """

    def __init__(self, executor: Executor, number: int, installation: Installation) -> None:
        self._executor = executor
        self.number = number
        config = installation.config
        self._order = Order(
            config.plugins.model_dump_json(),
            config.privacy.model_dump_json(),
            config.bus.environments,
            config.bus.max_line,
            __version__,
            _versions(installation.registry),
        )

    def prepare(self, delivery: Delivery, ingest: Ingest) -> "Future[Batch]":
        """Have a delivery parsed and observed as `ingest` would."""
        sent = replace(delivery, lines=_Sent(delivery.lines))
        return self._submit(_prepare, self._order, ingest.worker_context(), sent)

    def look(self, plugin: str, chunk: Chunk) -> "Future[PluginResult]":
        """Have a chunk of the journal observed and summed up by one plugin."""
        return self._submit(_look, self._order, plugin, chunk)

    def _submit(self, work: Callable[..., Done], *arguments: object) -> "Future[Done]":
        # A process that is started here inherits the mask, so that Ctrl-C does not end it before `_begin` has run.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(work, *arguments)
        except Exception as error:
            raise _failed(error) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def working(installation: Installation, jobs: int, scheduler: str | None = None) -> Iterator[Workers | None]:
    """Give workers in this context; None for one job in this process.

    Args:
        installation: The installation.
        jobs: Processes of this machine.
        scheduler: Address of a Dask cluster's scheduler, whose workers are taken instead.

    Raises:
        WorkerError: The cluster cannot be reached.
    """
    if scheduler is not None:
        with _cluster(scheduler) as (executor, threads):
            yield Workers(executor, threads, installation)
    elif jobs == 1:
        yield None
    else:
        # A fork would inherit connections to the database.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin)
        try:
            yield Workers(executor, jobs, installation)
        finally:
            executor.shutdown(cancel_futures=True)


def prepared(
    deliveries: Iterable[tuple[int, Delivery]], ingest: Ingest, workers: Workers | None
) -> Iterator[tuple[int, Delivery, Batch]]:
    """Yield deliveries in order, each with its item and its batch.

    Each delivery is prepared apart, so that the lines of one at a time are in memory. `PIECES` of them are yielded as
    one, with what came with the last. An error is raised when all that came before it has been yielded.

    Args:
        deliveries: From a source that can be read again, each with an item that goes with it.
        ingest: Will take them.
        workers: The processes that prepare; None for this process.

    Raises:
        WorkerError: The workers failed.
    """
    pieces: list[tuple[tuple[int, Delivery], Batch]] = []
    try:
        for each in _each_prepared(deliveries, ingest, workers):
            pieces.append(each)
            if len(pieces) == PIECES:
                yield _join(pieces)
    except StatscacheError:
        if pieces:
            yield _join(pieces)
        raise
    if pieces:
        yield _join(pieces)


def _each_prepared(
    deliveries: Iterable[tuple[int, Delivery]], ingest: Ingest, workers: Workers | None
) -> Iterator[tuple[tuple[int, Delivery], Batch]]:
    if workers is None:
        return ((item, ingest.prepare(item[1])) for item in deliveries)
    # Enough that workers do not wait while this process takes the batch before.
    return _in_order(deliveries, lambda item: workers.prepare(item[1], ingest), max(PIECES, workers.number + 1))


def _join(pieces: list[tuple[tuple[int, Delivery], Batch]]) -> tuple[int, Delivery, Batch]:
    """Return pieces as one, with the item of the last; the list is empty then, so that only the whole is in memory."""
    deliveries = [delivery for (_, delivery), _ in pieces]
    batch = Batch.joined([batch for _, batch in pieces])
    last = pieces[-1][0][0]
    pieces.clear()
    return last, Delivery.joined(deliveries), batch


def caught_up(installation: Installation, workers: Workers) -> Iterator[None]:
    """Fold the journal, as far as it goes now, into each plugin that is behind; yield after each transaction.

    Raises:
        WorkerError: The workers failed.
    """
    database, budget = installation.database, installation.config.plugins.time_budget
    for plugin in installation.registry:

        def chunks(plugin: Plugin = plugin) -> Iterator[Chunk]:
            after = None
            while (chunk := catchup.next_chunk(database, plugin, after)) is not None:
                yield chunk
                after = chunk.folded

        def begin(chunk: Chunk, name: str = plugin.name) -> "Future[PluginResult]":
            return workers.look(name, chunk)

        for chunk, result in _in_order(chunks(), begin, workers.number + 1):
            catchup.commit(database, plugin, chunk, result, budget, installation.watchdog)
            yield


Item = TypeVar("Item")


def _in_order(
    items: Iterable[Item], begin: Callable[[Item], "Future[Done]"], ahead: int
) -> Iterator[tuple[Item, Done]]:
    """Yield each item with its result, in order; at most `ahead` more are begun meanwhile."""
    waiting: deque[tuple[Item, Future[Done]]] = deque()
    try:
        for item in items:
            waiting.append((item, begin(item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, _result(future)
    except StatscacheError as error:
        if isinstance(error, WorkerError):
            raise
        yield from ((item, _result(future)) for item, future in waiting)
        raise
    yield from ((item, _result(future)) for item, future in waiting)


def _result(future: "Future[Done]") -> Done:
    try:
        return future.result()
    except StatscacheError:
        raise
    except Exception as error:
        raise _failed(error) from error


def _failed(error: Exception) -> WorkerError:
    """Return the error for an exception of an executor whose worker died."""
    return WorkerError(f"a worker failed or has died ({type(error).__name__}: {error}); run the same again to carry on")


def _begin() -> None:
    """Prepare a process to be a worker: it ends with its parent, and leaves Ctrl-C to that."""
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@gc_paused()
def _prepare(order: Order, context: WorkerContext, delivery: Delivery) -> Batch:
    registry, preparer, watchdog = _load(order)
    preparer.leave_out(context.suspended)
    for plugin in registry:
        plugin.avoided = context.avoided[plugin.name]
    preparer.forget(context.suppression)
    preparer.identify_with(context.identity_key)
    try:
        return preparer.prepare(delivery)
    finally:
        watchdog.close()


def _look(order: Order, plugin: str, chunk: Chunk) -> PluginResult:
    registry, _, watchdog = _load(order)
    try:
        return catchup.look(registry.get(plugin), chunk, watchdog)
    finally:
        watchdog.close()


def _load(order: Order) -> tuple[Registry, Preparer, Watchdog]:
    if getattr(_loaded, "order", None) != order:
        plugins = PluginsSection.model_validate_json(order.plugins)
        registry = load_plugins(plugins, PrivacySection.model_validate_json(order.privacy))
        if (__version__, _versions(registry)) != (order.release, order.versions):
            raise WorkerError(
                f"a worker has statscache {__version__} with other plugins than this process with {order.release}:"
                " install the same there"
            )
        watchdog = Watchdog(plugins.hang_note, plugins.hang_timeout)
        _loaded.order = order
        _loaded.made = registry, Preparer(registry, order.environments, watchdog, order.max_line), watchdog
    made: tuple[Registry, Preparer, Watchdog] = _loaded.made
    return made


def _versions(registry: Registry) -> tuple[tuple[str, str], ...]:
    return tuple((plugin.name, plugin.state_version) for plugin in registry)


@contextmanager
def _cluster(address: str) -> Iterator[tuple[Executor, int]]:
    try:
        from distributed import Client
    except ImportError as error:
        raise WorkerError(f"--scheduler needs statscache[dask]: {error}") from error
    try:
        client = Client(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise WorkerError(f"the scheduler at {address} cannot be reached: {error}") from error
    with client:
        threads = sum(client.nthreads().values())  # type: ignore[no-untyped-call]
        if not threads:
            raise WorkerError(f"the scheduler at {address} has no workers: start some, such as `dask worker {address}`")
        yield client.get_executor(), threads  # type: ignore[no-untyped-call]
