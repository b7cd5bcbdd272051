"""What tests of vendors share."""

from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture
def hurried() -> Iterator[None]:
    """No waits between tries; the number of tries is the policy's own."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
