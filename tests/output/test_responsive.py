"""The kernel answers while a cell runs, also while native code holds the GIL.

Nothing here measures time: what must be answered meanwhile is answered before the cell ends, and
the cell ends only after it has been.
"""

import time

import pytest

from support.client import Client

# The cell holds the GIL in C until a byte arrives in a pipe that only this test can write to.
HOLD = """
import ctypes, os
os.path.exists('hold') or os.mkfifo('hold')
print('ready', flush=True)
fd = os.open('hold', os.O_RDWR)
byte = ctypes.create_string_buffer(1)
ctypes.PyDLL(None).read(fd, byte, 1)
"""
LOOP = "import os\nprint('ready', flush=True)\nwhile not os.path.exists('go'): pass"


@pytest.fixture(params=["gil", "loop"])
def busy(request, client: Client, kernel):
    """A running cell; it ends when the test does."""
    fifo, go = kernel.directory / "hold", kernel.directory / "go"
    go.unlink(missing_ok=True)
    cell = client.start(HOLD if request.param == "gil" else LOOP)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    yield cell
    assert cell.replies == []
    go.touch()
    if request.param == "gil":
        with open(fifo, "wb") as hold:
            hold.write(b"x")
    assert client.finish(cell).content["status"] == "ok"


def test_heartbeat(client: Client, busy):
    assert client.beat() == b"beat"


@pytest.mark.diaphane
def test_kernel_info_on_control(client: Client, busy):
    done = client.request("kernel_info_request", {}, "control")
    assert done.content["status"] == "ok"
    assert done.trace == ["busy", "idle"]


@pytest.mark.diaphane
def test_usage(client: Client, busy, kernel):
    assert client.request("usage_request", {}, "control").content["pid"] == kernel.pid


@pytest.mark.diaphane
def test_interrupt_of_native_code(client: Client):
    """SIGINT reaches the blocked system call, and Python raises when the call has returned."""
    cell = client.start(HOLD)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    assert client.request("interrupt_request", {}, "control").content == {"status": "ok"}
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"


@pytest.mark.diaphane
def test_a_new_front_end_can_join(client: Client, kernel, busy):
    late = kernel.connect(channel="control")
    assert late.request("kernel_info_request", {}, "control").content["status"] == "ok"


@pytest.mark.diaphane
@pytest.mark.slow
def test_an_idle_kernel_sleeps(launch):
    """No thread of ours wakes up while nothing happens: no polling, no timers."""
    kernel = launch()
    kernel.connect().run("pass")
    ours = {tid: name for tid, name in kernel.threads.items() if not name.startswith("ZMQbg")}
    assert len(ours) >= 2
    quiet = settled(kernel)
    assert {tid: n for tid, n in quiet.items() if tid in ours and n} == {}


def settled(kernel) -> dict[int, int]:
    """Wake-ups of each thread in a window of three seconds, the quietest of a few windows.

    A first window may see what follows a cell once: IPython's history is written a moment later.
    """
    windows = []
    for _ in range(4):
        before = kernel.switches()
        time.sleep(3.0)  # The window itself, not a wait for something.
        after = kernel.switches()
        windows.append({tid: after[tid] - before.get(tid, 0) for tid in after})
    return min(windows, key=lambda w: sum(w.values()))
