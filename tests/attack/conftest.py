"""Dice for each test, and as much time as its attempts take."""

import pytest

from support.attack import SCALE, Dice
from support.patience import PATIENCE

# For the short form of a test, with other tests beside it.
SECONDS = 8 * PATIENCE


def pytest_collection_modifyitems(items):
    for item in items:
        if "attack" in item.path.parts:
            item.add_marker(pytest.mark.diaphane)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(SECONDS * max(1, SCALE)))


@pytest.fixture
def dice(request) -> Dice:
    return Dice(request.node.name)
