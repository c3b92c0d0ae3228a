"""Workers at once: each target has one, and a thread of its own while that publishes."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from statscache.exceptions import PublishError
from statscache.publish.report import Report
from statscache.publish.worker import INTERVALS, Job, Worker
from statscache.snapshot.snapshot import Snapshot

Outcome = tuple[Snapshot, Report] | BaseException
"""The result of a worker's publication: the snapshot and the report, or the error."""


class Workers:
    """The workers of all targets, each in a thread of its own while it publishes.

    The threads do not keep the process: one that hangs in a system call ends with it.

    Args:
        workers: One for each target.
    """

    def __init__(self, workers: Iterable[Worker]) -> None:
        self._workers = list(workers)
        self._threads: dict[str, threading.Thread] = {}

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._workers)

    def start(self, job: Job, on_end: Callable[[Worker, Outcome], None]) -> None:
        """Let all idle workers publish.

        Args:
            job: How to publish.
            on_end: Called, in the worker's thread, with the result.
        """

        def work(worker: Worker) -> None:
            outcome: Outcome
            try:
                outcome = worker.publish(job)
            except BaseException as error:
                outcome = error
            on_end(worker, outcome)

        for worker in self._workers:
            if worker.name not in self._threads or not self._threads[worker.name].is_alive():
                thread = threading.Thread(target=work, args=(worker,), name=f"publish {worker.name}", daemon=True)
                self._threads[worker.name] = thread
                thread.start()

    def wait(self, seconds: float = threading.TIMEOUT_MAX) -> list[Worker]:
        """Wait until all are idle, at most so many seconds, and return those that are not."""
        deadline = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return [worker for worker in self._workers if worker.name in self._busy()]

    def _busy(self) -> set[str]:
        return {name for name, thread in self._threads.items() if thread.is_alive()}


Progress = Callable[[str, int, int], None]
"""Called with the step, how much of it is done, and how much there is."""

Publish = Callable[[Iterable[Worker], Job, Progress], dict[str, Outcome]]
"""Has workers publish, and returns the results by the name of the target."""

_SECONDS_BETWEEN_LOOKS = 0.2


def silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def together(workers: Iterable[Worker], job: Job, progress: Progress) -> dict[str, Outcome]:
    """Publish to all targets at the same time."""
    outcomes: dict[str, Outcome] = {}
    busy = [*workers]
    running = Workers(busy)
    running.start(job, lambda worker, outcome: outcomes.update({worker.name: outcome}))
    while busy:
        progress("publishing to " + "; ".join(f"{worker.name}: {worker.at_work}" for worker in busy), 0, 0)
        busy = running.wait(_SECONDS_BETWEEN_LOOKS)
        for worker in busy:
            worker.log_if_late(INTERVALS * job.interval)
    return outcomes


def one_by_one(workers: Iterable[Worker], job: Job, _progress: Progress) -> dict[str, Outcome]:
    """Publish to one target after the other, in this thread."""
    outcomes: dict[str, Outcome] = {}
    for worker in workers:
        try:
            outcomes[worker.name] = worker.publish(job)
        except PublishError as error:
            outcomes[worker.name] = error
    return outcomes
