"""What can be said of ansible/ without a machine; tests/deployment.py applies it to one."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
ANSIBLE = ROOT / "ansible"
BIN = Path(sys.executable).parent


def test_roles_are_clean_by_the_strictest_rules() -> None:
    """ansible-lint finds nothing by its profile `production`."""
    done = subprocess.run(
        [BIN / "ansible-lint", "--offline", "--profile", "production", "--nocolor", "ansible"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_inventory_fits_the_roles() -> None:
    """Each group of the example is one that `deploy.yml` plays on."""
    plays = yaml.safe_load((ANSIBLE / "deploy.yml").read_text("utf-8"))
    example = yaml.safe_load((ANSIBLE / "inventory.example.yml").read_text("utf-8"))
    assert set(example["all"]["children"]) == {play["hosts"] for play in plays}
