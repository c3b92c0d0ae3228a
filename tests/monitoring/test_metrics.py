"""Metrics and health of a real service on a real bus, as Prometheus and a monitoring system see them."""

import os
import re
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ca import Sender
from commands import Bus, Home, configuration, install_plugins, wait_for
from conftest import ROOT
from loopback import free_endpoint, free_ports
from samples import NOON, line
from service.test_service import RAISES
from statscache.monitoring import metrics
from statscache.monitoring.heartbeat import Heartbeat

NO_MESSAGE = b'{"topic": "org.fedoraproject.prod.shop.sale", "timestamp": "never"}'

Values = dict[tuple[str, str], float]
"""Values by name and the value of the label, if there is one; without the common prefix."""


def values(text: str) -> Values:
    """Return what a text in Prometheus' format says."""
    return {
        (sample.name.removeprefix("statscache_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def fetched(port: int) -> Values:
    """Return what the service shows at a port."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return values(answer.read().decode())


def asked(port: int, path: str) -> tuple[int, str]:
    """Return status and body of what the service answers at a port."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}", timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_service_that_cannot_publish_is_alive_and_not_ready(tmp_path: Path) -> None:
    """What is wrong is in the answer; no one restarts a service for it."""
    home = Home(tmp_path / "home")
    endpoint, (port,) = free_endpoint(), free_ports(1)
    target = '[[publish.targets]]\nname = "far"\ntype = "rsync"\ndestination = "rsync://127.0.0.1:9/site"\n'
    home.configure(configuration(endpoint, metrics={"port": port}) + target)
    with Bus(endpoint), home.start("run") as service:
        wait_for(lambda: open_at(port), lambda: service.text)
        wait_for(lambda: "target far: " in asked(port, "readyz")[1], lambda: service.text)
        assert asked(port, "readyz")[0] == 503
        assert asked(port, "livez") == (200, "ok\n")
        service.end()


def test_a_part_that_makes_no_progress_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its limit, and until it makes progress again; publishing has a longer one."""
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    heart = Heartbeat(["fedmsg", "publish"])
    now[0] += 299
    assert [*heart.stalled()] == []
    now[0] += 2
    assert [*heart.stalled()] == ["fedmsg: no progress for 301 s"]
    heart.beat("fedmsg")
    assert [*heart.stalled()] == []
    now[0] += 1_800
    assert [*heart.stalled()] == ["fedmsg: no progress for 1800 s", "publish: no progress for 2101 s"]


def at_work(found: Values) -> float:
    """Return when the consumer of the bus last went round."""
    return found.get(("consumer_worked_timestamp_seconds", "fedmsg"), 0)


def test_a_service_shows_its_numbers(tmp_path: Path) -> None:
    """Over HTTP and in a file: messages, lag, errors, durations, gaps, sizes; a quiet bus is not a dead consumer."""
    home = Home(tmp_path / "home")
    home.environment["PYTHONPATH"] = str(install_plugins(tmp_path / "extra", RAISES))
    endpoint, (port,) = free_endpoint(), free_ports(1)
    home.configure(configuration(endpoint, metrics={"port": port, "textfile": "statscache.prom"}))
    messages = [line(f"{number}", NOON + number) for number in range(20)]
    with Bus(endpoint) as bus, home.start("run") as service:
        bus.send([*messages, messages[0], line("bad", NOON, body={"bad": 1}), NO_MESSAGE])
        wait_for(lambda: published(home, 21), lambda: service.text)
        # The line that is not a message comes last.
        wait_for(lambda: fetched(port)["quarantine_lines", ""] == 1, lambda: service.text)
        quiet = fetched(port)
        wait_for(lambda: at_work(fetched(port)) > at_work(quiet), lambda: service.text)
        # A publication may take long on a machine that is busy, and the target is behind until it is done.
        wait_for(lambda: fetched(port)["target_ok", "public"] == 1, lambda: service.text)
        found = {**fetched(port), ("target_ok", "public"): 1.0}
        healthy = "STATSCACHE OK: through 2015-08-08T12:00:19Z | "
        wait_for(
            lambda: home.run("status", "--max-age", "60", status=None).stdout.startswith(healthy),
            lambda: service.text,
        )
        assert asked(port, "livez") == (200, "ok\n")
        wait_for(lambda: asked(port, "readyz") == (200, "ok\n"), lambda: asked(port, "readyz"))
        assert asked(port, "") == (404, "not found\n")
        service.send(signal.SIGKILL)
    delivered = ("source_delivered_timestamp_seconds", "fedmsg")
    assert found[delivered] == quiet[delivered]
    expected = {
        ("database_up", ""): 1,
        ("through_timestamp_seconds", ""): NOON + 19,
        ("messages_accepted_total", ""): 21,
        ("messages_known_total", ""): 1,
        ("source_messages_total", "fedmsg"): 21,
        ("quarantine_lines", ""): 1,
        ("plugin_errors", "picky"): 1,
        ("plugin_errors", "volume"): 0,
        ("plugin_ok", "volume"): 1,
        ("plugin_behind_messages", "volume"): 0,
        ("gaps", ""): 0,
        ("missing_seconds", ""): 0,
        ("target_ok", "public"): 1,
        ("publishing_held", ""): 0,
        ("consumer_rejected_total", "fedmsg"): 0,
    }
    assert {key: found[key] for key in expected} == expected
    for positive in (
        ("batch_seconds_count", "fedmsg"),
        ("batch_seconds_sum", "fedmsg"),
        ("target_publish_seconds", "public"),
        ("target_publish_bytes", "public"),
        ("target_published_timestamp_seconds", "public"),
        ("journal_stored_bytes", ""),
        ("snapshot_generation", ""),
    ):
        assert found[positive] > 0, positive
    assert values((home.directory / "statscache.prom").read_text()).keys() >= {("database_up", "")}
    # The consumer is dead now. So may be the publisher, if this machine is slow.
    output = "source fedmsg: its consumer did nothing for "
    check = "status", "--max-age", "0.5"
    wait_for(lambda: output in home.run(*check, status=None).stdout, lambda: home.run(*check, status=None))
    done = home.run(*check, status=2)
    verdict, numbers = done.stdout.splitlines()[0].split(" | ")
    assert verdict.startswith("STATSCACHE CRITICAL: ")
    assert output in done.stdout
    assert "messages=21c" in numbers.split()


def published(home: Home, number: int) -> bool:
    """Return whether the status that is published knows so many messages."""
    path = home.public / "v1/status.json"
    return path.exists() and home.document("v1/status.json")["journal"]["messages"] == number


def test_refused_messages_are_shown(tmp_path: Path) -> None:
    """Whoever sends without a valid signature is counted, in `status` and in the metrics, and alarms by that."""
    home = Home(tmp_path / "home")
    endpoint = free_endpoint()
    home.configure("[sources.fedmsg]\n")
    (home.directory / "fedmsg.d").mkdir()
    authority = str(Sender(tmp_path).authority)
    settings = {"endpoints": {"test": [endpoint]}, "validate_signatures": True, "ca_cert_location": authority}
    (home.directory / "fedmsg.d" / "test.py").write_text(f"config = {settings!r}\n")
    with home.start("consume") as service:
        with Bus(endpoint) as bus:
            bus.send([line(f"{number}", NOON + number) for number in range(7)])
            service.await_log("messages without a valid signature so far")
        service.end()
    assert home.json("status")["consumers"][0]["rejected"] == 7
    assert "7 refused without a valid signature" in home.run("status").stdout
    assert values(home.run("metrics").stdout)["consumer_rejected_total", "fedmsg"] == 7


def test_a_source_that_no_one_is_connected_to_says_so(tmp_path: Path) -> None:
    """By endpoint, in log and status; if no one answers at any, `status` has a concern. It is taken back."""
    home = Home(tmp_path / "home")
    one, other = free_endpoint(), free_endpoint()
    home.configure(f'[sources.fedmsg]\nendpoints = ["{one}", "{other}"]\n')

    def told() -> list[str]:
        found: list[str] = home.run("status", status=None).stdout.splitlines()
        return [text for text in found if text.startswith(("consumer ", "concern: source"))]

    with home.start("consume") as service:
        service.await_log(f"no one answers at the fedmsg endpoint {one}")
        service.await_log(f"no one answers at the fedmsg endpoint {other}")
        both = f"no one answers at {one}, {other}"
        expected = [f"consumer    fedmsg: active, and {both}", f"concern: source fedmsg: {both}"]
        wait_for(lambda: told() == expected, lambda: f"{told()}\n{service.text}")
        assert values(home.run("metrics").stdout)["consumer_unconnected", "fedmsg"] == 2
        with Bus(one):
            service.await_log(f"the fedmsg endpoint {one} answers")
            expected = [f"consumer    fedmsg: active, and no one answers at {other} (1 of 2)"]
            wait_for(lambda: told() == expected, lambda: f"{told()}\n{service.text}")
            assert home.json("status")["consumers"][0]["unconnected"] == [other]
        service.await_log(f"no one answers at the fedmsg endpoint {one}", 2)
        service.end()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Two consumers on one machine need two ports; the second says so, and ends with status 2. So does a bad file."""
    home = Home(tmp_path / "home")
    (port,) = free_ports(1)
    home.configure(configuration(free_endpoint(), metrics={"port": port}))
    with home.start("consume") as service:
        wait_for(lambda: open_at(port), lambda: service.text)
        done = home.run("consume", status=2)
        service.end()
    assert f"[metrics] port: cannot listen at 127.0.0.1:{port}: Address already in use" in done.stderr
    home.configure(configuration(free_endpoint(), metrics={"textfile": "no/such/directory/x.prom"}))
    done = home.run("consume", status=2)
    assert f"[metrics] textfile: there is no directory {home.directory}/no/such/directory/" in done.stderr


def test_the_text_file_is_readable_whatever_the_mask_says(tmp_path: Path) -> None:
    """node_exporter runs as another user; nothing unfinished remains."""
    mask = os.umask(0o077)
    try:
        metrics._write(tmp_path / "statscache.prom", CollectorRegistry())
    finally:
        os.umask(mask)
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [
        ("statscache.prom", 0o644)
    ]


def open_at(port: int) -> bool:
    """Return whether the metrics can be fetched."""
    try:
        return bool(fetched(port))
    except OSError:
        return False


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `statscache metrics` prints of a site that is published."""
    home = Home(tmp_path_factory.mktemp("home"))
    (home.directory / "archive").write_bytes(line("a"))
    home.run("backfill", "archive")
    home.run("publish")
    return home.run("metrics").stdout


def test_the_names_keep_to_the_conventions(printed: str) -> None:
    """Prometheus' own tool has nothing to say of them: units, suffixes and texts are as they should be."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    done = subprocess.run([promtool, "check", "metrics"], input=printed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_metric_is_documented(printed: str) -> None:
    """The table in docs/monitor.md has the name and the type of each, and no other."""
    page = (ROOT / "docs" / "monitor.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(statscache_\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert documented == re.findall(r"^# TYPE (\S+) (\w+)$", printed, re.MULTILINE)


def test_each_alarm_has_its_entry(printed: str) -> None:
    """The runbook has a section for each rule and no other, and the rules ask for metrics that there are."""
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    alarms = re.findall(r"alert: (\w+)", rules)
    assert alarms == re.findall(r"^## (Statscache\w+)$", page, re.MULTILINE)
    names = set(re.findall(r"^# HELP (\S+)", printed, re.MULTILINE))
    assert set(re.findall(r"\bstatscache_\w+", rules)) <= names
    sections = re.split(r"^## ", page, flags=re.MULTILINE)
    for section in sections:
        if section.startswith("Statscache"):
            assert all(f"**{part}:**" in section for part in ("Means", "See", "Do")), section[:40]


def test_the_rules_are_taken_by_prometheus(tmp_path: Path) -> None:
    """Its own tool reads them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "rules.yml").write_text(rules)
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done
