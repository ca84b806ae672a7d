"""Signals of the user's, and SystemExit, where no cell runs that they could end: no silent end of the kernel."""

import signal

import pytest

from support.client import Client
from support.patience import wait_until
from support.process import Kernel

pytestmark = pytest.mark.diaphane

HANDLERS = {
    "function": "def ring(signum, frame):\n    raise TimeoutError('rings')",
    "method": "class Bell:\n    def ring(self, *_):\n        raise TimeoutError('rings')\nring = Bell().ring",
    "object": "class Bell:\n    def __call__(self, *_):\n        raise TimeoutError('rings')\nring = Bell()",
    "partial": "import functools\ndef bell(word, *_):\n    raise TimeoutError(word)\n"
    "ring = functools.partial(bell, 'rings')",
}
ALARM = "import signal\n{}\nsignal.signal(signal.SIGALRM, ring);"
ARM = "signal.setitimer(signal.ITIMER_REAL, 600);"


def rings(client: Client, kernel: Kernel, cell):
    """The signal comes now, as from a timer; its error is told under this cell."""
    kernel.process.send_signal(signal.SIGALRM)
    client.until(lambda: cell.all("error"), "the error of the handler", cell)
    assert cell.one("error")["ename"] == "TimeoutError"
    assert "rings" in str(cell.one("error")["traceback"])
    assert client.run("signal.alarm(0);1 + 1").result == "2"


@pytest.mark.parametrize("module", ["signal", "_signal"])
@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_that_raises_while_nothing_runs(
    client: Client, kernel: Kernel, name: str, module: str
):
    """The error stands under the cell that armed the signal, and the kernel lives."""
    code = (ALARM.format(HANDLERS[name]) + ARM).replace("signal.s", f"{module}.s")
    armed = client.run(f"import {module}\n{code}")
    client.run("'another cell'")
    rings(client, kernel, armed)


def test_the_cell_that_sets_the_timer_has_armed_it(client: Client, kernel: Kernel):
    handler = client.run(ALARM.format(HANDLERS["function"]))
    timer = client.run(ARM)
    client.run("'another cell'")
    rings(client, kernel, timer)
    assert handler.all("error") == []


def test_a_handler_that_raises_while_its_cell_waits(client: Client, kernel: Kernel):
    """It ends the cell, as it would end code."""
    code = ALARM.format(HANDLERS["function"]) + ARM + "\nimport asyncio\n"
    code += (
        "async def wait():\n    try:\n        await asyncio.sleep(600)\n    finally:\n        ended.append(1)\n"
        "ended = []\nasync with asyncio.TaskGroup() as group:\n    group.create_task(wait())\n"
        "    print('ready', flush=True)"
    )
    cell = client.start(code)
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    kernel.process.send_signal(signal.SIGALRM)
    assert client.finish(cell).content["ename"] == "TimeoutError"
    assert "rings" in str(cell.one("error")["traceback"])
    assert client.run("signal.alarm(0); ended").result == "[1]"


def test_a_handler_that_raises_while_another_cell_waits(client: Client, kernel: Kernel):
    armed = client.run(ALARM.format(HANDLERS["function"]) + ARM)
    waits = client.start("import asyncio\nprint('ready', flush=True)\nawait asyncio.sleep(600)")
    client.until(lambda: "ready" in waits.text(), "ready", waits)
    kernel.process.send_signal(signal.SIGALRM)
    client.until(lambda: armed.all("error"), "the error of the handler", armed)
    assert not waits.answered
    client.request("interrupt_request", {}, "control")
    assert client.finish(waits).content["ename"] == "KeyboardInterrupt"


def test_a_timer_whose_handler_always_raises(client: Client):
    """Whatever the kernel does at that moment: every request has its answer, and the kernel lives."""
    armed = client.execute(
        ALARM.format(HANDLERS["function"]) + "signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02);"
    )
    for _ in range(20):
        for code in ("1 + 1", "import asyncio\nawait asyncio.sleep(0.05)", "1 / 0"):
            done = client.execute(code)
            assert done.content.get("ename", "") in ("", "TimeoutError", "ZeroDivisionError"), (
                "\n".join(done.content["traceback"])
            )
        asked = client.request("complete_request", {"code": "pri", "cursor_pos": 3})
        assert asked.content["status"] == "ok"
    while client.execute("signal.setitimer(signal.ITIMER_REAL, 0)").content["status"] != "ok":
        pass
    assert {error["ename"] for error in armed.all("error")} == {"TimeoutError"}
    assert client.run("1 + 1").result == "2"


def test_a_handler_that_raises_beside_the_expressions_of_a_front_end(client: Client):
    client.run(ALARM.format(HANDLERS["function"]))
    client.run(
        "import sys\ndef ring_there(frame, event, _):\n"
        "    if event == 'call' and frame.f_code.co_name == 'user_expressions':\n"
        "        sys.setprofile(None)\n        signal.raise_signal(signal.SIGALRM)"
    )
    done = client.execute("sys.setprofile(ring_there)", user_expressions={"two": "1 + 1"})
    assert done.content["status"] == "ok"
    assert done.content["user_expressions"] == {}
    client.until(lambda: done.all("error"), "the error of the handler", done)
    assert done.one("error")["ename"] == "TimeoutError"
    again = client.execute("3", user_expressions={"two": "1 + 1"})
    assert again.content["user_expressions"]["two"]["data"]["text/plain"] == "2"


def test_handlers_are_the_users_own(client: Client):
    client.run(ALARM.format(HANDLERS["function"]))
    assert client.value("signal.getsignal(signal.SIGALRM) is ring") == "True"
    assert (
        client.value("signal.signal(signalnum=signal.SIGALRM, handler=signal.SIG_IGN) is ring")
        == "True"
    )
    assert client.value("signal.signal(signal.SIGALRM, signal.SIG_DFL)") == "<Handlers.SIG_IGN: 1>"
    done = client.execute(
        "signal.signal(signal.SIGALRM, ring)\nsignal.raise_signal(signal.SIGALRM)"
    )
    assert done.content["ename"] == "TimeoutError"
    assert "diaphane" not in str(done.content["traceback"])


EXITS = {
    "task": "async def leave():\n    raise SystemExit({})\ntask = asyncio.create_task(leave());",
    "callback": "asyncio.get_running_loop().call_soon(sys.exit, {});",
    "handler": "def leave(*_):\n    sys.exit({})\n"
    "signal.signal(signal.SIGALRM, leave); signal.setitimer(signal.ITIMER_REAL, 0.1);",
}


@pytest.mark.parametrize(("value", "code"), [("3", 3), ("None", 0), ("'a word'", 1), ("300", 44)])
@pytest.mark.parametrize("name", EXITS)
def test_exits_beside_the_cells_end_the_kernel_by_their_code(
    launch, name: str, value: str, code: int
):
    kernel = launch()
    client = kernel.connect()
    cell = client.start("import asyncio, signal, sys\n" + EXITS[name].format(value))
    kernel.process.wait(60)
    # What it has sent is on its way, on a busy machine for a while.
    while client.pump(1000):
        pass
    assert kernel.process.returncode == code
    said = "" if value == "None" else value
    assert f"raised SystemExit({said})" in cell.text("stderr")
    assert "could not be started" not in kernel.log


def test_an_exit_beside_the_cells_of_a_subshell(client: Client):
    """It ends no more than a thread's would, which is nothing here: the subshell goes on."""
    subshell = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    header = {"subshell_id": subshell}
    client.run(
        "import asyncio, sys\nasyncio.get_event_loop().call_soon(sys.exit, 3);", header=header
    )
    assert client.run("1 + 1", header=header).result == "2"
    client.request("delete_subshell_request", {"subshell_id": subshell}, "control")


@pytest.mark.parametrize("magic", ["%%threads", "%%native_calls --deep", "%%native_prof"])
def test_no_thread_of_the_kernels_takes_a_signal(client: Client, kernel: Kernel, magic: str):
    """Linux gives one to any thread that does not block it; CPython would not end what the main one waits in."""
    cell = client.start(f"{magic}\nprint('ready', flush=True)\nwhile True: pass")
    client.until(lambda: "ready" in cell.text(), "ready", cell)
    wanted = {signal.SIGINT, signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1}

    def blocks(tid: int) -> bool:
        status = kernel.proc(f"task/{tid}/status").splitlines()
        [mask] = [int(line.split()[1], 16) for line in status if line.startswith("SigBlk")]
        return all(mask >> number - 1 & 1 for number in wanted)

    def open_threads() -> list[str]:
        ours = {
            tid: name
            for tid, name in kernel.threads.items()
            if name.startswith(("diaphane-", "ZMQbg"))
        }
        return [name for tid, name in ours.items() if not blocks(tid)]

    # A new thread has its name a little before.
    wait_until(lambda: open_threads() == [], "all threads but the main one block signals")
    client.request("interrupt_request", {}, "control")
    assert client.finish(cell).content["ename"] == "KeyboardInterrupt"
