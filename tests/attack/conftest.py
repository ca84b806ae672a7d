"""Dice for each test, and as much time as its attempts take."""

from pathlib import Path

import pytest

from support.attack import SCALE, Dice
from support.patience import PATIENCE

HERE = Path(__file__).parent
# For the short form of a test, with other tests beside it.
SECONDS = 8 * PATIENCE


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.diaphane)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(SECONDS * max(1, SCALE)))


@pytest.fixture
def dice(request) -> Dice:
    return Dice(request.node.name)
