"""usage_request, as the resource view of JupyterLab asks it."""

import os
import socket

import pytest

from support.client import Client


@pytest.fixture
def usage(client: Client):
    done = client.request("usage_request", {}, "control")
    assert done.trace == ["busy", "idle"]
    assert done.reply["msg_type"] == "usage_reply"
    return done.content


def test_process_and_host(usage, kernel):
    assert usage["hostname"] == socket.gethostname()
    assert usage["pid"] == kernel.pid
    assert usage["cpu_count"] == os.cpu_count()


def test_kernel_memory_is_that_of_the_process(usage, kernel):
    # PSS is a part of RSS; the process keeps living between the two readings, hence the slack.
    assert 5e6 < usage["kernel_memory"] <= kernel.rss * 1.2


def test_host_memory(usage):
    with open("/proc/meminfo") as f:
        total = int(f.readline().split()[1]) * 1024
    memory = usage["host_virtual_memory"]
    assert memory["total"] == total
    assert 0 < memory["available"] <= total
    assert 0 < memory["percent"] < 100
    assert {"used", "free", "active", "inactive", "buffers", "cached", "shared", "slab"} <= set(
        memory
    )


def test_cpu_of_a_busy_kernel(client: Client, kernel):
    client.request("usage_request", {}, "control")
    cell = client.start("print('ready', flush=True)\nwhile True: pass")
    client.until(lambda: cell.text(), "ready", cell)
    seen = []

    def busy():
        seen.append(client.request("usage_request", {}, "control").content["kernel_cpu"])
        # How much a loop gets of a machine that others use too is not known; an idle kernel uses nothing.
        return seen[-1] > 2

    client.until(busy, "a busy CPU")
    kernel.interrupt()
    client.finish(cell)
