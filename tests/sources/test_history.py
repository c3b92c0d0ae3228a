"""History from datagrepper, over HTTP from a server that misbehaves: what comes, what is complete, what is missing."""

import base64
import gzip
import random
import re
import threading
import time
from email.utils import formatdate
from itertools import count, islice
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3

from commands import Bus, Home, wait_for
from history_server import Answer, Fault, HistoryServer, Query
from loopback import free_endpoint
from samples import NOON, Site
from statscache.exceptions import ConfigurationError, SourceError
from statscache.ingest import Outcome
from statscache.service import history
from statscache.service.gap_filler import GapFiller
from statscache.simulator import Traffic, simulate
from statscache.sources import datagrepper, datagrepper_pages
from statscache.store import coverage
from statscache.store.intervals import Interval
from statscache_plugins.volume import Volume

START, END = NOON, NOON + 6 * 3600


@pytest.fixture(scope="module")
def messages() -> list[dict[str, Any]]:
    """Six hours of simulated traffic, with fractions of seconds."""
    traffic = Traffic(START, END, per_day=4_000, people=50, packages=50)
    return [orjson.loads(line) for line in simulate(traffic)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again at once, so that a server may fail often."""
    monkeypatch.setattr(datagrepper_pages, "_FIRST_PAUSE", 0.001)


class Walk:
    """Walks on one database."""

    def __init__(
        self, database: str, directory: Path, server: HistoryServer, *, max_line: int = 1 << 22, **options: Any
    ) -> None:
        sources = {"datagrepper": {"url": server.url, "start": START, **options}}
        self.site = Site(database, directory, (Volume,), sources=sources, bus={"max_line": max_line})
        self.outcome = Outcome()
        self.lost: list[datagrepper.Part] = []

    def go(self, *, only_gaps: bool = False, jobs: int = 2, stop_after: int = 1000) -> Outcome:
        """Ask for what is wanted, and return the result."""
        self.outcome, self.lost = Outcome(), []
        wanted = history.wanted(self.site.installation, None, END, only_gaps=only_gaps)
        walk = history.walk(self.site.installation, wanted, jobs=jobs, stopping=threading.Event())
        for step in islice(walk, stop_after):
            self.outcome += step.outcome
            self.lost += step.lost
        walk.close()
        return self.outcome

    @property
    def gaps(self) -> list[Interval]:
        """What is known to be missing."""
        with self.site.database.reading() as connection:
            return coverage.gaps(connection)

    @property
    def incomplete(self) -> list[Interval]:
        """What is not known to be complete."""
        with self.site.database.reading() as connection:
            return coverage.missing(connection, START, END)

    @property
    def total(self) -> int:
        """How many messages are counted."""
        return sum(row[2] for row in self.site.state()["volume"] if row[0] == "key")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return f"sqlite:///{tmp_path / 'statscache.db'}"


@pytest.mark.parametrize("jobs", [1, 4])
def test_all_of_a_history_comes_and_is_complete(
    database_url: str, tmp_path: Path, messages: list[dict[str, Any]], jobs: int
) -> None:
    """Windows share their ends, so that nothing between two seconds is lost; several are under way at a time."""
    with HistoryServer(messages) as server:
        walk = Walk(database_url, tmp_path, server)
        outcome = walk.go(jobs=jobs)
        assert (walk.total, walk.incomplete, walk.gaps) == (len(messages), [], [])
        assert outcome.accepted == len(messages)
        assert outcome.quarantined == 0
        assert all(query["start"] > 0 for query in server.queries)
        # No deep page is asked for, each of which would cost more than the one before.
        assert {query["page"] for query in server.queries} == {1}
        assert server.busiest <= jobs
        asked = len(server.queries)
        assert walk.go().read == 0
        assert len(server.queries) == asked
    walk.site.close()


def test_both_shapes_of_rows_are_the_messages_of_the_bus(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """What history adds to them makes no other messages of them: each is known, whichever way it came first."""
    with HistoryServer(messages) as server:
        for number, url in enumerate((server.url, server.url_of_v2)):
            walk = Walk(f"{database}{number}", tmp_path, server, url=url)
            walk.site.feed([orjson.dumps(message) for message in messages[::2]], "fedmsg")
            outcome = walk.go()
            assert (outcome.accepted, outcome.conflicts) == (len(messages) // 2, 0)
            again = walk.site.feed([orjson.dumps(message) for message in messages], "fedmsg")
            assert (again.known, again.conflicts) == (len(messages), 0)
            walk.site.close()


def row(id: str, timestamp: float) -> dict[str, Any]:
    """Return a small message."""
    return {"msg_id": id, "topic": "org.fedoraproject.prod.a.b", "timestamp": timestamp, "msg": {}}


def failing(status: int, share: float, **headers: str) -> Fault:
    """Return a fault that answers some requests with a status and a page for people."""
    rng = random.Random(1)

    def fault(_query: Query, answer: Answer) -> None:
        if rng.random() < share:
            answer.status, answer.body = status, b"<html><h1>Proxy Error</h1></html>"
            answer.headers = {"Content-Type": "text/html", **headers}

    return fault


def cutting(announced: bool) -> Fault:
    """Return a fault that cuts some answers, as a connection that breaks does, or a server that stops in its JSON."""
    rng = random.Random(2)

    def fault(_query: Query, answer: Answer) -> None:
        if rng.random() < 0.3:
            if announced:
                answer.cut = len(answer.body) // 2
            else:
                answer.body = answer.body[: len(answer.body) // 2]

    return fault


def changed_total(difference: int) -> Fault:
    """Return a fault that now and then tells a total that is wrong."""
    rng = random.Random(3)

    def fault(_query: Query, answer: Answer) -> None:
        if rng.random() < 0.1:
            body = orjson.loads(answer.body)
            body["total"] = max(0, body["total"] + difference)
            answer.body = orjson.dumps(body)

    return fault


def slow(_query: Query, answer: Answer) -> None:
    """Keep the other side waiting for longer than it does, now and then."""
    if random.random() < 0.05:
        answer.delay = 1.5


FAULTS: dict[str, Fault] = {
    "500": failing(500, 0.3),
    "502": failing(502, 0.3),
    "429 with Retry-After": failing(429, 0.3, **{"Retry-After": "0"}),
    "429 with a Retry-After in the year 99999": failing(429, 0.3, **{"Retry-After": "Thu, 01 Jan 99999 00:00:00 GMT"}),
    "429 with a Retry-After of 5,000 digits": failing(429, 0.3, **{"Retry-After": "9" * 5_000}),
    "HTML with status 200": failing(200, 0.3),
    "connections that break": cutting(announced=True),
    "truncated JSON": cutting(announced=False),
    "totals that are too large": changed_total(5),
    "totals that are too small": changed_total(-5),
    "slow": slow,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_fails_now_and_then_is_asked_for_again(
    database: str, tmp_path: Path, messages: list[dict[str, Any]], fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the end everything is there, nothing is called missing or was quarantined; failures are reported."""
    with HistoryServer(messages, FAULTS[fault]) as server:
        walk = Walk(database, tmp_path, server, timeout=1.0)
        outcome = walk.go(jobs=4)
        assert (walk.total, walk.gaps, walk.incomplete) == (len(messages), [], [])
        assert outcome.quarantined == 0
    if status := re.match(r"\d+", fault):
        assert f"{server.url}: status {status[0]}; retrying in" in caplog.text
    walk.site.close()


def test_a_redirect_is_followed(database: str, tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    """A server that moved is found where it went."""
    with HistoryServer(messages) as server:

        def moved(query: Query, answer: Answer) -> None:
            rest = "&".join(f"{name}={value}" for name, value in query.items())
            answer.status, answer.headers = 302, {"Location": f"{server.url}?{rest}&order=asc"}

        with HistoryServer([], moved) as old:
            walk = Walk(database, tmp_path, old)
            walk.go()
            assert walk.total == len(messages)
    walk.site.close()


def test_a_password_is_for_the_server_alone(tmp_path: Path) -> None:
    """It comes from a file, and goes with every request; whom the server redirects to does not get it."""
    home = Home(tmp_path / "home")
    password = home.directory / "password"
    password.touch(0o600)
    password.write_text("me:hush\n")
    with HistoryServer([]) as other:

        def moved(query: Query, answer: Answer) -> None:
            rest = "&".join(f"{name}={value}" for name, value in query.items())
            answer.status, answer.headers = 302, {"Location": f"{other.url}?{rest}&order=asc"}

        with HistoryServer([], moved) as server:
            home.configure(f'[sources.datagrepper]\nurl = "{server.url}"\npassword_file = "password"\n')
            period = "--start", str(START), "--end", str(START + 60)
            done = home.run("backfill", *period)
            assert {*server.credentials} == {"Basic " + base64.b64encode(b"me:hush").decode()}
        assert {*other.credentials} == {None}
    assert "hush" not in done.stdout + done.stderr + home.run("config", "show").stdout
    password.chmod(0o644)
    assert "password holds a password and is world-readable" in home.run("config", "check", status=2).stderr
    password.chmod(0o600)
    password.write_text("hush")
    output = home.run("backfill", *period, status=2).stderr
    assert "password_file: password must hold one line, `user:password`" in output


@pytest.mark.parametrize(
    ("section", "setting", "fix"),
    [
        ("sources.datagrepper", "url", "name that in password_file"),
        ("publish", "base_url", "readers of the site would see them"),
    ],
)
def test_an_address_with_a_password_is_refused(tmp_path: Path, section: str, setting: str, fix: str) -> None:
    """It would be shown, logged or published. The refusal has the fix, and not the password."""
    home = Home(tmp_path / "home")
    home.configure(f'[{section}]\n{setting} = "https://me:h/u@sh@host/path"\n')
    output = home.run("config", "check", status=2).stderr
    assert f"{setting}: must not hold credentials" in output
    assert fix in output
    assert "h/u@sh" not in output


@pytest.mark.parametrize("host", ["me:hush%40host", "host:hush", "me:hush@[::1", "host:70000"])
def test_what_stands_in_the_place_of_a_port_is_not_shown(tmp_path: Path, host: str) -> None:
    """It may be a password, with an @ that is written otherwise."""
    home = Home(tmp_path / "home")
    home.configure(f'[sources.datagrepper]\nurl = "https://{host}/path"\n')
    output = home.run("config", "check", status=2).stderr
    assert "url: must" in output
    assert "hush" not in output
    assert "Traceback" not in output


def test_a_message_that_appears_between_two_pages_is_not_lost(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """It shifts the pages behind it; the window is read until it adds up, and the newcomer counts."""
    late = {**messages[0], "msg_id": "late", "timestamp": START + 1.5}

    def newcomer(query: Query, _answer: Answer) -> None:
        if query["start"] == START and query["page"] == 1 and late not in server.messages:
            server.messages.append(late)

    with HistoryServer(messages, newcomer) as server:
        walk = Walk(database, tmp_path, server)
        walk.go()
        assert any(query["start"] == START and query["page"] == 2 for query in server.queries)
        assert (walk.total, walk.incomplete) == (len(messages) + 1, [])
    walk.site.close()


def test_rows_of_one_second_that_pages_tear_apart_all_come(database: str, tmp_path: Path) -> None:
    """A second with hundreds of rows in no fixed order is put together from several readings."""
    burst = [row(f"m{number}", START + 5) for number in range(150)]
    with HistoryServer(burst) as server:
        walk = Walk(database, tmp_path, server)
        while walk.incomplete:
            walk.go()
        assert walk.total == 150
    walk.site.close()


def silent(_query: Query, answer: Answer) -> None:
    """Say nothing for longer than is waited for."""
    answer.delay = 30.0


def dripping(_query: Query, answer: Answer) -> None:
    """Never be silent for long, nor come to an end soon."""
    answer.body, answer.drip = b" " * 300, 0.1


_NUMBERS = count()


def endless(query: Query, answer: Answer) -> None:
    """Have ever more rows, whatever is asked for."""
    rows = [row(f"m{next(_NUMBERS)}", query["end"]) for _ in range(100)]
    answer.body = orjson.dumps({"raw_messages": rows, "total": 10**12})


@pytest.mark.parametrize("fault", [silent, dripping, endless])
def test_repair_ends_soon_whatever_the_server_does(database: str, tmp_path: Path, fault: Fault) -> None:
    """It waits no longer than the server may be silent, and asks for nothing more."""
    with HistoryServer([], fault) as server:
        walk = Walk(database, tmp_path, server, timeout=1.0)
        repair = GapFiller(walk.site.installation.config)
        repair.start()
        wait_for(lambda: len(server.queries) > 0, lambda: "nothing was asked for")
        asked = len(server.queries)
        repair.stop()
        # It did not wait for an answer. One request more may have been on its way.
        assert fault is endless or (server.answered == 0 and len(server.queries) <= asked + 1)
    walk.site.close()


def large(_query: Query, answer: Answer) -> None:
    """Send more than is read."""
    answer.body = b" " * 100_001


def compressed(_query: Query, answer: Answer) -> None:
    """Compress what no one wants compressed."""
    answer.body, answer.headers = gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (large, "a page has more than 100,000 bytes"),
        (compressed, "in the encoding gzip, which was not requested"),
        (dripping, "an answer takes longer than 1 s"),
        (endless, "1,000,000,000,000 rows; at most 10,000 are read at once"),
    ],
)
def test_what_is_read_is_bounded(monkeypatch: pytest.MonkeyPatch, fault: Fault, error: str) -> None:
    """A page has so many bytes and seconds at most, and a second so many rows; beyond that it cannot be fetched."""
    monkeypatch.setattr(datagrepper_pages, "LARGEST", 100_000)
    monkeypatch.setattr(datagrepper_pages, "_SILENCES", 0.5)
    monkeypatch.setattr(datagrepper_pages, "_ATTEMPTS", 2)
    with HistoryServer([], fault) as server:
        [part] = datagrepper.Datagrepper(server.url, 2.0, threading.Event()).fetch(START, START + 1)
        assert error in str(part.error)
        assert len(server.queries) <= 4


@pytest.mark.parametrize("bound", ["LARGEST", "MOST_VALUES"])
def test_one_sender_cannot_make_a_second_too_large_to_read(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page is too large, its rows are asked for one by one; a row that is too large itself is a clear error."""
    monkeypatch.setattr(datagrepper_pages, bound, 40_000 if bound == "LARGEST" else 2_000)
    monkeypatch.setattr(datagrepper_pages, "_ATTEMPTS", 1)
    long = [{**row(f"long{number}", START), "msg": {"value": [0] * 1_000}} for number in range(20)]
    with HistoryServer([row("good", START), *long]) as server:
        source = datagrepper.Datagrepper(server.url, 5.0, threading.Event())
        [part] = source.fetch(START, START + 1)
        assert part.error is None
        assert len(part.lines) == 21
        server.messages = [{**row("huge", START), "msg": {"value": [0] * 20_000}}]
        [part] = source.fetch(START, START + 1)
        assert f"a page has more than {getattr(datagrepper_pages, bound):,} " in str(part.error)


def test_a_window_of_many_bytes_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held of a window at a time is bounded in bytes, whatever the number of its rows."""
    monkeypatch.setattr(datagrepper, "MOST_BYTES", 100_000)
    rows = [{**row(f"r{number}", START + number), "msg": {"value": "x" * 1_000}} for number in range(400)]
    with HistoryServer(rows) as server:
        source = datagrepper.Datagrepper(server.url, 5.0, threading.Event())
        parts, at = [], START
        while at < START + 400:
            parts += source.fetch(at, START + 400)
            at = parts[-1].end
        assert all(part.error is None for part in parts)
        assert len({line for part in parts for line in part.lines}) == 400
        assert max(sum(map(len, part.lines)) for part in parts) < 250_000


def damaged(first: int, last: int) -> Fault:
    """Return a fault that fails wherever one of these seconds is asked for."""

    def fault(query: Query, answer: Answer) -> None:
        if query["start"] <= last and query["end"] >= first:
            answer.status, answer.body = 500, b"boom"

    return fault


@pytest.mark.parametrize("second", [START + 1, START + 7_000])
def test_a_second_that_cannot_be_had_is_a_small_gap_and_the_rest_goes_on(
    database: str, tmp_path: Path, messages: list[dict[str, Any]], second: int
) -> None:
    """It is narrowed down, recorded and told; when the server is fixed, `--gaps` asks for it, and for nothing else."""
    with HistoryServer(messages, damaged(second, second)) as server:
        walk = Walk(database, tmp_path, server)
        walk.go()
        start, end = second - 1, second + 1
        assert walk.incomplete == walk.gaps == [(start, end)]
        assert all("status 500" in str(part.error) for part in walk.lost)
        server.fault = None
        server.queries.clear()
        walk.go(only_gaps=True)
        assert (walk.total, walk.gaps, walk.incomplete) == (len(messages), [], [])
        assert all(start <= query["start"] < query["end"] <= end for query in server.queries)
    walk.site.close()


def test_hours_that_cannot_be_had_do_not_keep_what_follows_from_coming(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """However many windows of them fail in a row, they are a gap, as long as the server answers for another time."""
    bad = START + 3_600, START + 4 * 3_600
    with HistoryServer(messages, damaged(bad[0], bad[1] - 1)) as server:
        walk = Walk(database, tmp_path, server)
        walk.go()
        ((start, end),) = walk.gaps
        assert bad[0] - 3_600 < start <= bad[0]
        assert bad[1] <= end < bad[1] + 3_600
        assert walk.incomplete == walk.gaps
        server.fault = None
        walk.go(only_gaps=True)
        assert (walk.total, walk.gaps) == (len(messages), [])
    walk.site.close()


def test_a_stretch_that_cannot_be_had_takes_little_of_its_window_along(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """What follows in the same window is asked for, as long as the server answers for its end."""
    with HistoryServer(messages, damaged(START + 10, START + 1_000)) as server:
        walk = Walk(database, tmp_path, server)
        walk.go(jobs=1)
        assert walk.gaps[0][0] < START + 10
        assert walk.gaps[-1][1] == START + 1_001
        assert len(server.queries) < 500
    walk.site.close()


def test_a_window_is_given_up_soon_where_the_server_is_away() -> None:
    """Few requests tell that it is, however large the window; all of it is missing."""
    with HistoryServer([], failing(503, 1)) as server:
        parts = datagrepper.Datagrepper(server.url, 1.0, threading.Event()).fetch(START, START + 7 * 86_400)
        assert (parts[0].start, parts[-1].end) == (START, START + 7 * 86_400)
        assert all(part.error for part in parts)
        assert len(server.queries) <= 50


@pytest.mark.parametrize("version", ["raw", "v2/search"])
def test_rows_of_another_time_than_was_asked_for_complete_nothing(
    database: str, tmp_path: Path, messages: list[dict[str, Any]], version: str
) -> None:
    """A cache that answers whatever is asked with what it has, is not a server of history."""
    with HistoryServer([row("old", START - 30 * 86_400)]) as old:
        url = f"{old.url.removesuffix('raw')}{version}?start={START - 31 * 86_400}&end={START}&page=1"
        kept = urllib3.request("GET", f"{url}&rows_per_page=100&order=asc").data

    def cached(_query: Query, answer: Answer) -> None:
        answer.body = kept

    with HistoryServer(messages, cached) as server:
        walk = Walk(database, tmp_path, server)
        with pytest.raises(SourceError, match=r"a row of the second 143\d+ came, where \d+ to \d+ was asked for"):
            walk.go()
        assert (walk.total, walk.incomplete) == (0, [(START, END)])
    walk.site.close()


def test_an_integer_that_python_does_not_read_costs_no_more_than_its_row(database: str, tmp_path: Path) -> None:
    """It is quarantined, as those are that it reads, and its window is complete."""

    def lengthened(_query: Query, answer: Answer) -> None:
        answer.body = answer.body.replace(b'"long"', b"9" * 5_000)

    with HistoryServer([row("good", START + 5), {**row("bad", START + 6), "msg": {"n": "long"}}], lengthened) as server:
        walk = Walk(database, tmp_path, server)
        outcome = walk.go()
        assert (outcome.accepted, outcome.quarantined) == (1, 1)
        assert walk.incomplete == []
    walk.site.close()


def test_a_server_that_is_away_ends_the_walk_and_it_goes_on_from_there(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """Nothing is called missing for that, and what came before is not asked for again."""

    def away(query: Query, answer: Answer) -> None:
        if query["end"] > START + 7_200:
            answer.status, answer.body = 503, b""

    with HistoryServer(messages, away) as server:
        walk = Walk(database, tmp_path, server)
        with pytest.raises(SourceError, match=r"does not answer: .*run again"):
            walk.go()
        assert walk.gaps == []
        ((start, end),) = walk.incomplete
        assert START + 3_600 <= start <= START + 7_200
        assert end == END
        server.fault = None
        server.queries.clear()
        walk.go()
        assert walk.total == len(messages)
        assert min(query["start"] for query in server.queries) == start
    walk.site.close()


@pytest.mark.parametrize("answered", [0, 1])
def test_a_server_that_is_away_makes_no_gap_of_what_the_bus_brought(
    database: str, tmp_path: Path, answered: int
) -> None:
    """However little is asked for, and wherever in a window it goes away: what was heard is not called missing."""

    def away(query: Query, answer: Answer) -> None:
        if query["end"] - query["start"] > 1_000 or len(server.queries) > datagrepper_pages._ATTEMPTS + answered:
            answer.status, answer.body = 503, b""

    with HistoryServer([], away) as server:
        walk = Walk(database, tmp_path, server)
        walk.site.feed([orjson.dumps(row("heard", END - 1_800))], "fedmsg", connected=END - 2_000)
        wanted = [(END - 1_800, END)]
        with pytest.raises(SourceError, match=r"does not answer: .*status 503"):
            [*history.walk(walk.site.installation, wanted, jobs=1, stopping=threading.Event())]
        assert walk.gaps == []
        server.fault = None
        walk.go()
        assert (walk.gaps, walk.incomplete) == ([], [])
    walk.site.close()


def test_the_last_second_that_is_asked_for_may_be_the_bad_one(
    database: str, tmp_path: Path, messages: list[dict[str, Any]]
) -> None:
    """It is a gap like any other, for the server answers for the present."""
    with HistoryServer(messages, damaged(END, END)) as server:
        walk = Walk(database, tmp_path, server)
        walk.go()
        assert walk.gaps == [(END - 1, END)]
    walk.site.close()


def test_an_address_that_is_none_is_said_at_once(database: str, tmp_path: Path) -> None:
    """A request that is refused as such is not tried again."""
    with HistoryServer([], failing(404, 1)) as server:
        walk = Walk(database, tmp_path, server)
        with pytest.raises(SourceError, match=r"with status 404: check \[sources.datagrepper\] url"):
            walk.go(jobs=1)
        assert len(server.queries) <= 2
    walk.site.close()


def test_a_walk_that_ended_early_goes_on(database: str, tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    """Each run asks from where the one before it stopped, and together they are one."""
    with HistoryServer(messages) as server:
        walk = Walk(database, tmp_path, server)
        walk.go(stop_after=2)
        ((start, _),) = walk.incomplete
        assert START < start < END
        server.queries.clear()
        walk.go()
        assert walk.total == len(messages)
        assert min(query["start"] for query in server.queries) == start
    walk.site.close()


def test_windows_follow_the_volume(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rows make them narrow, and none is read that has too many; quiet time makes them wide."""
    monkeypatch.setattr(datagrepper, "MOST", 500)
    monkeypatch.setattr(history, "TARGET", 200)
    busy = [row(f"m{number}", END - 1200 + number / 5) for number in range(5_000)]
    with HistoryServer(busy) as server:
        walk = Walk(database, tmp_path, server, start=START - 90 * 86400)
        walk.go(jobs=1)
        assert walk.total == 5_000
        assert max(query["page"] for query in server.queries) <= 5
        quiet = [query["end"] - query["start"] for query in server.queries if query["end"] < START - 86400]
        assert max(quiet) == 7 * 86400
        assert len(quiet) < 25
    walk.site.close()


def test_what_is_young_is_fetched_and_not_called_complete(
    database: str, tmp_path: Path, messages: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows come late, so the last minutes are asked for again."""
    monkeypatch.setattr("time.time", lambda: END + 60.0)
    with HistoryServer(messages) as server:
        walk = Walk(database, tmp_path, server)
        walk.go()
        assert walk.total == len(messages)
        assert walk.incomplete == [(END + 60 - history.SETTLED, END)]
    walk.site.close()


@pytest.mark.parametrize(
    ("date", "now"),
    [
        (formatdate(END + 60, usegmt=True), END + 60),
        (formatdate(END + 30 * 86_400, usegmt=True), END + 86_400),
        ("Thu, 01 Jan 99999 00:00:00 GMT", END + 86_400),
        ("soon", END + 86_400),
        ("", END + 86_400),
    ],
)
def test_a_clock_that_is_fast_calls_nothing_complete_that_is_to_come(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, date: str, now: int
) -> None:
    """The server's clock has a say in what is past, where it tells; the earlier of the two holds."""
    monkeypatch.setattr("time.time", lambda: END + 86_400.0)

    def dated(_query: Query, answer: Answer) -> None:
        answer.headers["Date"] = date

    with HistoryServer([row("m", START)], dated) as server:
        walk = Walk(database, tmp_path, server)
        wanted = history.wanted(walk.site.installation, None, None, only_gaps=False)
        assert [*history.walk(walk.site.installation, wanted, jobs=1, stopping=threading.Event())]
        with walk.site.database.reading() as connection:
            assert coverage.missing(connection, START, END + 86_400) == [(now - history.SETTLED, END + 86_400)]
    walk.site.close()


def test_bad_rows_are_quarantined_and_keep_nothing_up(database: str, tmp_path: Path) -> None:
    """NaN, long integers, lone surrogates and long rows are refused one by one, as they are from the bus."""
    good = row("good", START + 5)
    bad: list[Any] = [float("nan"), 2**70, "\ud800", "x" * 2_000]
    rows = [good, *({**good, "msg_id": f"bad{number}", "msg": {"value": value}} for number, value in enumerate(bad))]
    with HistoryServer(rows) as server:
        walk = Walk(database, tmp_path, server, max_line=1024)
        outcome = walk.go()
        assert (outcome.accepted, outcome.quarantined) == (1, 4)
        assert walk.incomplete == []
    walk.site.close()


def test_history_that_no_one_configured_says_what_to_write(tmp_path: Path) -> None:
    """Without a server, or without a beginning, the command names the section."""
    home = Home(tmp_path / "home")
    assert "add a section [sources.datagrepper], with a url" in home.run("backfill", status=2).stderr
    home.configure('[sources.datagrepper]\nurl = "http://127.0.0.1:1/raw"\n')
    assert "nothing says where history begins" in home.run("backfill", status=2).stderr
    for wrong in (["--gaps", "file"], ["--start", "2020-01-01", "--end", "2019-01-01"], ["--complete", "1", "2"]):
        home.run("backfill", *wrong, status=2)
    home.configure('[sources.datagrepper]\nurl = "ftp://x"\nstart = "soon"\n')
    assert home.run("config", "check", status=2).stderr.count("[sources.datagrepper]") == 2


def test_the_command_tells_what_came_and_what_is_missing(tmp_path: Path, messages: list[dict[str, Any]]) -> None:
    """It ends with status 1 where something is missing, `status` lists the gap, and `--gaps` fixes that and no more."""
    home = Home(tmp_path / "home")
    second = int(messages[500]["timestamp"])

    def proxied(query: Query, answer: Answer) -> None:
        if query["start"] <= second <= query["end"]:
            answer.body = b"<html><h1>Proxy Error</h1></html>"

    with HistoryServer(messages, proxied) as server:
        home.configure(f'[sources.datagrepper]\nurl = "{server.url}"\nstart = 2015-08-08T12:00:00Z\n')
        done = home.run("backfill", "--start", str(second), "--end", str(second + 1), status=1)
        assert done.stdout.startswith("0 read, 0 accepted")
        assert "is missing: no JSON" in done.stderr
        assert "parts that are missing: 1; `statscache backfill --gaps` asks for them again" in done.stderr
        assert home.json("status")["gaps"] == [[second, second + 1]]
        server.fault = None
        assert 1 <= home.json("backfill", "--gaps")["accepted"] <= 10
        assert home.json("status")["gaps"] == []
        home.run("backfill", "--end", str(END), "--jobs", "3")
        state = home.json("status")
        assert state["journal"]["messages"] == len(messages)
        assert [row["name"] for row in state["sources"]] == ["datagrepper"]


def test_a_consumer_fetches_what_passed_while_no_one_listened(tmp_path: Path) -> None:
    """At the start, the recent past comes from history, while the bus is heard already."""
    now = int(time.time())
    endpoint = free_endpoint()
    rows = [row(f"m{number}", now - 6_900 + 600 * number) for number in range(12)]
    home = Home(tmp_path / "home")
    with HistoryServer(rows) as server:
        home.configure(
            f'[sources.fedmsg]\nendpoints = ["{endpoint}"]\n'
            f'[sources.datagrepper]\nurl = "{server.url}"\nrepair_hours = 1.5\n'
        )
        with Bus(endpoint) as bus, home.start("consume") as service:
            bus.send([orjson.dumps(row("live", now))])
            wait_for(lambda: home.json("status", status=None)["journal"]["messages"] == 10, lambda: service.text)
            assert service.end()[0] == 0
    state = home.json("status")
    assert sorted(row["name"] for row in state["sources"]) == ["datagrepper", "fedmsg"]


def test_a_consumer_whose_history_is_away_goes_on(tmp_path: Path) -> None:
    """The live source does not wait for the server, and says that it cannot be fetched."""
    endpoint = free_endpoint()
    home = Home(tmp_path / "home")
    with HistoryServer([], failing(403, 1)) as server:
        home.configure(f'[sources.fedmsg]\nendpoints = ["{endpoint}"]\n[sources.datagrepper]\nurl = "{server.url}"\n')
        with Bus(endpoint) as bus, home.start("consume") as service:
            service.await_log("cannot fetch history, retrying in 600 s")
            bus.send([orjson.dumps(row("live", NOON))])
            wait_for(lambda: home.json("status", status=None)["journal"]["messages"] == 1, lambda: service.text)
            assert service.end()[0] == 0


def test_a_walk_on_nothing_needs_no_server(tmp_path: Path) -> None:
    """Without a section, asking is a mistake of the configuration."""
    site = Site(f"sqlite:///{tmp_path / 'a.db'}", tmp_path, (Volume,))
    with pytest.raises(ConfigurationError, match=r"\[sources.datagrepper\]"):
        history.wanted(site.installation, START, END, only_gaps=True)
    site.close()
