"""What the tests of pages share."""

from collections.abc import Iterator

import pytest

from small_site import whole_site


@pytest.fixture(autouse=True, scope="module")
def whole() -> Iterator[None]:
    """Sites with all scripts: browsers run them."""
    with whole_site():
        yield
