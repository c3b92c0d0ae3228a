"""Bits that decay in the database are never published: right bytes come out, or an error that says what is damaged."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from samples import KINDS, NOON, Acts, Site, follow, line, published_files
from statscache import cli, kinds
from statscache.exceptions import Damaged, DamagedObject, DamagedSnapshot, DamagedStatistics
from statscache.service.check import check
from statscache.service.publishing import Publishing
from statscache.simulator import Traffic, simulate
from statscache.snapshot import damage, record
from statscache.store import invariants, published, schema

DAY = 86_400
FLIPPED = 14
BITS = 3

PLUGINS = (*KINDS, Acts)


def sale(number: int) -> bytes:
    """Return a message of a sale, two hours after the one before."""
    bought = {"buyer": f"b{number}", "thing": f"t{number % 5}", "amount": number % 7}
    return line(f"m{number}", NOON + 7200 * number, body=bought, users=[f"user{number % 4}"])


class Command:
    """Runs commands in this process, in a directory of their own: a process for each takes a second to start."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._directory = directory
        self._patch = monkeypatch
        self._capfd = capfd

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit status, output and errors; a traceback fails the test."""
        self._patch.chdir(self._directory)
        self._patch.setattr("sys.argv", ["statscache", *arguments])
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, errors = self._capfd.readouterr()
        assert "Traceback" not in errors, errors
        return int(end.value.code or 0), out, errors


def flip(file: Path, seed: int) -> None:
    """Flip a few bits of a file, the same for each seed."""
    chosen = random.Random(seed)
    data = bytearray(file.read_bytes())
    for _ in range(BITS):
        data[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    file.write_bytes(data)


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A directory with a published site of the bundled plugins, and its database in one file."""
    directory = tmp_path / "whole"
    directory.mkdir()
    traffic = Traffic(start=NOON - 2 * DAY, end=NOON, per_day=500)
    (directory / "archive").write_bytes(b"\n".join(simulate(traffic)))
    run = Command(directory, monkeypatch, capfd)
    assert run("backfill", "archive")[0] == 0
    assert run("publish")[0] == 0
    connection = sqlite3.connect(directory / "statscache.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    return directory


def test_flipped_bits_are_never_published(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wherever three bits decay: with status 0 the right bytes are at the target, and else it has no wrong one."""
    expected = published_files(whole / "public")
    found = []
    for seed in range(FLIPPED):
        directory = tmp_path / f"flipped{seed}"
        directory.mkdir()
        shutil.copyfile(whole / "statscache.db", directory / "statscache.db")
        flip(directory / "statscache.db", seed)
        run = Command(directory, monkeypatch, capfd)
        # All is read of the database, for the target is empty.
        status, _, errors = run("publish")
        there = published_files(directory / "public") if (directory / "public").exists() else {}
        if status == 0:
            assert there == expected, (seed, errors)
            assert follow(directory / "public") == expected
        else:
            assert errors.splitlines()[-1].startswith("statscache: "), (seed, errors)
            assert not (directory / "public/v1/index.json").exists(), (seed, errors)
            assert all(expected[path] == data for path, data in there.items()), (seed, errors)
        found.append((seed, status, errors.splitlines()[-1:], run("db", "check")[1][:300]))
    for each in found:
        print(each)
