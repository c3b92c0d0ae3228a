"""What the tests of pages share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import example_sites
from browser import running_chromium, serving_tree
from small_site import whole_site


@pytest.fixture(autouse=True, scope="module")
def whole() -> Iterator[None]:
    """Sites with all scripts: browsers run them."""
    with whole_site():
        yield


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of pages."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a busy site of three days, with a gap of five hours."""
    return example_sites.shared(tmp_path_factory, "demo")


@pytest.fixture(scope="module")
def site(tree: Path) -> Iterator[str]:
    """The address of the busy site."""
    with serving_tree(tree) as url:
        yield url
