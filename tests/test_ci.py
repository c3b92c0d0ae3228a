"""CI skips nothing, so whatever a test needs is installed by what CI runs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PACKAGES = {
    "chromium-headless-shell": "chromium-headless-shell",
    "jq": "jq",
    "node": "nodejs",
    "npm": "npm",
    "openssl": "openssl",
    "postgres": "postgresql",
    "promtool": "prometheus",
    "rpmbuild": "rpm",
    "rpmlint": "rpmlint",
    "rrsync": "rsync",
    "rsync": "rsync",
    "systemd-analyze": "systemd",
}
"""The Debian package of each program that a test looks for."""

OTHERWISE = {"unshare": "util-linux, which every Debian has", "weed": "a wheel, installed by .ci/venv"}
"""Where programs come from that no Debian package of the list brings."""


def test_programs_that_tests_look_for_are_installed() -> None:
    """Each is of a package that is listed in .ci/debian-packages, and each package that a skip names is listed."""
    text = (ROOT / ".ci/debian-packages").read_text("utf-8")
    listed = {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__))
    programs = {*re.findall(r"""which\("([\w-]+)"\)""", sources)}
    assert programs == {*PACKAGES, *OTHERWISE}
    assert {*PACKAGES.values()} <= listed
    named = re.findall(r"\(Debian: ([a-z0-9, -]+)\)", sources)
    assert {name for names in named for name in names.split(", ")} <= listed
