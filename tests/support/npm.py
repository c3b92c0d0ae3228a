"""The packages of npm that tests use; `.ci/npm` installs them."""

import pytest

from conftest import ROOT

NODE_MODULES = ROOT / ".venv" / "npm" / "node_modules"


def require_npm() -> None:
    """Skip the test where the packages are not installed; in CI, that fails."""
    if not (NODE_MODULES.parent / "installed").is_file():
        pytest.skip("the packages of npm are not installed: run `bash .ci/npm`")
