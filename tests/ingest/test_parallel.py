"""Work in parallel: the same comes out, whoever parses and however many, and who dies takes nothing with him."""

import contextlib
import gzip
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import orjson
import pytest

from commands import BRAKE, SMALL_BATCH, SMALL_BATCHES, Home, install_plugins, wait_for
from samples import ALL, KINDS, NOON, Site, fresh_site, line
from statscache.exceptions import SourceError, WorkerError
from statscache.ingest import Delivery, Outcome, judge
from statscache.installation import Installation
from statscache.plugins import Counter, Message
from statscache.service import backfill, parallel
from statscache.service.parallel import Workers, working
from statscache.simulator import Traffic, simulate
from statscache.store import compaction, journal, positions, quarantine
from statscache.timeline import DAY
from statscache_plugins.volume import Volume

DEADLY = """
import os, signal
from statscache.plugins import Counter

class Deadly(Counter):
    \"\"\"Kills the process that shows it a certain message, once.\"\"\"

    name = "deadly"
    title = "Deadly"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message):
        if "deadly" in message.body and os.path.exists(message.body["deadly"]):
            os.unlink(message.body["deadly"])
            os.kill(os.getpid(), signal.SIGKILL)
        yield (message.topic,)

PLUGINS = [Deadly]
"""


def messages(number: int, **body: object) -> list[bytes]:
    """Return messages of some days, copies and what is none among them."""
    made = [
        line(f"{n:x}", NOON + 97 * n, f"org.fedoraproject.prod.c{n % 7}.t", {"n": n, **body}, [f"user{n % 50}"])
        for n in range(number)
    ]
    return [*made[: number // 2], b"no message", made[3], *made[number // 2 :]]


def archive(home: Home, content: list[bytes], name: str = "archive.gz") -> str:
    """Write an archive and return its name."""
    (home.directory / name).write_bytes(gzip.compress(b"\n".join(content), 1))
    return name


def build(number: int) -> bytes:
    """Return the message that ends a build, which took as many minutes as its number says."""
    times = {"creation_time": "2026-08-01T00:00:00+00:00", "completion_time": f"2026-08-01T00:{number:02}:00+00:00"}
    body = {"name": "kernel", "instance": "primary", "new": 1, "release": "1.fc45", **times}
    return line(f"build{number}", NOON + number, "org.fedoraproject.prod.buildsys.build.state.change", body)


def sale(number: int, amount: int = 1, later: int = 0) -> bytes:
    """Return a message that all sample plugins count."""
    body = {"buyer": f"user{number % 3}", "thing": "hat", "amount": amount}
    return line(f"s{number}", NOON + number + later, body=body, users=[f"user{number % 5}"])


NEW = [*map(sale, range(20))]
RAISING = [sale(3 * number) for number in range(8)]
RAISING_MORE = [sale(3 * number) for number in range(20, 26)]
FOREIGN = [b"no message", line("f", NOON, topic="org.fedoraproject.stg.a.b"), line("soon", time.time() + 10_000)]


class Picky(Counter):
    """Raises on some messages."""

    name = "picky"
    title = "Picky"
    dimensions = ("id",)

    def observe(self, message: Message) -> Iterator[Any]:
        """Raise on each third."""
        if int(message.id[1:]) % 3 == 0:
            raise ValueError(message.id)
        yield (message.id,)


class Backwards(Executor):
    """Does its work when the last piece of it is asked for, and the newest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Any, Any]] = []

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> "Future[Any]":
        """Take work, and do all that waits as soon as there are three pieces."""
        future: Future[Any] = Future()
        self._waiting.append((future, function, arguments))
        if len(self._waiting) == 3:
            for done, work, given in reversed(self._waiting):
                done.set_result(work(*given))
            self._waiting.clear()
        return future


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path of modules with which history is accepted in several transactions."""
    return str(install_plugins(tmp_path_factory.mktemp("several") / "extra", SMALL_BATCHES + BRAKE))


@pytest.fixture(scope="module")
def alone(several: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[bytes], Any, str]:
    """History, what one process said of it, and the snapshot that it came to."""
    # All bundled plugins have something of it: counts and amounts, spans, members, and the newest of all.
    traffic = simulate(Traffic(NOON, NOON + 43200, per_day=4_000, people=40, packages=40))
    content = [*messages(SMALL_BATCH + 600), *traffic, *map(build, range(20))]
    home = Home(tmp_path_factory.mktemp("alone"), PYTHONPATH=several)
    outcome = home.json("backfill", archive(home, content), "--jobs", "1")
    return content, outcome, home.json("publish")["id"]


def test_any_number_of_processes_gives_the_same_snapshot(
    alone: tuple[list[bytes], Any, str], several: str, database_url: str, tmp_path: Path
) -> None:
    """History and a rebuild in two processes come to the bytes, and the counts, of one."""
    content, outcome, id = alone
    # A copy, and what is none.
    assert (outcome["accepted"], outcome["known"], outcome["quarantined"]) == (len(content) - 2, 1, 1)
    home = Home(tmp_path / "home", PYTHONPATH=several, STATSCACHE_DATABASE__URL=database_url)
    assert home.json("backfill", archive(home, content), "--jobs", "2") == outcome
    assert home.json("publish")["id"] == id
    names = [row["name"] for row in home.json("plugins")["plugins"]]
    home.run("rebuild", *names, "--jobs", "2")
    assert home.json("publish", "--force")["id"] == id
    home.run("db", "check")


@pytest.mark.parametrize(
    "deliveries",
    [
        pytest.param([NEW, [sale(20)]], id="all is new"),
        pytest.param([[*NEW, sale(3), sale(4, 9), sale(5, later=DAY), sale(6, later=2 * DAY)]], id="copies"),
        pytest.param([NEW, [*map(sale, range(19)), sale(19, 9)], [sale(20)]], id="all is known"),
        pytest.param([NEW, [sale(18), sale(19, 9), sale(20)]], id="some is known"),
        pytest.param([NEW, *([sale(n), sale(n + 5)] for n in range(15, 30)), [sale(40)]], id="always some is known"),
        pytest.param([NEW, [sale(0, later=DAY), sale(1, later=2 * DAY)]], id="known on another day"),
        pytest.param([[*reversed(NEW)], [sale(21), sale(20)]], id="newest first"),
        pytest.param([[*NEW, *FOREIGN], FOREIGN, []], id="nothing of ours"),
        pytest.param([[sale(1), *(sale(2 + 3 * n, 2**53 - 1) for n in range(1025))], [sale(4000)]], id="refused"),
        pytest.param([NEW[1:3], RAISING, NEW[1:3], RAISING_MORE, [sale(100)]], id="raised, as long ago"),
    ],
)
def test_it_makes_no_difference_who_prepared_a_delivery(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deliveries: list[list[bytes]]
) -> None:
    """What another process made of it is taken as it is, whatever of it turns out to be new."""
    monkeypatch.setattr(judge, "MAX_FAILURES", 12)
    here = fresh_site(database_url, tmp_path / "here", (*ALL, Picky))
    expected = [here.feed(lines) for lines in deliveries], here.state(), rows(here), quarantined(here)
    here.close()
    elsewhere = fresh_site(database_url, tmp_path / "elsewhere", (*ALL, Picky))
    preparer = elsewhere.ingest._preparer
    prepare = Mock(wraps=preparer.prepare)
    monkeypatch.setattr(preparer, "prepare", prepare)
    outcomes = [elsewhere.feed_prepared(lines) for lines in deliveries]
    assert (outcomes, elsewhere.state(), rows(elsewhere), quarantined(elsewhere)) == expected
    assert prepare.call_count == 0
    elsewhere.close()


def rows(site: Site) -> dict[str, dict[str, object]]:
    """Return what the database says of each plugin, but for its number."""
    with site.database.reading() as connection:
        return {name: asdict(row) | {"id": 0} for name, row in positions.load(connection).items()}


def quarantined(site: Site) -> list[tuple[object, ...]]:
    """Return what is in quarantine, and the beginning of the reason."""
    with site.database.reading() as connection:
        found = quarantine.listed(connection)
    return [(item.plugin, item.position, item.reason[:30], item.source, item.size) for item in found]


def test_the_days_that_a_plugin_counts_hold_for_whoever_prepares(database_url: str, tmp_path: Path) -> None:
    """What was sent before a plugin's beginning does not count for it, also where a worker could not know that."""
    states = []
    for name, url in (("here", f"sqlite:///{tmp_path}/here.db"), ("elsewhere", database_url)):
        site = Site(url, tmp_path / name, (*KINDS, Volume))
        feed = site.feed if name == "here" else site.feed_prepared
        feed([sale(0)])
        feed([sale(1), sale(2, later=2 * DAY)])
        feed([sale(3, later=5 * DAY)])
        plugins = [plugin.name for plugin in site.installation.registry]
        assert compaction.remove_old(site.database, plugins, 4) == 1
        site.ingest.plugins.rebuild(["sales"])
        site.catch_up()
        feed([sale(4), sale(5, later=DAY)])
        feed([sale(6), sale(7, later=DAY)])
        states.append(site.state())
        site.close()
    assert states[0] == states[1]
    assert [sum(row[2] for row in states[0][name] if row[0] == "key") for name in ("sales", "volume")] == [4, 8]


def test_what_is_configured_of_plugins_holds_in_every_process(tmp_path: Path) -> None:
    """Settings that plugins share, people who are left out, and plugins that are off: two processes go by them too."""
    ids = []
    for jobs in ("1", "2"):
        home = Home(tmp_path / f"with {jobs}")
        home.configure('[plugins.shared]\nbots = ["user1"]\n[privacy]\nsuppressed = ["user2"]\n')
        home.run("backfill", archive(home, messages(500)), "--jobs", jobs)
        ids.append(home.json("publish")["id"])
        assert not (home.public / "v1/plugins/volume-by-user/by/user2.json").exists()
        assert (home.public / "v1/plugins/volume-by-user/by/user3.json").exists()
    assert ids[0] == ids[1]
    home.configure("[privacy]\npeople = false\n")
    home.run("backfill", archive(home, messages(600), "more.gz"), "--jobs", "2")
    home.run("publish")
    assert not (home.public / "v1/plugins/volume-by-user").exists()


def test_the_order_in_which_work_is_done_does_not_matter(installation: Installation, tmp_path: Path) -> None:
    """Any executor fits: what is done last is still committed in its turn."""
    (tmp_path / "archive").write_bytes(b"\n".join(messages(300)))
    seen: list[int] = []
    outcome = Outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backfill, "PIECE", 6)
        workers = Workers(Backwards(), 2, installation)
        for consumed, part in backfill.backfill(installation, tmp_path / "archive", workers):
            seen.append(consumed)
            outcome += part
    assert (outcome.read, outcome.accepted) == (302, 300)
    assert len(seen) >= 3
    assert seen == sorted(seen)


def test_workers_have_work_while_a_batch_is_taken(installation: Installation, tmp_path: Path) -> None:
    """All pieces of the next batch are given out before this process takes one, and wait in little room."""
    (tmp_path / "archive").write_bytes(b"\n".join(messages(3_000)))
    sent: list[int] = []

    class Recording(ThreadPoolExecutor):
        def submit(self, function: Any, /, *arguments: Any, **named: Any) -> "Future[Any]":
            sent.append(len(pickle.dumps(arguments[-1])))
            return super().submit(function, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch, Recording(2) as threads:
        patch.setattr(backfill, "PIECE", 100)
        next(backfill.backfill(installation, tmp_path / "archive", Workers(threads, 2, installation)))
    assert len(sent) >= 2 * parallel.PIECES
    assert sum(sent) < (tmp_path / "archive").stat().st_size / 3


def test_what_comes_before_the_damage_of_an_archive_counts(installation: Installation, tmp_path: Path) -> None:
    """Work that was given out when the damage is met is committed before it is reported."""
    content = b"\n".join(messages(20_000))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(content, 1)[:-1000])
    with ThreadPoolExecutor(2) as threads, pytest.raises(SourceError, match="damaged"):
        list(backfill.backfill(installation, tmp_path / "cut.gz", Workers(threads, 4, installation)))
    with installation.database.reading() as connection:
        assert 19_000 < journal.head(connection).position < 20_000


def test_a_worker_of_another_release_is_refused(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts differently there would be wrong here."""
    with ThreadPoolExecutor(1) as threads:
        workers = Workers(threads, 1, installation)
        monkeypatch.setattr(parallel, "__version__", "0.0")
        work = workers.prepare(Delivery("x", [line("a", NOON)]), installation.ingest)
        with pytest.raises(WorkerError, match="install the same there"):
            work.result()


def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    """The run ends with a reason; run again, it carries on from the last commit and comes to the same."""
    extra = install_plugins(tmp_path / "extra", SMALL_BATCHES + DEADLY)
    trap = tmp_path / "trap"
    content = messages(5_000)
    # It is given out when what came first has been prepared.
    content[4_000] = line("deadly", NOON, body={"deadly": str(trap)})
    ids = []
    for name, jobs in (("undisturbed", "1"), ("killed", "2")):
        home = Home(tmp_path / name, PYTHONPATH=str(extra))
        history = archive(home, content)
        if name == "killed":
            trap.touch()
            done = home.run("backfill", history, "--jobs", "2", status=1)
            assert "run the same again to carry on" in done.stderr
            assert 0 < home.json("status")["journal"]["messages"] < 5_000
        again = home.json("backfill", history, "--jobs", jobs)
        ids.append(home.json("publish")["id"])
    assert not trap.exists()
    assert ids[0] == ids[1]
    assert again["read"] < 5_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_and_loses_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, which all processes get as at a terminal, or SIGTERM: none is left, and the next run carries on."""
    home = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", SMALL_BATCHES + BRAKE)))
    name = archive(home, messages(5_000))
    brake = home.directory / "brake"
    brake.touch()
    with home.start("backfill", name, "--jobs", "2", start_new_session=True) as service:
        service.await_log("transaction begins", 2)
        if number == signal.SIGINT:
            os.killpg(service.process_id, number)
        else:
            service.send(number)
        status, log = service.end(None)
        assert status == 1
        assert log.rstrip().endswith("statscache: interrupted")
        assert "Traceback" not in log
        assert "Warning" not in log
        wait_for(lambda: not group(service.process_id), lambda: f"left: {group(service.process_id)}")
    brake.unlink()
    before = home.json("status")["journal"]["messages"]
    assert before == SMALL_BATCH
    again = home.json("backfill", name, "--jobs", "2")
    assert before + again["accepted"] == 5_000
    # The copy that the archive holds, and no more.
    assert again["known"] == 1


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """No process is left behind."""
    home = Home(tmp_path / "home", PYTHONPATH=str(install_plugins(tmp_path / "extra", SMALL_BATCHES + BRAKE)))
    (home.directory / "brake").touch()
    with home.start("backfill", archive(home, messages(5_000)), "--jobs", "2", start_new_session=True) as service:
        service.await_log("transaction begins", 2)
        service.send(signal.SIGKILL)
        wait_for(lambda: not group(service.process_id), lambda: f"left: {group(service.process_id)}")


def group(leader: int) -> list[str]:
    """Return the processes that run in a group, by number and name."""
    found = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Behind the name, which may hold anything, come the state, the parent and the group.
            name, _, rest = process.read_text("utf-8", "replace").rpartition(")")
            state, _, of = rest.split()[:3]
            if of == str(leader) and state != "Z":
                found.append(name)
    return found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask cluster on loopback, with a scheduler and a worker with two threads."""
    pytest.importorskip("distributed", reason="needs statscache[dask]")
    made = tmp_path / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(made)]
    worker = ["--no-nanny", "--nthreads", "2", "--local-directory", str(tmp_path)]
    programs = [
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", *local],
        [sys.executable, "-m", "distributed.cli.dask_worker", *local, *worker],
    ]
    with (tmp_path / "log").open("wb") as log:
        running = [subprocess.Popen(program, cwd=tmp_path, stdout=log, stderr=log) for program in programs]
    try:
        wait_for(lambda: made.exists() and made.stat().st_size, lambda: (tmp_path / "log").read_text())
        yield str(orjson.loads(made.read_bytes())["address"])
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_dask_cluster_gives_the_same_snapshot(cluster: str, tmp_path: Path) -> None:
    """Its workers do what processes of this machine do, for history and for a rebuild."""
    content = messages(10_000)
    ids = []
    for name, options in (("alone", []), ("cluster", ["--scheduler", cluster])):
        home = Home(tmp_path / name)
        home.run("backfill", archive(home, content), *options)
        ids.append(home.json("publish")["id"])
    assert ids[0] == ids[1]
    home.run("rebuild", "volume", "--scheduler", cluster)
    assert home.json("publish", "--force")["id"] == ids[0]


def test_a_scheduler_that_is_not_there_is_said(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where no one answers is an error that names it."""
    dask = pytest.importorskip("dask", reason="needs statscache[dask]")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}),
        pytest.raises(WorkerError, match=r"tcp://127.0.0.1:1 cannot be reached"),
        working(installation, 1, "tcp://127.0.0.1:1"),
    ):
        pass
