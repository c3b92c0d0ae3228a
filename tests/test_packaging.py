"""A wheel holds all that is needed at run time, and works from any directory."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import statscache

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.slow

# Where in a wheel the directories of the checkout go.
TRAVELS = {
    "statscache": "statscache",
    "templates": "statscache/templates",
    "site": "statscache/site",
    "docs": "statscache/docs",
    "examples/site": "statscache/examples",
    "plugins": "statscache_plugins",
}
LEFT_BEHIND = shutil.ignore_patterns(".[!c]*", "__pycache__", "build", "dist", "*.egg-info", "public")


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; its failure is the test's, with all its output."""
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the checkout, as a fresh clone has it."""
    directory = tmp_path_factory.mktemp("wheel")
    clone = directory / "clone"
    shutil.copytree(ROOT, clone, ignore=LEFT_BEHIND)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory, cwd=clone)
    (built,) = directory.glob("*.whl")
    return built


@dataclass(frozen=True)
class Installation:
    """An environment that holds the wheel and what the wheel says it needs."""

    bin: Path
    home: Path

    def run(self, program: str, *arguments: str | Path) -> str:
        """Run a program from the root directory, with no variable that could lead it to the checkout."""
        kept = {name: os.environ[name] for name in ("PATH", "TZ", "LANG") if name in os.environ}
        kept |= {"HOME": str(self.home), "STATSCACHE_CONFIG": str(self.home / "statscache.toml")}
        return run(self.bin / program, *arguments, cwd=Path("/"), env=kept)


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel, installed into an empty environment with its dependencies."""
    home = tmp_path_factory.mktemp("installation")
    # pip would spend most of the test on unpacking and compiling what the wheel needs.
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "--quiet", "--python", sys.executable, home / "venv", cwd=home)
    binaries = home / "venv" / "bin"
    run(uv, "pip", "install", "--quiet", "--python", binaries / "python", wheel, cwd=home)
    (home / "statscache.toml").write_text(
        f"""
        [database]
        url = "sqlite:///{home}/statscache.db"

        [[publish.targets]]
        name = "web"
        type = "directory"
        path = "{home}/public"
        """
    )
    return Installation(binaries, home)


def test_wheel_holds_every_file(wheel: Path) -> None:
    """The wheel holds every file of the packages, templates, site and plugins, and no other."""
    expected = set()
    for directory, place in TRAVELS.items():
        for path in (ROOT / directory).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{place}/{path.relative_to(ROOT / directory)}")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_wheel_names_its_licence(wheel: Path) -> None:
    """The wheel carries the text of the licence and its SPDX name."""
    with zipfile.ZipFile(wheel) as archive:
        (licence,) = (name for name in archive.namelist() if name.endswith("/LICENSE"))
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
        assert "License-Expression: LGPL-2.1-or-later" in archive.read(metadata).decode().splitlines()


def test_installed_command_knows_its_version(installation: Installation) -> None:
    """`statscache --version`, run from the root directory, prints the version of the source."""
    assert statscache.__version__ in installation.run("statscache", "--version")


def test_installed_files_are_found_inside_the_package(installation: Installation) -> None:
    """Templates, site, docs and examples are found within the environment, not in a checkout."""
    program = "from statscache import resources; print(*resources.sources().all)"
    for place in installation.run("python", "-c", program).split():
        assert Path(place).is_relative_to(installation.home)


def test_entry_points_load(installation: Installation) -> None:
    """What the wheel announces to fedmsg's hub and to statscache itself can be imported."""
    program = """
import json
from importlib.metadata import distribution
points = distribution("statscache").entry_points
print(json.dumps(sorted(f"{point.group}:{point.name}" for point in points if point.load())))
"""
    loaded = json.loads(installation.run("python", "-W", "ignore", "-c", program).splitlines()[-1])
    assert loaded[:2] == ["console_scripts:statscache", "moksha.consumer:statscache"]
    modules = [path for path in (ROOT / "plugins").glob("*.py") if "\nPLUGINS = " in path.read_text()]
    bundled = sorted(path.stem.replace("_", "-") for path in modules)
    assert loaded[2:] == [f"statscache.plugin:{name}" for name in bundled]


def test_main_job_runs_from_the_root_directory(installation: Installation) -> None:
    """Backfill and publish, with a configuration elsewhere, give a tree that counts the messages."""
    archive = installation.home / "messages.ndjson"
    start = 1439000000
    with archive.open("w") as lines:
        for number in range(50):
            envelope = {
                "topic": "org.fedoraproject.prod.wiki.article.edit",
                "timestamp": start + 60 * number,
                "msg_id": f"2015-{number}",
                "msg": {"user": "ralph"},
            }
            lines.write(json.dumps(envelope) + "\n")
    installation.run("statscache", "backfill", archive)
    installation.run("statscache", "publish")
    public = installation.home / "public"
    latest = json.loads((public / "v1/plugins/volume/latest.json").read_text())
    assert [row["total"] for row in latest["rows"]] == [50]
    index = json.loads((public / "v1/index.json").read_text())
    assert index["through"] == start + 60 * 49
    assert "<html" in (public / "index.html").read_text()
    assert list((public / "assets").iterdir())
