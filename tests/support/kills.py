"""Kill the code under test at an operation: an exception in place of SIGKILL."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from statscache.publish import atomic
from statscache.publish.directory import DirectoryTarget
from statscache.store import Database

EVERYWHERE = bool(os.environ.get("KILL_EVERYWHERE"))

STRIDE = 1 if EVERYWHERE else 5
"""Kill at each operation whose number is a multiple of this; `make kills` kills at each."""


class Killed(BaseException):
    """Used in place of SIGKILL: nothing catches it."""


class Steps:
    """Counts operations, and kills before the one that is due."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.number = 0

    def step(self) -> None:
        """Record one operation, or die before it."""
        if self.number == self.at:
            raise Killed
        self.number += 1


@contextmanager
def writes(database: Database, steps: Steps) -> Iterator[None]:
    """Every statement that changes anything is a step, and so is every commit."""

    def before_statement(*arguments: Any) -> None:
        if not arguments[2].lstrip().startswith("SELECT"):
            steps.step()

    def before_commit(_: object) -> None:
        steps.step()

    event.listen(database.engine, "before_cursor_execute", before_statement)
    event.listen(database.engine, "commit", before_commit)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", before_statement)
        event.remove(database.engine, "commit", before_commit)


@contextmanager
def target_operations(steps: Steps) -> Iterator[None]:
    """Whatever a directory target does with a file is a step: reads, probes, writes, puts in place, deletes.

    The private methods are the steps, since the public ones try them again.
    """

    def each(method: Callable[..., Any]) -> Callable[..., Any]:
        def one_by_one(target: DirectoryTarget, items: Any) -> Any:
            for item in items:
                steps.step()
                method(target, [item])
            steps.step()

        return one_by_one

    def whole(method: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(target: DirectoryTarget, *arguments: Any) -> Any:
            steps.step()
            return method(target, *arguments)

        return stepped

    wrappers = {"_read": whole, "_holds": whole, "_write": each, "_delete": each, "_barrier": whole}
    with pytest.MonkeyPatch.context() as patch:
        put = atomic.replace

        def replace(*arguments: Any) -> None:
            steps.step()
            put(*arguments)

        patch.setattr(atomic, "replace", replace)
        for name, wrapper in wrappers.items():
            patch.setattr(DirectoryTarget, name, wrapper(getattr(DirectoryTarget, name)))
        yield
