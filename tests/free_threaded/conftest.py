"""Only where the kernel under test runs without the GIL: tests/support/free_threaded.sh."""

import os

import pytest


def pytest_collection_modifyitems(config, items):
    wanted = "t/share/jupyter" in os.environ.get("JUPYTER_PATH", "")
    out = [item for item in items if "/free_threaded/" in str(item.path) and not wanted]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


@pytest.fixture
def gil(client):
    """Whether the GIL is on, and off again only in the next kernel."""
    client.run("import sys")
    return lambda: client.value("sys._is_gil_enabled()") == "True"
