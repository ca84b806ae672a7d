"""Deaths without a last word: the next kernel of the same connection file says what is known."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from support.crash import die, kept, library, restarted, told, wait_for_death
from support.patience import wait_until

pytestmark = pytest.mark.diaphane


def said(client) -> str:
    """What stands under the first cell."""
    first = client.run("1 + 1")
    assert first.result == "2"
    [shown] = first.all("display_data")
    assert shown["data"]["text/html"]
    assert not client.run("2 + 2").all("display_data"), "it is said once"
    return shown["data"]["text/plain"]


@pytest.mark.core
def test_a_kernel_that_was_killed(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import time")
    running = client.start("# wait\nprint('runs', flush=True)\ntime.sleep(600)")
    client.until(lambda: running.text(), "the cell")
    os.kill(kernel.pid, signal.SIGKILL)
    wait_for_death(kernel, client)
    client = restarted(kernel)
    text = said(client)
    assert text.startswith("The kernel before this one was killed while In[2] ran (`# wait`).")
    report = client.run("%crash_report").one("execute_result")["data"]
    stored = report["application/vnd.diaphane.crash_report+json"]
    assert stored["cell"] == 2
    assert stored["signal"] is None
    assert stored["code"].endswith("time.sleep(600)")


def test_one_that_was_idle(launch):
    kernel = launch()
    kernel.connect().run("1")
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.wait()
    assert said(restarted(kernel)).startswith(
        "The kernel before this one was killed while no cell ran."
    )


def test_exit_is_told_at_once_and_leaves_by_its_status(launch):
    kernel = launch()
    client = kernel.connect()
    exchange = die(kernel, client, "import os\nprint('last', end='')\nos._exit(3)")
    assert "exit(3)" in told(exchange, "KernelExit")
    assert exchange.text() == "last"
    assert kernel.wait() == 3
    client = restarted(kernel)
    assert not client.run("1").all("display_data")
    assert "exit(3)" in client.run("%crash_report").result


def test_exit_of_c_is_told(launch, tmp_path):
    kernel = launch()
    client = kernel.connect()
    exchange = die(kernel, client, f"import ctypes\nctypes.CDLL({str(library(tmp_path))!r}).end(4)")
    assert "exit(4)" in told(exchange, "KernelExit")
    assert kernel.wait() == 4


def test_who_is_asked_to_end_leaves_nothing(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("1")
    client.request("shutdown_request", {"restart": False}, "control")
    assert wait_for_death(kernel, client) == 0
    assert kept(kernel) == []


def test_who_is_killed_after_a_request_to_end_is_not_told_of(launch):
    kernel = launch()
    client = kernel.connect()
    hold = client.start(
        "import ctypes\nprint('holds', flush=True)\nctypes.PyDLL(None).usleep(60_000_000)"
    )
    client.until(lambda: hold.text(), "the cell")
    client.send("shutdown_request", {"restart": True}, "control")
    wait_for_death(kernel, client)
    assert not restarted(kernel).run("1").all("display_data")


def test_children_end_as_ever(client):
    code = "import os\npid = os.fork()\nif pid == 0: os._exit(7)\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    assert client.run(code).result == "7"


def test_a_folder_that_cannot_be_written(launch, tmp_path):
    """There is no black box then, and a crash is told all the same."""
    kernel = launch()
    client = kernel.connect()
    code = "import os, ctypes\nfor name in os.listdir('.'):\n    if name.startswith('diaphane-'): os.remove(name)\nctypes.string_at(0)"
    assert "reading address 0x0" in told(die(kernel, client, code))


def test_memory_near_its_limit_is_warned_of(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import resource, time, numpy as np")
    limit = (
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), resource.RLIM_INFINITY))\n"
        "big = np.zeros(180 << 17)"
    )
    running = client.start(limit + "\nwhile True: time.sleep(0.01)")
    client.until(lambda: running.text("stderr"), "the warning")
    warning = running.text("stderr")
    assert "memory is nearly used up" in warning
    assert "RLIMIT_AS" in warning
    assert "big 188" in warning
    os.kill(kernel.pid, signal.SIGKILL)
    wait_for_death(kernel, client)
    text = said(restarted(kernel))
    assert "RLIMIT_AS" in text
    assert "largest arrays then: big" in text


def test_the_warning_can_be_switched_off(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import resource, time\n%crash_report --warn off")
    code = (
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (10 << 20), resource.RLIM_INFINITY))\n"
        "time.sleep(1)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))"
    )
    assert client.run(code).text("stderr") == ""


@pytest.fixture
def group():
    """A control group with little memory, of either version."""
    mount = Path("/sys/fs/cgroup")
    first = (mount / "memory").is_dir()
    folder = mount / ("memory" if first else "") / f"diaphane-test-{os.getpid()}"
    limits = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] if first else ["memory.max"]
    try:
        if not first and "memory" not in (mount / "cgroup.subtree_control").read_text():
            (mount / "cgroup.subtree_control").write_text("+memory")
        folder.mkdir()
        for limit in limits:
            if (folder / limit).exists():
                (folder / limit).write_text(str(600 << 20))
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    swap = folder / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
    yield folder
    wait_until(lambda: not (folder / "cgroup.procs").read_text(), "the group is empty")
    folder.rmdir()


def test_an_out_of_memory_kill(launch, group):
    enter = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    kernel = launch(under=enter)
    try:
        client = kernel.connect()
        client.run("import numpy as np\nkept = np.ones(10 << 17)")
        exchange = client.start("# eat\nparts = []\nwhile True: parts.append(np.ones(1 << 17))")
        assert wait_for_death(kernel, client) == -signal.SIGKILL
        assert not exchange.replies
        text = said(restarted(kernel))
    finally:
        kernel.close()
    assert "was killed while In[2] ran (`# eat`)" in text
    assert "The control group's out-of-memory counter rose by 1 since it began." in text
