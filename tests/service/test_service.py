"""The service as it runs: real processes on a real bus, stopped, killed, starved, held up and misled."""

import logging
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from benchmarks import torture, tortured
from commands import PATIENCE, Bus, Home, configuration, install_plugins, wait_for
from conftest import Databases
from forks import Forked
from loopback import free_endpoint
from samples import KINDS, NOON, Sales, Site, line
from statscache.config import Config
from statscache.exceptions import PublishError
from statscache.publish.publisher import Publisher
from statscache.service.consume import Consumer
from statscache.store import coverage, journal, locks, positions
from statscache.store import database as store
from statscache.store.outage import Outage

RAISES = """
from statscache.plugins import Counter

class Picky(Counter):
    \"\"\"Raises on most messages.\"\"\"

    name = "picky"
    title = "Picky"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message):
        if "bad" in message.body:
            raise ValueError("this is bad")
        yield (message.topic,)

PLUGINS = [Picky]
"""

HOLDS = """
import os, time
from statscache.plugins import Counter

class Held(Counter):
    \"\"\"Is rendered for as long as the file `hold` is there.\"\"\"

    name = "held"
    title = "Held"
    unit = "messages"
    dimensions = ("topic",)

    def observe(self, message):
        yield (message.topic,)

    def documents(self, state):
        yield from super().documents(state)
        while os.path.exists("hold"):
            time.sleep(0.01)

PLUGINS = [Held]
"""


def lines(first: int, number: int, **body: object) -> list[bytes]:
    """Return messages a minute apart, the first of them `first` minutes after noon."""
    minutes = range(first, first + number)
    return [line(f"{minute:x}", NOON + 60 * minute, body={**body, "n": minute}) for minute in minutes]


def write(path: Path, messages: Sequence[bytes]) -> str:
    """Write an archive and return its name."""
    path.write_bytes(b"".join(message + b"\n" for message in messages))
    return str(path)


@pytest.fixture
def endpoint() -> str:
    """An endpoint on loopback that no one listens on."""
    return free_endpoint()


@pytest.fixture
def home(tmp_path: Path, endpoint: str) -> Home:
    """A home whose service listens on the endpoint and publishes every second."""
    made = Home(tmp_path / "home")
    made.configure(configuration(endpoint))
    return made


def undisturbed(home: Home, archive: str, *coverage: str) -> str:
    """Return the id of the snapshot that an archive alone gives, in an installation configured alike."""
    other = Home(home.directory.with_name("undisturbed"))
    other.environment = home.environment
    other.configure((home.directory / "statscache.toml").read_text())
    other.run("backfill", archive, *coverage)
    return str(other.json("publish")["id"])


def published(home: Home, number: int) -> bool:
    """Return whether a published snapshot counts so many messages."""
    path = home.public / "v1/plugins/volume/latest.json"
    return (
        path.exists()
        and home.document("v1/plugins/volume/latest.json")["rows"] != []
        and (home.document("v1/plugins/volume/latest.json")["rows"][0]["total"] == number)
    )


def test_run_publishes_every_interval_and_what_came_last(home: Home, endpoint: str) -> None:
    """Messages are published while it runs; SIGTERM commits and publishes what had arrived, and ends with status 0."""
    with Bus(endpoint) as bus, home.start("run") as service:
        bus.send(lines(0, 100))
        wait_for(lambda: published(home, 100), lambda: service.text)
        # On a busy machine, a publication may take longer than the interval: then status warns until it is done.
        wait_for(lambda: home.run("status", "--max-age", "60", status=None).returncode == 0, lambda: service.text)
        assert home.json("status", status=None)["journal"]["messages"] == 100
        first = home.document("v1/index.json")
        # The first messages may have come in several transactions.
        begun = service.text.count("transaction begins")
        bus.send(lines(100, 50))
        service.await_log("transaction begins", begun + 1)
        status, log = service.end()
    assert status == 0, log
    assert "Traceback" not in log
    started = [line.partition(": ")[2] for line in log.splitlines() if " INFO " in line][:5]
    assert re.fullmatch(r"statscache \S+, configuration: statscache\.toml", started[0])
    assert started[1:4] == [
        "database: sqlite:///statscache.db",
        "sources: fedmsg",
        "targets, every 1 s: public (directory public)",
    ]
    assert re.match(r"plugins: \d+: badges, ", started[4])
    last = home.document("v1/index.json")
    assert last["generation"] > first["generation"]
    assert published(home, home.json("status")["journal"]["messages"])
    assert last["expires_at"] == last["generated_at"] + 3


def accepted(database: store.Database) -> int:
    """Return how many messages are in the journal."""
    with database.reading() as connection:
        return journal.head(connection).position


def test_the_last_publication_waits_for_another_publisher(home: Home, endpoint: str) -> None:
    """What came last is published when the other one is done, and `run` ends well."""
    with Bus(endpoint) as bus, home.start("run") as service:
        service.await_log("published generation 1")
        bus.send(lines(0, 10))
        wait_for(lambda: published(home, 10), lambda: service.text)
        database = store.Database(f"sqlite:///{home.directory / 'statscache.db'}")
        with locks.publishing(database, patience=PATIENCE):
            bus.send(lines(10, 10))
            wait_for(lambda: accepted(database) == 20, lambda: service.text)
            service.send(signal.SIGTERM)
            service.await_log("another publisher is working on this database; waiting for it, at most 300 s")
            assert published(home, 10)
        database.close()
        assert service.end(None)[0] == 0
    assert published(home, 20)


def test_a_restart_after_downtime_publishes_the_gap_and_completing_closes_it(home: Home, endpoint: str) -> None:
    """What was sent meanwhile is missing and said to be, until an archive completes it: then nothing tells of it."""
    now = int(time.time())
    messages = [line(f"{number:x}", now - 3600 + 12 * number) for number in range(310)]
    times = []
    for part, number in ((messages[:60], 60), (messages[240:], 130)):
        times.append(int(time.time()))
        with Bus(endpoint) as bus, home.start("run") as service:
            bus.send(part)
            wait_for(lambda number=number: published(home, number), lambda service=service: service.text)
            assert service.end()[0] == 0
        times.append(int(time.time()))
    ((start, end),) = home.json("status")["gaps"]
    assert start <= times[1]
    assert times[2] <= end <= times[3] + 1
    assert home.document("v1/status.json")["gaps"] == [[start, end]]
    assert gaps(home)[0][0] <= start
    assert end <= gaps(home)[-1][1]
    archive = write(home.directory / "archive", messages)
    assert home.run("backfill", archive).stdout.startswith("310 read, 180 accepted, 130 known")
    home.run("publish")
    yesterday = now // 86400 * 86400 - 86400
    assert gaps(home, yesterday) != []
    coverage = ("--complete", str(yesterday), str(now + 86400))
    home.run("backfill", archive, *coverage)
    identity = home.json("publish")["id"]
    assert gaps(home, yesterday) == []
    assert identity == undisturbed(home, archive, *coverage)


def gaps(home: Home, since: int = 0) -> list[list[int]]:
    """Return the gaps in the published series of days that do not end before `since`."""
    years = sorted((home.public / "v1/plugins/volume/series/1d").glob("2*.json"))
    return [gap for year in years for gap in orjson.loads(year.read_bytes())["gaps"] if gap[1] > since]


def test_a_plugin_that_is_added_fills_itself_while_live_messages_go_on(home: Home, endpoint: str) -> None:
    """A service that starts with more plugins than the database knows ends where one that always had them does."""
    messages = lines(0, 2_000, who="ralph")
    everything = (home.directory / "statscache.toml").read_text()
    home.configure(everything + '[plugins]\nenabled = ["volume"]\n')
    home.run("backfill", write(home.directory / "history", messages[:1_000]))
    home.run("publish")
    home.configure(everything)
    with Bus(endpoint) as bus, home.start("run") as service:
        bus.send(messages[1_000:])
        wait_for(lambda: published(home, 2_000), lambda: service.text)
        assert service.end()[0] == 0
    assert home.run("verify", "--journal").stdout.count("agrees, ") == len(home.json("plugins")["plugins"])
    coverage = ("--complete", str(NOON), str(NOON + 90 * 86400))
    archive = write(home.directory / "archive", messages)
    home.run("backfill", archive, *coverage)
    assert home.json("publish")["id"] == undisturbed(home, archive, *coverage)


def test_a_suspended_plugin_keeps_its_documents_and_the_others_go_on(tmp_path: Path) -> None:
    """After 1,000 failures in a row it is `failed` in the index and for `status`; resumed and fixed, it catches up."""
    extra = install_plugins(tmp_path / "extra", RAISES)
    home = Home(tmp_path / "home", PYTHONPATH=str(extra))
    home.run("backfill", write(home.directory / "good", lines(0, 10)))
    home.run("publish")
    documents = home.plugin("picky")["documents"]
    # An update broke it: it cannot take what it counted before either.
    (extra / "extra_plugins.py").write_text(RAISES.replace('"bad" in message.body', "True"))
    done = home.run("backfill", write(home.directory / "bad", lines(10, 1_000, bad=True)))
    assert "plugin picky is suspended: it raised on 1000 messages in a row, at last ValueError: this" in done.stderr
    home.run("backfill", write(home.directory / "more", lines(1_010, 10)))
    home.run("publish")
    assert published(home, 1_020)
    assert home.plugin("picky")["state"] == "failed"
    assert home.plugin("picky")["documents"] == documents
    assert home.document("v1/plugins/picky/latest.json")["rows"][0]["total"] == 10
    assert home.plugin("volume")["state"] == "ok"
    state = home.json("status", status=3)
    assert [concern.partition(",")[0] for concern in state["concerns"]] == [
        "plugin picky: it raised on 1000 messages in a row"
    ]
    (extra / "extra_plugins.py").write_text(RAISES.replace('"bad" in', '"worse" in'))
    home.run("plugins", "--resume", "picky")
    home.run("quarantine", "retry")
    home.run("publish")
    assert home.plugin("picky")["state"] == "ok"
    assert home.document("v1/plugins/picky/latest.json")["rows"][0]["total"] == 1_020
    home.run("status")


def test_of_two_publishers_at_once_one_leaves_with_status_3(database_url: str, tmp_path: Path) -> None:
    """While one is in the middle of it, the other says so and changes nothing; afterwards it may."""
    home = Home(
        tmp_path / "home",
        STATSCACHE_DATABASE__URL=database_url,
        PYTHONPATH=str(install_plugins(tmp_path / "extra", HOLDS)),
    )
    home.run("backfill", write(home.directory / "archive", lines(0, 10)))
    (hold := home.directory / "hold").touch()
    with home.start("publish") as first:
        first.await_log("publishing: rendering")
        refused = home.run("publish", status=3)
        assert "another publisher is working on this database" in refused.stderr
        assert not (home.public / "v1/index.json").exists()
        hold.unlink()
        assert first.end(None)[0] == 0
    assert home.json("publish")["generation"] == home.document("v1/index.json")["generation"]


def test_accepting_and_publishing_take_their_locks_in_the_same_order(database_url: str, tmp_path: Path) -> None:
    """A publication that falls into the middle of an acceptance waits for it; neither meets a deadlock."""
    accepting, publishing = (Site(database_url, tmp_path, KINDS) for _ in range(2))
    accepting.feed(lines(0, 10))
    errors: list[Exception] = []

    def publish() -> None:
        try:
            publishing.publish()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=publish)
    with accepting.database.writing() as connection:
        rows = positions.lock(connection, [row.id for row in positions.load(connection).values()])
        thread.start()
        # It has rendered by then, and waits for the rows.
        thread.join(3)
        assert thread.is_alive()
        for row in rows.values():
            positions.mark(connection, row, [("latest", 0), ("1d", NOON // 86400 * 86400)])
    thread.join()
    assert errors == []
    accepting.close()
    publishing.close()


def test_a_snapshot_whose_publisher_failed_is_not_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never came whole to a target is not in its list of changes, though the database retains it."""
    site = Site(f"sqlite:///{tmp_path}/statscache.db", tmp_path, (Sales,))
    ids = []
    for number in range(3):
        site.feed(lines(10 * number, 10))
        with monkeypatch.context() as patch:
            if number == 1:
                patch.setattr(Publisher, "_send_objects", lambda *_: 1 / 0)
                with pytest.raises(PublishError, match="division by zero"):
                    site.publish()
            else:
                ids.append(site.publish().id)
    listed = [row["snapshot"] for row in site.document("v1/changes.json")["snapshots"]]
    assert listed == ids[::-1]
    for identity in listed:
        assert (site.public / f"v1/snapshots/{identity}.json").exists()
    site.close()


def test_a_killed_publisher_does_not_hold_the_next_one_up(database_url: str, tmp_path: Path) -> None:
    """The right to publish dies with its holder."""
    home = Home(
        tmp_path / "home",
        STATSCACHE_DATABASE__URL=database_url,
        PYTHONPATH=str(install_plugins(tmp_path / "extra", HOLDS)),
    )
    home.run("backfill", write(home.directory / "archive", lines(0, 10)))
    (hold := home.directory / "hold").touch()
    with home.start("publish") as first:
        first.await_log("publishing: rendering")
        first.end(signal.SIGKILL)
    hold.unlink()

    def publishes() -> bool:
        return home.run("publish", status=None).returncode == 0

    # PostgreSQL takes a moment to see that its client is gone.
    wait_for(publishes, lambda: "still held")
    assert published(home, 10)


def test_a_full_disk_is_said_and_what_was_accepted_stays(tmp_path: Path) -> None:
    """Where a file can grow no further, `backfill` and `publish` fail with a reason, and go on when there is room."""
    home = Home(tmp_path / "home")
    archive = write(home.directory / "archive", lines(0, 20_000))
    home.run("status")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    done = home.run("backfill", archive, status=1, preexec_fn=limit)
    assert "the database failed: " in done.stderr
    assert "disk" in done.stderr
    home.run("db", "check")
    done = home.run("backfill", archive)
    assert home.json("status")["journal"]["messages"] == 20_000
    assert home.run("verify", "--journal").stdout.count("agrees") == len(home.json("plugins")["plugins"])

    def narrower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = home.run("publish", status=1, preexec_fn=narrower)
    assert "Traceback" not in done.stderr
    home.run("publish")
    assert published(home, 20_000)


def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """A missing directory, a file that is not a database, and a server that is not there are said in a few lines."""
    home = Home(tmp_path / "home")
    for url, reason in (
        ("sqlite:////nowhere/statscache.db", "unable to open database file"),
        ("sqlite:///statscache.toml", "not a database"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/nothing", "onnection"),
    ):
        home.configure(f'[database]\nurl = "{url}"\n' + "# no database\n" * 100)
        done = home.run("status", status=1)
        assert reason in done.stderr, url
        assert "check [database] url" in done.stderr
        assert len(done.stderr.splitlines()) <= 4


def test_messages_wait_for_a_database_that_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While another process holds the database, the consumer tries again; it loses nothing and takes nothing twice."""
    pragmas = [pragma for pragma in store._PRAGMAS if "busy_timeout" not in pragma]
    monkeypatch.setattr(store, "_PRAGMAS", (*pragmas, "busy_timeout = 50"))
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO)
    # Another test of this process may have left one that did not end.
    outage = Outage()
    monkeypatch.setattr("statscache.service.consume.outage", outage)
    consumer = Consumer(Config())
    with sqlite3.connect("statscache.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        consumer.start()
        for message in lines(0, 100):
            consumer.offer(message)
        wait_for(lambda: outage.failures > 1, lambda: caplog.text)
        holder.execute("ROLLBACK")
    holder.close()
    consumer.stop()
    assert (consumer.outcome.read, consumer.outcome.accepted) == (100, 100)
    told = [record.message for record in caplog.records if "the database" in record.message]
    assert len(told) == 2, told
    number = int(told[1].rpartition(" ")[2])
    assert number > 1, "it was tried again, and not told again"


def test_messages_that_wait_are_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few very long messages fill the inbox as many short ones do; the source has to wait, and nothing is lost."""
    monkeypatch.chdir(tmp_path)
    consumer = Consumer(Config())
    held = threading.Event()
    accept = consumer._accept
    monkeypatch.setattr(consumer, "_accept", lambda messages: (held.wait(60), accept(messages)))
    consumer.start()
    offered: list[int] = []

    def offer() -> None:
        for _ in range(100):
            consumer.offer(b"x" * (1 << 20))
            offered.append(1)

    source = threading.Thread(target=offer)
    source.start()
    wait_for(lambda: len(offered) >= 32, lambda: str(len(offered)))
    time.sleep(1)
    assert len(offered) <= 32 + 8 + 1
    held.set()
    source.join(60)
    consumer.stop()
    assert consumer.outcome.quarantined == 100


@pytest.mark.parametrize("keeps", [False, True])
def test_a_clock_that_is_set_while_we_hear_hides_no_gap(
    keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The gap is on disk before another message comes; a source that keeps what is sent leaves none."""
    monkeypatch.chdir(tmp_path)
    late, left = 0.0, time.time()
    monkeypatch.setattr("time.time", lambda clock=time.time: clock() + late)

    def listen(id: str) -> Consumer:
        consumer = Consumer(Config(), keeps=keeps)
        consumer.start()
        consumer.offer(line(id, int(left - 7_200)))
        wait_for(lambda: consumer.outcome.read == 1, lambda: caplog.text)
        return consumer

    def gaps() -> list[tuple[int, int]]:
        database = store.Database("sqlite:///statscache.db")
        with database.reading() as connection:
            found = coverage.gaps(connection)
        database.close()
        return found

    listen("1").stop()
    # The machine was away for three hours, and its clock is an hour behind when it starts, until it is set.
    late = -3_600.0
    consumer = listen("2")
    late = 10_800.0
    wait_for(lambda: "the clock was set by +" in caplog.text, lambda: caplog.text)
    wait_for(lambda: keeps or any(end >= left + 10_800 for _, end in gaps()), lambda: str(gaps()))
    consumer.stop()
    assert [low <= left for low, _ in gaps()] == ([] if keeps else [True])


def test_a_consumer_that_failed_ends_the_service_on_a_quiet_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What stops the acceptance is reported at once, and `offer` and `stop` raise."""
    monkeypatch.chdir(tmp_path)
    failed = threading.Event()
    consumer = Consumer(Config(), on_failure=failed.set)
    monkeypatch.setattr(consumer._installation.ingest, "take", lambda delivery: 1 / 0)
    consumer.start()
    consumer.offer(lines(0, 1)[0])
    assert failed.wait(30)
    with pytest.raises(RuntimeError, match="stopped after an error"):
        consumer.offer(lines(0, 1)[0])
    with pytest.raises(RuntimeError, match="stopped after an error"):
        consumer.stop()
    assert "consuming ends" in caplog.text


def test_a_publisher_outlives_a_database_that_is_away(databases: Databases, tmp_path: Path) -> None:
    """`publish --every` says so, waits, and ends when it is asked to."""
    url = databases.create()
    home = Home(tmp_path / "home", STATSCACHE_DATABASE__URL=url)
    home.run("backfill", write(home.directory / "archive", lines(0, 10)))
    with home.start("publish", "--every", "0.5") as publisher:
        publisher.await_log("published generation 1")
        databases.drop(url)
        # Of SQLite it is the directory that is away.
        publisher.await_log(
            "the database does not answer; everything waits until it does"
            if url.startswith("postgresql")
            else "publishing failed, retrying in 0.5 s"
        )
        assert publisher.end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_publish_every_ends_with_status_0(tmp_path: Path, number: signal.Signals) -> None:
    """It goes on until the signal, renews the pointer of a quiet bus, and is not a new generation for that."""
    home = Home(tmp_path / "home")
    with home.start("publish", "--every", "1") as publisher:
        publisher.await_log("published generation 1", 2)
        assert publisher.end(number)[0] == 0
    assert home.document("v1/index.json")["generation"] == 1


def test_run_without_a_source_says_what_to_configure(tmp_path: Path) -> None:
    """`run` and `consume` need a live source."""
    for command in ("run", "consume"):
        done = Home(tmp_path / "home").run(command, status=2)
        assert "[sources.fedmsg]" in done.stderr


class Forking(tortured.Installation):
    """Forks its commands, as `Home` does."""

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end."""
        with self.start(*arguments, **environment) as command:
            out, err = command.communicate(PATIENCE)
            return subprocess.CompletedProcess(arguments, command.wait(), out.encode(), err.encode())

    def start(self, *arguments: str, **environment: str) -> Forked:
        """Fork a command."""
        variables = {**os.environ, **environment}
        return Forked(arguments, cwd=self.directory, env=variables, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_killed_again_and_again_the_end_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small torture, with a kill on SQLite, ends with the snapshot of an undisturbed run."""
    monkeypatch.setattr(torture, "Installation", Forking)
    kills = ["--kills", "1", "--decayed", "0"]  # tests/verify/test_damage.py flips bits.
    interval = sys.getswitchinterval()
    try:
        done = CliRunner().invoke(torture.main, [*kills, "--database", "sqlite:///statscache.db"])
    finally:
        sys.setswitchinterval(interval)
    assert done.exit_code == 0, done.output
    assert "an undisturbed run's is the same" in done.output
