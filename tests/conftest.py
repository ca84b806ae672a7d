"""Fixtures: kernels and front ends.

`client` is what most tests want: a new front end on a kernel that the tests of a file share and
that is replaced when a test has ended or wedged it. `launch` starts kernels of one's own.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import door, process
from support.homes import own_home
from support.process import Kernel

OURS = "diaphane"


def pytest_configure(config):
    """The suite has a home of its own from here on: whatever a test starts inherits it."""
    stack = ExitStack()
    config.add_cleanup(stack.close)
    env = stack.enter_context(own_home())
    os.environ.clear()
    os.environ.update(env)


def pytest_collection_modifyitems(config, items):
    """Leave out what the kernel under test does not promise."""
    wanted = {mark.args[0] for item in items for mark in item.iter_markers("feature")}
    missing = wanted - advertised() if wanted else set()
    out = [item for item in items if not promised(item, missing)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def promised(item, missing: set[str]) -> bool:
    """Whether the kernel under test claims what a test asks for."""
    if item.get_closest_marker("diaphane") and process.NAME != OURS:
        return False
    doors = {mark.args[0] for mark in item.iter_markers("door")}
    if doors and ("hosted" if door.is_hosted() else "embedded") not in doors:
        return False
    return not any(mark.args[0] in missing for mark in item.iter_markers("feature"))


def advertised() -> set[str]:
    """The features that the kernel under test says it has."""
    with tempfile.TemporaryDirectory() as directory:
        kernel = Kernel(Path(directory))
        try:
            info = kernel.connect().request("kernel_info_request").content
        finally:
            kernel.close()
    return set(info["supported_features"])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """At most one live kernel for the file, in a list of one."""
    kernels: list[Kernel] = []
    yield kernels
    for kernel in kernels:
        kernel.close()


@pytest.fixture
def kernel(shared, tmp_path_factory):
    """The kernel of this file: alive and answering when the test begins and when it ends."""
    if shared and not shared[0].alive:
        shared.pop().close()
    if not shared:
        shared.append(Kernel(tmp_path_factory.mktemp("kernel")))
    kernel = shared[0]
    yield kernel
    try:
        watcher = kernel.connect()
        watcher.request("kernel_info_request")
        kernel.clients.remove(watcher)
        watcher.close()
    except AssertionError as silent:
        shared.remove(kernel)
        kernel.close()
        raise AssertionError(f"the kernel did not survive the test: {kernel.log}") from silent


@pytest.fixture
def client(kernel):
    """A new front end on the shared kernel; every message must have been meant for it."""
    client = kernel.connect()
    yield client
    kernel.clients.remove(client)
    client.close()


@pytest.fixture
def launch(tmp_path_factory):
    """Start kernels that end with the test; options as in `Kernel`."""
    kernels: list[Kernel] = []

    def launch(**options) -> Kernel:
        kernels.append(Kernel(tmp_path_factory.mktemp("kernel"), **options))
        return kernels[-1]

    yield launch
    for kernel in kernels:
        print(kernel.log)
        kernel.close()
