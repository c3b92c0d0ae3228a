"""The real datagrepper before a real datanommer database: what is read there is what was sent on the bus."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import create_engine, make_url, text

from commands import Home
from conftest import ROOT
from datagrepper_server import Datagrepper
from samples import NOON, line
from servers import PostgreSQL
from statscache.simulator import Traffic, simulate

START, END = NOON, NOON + 6 * 3600


@pytest.fixture(scope="module")
def messages() -> list[bytes]:
    """Six hours of both buses, with fractions of seconds, many in one second, and bodies that are easily mangled."""
    traffic = [*simulate(Traffic(START, END, per_day=2_000, people=50, packages=50))]
    people = [
        line(f"new-{n}", START + 0.25 + n * 39, "org.fedoraproject.prod.wiki.article.edit", {"n": n}, [f"user{n % 7}"])
        for n in range(500)
    ]
    crowd = [line(f"crowd-{n}", START + 100 + n / 512, body={"n": n}) for n in range(400)]
    texts = ['\\N \\n "\\" \t\n\r', "\\.", "', \x01\x02", "äöü 🎩", "", "\u2028", "{", 10**15 + 0.5, -0.0, 2**63]
    odd = [line(f"odd-{n}", START + 200 + n, body={"value": value}) for n, value in enumerate(texts)]
    return [*traffic, *people, *crowd, *odd]


@pytest.fixture(scope="module")
def server(
    postgresql: PostgreSQL, messages: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Datagrepper]:
    """The server, which holds the messages."""
    if not Datagrepper.is_installed():
        pytest.skip("datagrepper is not installed (.ci/datagrepper, with Debian's libpq-dev)")
    with Datagrepper(postgresql, messages, tmp_path_factory.mktemp("datagrepper")) as running:
        yield running


@pytest.fixture(scope="module")
def archived(messages: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that has the messages from an archive, which is complete from the first to the last of them."""
    home = Home(tmp_path_factory.mktemp("archived"))
    (home.directory / "archive.gz").write_bytes(gzip.compress(b"\n".join(messages), 1))
    assert home.json("backfill", "--complete", str(START), str(END), "archive.gz")["accepted"] == len(messages)
    return home


@pytest.mark.parametrize("search", ["raw", "v2/search"])
def test_a_walk_gives_the_snapshot_of_an_archive(
    server: Datagrepper, archived: Home, messages: list[bytes], tmp_path: Path, search: str
) -> None:
    """Each message comes once, nothing is missing, and what the bus then brings is known, not in conflict."""
    home = Home(tmp_path / "home")
    home.configure(f'[sources.datagrepper]\nurl = "{server.address}{search}"\nstart = 2015-08-08T12:00:00\n')
    outcome = home.json("backfill", "--end", str(END), "--jobs", "3")
    assert (outcome["accepted"], outcome["quarantined"]) == (len(messages), 0)
    assert home.json("status")["gaps"] == []
    assert home.json("publish")["id"] == archived.json("publish")["id"]
    known = home.json("backfill", str(archived.directory / "archive.gz"))
    assert (known["accepted"], known["known"], known["conflicts"]) == (0, len(messages), 0)


def recipe() -> str:
    """Return the commands that the documentation gives."""
    section = (ROOT / "docs" / "history.md").read_text(encoding="utf-8").partition("## From datanommer's tables")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_recipe_dumps_what_the_bus_brought(
    server: Datagrepper, archived: Home, messages: list[bytes], tmp_path: Path
) -> None:
    """The documentation's commands, word for word, bring the messages of the days that they name, and nothing else."""
    home = Home(tmp_path / "home")
    shutil.copy(ROOT / "docs" / "datanommer.sql", home.directory)
    address = make_url(server.database)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "statscache").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m statscache "$@"\n')
    (programs / "statscache").chmod(0o755)
    outside = datetime(2015, 9, 1, tzinfo=UTC)
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO messages (msg_id, i, topic, timestamp, category, msg)"
                " VALUES ('later', 0, 'a.b.prod.c', :outside, 'c', '{}')"
            ),
            {"outside": outside},
        )
    try:
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", recipe()],
            cwd=home.directory,
            env={
                **os.environ,
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PGHOST": str(address.query["host"]),
                "PGUSER": str(address.username),
            },
            check=True,
            timeout=120,
        )
    finally:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM messages WHERE msg_id = 'later'"))
        engine.dispose()
    state = home.json("status")
    assert (state["journal"]["messages"], state["gaps"]) == (len(messages), [])
    assert home.json("quarantine", "list") == archived.json("quarantine", "list")
    same = Home(tmp_path / "same")
    same.json("backfill", "--complete", "2015-08-01", "2015-09-01", str(archived.directory / "archive.gz"))
    assert home.json("publish")["id"] == same.json("publish")["id"]
    [dump] = home.directory.glob("*.ndjson.gz")
    rows = [orjson.loads(row) for row in gzip.decompress(dump.read_bytes()).splitlines()]
    assert {frozenset(row) for row in rows} == {frozenset({"msg_id", "topic", "timestamp", "headers", "msg"})}
    known = home.json("backfill", str(archived.directory / "archive.gz"))
    assert (known["accepted"], known["known"], known["conflicts"]) == (0, len(messages), 0)
