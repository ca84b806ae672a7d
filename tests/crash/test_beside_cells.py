"""Crashes where no cell of the user's runs, and of the kernel's own threads: the end comes quickly and is the right one."""

from __future__ import annotations

import ctypes
import os
import signal

import pytest

from support.crash import kept, restarted, wait_for_death
from support.patience import wait_until

pytestmark = pytest.mark.diaphane


def thread(kernel, name: str) -> int:
    return next(tid for tid, known in kernel.threads.items() if known == name)


def tgkill(kernel, tid: int, number: int) -> None:
    assert (
        ctypes.CDLL(None).syscall(
            234 if os.uname().machine == "x86_64" else 131, kernel.pid, tid, number
        )
        == 0
    )


@pytest.mark.parametrize("name", ["diaphane-io", "the main one"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_to_a_thread_of_the_kernel(launch, name, number):
    kernel = launch()
    client = kernel.connect()
    client.run("1")
    tid = kernel.pid if name == "the main one" else thread(kernel, name)
    tgkill(kernel, tid, number)
    assert wait_for_death(kernel, client) == -number
    client = restarted(kernel)
    report = client.run("%crash_report").one("execute_result")["data"]
    report = report["application/vnd.diaphane.crash_report+json"]
    assert report["signal"] == number.name
    # The report is written by another process, which looks at this one while the handler waits on its own stack.
    assert report["rows"], "the stack was not told"


MAGICS = {
    "diaphane-sampl": "%%native_prof",
    "diaphane-watch": "%%threads",
    "diaphane-child": "%%threads",
}


@pytest.mark.parametrize("name", MAGICS)
def test_a_fault_of_a_thread_that_helps_a_recording(launch, name):
    kernel = launch()
    client = kernel.connect()
    cell = client.start(f"{MAGICS[name]}\nprint('ready', flush=True)\nwhile True: pass")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    wait_until(lambda: name in kernel.threads.values(), "the thread has its name")
    tgkill(kernel, thread(kernel, name), signal.SIGSEGV)
    assert wait_for_death(kernel, client) == -signal.SIGSEGV
    client = restarted(kernel)
    report = client.run("%crash_report").one("execute_result")["data"]
    assert report["application/vnd.diaphane.crash_report+json"]["signal"] == "SIGSEGV"


@pytest.mark.door("embedded")
def test_a_crash_while_the_kernel_starts(launch, tmp_path):
    """The cell that waits for Python is told; a Python that starts us dies without us."""
    (tmp_path / "sitecustomize.py").write_text("import ctypes\nctypes.string_at(0)\n")
    kernel = launch(env={"PYTHONPATH": str(tmp_path)})
    assert kernel.wait() == -signal.SIGSEGV
    assert any(name.endswith(".json") for name in kept(kernel))


def test_a_crash_while_the_kernel_ends(launch):
    kernel = launch()
    client = kernel.connect()
    client.run("import atexit, ctypes\natexit.register(ctypes.string_at, 0)")
    client.send("shutdown_request", {"restart": False}, "control")
    assert wait_for_death(kernel, client) == -signal.SIGSEGV
    assert any(name.endswith(".json") for name in kept(kernel))
