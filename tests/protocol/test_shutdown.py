"""The end of a kernel: asked for, restarted, forced upon a running cell, or by losing its parent."""

import os
import signal
import subprocess
import sys

import pytest

from support import process
from support.patience import wait_until


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("channel", ["control", "shell"])
def test_shutdown(launch, channel: str, restart: bool):
    kernel = launch()
    client = kernel.connect()
    done = client.send("shutdown_request", {"restart": restart}, channel)
    client.until(lambda: done.replies and done.state == "idle", "reply and idle", done)
    assert done.content == {"status": "ok", "restart": restart}
    assert done.reply["channel"] == channel
    assert kernel.wait() == 0


def test_shutdown_is_announced_to_all(launch):
    kernel = launch()
    asker, other = kernel.connect(), kernel.connect()
    asker.send("shutdown_request", {"restart": True}, "control")
    other.until(
        lambda: [m for m in other.strays if m["msg_type"] == "shutdown_reply"], "the announcement"
    )
    announced = next(m for m in other.strays if m["msg_type"] == "shutdown_reply")
    assert announced["channel"] == "iopub"
    assert announced["content"]["restart"] is True
    assert kernel.wait() == 0


@pytest.mark.diaphane
@pytest.mark.parametrize("busy", ["while True: pass", "import time; time.sleep(600)", "input()"])
def test_shutdown_while_a_cell_runs(launch, busy: str):
    kernel = launch()
    client = kernel.connect()
    cell = client.start("print('ready', flush=True)\n" + busy, allow_stdin=True)
    client.until(lambda: cell.text(), "ready", cell)
    done = client.send("shutdown_request", {"restart": False}, "control")
    client.until(lambda: done.replies, "the reply", done)
    assert kernel.wait() == 0


@pytest.mark.diaphane
def test_shutdown_while_native_code_holds_the_gil(launch):
    kernel = launch()
    client = kernel.connect()
    cell = client.start("import ctypes; ctypes.PyDLL(None).sleep(600)")
    client.until(lambda: "execute_input" in cell.trace, "the start", cell)
    done = client.send("shutdown_request", {"restart": False}, "control")
    client.until(lambda: done.replies, "the reply", done)
    kernel.wait()


def test_what_python_does_at_exit_is_done(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import atexit\natexit.register(lambda: open('left', 'w').write('done'))")
    client.request("shutdown_request", {"restart": False}, "control")
    assert kernel.wait() == 0
    assert (kernel.directory / "left").read_text() == "done"


@pytest.mark.diaphane
def test_output_at_exit_is_published(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import atexit\natexit.register(lambda: print('last words'))")
    client.send("shutdown_request", {"restart": False}, "control")
    client.until(
        lambda: any(m["content"].get("text") == "last words\n" for m in client.record),
        "the last words",
    )
    assert kernel.wait() == 0


def test_sigterm_ends_the_kernel(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("pass")
    kernel.process.send_signal(signal.SIGTERM)
    kernel.wait()


def test_a_crash_is_a_crash(launch):
    """A segmentation fault ends the process at once and is visible in its exit status."""
    kernel = launch()
    client = kernel.connect()
    cell = client.start("import ctypes; ctypes.string_at(8)")
    assert kernel.wait() == -signal.SIGSEGV
    assert cell.replies == []


def test_restart_by_the_manager(launch):
    kernel = launch()
    kernel.connect().run("x = 1")
    old = kernel.pid
    kernel.manager.restart_kernel(now=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kernel.process = kernel.manager.provisioner.process
    kernel.pid = kernel.process.pid
    assert kernel.pid != old
    done = kernel.connect().execute("x")
    assert done.content["ename"] == "NameError"
    assert done.content["execution_count"] == 1


PARENT = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from support.process import Kernel
kernel = Kernel(Path({directory!r}), name={name!r})
kernel.connect().run("pass")
print(kernel.pid, flush=True)
sys.stdin.read()
"""


def test_an_orphan_ends_itself(tmp_path):
    """The front end dies without a word: JPY_PARENT_PID tells the kernel, which follows."""
    code = PARENT.format(
        root=os.path.dirname(os.path.dirname(__file__)), directory=str(tmp_path), name=process.NAME
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: gone(pid), "the orphan has ended")
    parent.stdin.close()
    parent.stdout.close()


def gone(pid: int) -> bool:
    """No such process, or only its entry for a parent that does not ask."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
