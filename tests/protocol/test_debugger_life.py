"""The debugger's life in a kernel: what it leaves alone before, during and after, and what it refuses."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

from support.debugger import CELL, Debugger
from support.patience import wait_until

pytestmark = pytest.mark.feature("debugger")


@pytest.fixture
def kernel(launch):
    """A kernel for each test: debugpy is never taken out of a process again."""
    return launch()


@pytest.fixture
def debugger(kernel):
    return Debugger(kernel.connect()).attach()


def test_kernel_info_says_that_there_is_one(kernel):
    info = kernel.connect().request("kernel_info_request").content
    assert "debugger" in info["supported_features"]


@pytest.mark.diaphane
def test_nothing_of_it_is_loaded_before_it_is_asked_for(kernel):
    client = kernel.connect()
    loaded = (
        "[m for m in __import__('sys').modules if m.startswith(('debugpy', 'pydevd', '_pydev'))]"
    )
    assert client.value(loaded) == "[]"
    assert "diaphane-debug" not in kernel.threads.values()
    Debugger(client).body("debugInfo")
    assert client.value(loaded) == "[]"


@pytest.mark.diaphane
def test_breakpoint_is_pdbs_before_and_after(kernel):
    client = kernel.connect()
    debugger = Debugger(client)

    def ask_pdb():
        cell = client.start("x = 20\nbreakpoint()\nx = 0", allow_stdin=True)
        client.answer(cell, "p x + 1")
        client.answer(cell, "c")
        assert "21" in client.finish(cell).text()
        assert cell.text("stderr") == ""

    debugger.body("inspectVariables")
    ask_pdb()
    debugger.attach()
    debugger.body("disconnect")
    ask_pdb()


def test_an_interrupt_ends_a_cell_that_is_stopped(debugger: Debugger):
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    debugger.client.request("interrupt_request", {}, "control")
    assert debugger.client.finish(cell).content["ename"] == "KeyboardInterrupt"
    assert debugger.client.run("1").content["status"] == "ok"


@pytest.mark.diaphane
def test_shutdown_at_a_breakpoint_leaves_nothing_behind(kernel, debugger: Debugger):
    path = debugger.break_at(CELL, 4)
    debugger.start(CELL)
    sockets = debugger.wait("debugpySockets")["body"]["sockets"]
    debugger.client.send("shutdown_request", {"restart": False}, "control")
    kernel.wait()
    for place in sockets:
        wait_until(lambda place=place: not listens(place), "debugpy's adapter has ended")
    assert not Path(path).parent.exists()


@pytest.mark.diaphane
def test_files_of_cells_are_gone_where_python_has_no_time_to_end(kernel):
    """What runs in C alone hears of no interrupt, and the kernel ends without Python."""
    client = kernel.connect()
    path = Path(Debugger(client).body("dumpCell", code="1")["sourcePath"])
    cell = client.start("import collections, itertools\ncollections.deque(itertools.repeat(0), 0)")
    client.until(lambda: "execute_input" in cell.trace, "the start", cell)
    client.send("shutdown_request", {"restart": False}, "control")
    kernel.wait()
    assert not path.parent.exists()


def listens(place: dict) -> bool:
    try:
        socket.create_connection((place["host"], place["port"])).close()
    except ConnectionError:
        return False
    return True


def test_a_cell_goes_on_when_the_front_end_lets_go(debugger: Debugger):
    debugger.break_at(CELL, 4)
    cell = debugger.start(CELL)
    debugger.body("disconnect", restart=False, terminateDebuggee=False)
    assert debugger.client.finish(cell).content["status"] == "ok"
    assert debugger.body("debugInfo")["isStarted"] is False
    debugger.client.run(CELL)
    assert len(debugger.events("stopped")) == 1


@pytest.mark.diaphane
@pytest.mark.parametrize("command", ["disconnect", "terminate"])
def test_the_debugger_does_not_end_the_kernel(kernel, debugger: Debugger, command: str):
    debugger.body(command, terminateDebuggee=True)
    assert debugger.client.run("6 * 7").result == "42"
    assert kernel.alive


@pytest.mark.diaphane
def test_breakpoints_are_there_again_after_a_new_start(debugger: Debugger):
    path = debugger.break_at(CELL, 7, condition="answer == 42")
    debugger.body("disconnect")
    assert debugger.client.run(CELL).content["status"] == "ok"
    kept = [{"source": path, "breakpoints": [{"line": 7, "condition": "answer == 42"}]}]
    assert debugger.body("debugInfo")["breakpoints"] == kept
    debugger.attach()
    cell = debugger.start(CELL)
    assert debugger.place == ("<module>", 7)
    debugger.resume(cell)
    debugger.body("setBreakpoints", source={"path": path}, breakpoints=[])
    assert debugger.client.run(CELL).content["status"] == "ok"


def test_lines_are_counted_as_before_when_nobody_debugs(debugger: Debugger):
    code = "\n\nimport inspect\ninspect.currentframe().f_lineno"
    assert debugger.client.run(code).result == "4"
    debugger.body("disconnect")
    assert debugger.client.run(code).result == "2"


@pytest.mark.diaphane
def test_cells_are_not_traced_when_nobody_debugs(debugger: Debugger):
    traced = "import sys\n[sys.gettrace() is not None, sys.version_info < (3, 12)]"
    assert debugger.client.run(traced).result in ("[True, True]", "[False, False]")
    debugger.body("disconnect")
    assert debugger.client.run(traced).result.startswith("[False")


@pytest.mark.diaphane
def test_children_are_not_debugged(debugger: Debugger):
    code = """
import multiprocessing, subprocess, sys
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(abs, [-1, -2]))
loaded = [sys.executable, "-c", "import sys; print('debugpy' in sys.modules)"]
print(subprocess.run(loaded, capture_output=True, text=True).stdout.strip())
"""
    assert debugger.client.run(code).text() == "[1, 2]\nFalse\n"


# What is refused, each by one sentence; debugpy itself would leave some of it without an answer.


@pytest.mark.diaphane
def test_requests_before_initialize_are_refused(kernel):
    debugger = Debugger(kernel.connect())
    for command in ("stackTrace", "attach", "disconnect", "setBreakpoints"):
        sentence = debugger.refusal(command, source={"path": "x.py"})
        assert sentence == (
            f"{command} needs a debugger that has started: send initialize and attach first"
        )


@pytest.mark.diaphane
@pytest.mark.parametrize("command", ["continue", "next", "stepIn", "stepOut"])
def test_nothing_to_go_on_with(debugger: Debugger, command: str):
    assert "nothing stands at a breakpoint" in debugger.refusal(command, threadId=1)


@pytest.mark.diaphane
@pytest.mark.parametrize("command", ["dumpCell", "source", "setBreakpoints", "variables"])
def test_an_argument_that_is_missing_is_named(debugger: Debugger, command: str):
    assert debugger.refusal(command).startswith("the argument ")


@pytest.mark.diaphane
def test_a_source_that_is_not_there_is_named(debugger: Debugger):
    assert (
        debugger.refusal("source", source={"path": "/no/file.py"})
        == "there is no source at /no/file.py"
    )


@pytest.mark.diaphane
@pytest.mark.parametrize("content", [{}, {"command": 1}, {"command": "attach", "arguments": [1]}])
def test_what_is_no_request_of_the_protocol(kernel, content: dict):
    client = kernel.connect()
    done = client.request("debug_request", content, "control")
    assert "needs a command" in done.content["message"]
    assert done.trace == ["busy", "idle"]


@pytest.mark.diaphane
def test_a_kernel_in_which_a_cell_listens_already(kernel):
    client = kernel.connect()
    client.run("import debugpy; debugpy.listen(('127.0.0.1', 0))")
    assert "restart the kernel" in Debugger(client).refusal("initialize")
    assert client.run("6 * 7").result == "42"


@pytest.mark.diaphane
def test_an_adapter_that_has_ended(debugger: Debugger):
    """The kernel says so, and goes on without a debugger."""
    debugger.break_at(CELL, 4)
    port = debugger.wait("debugpySockets")["body"]["sockets"][0]["port"]
    os.kill(owner_of(port), signal.SIGKILL)
    wait_until(lambda: not debugger.body("debugInfo")["isStarted"], "the kernel has noticed")
    assert debugger.client.run("6 * 7").result == "42"
    assert "restart the kernel" in debugger.refusal("initialize")


def owner_of(port: int) -> int:
    """The process that listens on a local port."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port and fields[3] == "0A":
            inode = fields[9]
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2])
    raise AssertionError(f"nobody listens on {port}")
