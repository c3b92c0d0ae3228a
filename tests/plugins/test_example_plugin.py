"""The sample plugin package, installed as an author installs it, beside statscache."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands import Home
from statscache.simulator import Traffic, simulate

ROOT = Path(__file__).resolve().parents[2]
MONDAY = 1784505600


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which a copy of the package is installed."""
    directory = tmp_path_factory.mktemp("example")
    copy = directory / "package"
    shutil.copytree(ROOT / "examples" / "plugin", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--use-pep517"]
    subprocess.run([*pip, "--target", directory / "installed", copy], check=True, stdin=subprocess.DEVNULL)
    return directory / "installed"


@pytest.fixture
def home(installed: Path, tmp_path: Path) -> Home:
    """Where the command finds the package among what is installed."""
    return Home(tmp_path / "home", PYTHONPATH=str(installed))


def test_its_plugins_are_listed_and_active(home: Home) -> None:
    """`statscache plugins` knows both, and has no problem with either."""
    listed = {plugin["name"]: plugin for plugin in home.json("plugins")["plugins"]}
    assert {"meetings", "last-meetings", "volume"} <= listed.keys()


def test_its_plugin_can_be_tried(home: Home) -> None:
    """`statscache try` counts the meetings of a file of messages."""
    path = home.directory / "messages.ndjson"
    lines = [line for line in simulate(Traffic(MONDAY, MONDAY + 7 * 86400, per_day=3000)) if b".meetbot." in line]
    path.write_bytes(b"\n".join(lines) + b"\n")
    ended = sum(b"meeting.complete" in line for line in lines)
    documents = json.loads(home.run("try", "meetings", path).stdout)
    assert sum(row["total"] for row in documents["latest.json"]["rows"]) == ended
    assert ended > 0


def test_its_own_tests_pass(installed: Path, tmp_path: Path) -> None:
    """What the author is shown as tests are tests that pass, run against what is installed."""
    tests = shutil.copytree(ROOT / "examples" / "plugin" / "tests", tmp_path / "tests")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(tests)]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout
