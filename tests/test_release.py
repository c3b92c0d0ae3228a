"""Releases: the same commit gives the same bytes, and deployments install what was tried, by its hashes."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from commands import Home
from conftest import ROOT

LOCK = ROOT / "requirements.txt"
DEPLOYED = ("", "amqp", "brotli", "postgresql", "signatures")


def test_the_lock_holds_what_is_required() -> None:
    """Each requirement, of the extras for deployment too, is met by one version, and each version has hashes."""
    text = LOCK.read_text(encoding="utf-8")
    locked = {
        name: (version, rest) for name, version, rest in re.findall(r"^([\w.-]+)==(\S+)(.*)$", text, re.MULTILINE)
    }
    for line in distribution("statscache").requires or []:
        requirement = Requirement(line)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if any(requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in DEPLOYED):
            assert requirement.specifier.contains(locked[name][0]), f"{line}: run `make lock`"
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) >= len(locked)
    assert all(" --hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert not re.search("index-url|find-links|trusted-host", text)


@pytest.mark.slow
def test_a_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    """Sdist and wheel are built twice, are equal, and are what the package index takes."""
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "__pycache__", "build", "dist", "*.egg-info", "public", ".*_cache"
    )
    shutil.copytree(ROOT, clone, ignore=ignored)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=clone, check=True)
    build = {"env": {**os.environ, "BUILD_PYTHON": sys.executable}, "capture_output": True, "text": True}
    done = subprocess.run(["bash", ".ci/packages", "made"], cwd=clone, check=False, **build)  # type: ignore[call-overload]
    assert done.returncode == 0, done
    assert sorted(path.suffix for path in (clone / "made").iterdir()) == [".gz", ".whl"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_completes_in_a_shell(tmp_path: Path, shell: str) -> None:
    """It prints the script for each shell, which asks the command itself."""
    home = Home(tmp_path / "home", _STATSCACHE_COMPLETE=f"{shell}_source")
    program = Path(sys.executable).with_name("statscache")
    run = {"cwd": home.directory, "capture_output": True, "text": True, "check": True}
    script = subprocess.run([program], env=home.environment, **run).stdout  # type: ignore[call-overload]
    assert "_STATSCACHE_COMPLETE" in script
    asked = {"_STATSCACHE_COMPLETE": f"{shell}_complete", "COMP_WORDS": "statscache quar", "COMP_CWORD": "quar"}
    asked["COMP_CWORD"] = "1" if shell != "fish" else "quar"
    environment = {**home.environment, **asked}
    assert "quarantine" in subprocess.run([program], env=environment, **run).stdout  # type: ignore[call-overload]
